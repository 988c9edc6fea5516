// SPDX-License-Identifier: Apache-2.0
// One guest address space: the host memory behind one guest process (threads share it).
import type { Result, SysResult } from '../../abi/errno.ts';
import type { GuestThread } from './guest-thread.ts';

/**
 * A change of the mappings. Page-aligned addresses and lengths; MAP_FIXED semantics: the kernel has
 * already chosen the place and checked it against guestTop.
 */
export type MemoryOperation =
  | {
      readonly kind: 'mapAnonymous';
      readonly addr: number;
      readonly length: number;
      readonly prot: number;
      readonly shared?: false;
      readonly noreserve: boolean;
      readonly populate: boolean;
    }
  | {
      readonly kind: 'mapFile';
      readonly addr: number;
      readonly length: number;
      readonly prot: number;
      readonly shared: boolean;
      readonly hostFd: number;
      readonly offset: number;
      readonly populate: boolean;
    }
  | { readonly kind: 'unmap'; readonly addr: number; readonly length: number }
  | {
      readonly kind: 'protect';
      readonly addr: number;
      readonly length: number;
      readonly prot: number;
    }
  /**
   * mremap(2): MAYMOVE|FIXED moves pages with their contents; with newAddr equal to addr it resizes
   * in place.
   */
  | {
      readonly kind: 'remap';
      readonly addr: number;
      readonly length: number;
      readonly newAddr: number;
      readonly newLength: number;
    }
  /** madvise values that the platform passes on (MADV_DONTNEED, MADV_FREE and so on). */
  | {
      readonly kind: 'advise';
      readonly addr: number;
      readonly length: number;
      readonly advice: number;
    };

/** Guest addresses: `*End` is behind the last byte. */
export interface ArgumentPlace {
  readonly argStart: number;
  readonly argEnd: number;
  readonly envStart: number;
  readonly envEnd: number;
}

export interface AddressSpace {
  /**
   * Queues an operation; it is done inside the guest, in order, at the latest when `via` is next
   * resumed, before any guest instruction of that thread. `via` must be stopped. A failure is then
   * reported as the outcome 'operationFailed' of that thread instead of running guest code.
   * hostFd is duplicated or sent at once: the caller may close it after this call.
   */
  queueOperation(operation: MemoryOperation, via: GuestThread): void;

  /**
   * Queues that what the platform itself keeps in guest memory goes: the kernel is about to unmap
   * all the rest, for another program.
   */
  queueNewProgram(via: GuestThread): void;

  /**
   * Queues: where a host that can show programs' arguments (ps(1)) finds those of this one. Does
   * not fail.
   */
  queueShownArguments(place: ArgumentPlace, via: GuestThread): void;

  /** Its process on the host, as the Sentry's PID namespace numbers it; 0: none. */
  readonly hostId: number;

  /**
   * A copy found that its host process has ended. The guest did nothing wrong then: how it ended is told by
   * `addressSpaceDied`, which is still to come.
   */
  readonly isGone: boolean;

  /** The host does not let its process run now: nobody may wait for it. */
  isFrozen: boolean;

  /** Does what is queued on `via` now and waits for it. 0 or the errno of the first that failed. */
  flushOperations(via: GuestThread): SysResult;

  /**
   * Tries the same within a short time. Returns undefined where the operations take longer: then
   * `done` is called with the result later, from Platform.poll or wait. Nobody waits for a host
   * process that the host does not let run.
   */
  tryFlush(via: GuestThread, done: (result: SysResult) => void): SysResult | undefined;

  /**
   * Takes note of a thread that is about to wait in the kernel on the private futex at `addr`
   * (change 1), or waits no more (-1). From then on no other thread wakes there without asking.
   */
  countFutexWaiter(addr: number, change: 1 | -1): void;

  /** Copies guest memory to dst[0..length). Bytes copied from the front, EFAULT if none. */
  read(addr: number, dst: Uint8Array, length: number): SysResult;
  /** Copies src[0..length) to guest memory. Bytes copied from the front, EFAULT if none. */
  write(addr: number, src: Uint8Array, length: number): SysResult;

  /**
   * A copy-on-write copy, made through `via` (stopped in a syscall), whose one thread has via's
   * registers (the kernel then sets what differs). Completes later: `done` is called from Platform.poll/wait
   * with the new pair or an errno; `via` must not be resumed before. The child thread is stopped, ready
   * to be resumed.
   */
  fork(via: GuestThread, done: (child: Result<ForkedAddressSpace>) => void): void;

  /**
   * One more guest thread in this space, made through `via` (stopped in a syscall), with via's registers
   * (FP state included). Completes later, as fork does.
   */
  newThread(via: GuestThread, done: (thread: Result<GuestThread>) => void): void;

  /** Kills all threads and frees the host process. No event follows. Safe to call at any time, once. */
  destroy(): void;

  /** Returns the usage of the host process, for /proc and rusage; 0 where unknown. */
  usage(): MemoryUsage;
}

export interface MemoryUsage {
  readonly residentBytes: number;
  /**
   * Anonymous memory and what the host's kernel needs for the process: page tables (pages of zeros
   * that were only read take nothing else) and mappings. Pages of files and shared memory belong to
   * nobody alone, and are counted where they were made.
   */
  readonly chargedBytes: number;
  /** User and system. */
  readonly cpuNs: number;
}

export interface ForkedAddressSpace {
  readonly space: AddressSpace;
  readonly thread: GuestThread;
}
