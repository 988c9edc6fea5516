// SPDX-License-Identifier: Apache-2.0
// For tests: a systrap platform without launcher and namespaces, and guests of a few assembled instructions.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isErrno } from '../../abi/errno.ts';
import { MFD_ALLOW_SEALING, MFD_CLOEXEC } from '../../abi/mman.ts';
import { SOCK_SEQPACKET } from '../../abi/socket.ts';
import { native } from '../../native/addon.ts';
import type { AddressSpace } from '../../sentry/platform/address-space.ts';
import {
  type GuestThread,
  getRegister,
  REG,
  setRegister as setIn,
} from '../../sentry/platform/guest-thread.ts';
import type { Trap } from '../trap.ts';
import { SystrapClock } from './clock.ts';
import { createStubPlatform, type StubPlatform } from './platform.ts';
import { systrap } from './trap.ts';

export const CODE = 0x10000;
export const DATA = 0x20000;
export const DATA_BYTES = 0x10000;

/** Position-independent AT&T syntax to machine code. Call before the platform starts: it spawns processes. */
export function assemble(source: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'runts-as-'));
  try {
    const object = join(folder, 'guest.o');
    const binary = join(folder, 'guest.bin');
    execFileSync('as', ['-o', object], { input: `${source}\n` });
    execFileSync('objcopy', ['-O', 'binary', '-j', '.text', object, binary]);
    return new Uint8Array(readFileSync(binary));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Longest wait for anything that is to happen. */
const PATIENCE_MS = 60_000;

export class TestGuests {
  readonly clock = new SystrapClock();
  readonly platform: StubPlatform;
  readonly deaths: string[] = [];
  /** Replaces the queue of stops where a test wants its own loop. */
  onStop: ((thread: GuestThread) => void) | undefined;
  readonly #stops: GuestThread[] = [];

  /** `zygoteStarted` is told before the platform speaks to it. There can be one platform in a process. */
  constructor(zygoteStarted: (pid: number) => void = () => undefined, trap: Trap = systrap) {
    const pair = new Int32Array(2);
    native.socketpair(SOCK_SEQPACKET, pair);
    const [ours, theirs] = pair as unknown as [number, number];
    const wakeEventFd = native.eventfd();
    const globalPageFd = native.memfdCreate('global', MFD_CLOEXEC | MFD_ALLOW_SEALING);
    native.ftruncate(globalPageFd, 4096);
    const path = fileURLToPath(new URL('../../native/build/zygote', import.meta.url));
    const pid = native.startZygote(path, theirs, wakeEventFd, globalPageFd);
    native.close(theirs);
    zygoteStarted(pid);
    this.platform = createStubPlatform([trap], {
      zygoteSocketFd: ours,
      wakeEventFd,
      globalPageFd,
      clock: this.clock,
    });
    this.platform.start({
      threadStopped: (thread) => {
        if (this.onStop) this.onStop(thread);
        else this.#stops.push(thread);
      },
      addressSpaceDied: (_, reason) => this.deaths.push(reason),
    });
  }

  /** A fresh address space with `code` at CODE and writable memory at DATA; the thread starts at CODE. */
  launch(code: Uint8Array): { space: AddressSpace; thread: GuestThread } {
    const fresh = this.platform.newAddressSpace();
    if (isErrno(fresh)) throw new Error(`no address space: ${fresh}`);
    const { space, thread } = fresh;
    const common = { kind: 'mapAnonymous', noreserve: false, populate: false } as const;
    space.queueOperation({ ...common, addr: CODE, length: 0x1000, prot: 7 }, thread);
    space.queueOperation({ ...common, addr: DATA, length: DATA_BYTES, prot: 3 }, thread);
    const flushed = space.flushOperations(thread);
    if (isErrno(flushed)) throw new Error(`no memory: ${flushed}`);
    space.write(CODE, code, code.length);
    setRegister(thread, REG.rip, CODE);
    setRegister(thread, REG.rsp, DATA + DATA_BYTES - 64);
    return { space, thread };
  }

  /** The next thread to stop, or undefined after `ms`. */
  next(ms = PATIENCE_MS): GuestThread | undefined {
    this.until(() => this.#stops.length > 0, ms);
    return this.#stops.shift();
  }

  until(condition: () => boolean, ms = PATIENCE_MS): void {
    const end = this.clock.monotonicNs() + ms * 1e6;
    while (!condition() && this.clock.monotonicNs() < end) this.platform.wait(end);
  }

  /** Waits for something that `begin` hands to its callback. */
  result<T>(begin: (done: (value: T) => void) => void): T {
    const box: T[] = [];
    begin((value) => box.push(value));
    this.until(() => box.length > 0);
    if (box.length === 0) throw new Error('no result in time');
    return box[0] as T;
  }
}

export function register(thread: GuestThread, index: number): number {
  return getRegister(thread.registers(), index);
}

export function setRegister(thread: GuestThread, index: number, value: number): void {
  setIn(thread.registers(), index, value);
  thread.registersChanged();
}
