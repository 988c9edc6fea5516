// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { EFAULT, ENOMEM, EPERM, isErrno, type Result } from '../../abi/errno.ts';
import { SIGCONT, SIGSTOP } from '../../abi/signal.ts';
import { native } from '../../native/addon.ts';
import type { ForkedAddressSpace } from '../../sentry/platform/address-space.ts';
import { type GuestThread, REG } from '../../sentry/platform/guest-thread.ts';
import type { SystrapSpace } from './address-space.ts';
import { assemble, CODE, DATA, register, setRegister, TestGuests } from './test-guest.ts';

const code = {
  getpid: assemble('1: mov $39,%eax; mov $1,%edi; mov $-2,%rsi; syscall; jmp 1b'),
  fault: assemble('mov $0x35000,%eax; mov (%rax),%eax'),
  divide: assemble('xor %ecx,%ecx; mov $1,%eax; cltd; idiv %ecx'),
  spin: assemble('1: jmp 1b'),
  vsyscall: assemble('mov $0xffffffffff600000,%rax; call *%rax'),
  // xmm0 := 0x1234; then a syscall; then xmm0 to rdi and a syscall.
  vector: assemble('mov $0x1234,%eax; movq %rax,%xmm0; syscall; movq %xmm0,%rdi; syscall'),
  int80: assemble('int $0x80'),
  // Calls the code at rbx with six arguments as they are, then a system call with the result in rdi.
  callRbx: assemble('call *%rbx; mov %rax,%rdi; mov $500,%eax; syscall'),
  storeLoop: assemble('1: movl $77,(%rbx); jmp 1b'),
  clock: assemble(
    'mov $1,%edi; mov $0x20000,%esi; call *%rbx; mov %rax,%rdi; mov $500,%eax; syscall; jmp .-2',
  ),
};
const guests = new TestGuests();
const { platform } = guests;
afterAll(() => platform.shutdown());

const fork = (via: GuestThread): ForkedAddressSpace => {
  const child = guests.result<Result<ForkedAddressSpace>>((done) => via.space.fork(via, done));
  if (isErrno(child)) throw new Error(`fork: ${child}`);
  return child;
};
const newThread = (via: GuestThread): GuestThread => {
  const made = guests.result<Result<GuestThread>>((done) => via.space.newThread(via, done));
  if (isErrno(made)) throw new Error(`newThread: ${made}`);
  return made;
};
const memory = (thread: GuestThread, addr: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  expect(thread.space.read(addr, bytes, length)).toBe(length);
  return bytes;
};

describe('system calls', () => {
  it('stop with number and arguments, and answer in rax', () => {
    const { thread, space } = guests.launch(code.getpid);
    thread.resume();
    expect(guests.next()).toBe(thread);
    expect(thread.outcome.kind).toBe('syscall');
    expect([...thread.syscall.slice(0, 6)]).toEqual([39, 0, 1, 0, 0xfffffffe, 0xffffffff]);
    for (const result of [5, -14, 0x7ffff7dd0000]) {
      thread.resumeWithResult(result);
      expect(guests.next()).toBe(thread);
      // The loop has set rax to the number again: the number shows in the call, the result is gone.
      expect(thread.syscall[0]).toBe(39);
    }
    space.destroy();
  });

  it('take full 64-bit results', () => {
    const { thread, space } = guests.launch(assemble4());
    thread.resume();
    for (const result of [-2, 0x7ffff7dd0000, 0xffffffff, 0]) {
      guests.next();
      thread.resumeWithResult(result);
      guests.next();
      const shown = (thread.syscall[2] as number) + (thread.syscall[3] as number) * 2 ** 32;
      expect(shown).toBe(result < 0 ? 2 ** 64 + result : result);
      thread.resumeWithResult(0);
    }
    space.destroy();
  });

  it('keep vector registers', () => {
    const { thread, space } = guests.launch(code.vector);
    thread.resume();
    guests.next();
    thread.resumeWithResult(0);
    guests.next();
    expect(thread.syscall[2]).toBe(0x1234);
    space.destroy();
  });

  it('through the vsyscall page are system calls too', () => {
    const { thread, space } = guests.launch(code.vsyscall);
    thread.resume();
    guests.next();
    expect([thread.outcome.kind, thread.syscall[0]]).toEqual(['syscall', 96]);
    expect(register(thread, REG.rip)).toBe(CODE + 9);
    space.destroy();
  });
});

describe('faults and interrupts', () => {
  it('come with signal, code and address', () => {
    const { thread, space } = guests.launch(code.fault);
    thread.resume();
    guests.next();
    expect(thread.outcome).toMatchObject({
      kind: 'fault',
      signal: 11,
      code: 1,
      addr: 0x35000,
      trapNumber: 14,
      errorCode: 4,
    });
    expect(register(thread, REG.rip)).toBe(CODE + 5);
    space.destroy();
    const other = guests.launch(code.divide);
    other.thread.resume();
    guests.next();
    expect(other.thread.outcome).toMatchObject({
      kind: 'fault',
      signal: 8,
      code: 1,
      trapNumber: 0,
    });
    other.space.destroy();
  });

  it('an interrupt stops a computing guest', () => {
    const { thread, space } = guests.launch(code.spin);
    thread.resume();
    expect(guests.next(20)).toBeUndefined();
    thread.interrupt();
    expect(guests.next()).toBe(thread);
    expect(thread.outcome.kind).toBe('interrupted');
    expect(register(thread, REG.rip)).toBe(CODE);
    space.destroy();
  });

  it('i386 system calls are the end', () => {
    const { thread } = guests.launch(code.int80);
    guests.deaths.length = 0;
    thread.resume();
    guests.until(() => guests.deaths.length > 0);
    expect(guests.deaths).toHaveLength(1);
  });
});

describe('memory operations', () => {
  const file = native.memfdCreate('test', 1);
  native.ftruncate(file, 8192);
  native.pwrite(file, Uint8Array.of(1, 2, 3), 0, 3, 4096);

  it('are done before the guest runs, more than a slot holds too', () => {
    const { thread, space } = guests.launch(code.getpid);
    for (let i = 0; i < 40; i++) {
      space.queueOperation(
        {
          kind: 'mapAnonymous',
          addr: 0x100000 + i * 0x2000,
          length: 0x1000,
          prot: 3,
          noreserve: false,
          populate: false,
        },
        thread,
      );
    }
    thread.resume();
    guests.next();
    expect(thread.outcome.kind).toBe('syscall');
    expect(space.write(0x100000 + 39 * 0x2000, Uint8Array.of(1), 1)).toBe(1);
    expect(space.write(0x101000, Uint8Array.of(1), 1)).toBe(EFAULT);
    space.destroy();
  });

  it('map files by descriptor with the rights asked for', () => {
    const { thread, space } = guests.launch(code.getpid);
    const own = native.dup(file);
    space.queueOperation(
      {
        kind: 'mapFile',
        addr: 0x40000,
        length: 4096,
        prot: 1,
        shared: true,
        hostFd: own,
        offset: 4096,
        populate: false,
      },
      thread,
    );
    native.close(own);
    expect(space.flushOperations(thread)).toBe(0);
    expect([...memory(thread, 0x40000, 3)]).toEqual([1, 2, 3]);
    expect(space.write(0x40000, Uint8Array.of(1), 1)).toBe(EFAULT);
    space.destroy();
  });

  it('move, grow and drop pages with what is in them', () => {
    const { thread, space } = guests.launch(code.getpid);
    space.write(DATA, Uint8Array.of(42), 1);
    space.queueOperation(
      { kind: 'remap', addr: DATA, length: 0x1000, newAddr: 0x80000, newLength: 0x1000 },
      thread,
    );
    space.queueOperation(
      { kind: 'remap', addr: 0x80000, length: 0x1000, newAddr: 0x80000, newLength: 0x3000 },
      thread,
    );
    expect(space.flushOperations(thread)).toBe(0);
    expect([...memory(thread, 0x80000, 1), ...memory(thread, 0x82000, 1)]).toEqual([42, 0]);
    space.queueOperation({ kind: 'advise', addr: 0x80000, length: 0x1000, advice: 4 }, thread);
    space.queueOperation({ kind: 'protect', addr: 0x81000, length: 0x1000, prot: 0 }, thread);
    space.queueOperation({ kind: 'unmap', addr: 0x82000, length: 0x1000 }, thread);
    expect(space.flushOperations(thread)).toBe(0);
    expect(memory(thread, 0x80000, 1)[0]).toBe(0);
    expect(space.read(0x81000, new Uint8Array(1), 1)).toBe(EFAULT);
    expect(space.read(0x80000, new Uint8Array(0x3000), 0x3000)).toBe(0x1000);
    space.destroy();
  });

  it('report the first that fails instead of running the guest', () => {
    const { thread, space } = guests.launch(code.getpid);
    thread.resume();
    guests.next();
    space.queueOperation({ kind: 'protect', addr: 0x900000, length: 0x1000, prot: 3 }, thread);
    thread.resume();
    expect(guests.next()).toBe(thread);
    expect(thread.outcome).toMatchObject({
      kind: 'operationFailed',
      addr: 0x900000,
      errno: ENOMEM,
    });
    thread.resume();
    guests.next();
    expect(thread.outcome.kind).toBe('syscall');
    space.destroy();
  });

  it('keep FP state in signal-frame format, and refuse what the processor would', () => {
    const { thread, space } = guests.launch(code.vector);
    thread.resume();
    guests.next();
    thread.queueSaveFpState(DATA);
    expect(space.flushOperations(thread)).toBe(0);
    const state = memory(thread, DATA, thread.fpStateBytes);
    const view = new DataView(state.buffer);
    expect(view.getUint32(160, true)).toBe(0x1234);
    view.setUint32(160, 0x4321, true);
    space.write(DATA, state, state.length);
    thread.queueLoadFpState(DATA);
    thread.resumeWithResult(0);
    guests.next();
    expect(thread.syscall[2]).toBe(0x4321);

    view.setUint32(24, 0xffffffff, true); // mxcsr with reserved bits
    space.write(DATA, state, state.length);
    thread.queueLoadFpState(DATA);
    expect(space.flushOperations(thread)).toBe(EFAULT);
    thread.queueSaveFpState(0x900000);
    expect(space.flushOperations(thread)).toBe(EFAULT);
    thread.queueLoadFpState(0);
    expect(space.flushOperations(thread)).toBe(0);
    space.destroy();
  });
});

/** Living and unreaped children of this process. */
function children(): number {
  return readdirSync('/proc/self/task')
    .map((task) => readFileSync(`/proc/self/task/${task}/children`, 'latin1'))
    .join(' ')
    .split(' ')
    .filter((pid) => pid.trim() !== '').length;
}

describe('fork and threads', () => {
  it('fork copies memory and registers', () => {
    const { thread, space } = guests.launch(code.getpid);
    thread.resume();
    guests.next();
    space.write(DATA, Uint8Array.of(1), 1);
    const child = fork(thread);
    expect(register(child.thread, REG.rip)).toBe(register(thread, REG.rip));
    child.space.write(DATA, Uint8Array.of(2), 1);
    expect(memory(thread, DATA, 1)[0]).toBe(1);
    child.thread.resumeWithResult(0);
    expect(guests.next()).toBe(child.thread);
    const grandchild = fork(child.thread);
    thread.resumeWithResult(7);
    expect(guests.next()).toBe(thread);
    for (const each of [space, child.space, grandchild.space]) each.destroy();
  });

  it('many forks of one process work, and leave nothing', () => {
    const { thread, space } = guests.launch(code.getpid);
    for (let i = 0; i < 50; i++) fork(thread).space.destroy();
    expect(fork(fork(fork(thread).thread).thread).space.usage().cpuNs).toBeGreaterThan(0);
    space.destroy();
  });

  it('a process destroyed while it forks leaves no child behind', () => {
    const first = guests.launch(code.getpid);
    first.thread.resume();
    guests.next();
    // Spare processes are being made.
    let before = -1;
    for (let same = 0; same < 5; ) {
      guests.until(() => false, 20);
      same = children() === before ? same + 1 : 0;
      before = children();
    }
    for (let polls = 0; polls < 60; polls++) {
      const victim = fork(first.thread);
      victim.space.fork(victim.thread, (child) => {
        if (!isErrno(child)) child.space.destroy();
      });
      for (let i = 0; i < polls; i++) platform.poll();
      victim.space.destroy();
    }
    guests.until(() => children() === before);
    expect(children()).toBe(before);
    first.space.destroy();
  });

  it('threads share memory, have registers of their own, and free their slots', () => {
    const { thread, space } = guests.launch(code.getpid);
    thread.resume();
    guests.next();
    for (let i = 0; i < 100; i++) {
      const other = newThread(thread);
      setRegister(other, REG.rsp, DATA + 0x8000);
      other.resumeWithResult(0);
      expect(guests.next()).toBe(other);
      expect(register(other, REG.rsp)).toBe(DATA + 0x8000);
      other.exit();
    }
    const live = Array.from({ length: 70 }, () => newThread(thread));
    for (const each of live) each.resumeWithResult(0);
    const stopped = new Set(live.map(() => guests.next()));
    expect(stopped.size).toBe(70);
    const first = live[0] as GuestThread;
    if (!first.refreshCpuTime(() => undefined)) guests.until(() => !first.isAtWork);
    expect(first.cpuNs()).toBeGreaterThan(0);
    space.destroy();
  });

  it('nobody is waited for that does not run, and is resumed once that is done', () => {
    const { thread, space } = guests.launch(code.getpid);
    thread.resume();
    guests.next();
    const other = newThread(thread);
    other.resumeWithResult(0);
    expect(guests.next()).toBe(other);
    native.kill(space.hostId, SIGSTOP);
    const told: number[] = [];
    const beganNs = performance.now();
    expect(thread.refreshCpuTime(() => told.push(1))).toBe(false);
    expect(other.refreshCpuTime(() => told.push(2))).toBe(false);
    expect(performance.now() - beganNs).toBeLessThan(1000);
    expect([thread.isAtWork, other.isAtWork, other.cpuNs()]).toEqual([true, true, 0]);
    const fields = { kind: 'mapAnonymous', noreserve: false, populate: false, prot: 3 } as const;
    for (let i = 0; i < 40; i++) {
      const addr = 0x700000 + i * 0x2000;
      space.queueOperation({ ...fields, addr, length: 0x1000 }, other);
    }
    other.resumeWithResult(0);
    expect(told).toEqual([]);
    native.kill(space.hostId, SIGCONT);
    expect(guests.next()).toBe(other);
    expect(told.toSorted()).toEqual([1, 2]);
    expect(other.cpuNs()).toBeGreaterThan(0);
    expect(space.write(0x700000 + 39 * 0x2000, new Uint8Array(8), 8)).toBe(8);
    space.destroy();
  });

  it('a thread can fork, and outlive the leader', () => {
    const { thread, space } = guests.launch(code.getpid);
    thread.resume();
    guests.next();
    const other = newThread(thread);
    thread.exit();
    const child = fork(other);
    child.thread.resumeWithResult(0);
    expect(guests.next()).toBe(child.thread);
    expect(memory(other, CODE, 1)[0]).toBe(0xb8);
    space.destroy();
    child.space.destroy();
  });
});

describe('the vDSO', () => {
  it('tells the same monotonic time as the Sentry', () => {
    const { thread, space } = guests.launch(code.clock);
    const { vdso } = guests.clock;
    const common = { kind: 'mapFile', offset: 0, populate: false } as const;
    space.queueOperation(
      { ...common, addr: 0x50000, length: 4096, prot: 1, shared: true, hostFd: vdso.paramsFd },
      thread,
    );
    space.queueOperation(
      { ...common, addr: 0x51000, length: 4096, prot: 5, shared: false, hostFd: vdso.codeFd },
      thread,
    );
    expect(space.flushOperations(thread)).toBe(0);
    setRegister(
      thread,
      REG.rbx,
      0x51000 + vdsoSymbol(memory(thread, 0x51000, 4096), '__vdso_clock_gettime'),
    );
    const before = guests.clock.monotonicNs();
    thread.resume();
    guests.next();
    const after = guests.clock.monotonicNs();
    expect([thread.syscall[0], thread.syscall[2]]).toEqual([500, 0]);
    const view = new DataView(memory(thread, DATA, 16).buffer);
    const told = view.getUint32(0, true) * 1e9 + view.getUint32(8, true);
    expect(told).toBeGreaterThanOrEqual(before);
    expect(told).toBeLessThanOrEqual(after);
    space.destroy();
  });
});

describe('hostile guests', () => {
  const STUB_SYSCALL = 0x20;

  /** What the stub's own syscall instruction answers to a guest that jumps to it. */
  const throughStub = (args: readonly number[]): GuestThread | undefined => {
    const { thread } = guests.launch(code.callRbx);
    setRegister(thread, REG.rbx, platform.stubBase + STUB_SYSCALL);
    const order = [REG.rdi, REG.rsi, REG.rdx, REG.rcx, REG.r8, REG.r9];
    args.forEach((value, index) => {
      setRegister(thread, order[index] as number, value);
    });
    thread.resume();
    return guests.next(500);
  };

  it('get no clone that was not ordered', () => {
    const stopped = throughStub([56, 0x1008011, 0, 0, 0, 0]);
    expect([stopped?.syscall[0], stopped?.syscall[2]]).toEqual([500, EPERM >>> 0]);
    stopped?.space.destroy();
    const thread = throughStub([56, 0x1250f00, DATA + 0x8000, 0, 0, 0]);
    expect([thread?.syscall[0], thread?.syscall[2]]).toEqual([500, EPERM >>> 0]);
    thread?.space.destroy();
  });

  it('get nothing else through the stub: their call is trapped as any other', () => {
    for (const [number, ...args] of [
      [59, 0],
      [41, 1, 1, 0],
      [57],
      [101, 0],
      [56, 0x11],
      [1, 3, DATA, 8],
      [1, 4, DATA, 16],
      [165],
      [25, 0, 0, 0, 5],
      [9, 0, 4096, 3, 0x40022],
      [202, 0, 9],
      [28, 0, 0, 11],
      [47, 64],
    ] as const) {
      const stopped = throughStub([number, ...args]);
      expect([stopped?.outcome.kind, stopped?.syscall[0]]).toEqual(['syscall', number]);
      stopped?.space.destroy();
    }
  });

  it('that scribble on their slot die alone', () => {
    const bystander = guests.launch(code.getpid);
    const { thread } = guests.launch(code.storeLoop);
    const mailbox = platform.stubBase + 0x100000;
    setRegister(thread, REG.rbx, mailbox);
    guests.deaths.length = 0;
    thread.resume();
    guests.until(() => guests.deaths.length > 0);
    expect(guests.deaths).toEqual(['slot in state 77']);
    bystander.thread.resume();
    expect(guests.next()).toBe(bystander.thread);
    bystander.space.destroy();
  });

  it('that destroy their stub die alone', () => {
    guests.deaths.length = 0;
    const stopped = throughStub([11, platform.stubBase + 0x100000, 0x2000000]);
    expect(stopped).toBeUndefined();
    expect(guests.deaths).toHaveLength(1);
  });

  it('cannot write the page that all stubs share, nor the stub', () => {
    for (const addr of [platform.stubBase + 0x10000, platform.stubBase]) {
      const { thread, space } = guests.launch(code.storeLoop);
      setRegister(thread, REG.rbx, addr);
      thread.resume();
      guests.next();
      expect(thread.outcome).toMatchObject({ kind: 'fault', signal: 11, addr });
      space.destroy();
    }
    const stopped = throughStub([10, platform.stubBase + 0x10000, 4096, 3]);
    expect(stopped?.syscall[2]).not.toBe(0);
    stopped?.space.destroy();
  });

  it('a copy to a process that was killed from outside finds it gone', () => {
    const { space } = guests.launch(code.getpid);
    guests.deaths.length = 0;
    native.kill((space as SystrapSpace).pid, 9);
    // Until the host has taken its memory away: the death itself is not looked at yet.
    while (space.read(CODE, new Uint8Array(1), 1) === 1);
    expect(space.isGone).toBe(true);
    expect(guests.deaths).toEqual([]);
    guests.until(() => guests.deaths.length > 0);
    expect(guests.deaths).toHaveLength(1);
  });

  it('a process killed from outside is reported once', () => {
    const { space, thread } = guests.launch(code.spin);
    thread.resume();
    guests.deaths.length = 0;
    native.kill((space as SystrapSpace).pid, 9);
    guests.until(() => guests.deaths.length > 0);
    expect(guests.deaths).toHaveLength(1);
    expect(space.read(CODE, new Uint8Array(1), 1)).toBe(EFAULT);
  });
});

/** Loop: a syscall, then one more with the first one's result in rdi. */
function assemble4(): Uint8Array {
  // mov $1,%eax; syscall; mov %rax,%rdi; mov $2,%eax; syscall; jmp start
  return Uint8Array.of(
    0xb8,
    1,
    0,
    0,
    0,
    0x0f,
    0x05,
    0x48,
    0x89,
    0xc7,
    0xb8,
    2,
    0,
    0,
    0,
    0x0f,
    0x05,
    0xeb,
    0xed,
  );
}

/** Value of a dynamic symbol, found through DT_SYMTAB, DT_STRTAB and DT_HASH as a libc would. */
function vdsoSymbol(image: Uint8Array, name: string): number {
  const view = new DataView(image.buffer);
  const dynamic = view.getUint32(64 + 56 + 8, true);
  const entries = new Map<number, number>();
  for (let at = dynamic; view.getUint32(at, true) !== 0; at += 16) {
    entries.set(view.getUint32(at, true), view.getUint32(at + 8, true));
  }
  const [strings = 0, symbols = 0, hash = 0] = [5, 6, 4].map((tag) => entries.get(tag));
  const count = view.getUint32(hash + 4, true);
  for (let i = 0; i < count; i++) {
    const nameAt = strings + view.getUint32(symbols + i * 24, true);
    const text = new TextDecoder('latin1').decode(image.subarray(nameAt, image.indexOf(0, nameAt)));
    if (text === name) return view.getUint32(symbols + i * 24 + 8, true);
  }
  throw new Error(`no ${name}`);
}
