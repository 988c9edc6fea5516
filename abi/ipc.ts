// include/uapi/linux/ipc.h, shm.h; asm-generic/ipcbuf.h, shmbuf.h.
export const IPC_PRIVATE = 0;
export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;

export const IPC_RMID = 0;
export const IPC_SET = 1;
export const IPC_STAT = 2;
export const IPC_INFO = 3;

export const SHM_LOCK = 11;
export const SHM_UNLOCK = 12;
export const SHM_STAT = 13;
export const SHM_INFO = 14;
export const SHM_STAT_ANY = 15;

export const SHM_HUGETLB = 0o4000;
export const SHM_RDONLY = 0o10000;
export const SHM_RND = 0o20000;
export const SHM_REMAP = 0o40000;
export const SHM_EXEC = 0o100000;
/** Bits of shm_perm.mode above the permissions. */
export const SHM_DEST = 0o1000;
export const SHM_LOCKED = 0o2000;

/** The least size. Other limits: kernel.shm* of abi/sysctl.ts. */
export const SHMMIN = 1;

/** Offsets of struct shmid64_ds. */
export const shmidDs = {
  size: 112,
  key: 0,
  uid: 4,
  gid: 8,
  cuid: 12,
  cgid: 16,
  mode: 20,
  seq: 24,
  segsz: 48,
  atime: 56,
  dtime: 64,
  ctime: 72,
  cpid: 80,
  lpid: 84,
  nattch: 88,
} as const;

/** Offsets of struct shminfo64 (IPC_INFO): shmmax, shmmin, shmmni, shmseg, shmall. */
export const shminfo = {
  size: 72,
  shmmax: 0,
  shmmin: 8,
  shmmni: 16,
  shmseg: 24,
  shmall: 32,
} as const;

/** Offsets of struct shm_info (SHM_INFO). */
export const shmInfo = { size: 48, usedIds: 0, total: 8, resident: 16, swapped: 24 } as const;
