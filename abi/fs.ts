// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/{fs,mount,limits,magic}.h, asm-generic/statfs.h, fs/readdir.c; statfs(2),
// mount(2), getdents(2), rename(2).
export const NAME_MAX = 255;
export const PATH_MAX = 4096;
/** Symbolic links followed in one walk: path_resolution(7). */
export const MAXSYMLINKS = 40;

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_SYNCHRONOUS = 16;
export const MS_REMOUNT = 32;
export const MS_MANDLOCK = 64;
export const MS_DIRSYNC = 128;
export const MS_NOSYMFOLLOW = 256;
export const MS_NOATIME = 1024;
export const MS_NODIRATIME = 2048;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_SILENT = 32768;
export const MS_UNBINDABLE = 1 << 17;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
export const MS_SHARED = 1 << 20;
export const MS_RELATIME = 1 << 21;
export const MS_STRICTATIME = 1 << 24;
export const MS_LAZYTIME = 1 << 25;
export const MS_MGC_VAL = 0xc0ed0000;
export const MS_MGC_MSK = 0xffff0000;

export const MNT_FORCE = 1;
export const MNT_DETACH = 2;
export const MNT_EXPIRE = 4;
export const UMOUNT_NOFOLLOW = 8;

/** statfs f_flags beside the MS_ values they share: ST_VALID. */
export const ST_VALID = 0x0020;
export const ST_RELATIME = 0x1000;
export const ST_NOATIME = 0x0400;

export const TMPFS_MAGIC = 0x01021994;
export const OVERLAYFS_SUPER_MAGIC = 0x794c7630;
export const V9FS_MAGIC = 0x01021997;
export const PROC_SUPER_MAGIC = 0x9fa0;
export const SYSFS_MAGIC = 0x62656572;
export const DEVPTS_SUPER_MAGIC = 0x1cd1;
export const PIPEFS_MAGIC = 0x50495045;
export const SOCKFS_MAGIC = 0x534f434b;
export const ANON_INODE_FS_MAGIC = 0x09041934;
export const CGROUP2_SUPER_MAGIC = 0x63677270;
export const MQUEUE_MAGIC = 0x19800202;
export const FUSE_SUPER_MAGIC = 0x65735546;
export const NFS_SUPER_MAGIC = 0x6969;
export const SMB_SUPER_MAGIC = 0x517b;
export const CIFS_SUPER_MAGIC = 0xff534d42;
export const SMB2_SUPER_MAGIC = 0xfe534d42;
export const CEPH_SUPER_MAGIC = 0x00c36400;
export const AFS_SUPER_MAGIC = 0x5346414f;
export const AFS_FS_MAGIC = 0x6b414653;
export const CODA_SUPER_MAGIC = 0x73757245;
export const OCFS2_SUPER_MAGIC = 0x7461636f;

/** struct statfs, x86-64. */
export const statfsLayout = {
  at: {
    type: 0,
    bsize: 8,
    blocks: 16,
    bfree: 24,
    bavail: 32,
    files: 40,
    ffree: 48,
    fsid: 56,
    namelen: 64,
    frsize: 72,
    flags: 80,
  },
  size: 120,
} as const;

/** struct linux_dirent64 up to d_name. */
export const dirent64Layout = {
  at: { ino: 0, off: 8, reclen: 16, type: 18, name: 19 },
  size: 19,
} as const;
/** struct linux_dirent up to d_name; d_type is its last byte. */
export const direntLayout = { at: { ino: 0, off: 8, reclen: 16, name: 18 }, size: 18 } as const;
