// SPDX-License-Identifier: Apache-2.0
// The seam between the kernel and what runs guest code. It speaks of address spaces and guest
// threads, never of how: platform-ptrace/ (systrap, ptrace) and platform-kvm/ implement it.
import type { Result, SysResult } from '../../abi/errno.ts';
import type { AddressSpace } from './address-space.ts';
import type { GuestThread } from './guest-thread.ts';
import type { HandoverCounters } from './handover-counters.ts';

/** Receives what guest threads do. Called from Platform.poll and Platform.wait, never re-entrantly. */
export interface PlatformEvents {
  /** A guest thread stopped with the outcome in `thread.outcome`; it stays stopped until `resume`. */
  threadStopped(thread: GuestThread): void;
  /**
   * The host processes behind an address space are gone although nobody asked (killed by the host's
   * OOM killer, or the guest broke its own stub). All its threads are dead. `signal`: of the host's
   * that ended them, or 0.
   */
  addressSpaceDied(space: AddressSpace, reason: string, signal: number): void;
}

/** Makes the host processes of one container's address spaces, in the cgroups of that container. */
export interface ProcessPool {
  /** The pool makes no more host processes. Those in use live on, and belong to their address spaces. */
  end(): void;
}

/** A host descriptor that the Sentry's one wait also watches (guest stdio, control socket). */
export interface HostFdWatcher {
  /** POLL* bits that are ready. Called from Platform.wait. */
  ready(events: number): void;
}

export interface Platform {
  /** 'systrap', 'ptrace', 'kvm'. */
  readonly name: string;
  /** First address past what a guest may map. */
  readonly guestTop: number;

  /** Tells where events go. Called once, before any address space is made. */
  start(events: PlatformEvents): void;

  /**
   * An empty address space with one guest thread, not yet running, zero registers. For exec. Its
   * host process, and all that are forked from it, are in the cgroups of `pool`; without a pool
   * they are in the sandbox's own.
   */
  newAddressSpace(pool?: ProcessPool): Result<FreshAddressSpace>;

  /**
   * Tries to make an address space in a short time, so that a host process that the host does not
   * let run keeps nobody waiting. Returns undefined where none is ready yet: then `ready` is called
   * later, from poll or wait, with true when the caller should try again, or with false when no
   * address space could be made.
   */
  tryNewAddressSpace(
    pool: ProcessPool | undefined,
    ready: (isReady: boolean) => void,
  ): Result<FreshAddressSpace> | undefined;

  /**
   * Makes a pool in other cgroups than the sandbox's. `cgroupFds` are the cgroups' cgroup.procs
   * files, opened for writing. The platform closes these descriptors, also where the host does not
   * allow the pool and an errno is returned.
   */
  newProcessPool(cgroupFds: readonly number[]): Result<ProcessPool>;

  /**
   * Handles everything that has already happened, without sleeping: returns true when any event was
   * delivered. Called in the Sentry's main loop as long as there is something to do.
   */
  poll(): boolean;

  /** Does what `poll` does, and looks at the watched descriptors too, which `poll` does now and then only. */
  look(): void;

  /**
   * Sleeps until a guest thread stops, a watched descriptor is ready or `deadlineNs`
   * (Clock.monotonicNs; Infinity: none) has come, and delivers what happened. Polls adaptively
   * before it sleeps; with every guest thread asleep it uses no CPU.
   */
  wait(deadlineNs: number): void;

  /**
   * How long the platform has slept so far until a guest thread had done something for it, where it
   * could not go on.
   */
  readonly sleptNs: number;

  /** How many guest threads run guest code now, or have stopped and wait for `poll`. */
  readonly runningThreads: number;

  /** How guest threads and the Sentry handed over to each other, where the platform counts it. */
  readonly counters?: HandoverCounters | undefined;

  /** Watches `hostFd` for POLL* `events` (level triggered) until `unwatch`. One watcher per descriptor. */
  watch(hostFd: number, events: number, watcher: HostFdWatcher): SysResult;
  rewatch(hostFd: number, events: number): SysResult;
  unwatch(hostFd: number): void;
}

export interface FreshAddressSpace {
  readonly space: AddressSpace;
  readonly thread: GuestThread;
}
