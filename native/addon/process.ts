// Types of native/addon/process.c. Every call answers >= 0 or -errno.
export interface ProcessCalls {
  kill(pid: number, signal: number): number;
  /** wait4(-1, WNOHANG|__WALL): pid (status in status[0]), 0 if no child is dead now, -ECHILD. */
  waitAny(status: Int32Array): number;
  /** _exit(2): nothing of Node's own ending runs. */
  exitNow(status: number): never;
  /** execve(2) does not close this descriptor. */
  keepAtExec(fd: number): number;
  /** Rows and columns to out[0] and out[1]. */
  windowSize(fd: number, out: Int32Array): number;
}
