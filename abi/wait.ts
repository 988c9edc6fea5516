// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/wait.h and the encoding of wait statuses.
export const WNOHANG = 1;
export const WUNTRACED = 2;
export const WSTOPPED = 2;
export const WEXITED = 4;
export const WCONTINUED = 8;
export const WNOWAIT = 0x01000000;
export const __WNOTHREAD = 0x20000000;
export const __WALL = 0x40000000;
export const __WCLONE = 0x80000000;

export const P_ALL = 0;
export const P_PID = 1;
export const P_PGID = 2;
export const P_PIDFD = 3;

export const exitedStatus = (code: number): number => (code & 0xff) << 8;
export const signaledStatus = (signal: number, dumped: boolean): number =>
  signal | (dumped ? 0x80 : 0);
export const stoppedStatus = (signal: number): number => 0x7f | (signal << 8);
export const CONTINUED_STATUS = 0xffff;
