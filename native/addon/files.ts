// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/files.c. Every call answers >= 0 or -errno.
import type { SysResult } from '../../abi/errno.ts';

export interface FileCalls {
  close(fd: number): SysResult;
  /** fcntl(F_DUPFD_CLOEXEC). */
  dup(fd: number): SysResult;
  /** read(2) into bytes[offset .. offset+length). */
  read(fd: number, bytes: Uint8Array, offset: number, length: number): SysResult;
  write(fd: number, bytes: Uint8Array, offset: number, length: number): SysResult;
  pread(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): SysResult;
  pwrite(
    fd: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): SysResult;
  ftruncate(fd: number, length: number): SysResult;
  memfdCreate(name: string, flags: number): SysResult;
  /** fcntl(F_ADD_SEALS) of a memory file. */
  addSeals(fd: number, seals: number): SysResult;
  /** pipe2(2) with O_CLOEXEC: the reading end to out[0], the writing end to out[1]. */
  pipe(out: Int32Array): SysResult;
  /** RESOLVE_* in `resolve`; O_CLOEXEC is added. */
  openat2(dirfd: number, path: string, flags: number, mode: number, resolve: number): SysResult;
  /** struct statx (abi/stat.ts statxLayout) to out[offset]. */
  statx(dirfd: number, path: string, flags: number, out: Uint8Array, offset: number): SysResult;
  getdents64(fd: number, bytes: Uint8Array): SysResult;
  readlinkat(dirfd: number, path: string, bytes: Uint8Array): SysResult;
  lseek(fd: number, offset: number, whence: number): SysResult;
  fallocate(fd: number, mode: number, offset: number, length: number): SysResult;
  fsync(fd: number): SysResult;
  /** type bsize blocks bfree bavail files ffree namelen. */
  fstatfs(fd: number, out: Float64Array): SysResult;
  /**
   * Opens the file behind `fd` anew with other flags, through /proc/self/fd, which the first call
   * opens and keeps: call reopen(-1, 0) before the process is confined (answers that descriptor;
   * openat2 on it must stay allowed).
   */
  reopen(fd: number, flags: number): SysResult;
  /** Bytes of another process that are in memory; 0 where that is not known (as before `reopen(-1, 0)`). */
  residentBytes(pid: number): SysResult;
  /**
   * The memory that a process takes, page tables included; with 1 without pages of files and shared
   * memory.
   */
  chargedBytes(pid: number): SysResult;
  /** How many mappings a process has, as far as `most`; 0 where that is not known. */
  countMappings(pid: number, most: number): SysResult;
  mkdirat(dirfd: number, name: string, mode: number): SysResult;
  mknodat(dirfd: number, name: string, mode: number, rdev: number): SysResult;
  unlinkat(dirfd: number, name: string, flags: number): SysResult;
  renameat2(
    dirfd: number,
    name: string,
    newDirfd: number,
    newName: string,
    flags: number,
  ): SysResult;
  linkat(fd: number, name: string, newDirfd: number, newName: string, flags: number): SysResult;
  symlinkat(target: string, dirfd: number, name: string): SysResult;
  /**
   * Before the process is confined, after reopen(-1, 0): watchDirectory works from then on. Changes
   * the working directory.
   */
  watchFromDescriptors(): SysResult;
  /** inotify_init1(IN_NONBLOCK | IN_CLOEXEC). */
  inotifyInit(): SysResult;
  /** inotify_add_watch(2) of the directory behind `fd`, which may be O_PATH. The watch descriptor. */
  watchDirectory(inotifyFd: number, fd: number, mask: number): SysResult;
  /** inotify_rm_watch(2). */
  unwatch(inotifyFd: number, watch: number): SysResult;
  fchmod(fd: number, mode: number): SysResult;
  /**
   * Changes the mode of a file of any kind; `fd` may be O_PATH. Needs reopen(-1, 0) before, as
   * linkHeld does.
   */
  chmodHeld(fd: number, mode: number): SysResult;
  /** Gives an open file (O_TMPFILE) a name. */
  linkHeld(fd: number, newDirfd: number, newName: string): SysResult;
  fchownat(fd: number, name: string, uid: number, gid: number, flags: number): SysResult;
  utimensat(
    fd: number,
    name: string,
    atimeSec: number,
    atimeNsec: number,
    mtimeSec: number,
    mtimeNsec: number,
    flags: number,
  ): SysResult;
  fgetxattr(fd: number, name: string, out: Uint8Array): SysResult;
  fsetxattr(fd: number, name: string, bytes: Uint8Array, length: number, flags: number): SysResult;
  flistxattr(fd: number, out: Uint8Array): SysResult;
  fremovexattr(fd: number, name: string): SysResult;
  /** poll(2) of one descriptor without waiting: POLL* bits. */
  pollNow(fd: number, events: number): SysResult;
  /** read(2) that answers EAGAIN rather than wait, whatever the descriptor's O_NONBLOCK says. */
  readNow(fd: number, bytes: Uint8Array, offset: number, length: number): SysResult;
  /** fcntl(F_GETFL). */
  statusFlags(fd: number): SysResult;
}
