// Types of native/addon/files.c. Every call answers >= 0 or -errno.
export interface FileCalls {
  close(fd: number): number;
  /** fcntl(F_DUPFD_CLOEXEC). */
  dup(fd: number): number;
  /** read(2) into bytes[offset .. offset+length). */
  read(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  write(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  pread(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  pwrite(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  ftruncate(fd: number, length: number): number;
  memfdCreate(name: string, flags: number): number;
  /** fcntl(F_ADD_SEALS) of a memory file. */
  addSeals(fd: number, seals: number): number;
  /** pipe2(2) with O_CLOEXEC: the reading end to out[0], the writing end to out[1]. */
  pipe(out: Int32Array): number;
  /** RESOLVE_* in `resolve`; O_CLOEXEC is added. */
  openat2(dirfd: number, path: string, flags: number, mode: number, resolve: number): number;
  /** struct statx (abi/stat.ts statxLayout) to out[offset]. */
  statx(dirfd: number, path: string, flags: number, out: Uint8Array, offset: number): number;
  getdents64(fd: number, bytes: Uint8Array): number;
  readlinkat(dirfd: number, path: string, bytes: Uint8Array): number;
  lseek(fd: number, offset: number, whence: number): number;
  fallocate(fd: number, mode: number, offset: number, length: number): number;
  fsync(fd: number): number;
  /** type bsize blocks bfree bavail files ffree namelen. */
  fstatfs(fd: number, out: Float64Array): number;
  /**
   * Opens the file behind `fd` anew with other flags, through /proc/self/fd, which the first call opens and keeps:
   * call reopen(-1, 0) before the process is confined (answers that descriptor; openat2 on it must stay allowed).
   */
  reopen(fd: number, flags: number): number;
  /** Bytes of another process that are in memory; 0 where that is not known (as before `reopen(-1, 0)`). */
  residentBytes(pid: number, anonymous: 0 | 1): number;
  mkdirat(dirfd: number, name: string, mode: number): number;
  mknodat(dirfd: number, name: string, mode: number, rdev: number): number;
  unlinkat(dirfd: number, name: string, flags: number): number;
  renameat2(dirfd: number, name: string, newDirfd: number, newName: string, flags: number): number;
  linkat(fd: number, name: string, newDirfd: number, newName: string, flags: number): number;
  symlinkat(target: string, dirfd: number, name: string): number;
  /** Before the process is confined, after reopen(-1, 0): watchDirectory works from then on. Changes the working directory. */
  watchFromDescriptors(): number;
  /** inotify_init1(IN_NONBLOCK | IN_CLOEXEC). */
  inotifyInit(): number;
  /** inotify_add_watch(2) of the directory behind `fd`, which may be O_PATH. The watch descriptor. */
  watchDirectory(inotifyFd: number, fd: number, mask: number): number;
  /** inotify_rm_watch(2). */
  unwatch(inotifyFd: number, watch: number): number;
  fchmod(fd: number, mode: number): number;
  /** Of any kind of file; `fd` may be O_PATH. After reopen(-1, 0), as linkHeld. */
  chmodHeld(fd: number, mode: number): number;
  /** Gives an open file (O_TMPFILE) a name. */
  linkHeld(fd: number, newDirfd: number, newName: string): number;
  fchownat(fd: number, name: string, uid: number, gid: number, flags: number): number;
  utimensat(
    fd: number,
    name: string,
    atimeSec: number,
    atimeNsec: number,
    mtimeSec: number,
    mtimeNsec: number,
    flags: number,
  ): number;
  fgetxattr(fd: number, name: string, out: Uint8Array): number;
  fsetxattr(fd: number, name: string, bytes: Uint8Array, length: number, flags: number): number;
  flistxattr(fd: number, out: Uint8Array): number;
  fremovexattr(fd: number, name: string): number;
  /** poll(2) of one descriptor without waiting: POLL* bits. */
  pollNow(fd: number, events: number): number;
  /** read(2) that answers EAGAIN rather than wait, whatever the descriptor's O_NONBLOCK says. */
  readNow(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  /** fcntl(F_GETFL). */
  statusFlags(fd: number): number;
}
