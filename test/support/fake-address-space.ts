// SPDX-License-Identifier: Apache-2.0
// An AddressSpace without a platform, for unit tests of sentry/mm and sentry/loader: pages in a Map,
// operations done at once where the test does not ask to hold them, host descriptors that are arrays.
import { EFAULT, type Errno, type Result, type SysResult } from '../../abi/errno.ts';
import { MADV_DONTNEED, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import type {
  AddressSpace,
  ForkedAddressSpace,
  MemoryOperation,
  MemoryUsage,
} from '../../sentry/platform/address-space.ts';
import { type GuestThread, type Outcome, REG_COUNT } from '../../sentry/platform/guest-thread.ts';

interface Page {
  bytes: Uint8Array;
  prot: number;
}

export class FakeAddressSpace implements AddressSpace {
  readonly pages = new Map<number, Page>();
  /** Contents of the host descriptors that mapFile names. */
  readonly files = new Map<number, Uint8Array>();
  /** Every operation that was queued, for tests to look at. */
  readonly log: MemoryOperation[] = [];
  destroyed = false;
  isFrozen = false;
  isGone = false;
  /** Operations of this kind fail with the errno and change nothing. */
  failing: { kind: MemoryOperation['kind']; errno: Errno } | undefined = undefined;
  #firstError: SysResult = 0;

  queueOperation(operation: MemoryOperation, _via: GuestThread): void {
    this.log.push(operation);
    if (this.failing?.kind === operation.kind) {
      if (this.#firstError === 0) this.#firstError = this.failing.errno;
      return;
    }
    this.#perform(operation);
  }

  queueNewProgram(): void {
    // Nothing is kept in guest memory.
  }

  queueShownArguments(): void {
    // There is no host that would show them.
  }

  readonly hostId = 0;

  flushOperations(_via: GuestThread): SysResult {
    const error = this.#firstError;
    this.#firstError = 0;
    return error;
  }

  tryFlush(via: GuestThread): SysResult {
    return this.flushOperations(via);
  }

  countFutexWaiter(): void {}

  read(addr: number, dst: Uint8Array, length: number): SysResult {
    return this.#copy(addr, length, PROT_READ, (page, inPage, at, count) =>
      dst.set(page.subarray(inPage, inPage + count), at),
    );
  }

  write(addr: number, src: Uint8Array, length: number): SysResult {
    return this.#copy(addr, length, PROT_WRITE, (page, inPage, at, count) =>
      page.set(src.subarray(at, at + count), inPage),
    );
  }

  fork(_via: GuestThread, _done: (child: Result<ForkedAddressSpace>) => void): void {}

  newThread(_via: GuestThread, _done: (thread: Result<GuestThread>) => void): void {}

  destroy(): void {
    this.destroyed = true;
  }

  usage(): MemoryUsage {
    const residentBytes = this.pages.size * PAGE_SIZE;
    return {
      residentBytes,
      chargedBytes: residentBytes,
      cpuNs: 0,
    };
  }

  #perform(operation: MemoryOperation): void {
    const { addr, length } = operation;
    for (let at = 0; at < length; at += PAGE_SIZE) {
      const page = this.pages.get(addr + at);
      switch (operation.kind) {
        case 'mapAnonymous':
          this.pages.set(addr + at, { bytes: new Uint8Array(PAGE_SIZE), prot: operation.prot });
          break;
        case 'mapFile':
          this.pages.set(addr + at, {
            bytes: this.#filePage(operation.hostFd, operation.offset + at),
            prot: operation.prot,
          });
          break;
        case 'unmap':
          this.pages.delete(addr + at);
          break;
        case 'protect':
          if (page !== undefined) page.prot = operation.prot;
          break;
        case 'advise':
          if (page !== undefined && operation.advice === MADV_DONTNEED)
            page.bytes = new Uint8Array(PAGE_SIZE);
          break;
        case 'remap':
          break;
      }
    }
    if (operation.kind === 'remap')
      this.#remap(addr, length, operation.newAddr, operation.newLength);
  }

  #remap(addr: number, length: number, newAddr: number, newLength: number): void {
    const moved: (Page | undefined)[] = [];
    for (let at = 0; at < length; at += PAGE_SIZE) {
      moved.push(this.pages.get(addr + at));
      this.pages.delete(addr + at);
    }
    const prot = moved[0]?.prot ?? 0;
    for (let at = 0; at < newLength; at += PAGE_SIZE) {
      this.pages.set(
        newAddr + at,
        moved[at / PAGE_SIZE] ?? { bytes: new Uint8Array(PAGE_SIZE), prot },
      );
    }
  }

  #filePage(hostFd: number, offset: number): Uint8Array {
    const page = new Uint8Array(PAGE_SIZE);
    page.set(this.files.get(hostFd)?.subarray(offset, offset + PAGE_SIZE) ?? []);
    return page;
  }

  #copy(
    addr: number,
    length: number,
    right: number,
    move: (page: Uint8Array, inPage: number, at: number, count: number) => void,
  ): SysResult {
    let done = 0;
    while (done < length) {
      const at = addr + done;
      const inPage = at % PAGE_SIZE;
      const page = this.pages.get(at - inPage);
      if (page === undefined || (page.prot & right) === 0) break;
      const count = Math.min(PAGE_SIZE - inPage, length - done);
      move(page.bytes, inPage, done, count);
      done += count;
    }
    return done > 0 || length === 0 ? done : EFAULT;
  }
}

/** A stopped thread that only has registers. */
export function fakeThread(space: AddressSpace): GuestThread {
  const registers = new Uint32Array(2 * REG_COUNT);
  const nothing = (): void => undefined;
  return {
    space,
    outcome: fakeOutcome('syscall', {}),
    owner: undefined,
    syscall: new Uint32Array(14),
    registers: () => registers,
    registersChanged: nothing,
    resumeWithResult: nothing,
    resume: nothing,
    willWait: nothing,
    interrupt: nothing,
    fpStateBytes: 2696,
    isAtWork: false,
    whenFree: nothing,
    refreshCpuTime: () => true,
    cpuNs: () => 0,
    showName: () => undefined,
    keepAnswer: nothing,
    waitsByItself: nothing,
    yieldsByItself: nothing,
    forgetAnswers: nothing,
    queueSaveFpState: nothing,
    queueLoadFpState: nothing,
    exit: nothing,
  };
}

export function fakeOutcome(kind: Outcome['kind'], fields: Partial<Outcome>): Outcome {
  return { kind, signal: 0, code: 0, addr: 0, trapNumber: 0, errorCode: 0, errno: 0, ...fields };
}
