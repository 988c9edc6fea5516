// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/stat.h, arch/x86/include/uapi/asm/stat.h; stat(2), statx(2), inode(7).
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;
export const S_IWGRP = 0o020;
export const S_IXGRP = 0o010;
export const S_IWOTH = 0o002;
export const S_IRWXUGO = 0o777;
export const S_IALLUGO = 0o7777;

/** struct stat, x86-64. */
export const statLayout = {
  at: {
    dev: 0,
    ino: 8,
    nlink: 16,
    mode: 24,
    uid: 28,
    gid: 32,
    rdev: 40,
    size: 48,
    blksize: 56,
    blocks: 64,
    atime: 72,
    atimeNsec: 80,
    mtime: 88,
    mtimeNsec: 96,
    ctime: 104,
    ctimeNsec: 112,
  },
  size: 144,
} as const;

export const STATX_TYPE = 0x001;
export const STATX_MODE = 0x002;
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BTIME = 0x800;
export const STATX_MNT_ID = 0x1000;
export const STATX__RESERVED = 0x80000000;
export const STATX_ATTR_APPEND = 0x20;
export const STATX_ATTR_MOUNT_ROOT = 0x2000;

/** struct statx. */
export const statxLayout = {
  at: {
    mask: 0,
    blksize: 4,
    attributes: 8,
    nlink: 16,
    uid: 20,
    gid: 24,
    mode: 28,
    ino: 32,
    size: 40,
    blocks: 48,
    attributesMask: 56,
    atime: 64,
    btime: 80,
    ctime: 96,
    mtime: 112,
    rdevMajor: 128,
    rdevMinor: 132,
    devMajor: 136,
    devMinor: 140,
    mntId: 144,
    dioMemAlign: 152,
    dioOffsetAlign: 156,
  },
  size: 256,
} as const;

export const UTIME_NOW = 0x3fffffff;
export const UTIME_OMIT = 0x3ffffffe;

export const R_OK = 4;
export const W_OK = 2;
export const X_OK = 1;

/** d_type values of getdents64(2): the file type bits shifted down. */
export const DT_UNKNOWN = 0;
export const DT_DIR = 4;
export function direntType(mode: number): number {
  return (mode & S_IFMT) >>> 12;
}

/**
 * A device number as userspace has it (stat.st_rdev): makedev(3). Above 2^32 for large majors never
 * used here.
 */
export function makeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

export function deviceMajor(dev: number): number {
  return (dev >>> 8) & 0xfff;
}

export function deviceMinor(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & 0xfff00);
}
