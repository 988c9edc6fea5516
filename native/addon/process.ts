// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/process.c. Every call answers >= 0 or -errno.
import type { SysResult } from '../../abi/errno.ts';

export interface ProcessCalls {
  kill(pid: number, signal: number): SysResult;
  /** wait4(-1, WNOHANG|__WALL): pid (status in status[0]), 0 if no child is dead now, -ECHILD. */
  waitAny(status: Int32Array): SysResult;
  /** _exit(2): nothing of Node's own ending runs. */
  exitNow(status: number): never;
  /** SIGKILL for all others of the PID namespace, if this is its process 1. */
  killNamespace(): SysResult;
  /** sigqueue(3). */
  queueSignal(pid: number, signal: number, value: number): SysResult;
  /**
   * A child with an empty environment and the descriptors that keepAtExec was called for. `args` is
   * the program's path and its arguments, each ended by a 0; `streams` become its standard ones
   * (above 2 each). Its pid.
   */
  spawn(args: Uint8Array, streams?: Int32Array): SysResult;
  /**
   * execve(2) with an empty environment, the standard streams and the descriptors that keepAtExec
   * was called for. `words` is the program's path and then argv from its name on, each ended by a
   * 0. Answers only where it fails.
   */
  execute(words: Uint8Array): SysResult;
  /** execve(2) does not close this descriptor. */
  keepAtExec(fd: number): SysResult;
  /** Rows and columns to out[0] and out[1]. */
  windowSize(fd: number, out: Int32Array): SysResult;
}
