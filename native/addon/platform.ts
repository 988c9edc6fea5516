// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/platform.c. Every call answers >= 0 or -errno.
import type { Result, SysResult } from '../../abi/errno.ts';

export interface PlatformCalls {
  /**
   * Makes the addresses behind an array over a SharedArrayBuffer the region of mailboxes, once a
   * process: no memory is behind them any more (touching it faults). Offset in bytes of the first
   * whole page.
   */
  adoptRegion(words: Int32Array): SysResult;
  /** Maps bytes of the memfd, shared and writable, over a part of the region. */
  mapBlock(fd: number, fileOffset: number, regionOffset: number, bytes: number): SysResult;
  unmapBlock(regionOffset: number, bytes: number): SysResult;
  /** A memfd of this size that cannot be shrunk. */
  createMailbox(bytes: number): SysResult;
  /** A shared read-write mapping, for good. */
  mapShared(fd: number, bytes: number): Result<ArrayBuffer>;
  futexWake(regionOffset: number): SysResult;
  /** Installs the SIGCHLD handler. Int32 word 0 of the buffer becomes 1 when a child has died. */
  watchChildren(wakeEventFd: number): Result<ArrayBuffer>;
  /** Int32 list of slots (word indexes in the region) for `spin`, filled by the caller. */
  watchedSlots(): ArrayBuffer;
  /**
   * 1 as soon as one of the first `count` watched slots is not running or a child died, 0 after
   * about `pauses` PAUSEs.
   */
  spin(count: number, pauses: number): number;
  getRandom(bytes: Uint8Array): SysResult;
  /** The length of a PAUSE instruction in picoseconds. */
  pauseNs(): number;
  epollCreate(): SysResult;
  epollControl(epollFd: number, operation: number, fd: number, events: number): SysResult;
  /** (fd, events) pairs in out; a negative timeout waits for ever. Interruption by a signal is 0 events. */
  epollWait(epollFd: number, out: Int32Array, timeoutNs: number): SysResult;
  eventfd(): SysResult;
  drainEvent(fd: number): SysResult;
  readMemory(pid: number, addr: number, dst: Uint8Array, length: number): SysResult;
  writeMemory(pid: number, addr: number, src: Uint8Array, length: number): SysResult;
  tgkill(pid: number, tid: number, signal: number): SysResult;
  /** 0: a living child; the pid itself: a dead one, now reaped; -ECHILD: no child of ours. */
  waitOne(pid: number): SysResult;
  /** CPU time (user and system) of another process in ns, 0 if it is gone. */
  cpuTimeNs(pid: number): number;
  /** A copy of another process's descriptor (pidfd_getfd); pid 0: of this one's. */
  fetchDescriptor(pid: number, fd: number): SysResult;
  /** out: id lo, id hi, tid, syscall number, first argument lo, hi. EAGAIN when nothing waits. */
  notifyReceive(listener: number, out: Int32Array): SysResult;
  /** Lets the call of `notification` go on (errno 0) or fail with a negative errno. */
  notifyAnswer(listener: number, notification: Int32Array, errno: number): SysResult;
  hasFsgsbase(): number;
  /** The processors that this process may run on. */
  cpuCount(): number;
  /** The processor that this thread runs on. */
  currentCpu(): number;
  /**
   * Where a thread of a stub may run: on one processor, anywhere (-1) or on any other than `cpu`
   * (-2 - cpu), out of those that `cpuCount` counted.
   */
  setAffinity(tid: number, cpu: number): SysResult;
  /** A descriptor that becomes readable once, `afterNs` after `timerArm`. */
  timerCreate(): number;
  timerArm(fd: number, afterNs: number): SysResult;
  /** Forks and execs the zygote with the three descriptors as 3, 4, 5. */
  startZygote(path: string, socketFd: number, wakeFd: number, pageFd: number): SysResult;
}
