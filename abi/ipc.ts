// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/{ipc,shm,sem,msg}.h; asm-generic/{ipcbuf,shmbuf,sembuf,msgbuf}.h.
export const IPC_PRIVATE = 0;
export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;
export const IPC_NOWAIT = 0o4000;

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

/** Offsets of struct ipc64_perm, with which the status of every object begins. */
export const ipcPerm = {
  size: 48,
  key: 0,
  uid: 4,
  gid: 8,
  cuid: 12,
  cgid: 16,
  mode: 20,
  seq: 24,
} as const;

/** Offsets of struct shmid64_ds. */
export const shmidDs = {
  ...ipcPerm,
  size: 112,
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

export const GETPID = 11;
export const GETVAL = 12;
export const GETALL = 13;
export const GETNCNT = 14;
export const GETZCNT = 15;
export const SETVAL = 16;
export const SETALL = 17;
export const SEM_STAT = 18;
export const SEM_INFO = 19;
export const SEM_STAT_ANY = 20;
export const SEM_UNDO = 0x1000;
/** The largest value of a semaphore, and of what exit adds to one. */
export const SEMVMX = 32767;

/** Offsets of struct sembuf. */
export const sembuf = { size: 6, num: 0, op: 2, flg: 4 } as const;

/** Offsets of struct semid64_ds. */
export const semidDs = { ...ipcPerm, size: 104, otime: 48, ctime: 64, nsems: 80 } as const;

/** Offsets of struct seminfo: ints. SEM_INFO gives arrays in use in usz, semaphores in use in aem. */
export const seminfo = {
  size: 40,
  map: 0,
  mni: 4,
  mns: 8,
  mnu: 12,
  msl: 16,
  opm: 20,
  ume: 24,
  usz: 28,
  vmx: 32,
  aem: 36,
} as const;

export const MSG_STAT = 11;
export const MSG_INFO = 12;
export const MSG_STAT_ANY = 13;
export const MSG_NOERROR = 0o10000;
export const MSG_EXCEPT = 0o20000;
export const MSG_COPY = 0o40000;

/** Offsets of struct msqid64_ds. */
export const msqidDs = {
  ...ipcPerm,
  size: 120,
  stime: 48,
  rtime: 56,
  ctime: 64,
  cbytes: 72,
  qnum: 80,
  qbytes: 88,
  lspid: 96,
  lrpid: 100,
} as const;

/**
 * Offsets of struct msginfo: ints, seg a short. MSG_INFO gives queues, messages and bytes in use in
 * pool, map and tql.
 */
export const msginfo = {
  size: 32,
  pool: 0,
  map: 4,
  max: 8,
  mnb: 12,
  mni: 16,
  ssz: 20,
  tql: 24,
  seg: 28,
} as const;
