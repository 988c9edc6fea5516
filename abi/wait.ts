// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/wait.h and the encoding of wait statuses.
import { CLD_DUMPED, CLD_EXITED, CLD_KILLED } from './signal.ts';

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

/** si_code (CLD_*) and si_status of a process that ended with the wait status `status`. */
export function infoOfStatus(status: number): { code: number; status: number } {
  const signal = status & 0x7f;
  if (signal === 0) return { code: CLD_EXITED, status: (status >> 8) & 0xff };
  return { code: (status & 0x80) === 0 ? CLD_KILLED : CLD_DUMPED, status: signal };
}
