// SPDX-License-Identifier: Apache-2.0
// A guest thread of the systrap platform: one host thread of a stub process, with which the Sentry
// speaks through a mailbox slot. While the thread is stopped it is the Sentry's turn to write the
// slot, but the guest's other threads can still scribble on it. The Sentry therefore copies a value
// out of the slot before it judges the value, and kills a guest whose slot holds nonsense.
import { EFAULT, ENOMEM, isErrno, type SysResult } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import {
  EVENT_CALL,
  EVENT_FAULT,
  EVENT_INTERRUPTED,
  EVENT_OPERATION_FAILED,
  EVENT_SYSCALL,
  EVENT_WINDOW,
  KEPT,
  KEPT_FUTEX,
  KEPT_TIMED_FUTEX,
  KEPT_YIELD,
  OP_CPU_TIME,
  OP_LOAD_FP,
  OP_SAVE_FP,
  OP_SHOW_NAME,
  ORDER_COPY,
  ORDER_EXIT,
  ORDER_FRESH,
  ORDER_OPERATIONS,
  ORDER_REGISTERS,
  ORDER_RESULT,
  SLOT,
  SLOT_CALL_WORDS,
  STATE_ANSWERED,
  STATE_DEFERRED,
  STATE_POSTED,
  STATE_SLEEPING,
} from '../../protocol/mailbox.ts';
import {
  type GuestThread,
  type KeptCall,
  type Outcome,
  type OutcomeKind,
  REG,
  REG_COUNT,
} from '../../sentry/platform/guest-thread.ts';
import type { SystrapSpace } from './address-space.ts';
import type { PendingClone } from './clones.ts';
import { ThreadPlace } from './hand-over.ts';
import { OperationQueue, type RawOperation } from './operation-queue.ts';
import { Window } from './window.ts';

/** The parts of the platform that a thread uses. */
export interface ThreadHost {
  readonly words: Int32Array;
  /** The same memory. */
  readonly bytes: Uint8Array;
  readonly guestTop: number;
  readonly fpStateBytes: number;
  /** Guest threads wait and wake on private futexes by themselves. */
  readonly hostFutexes: boolean;
  /** Watches the slot of a thread that runs from now on. */
  threadRuns(thread: SystrapThread): void;
  /** Takes note of an answer that found its stub spinning, or asleep (`late`). */
  answered(late: boolean): void;
  /** A thread that is asleep is about to be woken. */
  beforeWake(thread: SystrapThread): void;
  /**
   * The same within a short time. Returns undefined where it takes longer; `done` is called later
   * then.
   */
  tryFlush(thread: SystrapThread, done: (result: SysResult) => void): SysResult | undefined;
  /**
   * Makes a stopped thread do what is queued, without waiting for the thread, and calls `then`. An
   * operation that fails is reported as the thread's outcome instead.
   */
  flushFirst(thread: SystrapThread, then: () => void): void;
  /** Delivers the thread's outcome, which is known without running the thread, at the next poll. */
  deliverLater(thread: SystrapThread): void;
  /**
   * Takes note that the guest broke its own stub. The death of the address space is delivered at
   * the next poll.
   */
  spaceBroke(space: SystrapSpace, reason: string): void;
}

/** SIGURG. It is free for this use, because no host signal ever reaches guest code. */
const INTERRUPT_SIGNAL = 23;
const TWO_32 = 0x100000000;

class ThreadOutcome implements Outcome {
  kind: OutcomeKind = 'syscall';
  signal = 0;
  code = 0;
  addr = 0;
  trapNumber = 0;
  errorCode = 0;
  errno = 0;
}

/** A host thread that is kept although its guest thread has exited, for the next new thread. */
export interface ParkedThread {
  readonly slot: number;
  readonly hostTid: number;
  readonly shownName: string;
  readonly place: ThreadPlace;
}

export class SystrapThread implements GuestThread {
  readonly space: SystrapSpace;
  /** Index of the slot in the process's mailbox, and of the thread area in its stub. */
  readonly slot: number;
  /** Word index of the slot in the region. */
  readonly base: number;
  readonly outcome: ThreadOutcome = new ThreadOutcome();
  readonly syscall: Uint32Array = new Uint32Array(SLOT_CALL_WORDS);
  owner: object | undefined;
  hostTid = 0;
  /** The thread of the tracer's that traces the host thread; 0: there is none. */
  tracerTid = 0;
  /** Where the host thread runs: the hand-over policy's. */
  place: ThreadPlace = new ThreadPlace();
  /**
   * 'running': it is the stub's turn to write the slot. 'gone': the thread has exited, or its
   * process was destroyed.
   */
  state: 'running' | 'stopped' | 'gone' = 'running';
  /** exit() was called while the thread ran: it ends at its next stop, which is not reported. */
  leavesAtStop = false;
  /** Position in the platform's list of running threads, -1 if not in it. */
  runIndex = -1;
  /** The callback of `tryFlush`, while the thread does operations and then stops again. */
  flushed: ((result: SysResult) => void) | undefined;
  /** A clone that this thread makes, or that makes this thread. */
  clone: PendingClone | undefined;
  /** The window of the thread's call, while its stop is handled. */
  readonly window: Window;
  readonly #host: ThreadHost;
  readonly #registers = new Uint32Array(2 * REG_COUNT);
  /** The CPU time that the thread itself last reported. */
  #cpuNs = 0;
  /**
   * The name that the host shows for the thread, as far as known, and the name that it shall show.
   */
  #shownName = '';
  #nextName: string | undefined = undefined;
  #fetched = false;
  #changed = false;
  /** The thread has taken over a parked host thread and has not run since. */
  #fresh = false;
  readonly #operations: OperationQueue;
  #free: (() => void) | undefined = undefined;
  /** The address after a call whose site is to be patched when the call is answered; else 0. */
  #site = 0;
  /** The errno of an operation that failed before its turn (no room, no descriptor), else 0. */
  #failure = 0;
  #failureAddr = 0;

  constructor(host: ThreadHost, space: SystrapSpace, slot: number, base: number) {
    this.#host = host;
    this.space = space;
    this.slot = slot;
    this.base = base;
    this.#operations = new OperationQueue(host.words, base);
    this.window = new Window(host.words, host.bytes, base, host.guestTop);
    // Of the thread that had the slot before.
    host.words[base + SLOT.kept] = 0;
  }

  get fpStateBytes(): number {
    return this.#host.fpStateBytes;
  }

  registers(): Uint32Array {
    const registers = this.#registers;
    if (!this.#fetched) {
      const words = this.#host.words;
      const from = this.base + SLOT.regs;
      for (let i = 0; i < 2 * REG_COUNT; i++) registers[i] = words[from + i] as number;
      this.#fetched = true;
    }
    return registers;
  }

  registersChanged(): void {
    this.registers();
    this.#changed = true;
  }

  /**
   * Clears the registers, for a fresh address space: the guest shall not see what the stub left in
   * them.
   */
  clearRegisters(): void {
    this.#registers.fill(0);
    this.#fetched = true;
    this.#changed = true;
  }

  resumeWithResult(result: SysResult): void {
    const words = this.#host.words;
    const at = this.base + SLOT.call;
    words[at] = result;
    words[at + 1] = !isErrno(result) && result <= 0x7fffffff ? 0 : Math.floor(result / TWO_32);
    if (this.#site !== 0) this.space.queuePatch(this.#site, this.syscall[0] as number, this);
    this.#run(ORDER_RESULT);
  }

  resume(): void {
    this.#run(0);
  }

  willWait(): void {
    // Only a spinning stub has to be told: a stub that sleeps already has left the state 'posted'.
    if (this.state !== 'stopped') return;
    Atomics.compareExchange(this.#host.words, this.base, STATE_POSTED, STATE_DEFERRED);
  }

  interrupt(): void {
    if (this.state === 'running' && this.hostTid !== 0) {
      native.tgkill(this.space.pid, this.hostTid, INTERRUPT_SIGNAL);
    }
  }

  queueSaveFpState(addr: number): void {
    this.queueRaw({ kind: OP_SAVE_FP, addr });
  }

  queueLoadFpState(addr: number): void {
    this.queueRaw({ kind: OP_LOAD_FP, addr });
  }

  keepAnswer(call: KeptCall, answer: number): void {
    if (this.state !== 'stopped') return;
    this.#host.words[this.base + SLOT.answers + KEPT[call]] = answer;
    this.#keep(1 << KEPT[call]);
  }

  waitsByItself(timed: boolean): void {
    if (this.#host.hostFutexes) this.#keep((1 << KEPT_FUTEX) | (timed ? 1 << KEPT_TIMED_FUTEX : 0));
  }

  yieldsByItself(): void {
    if (this.#host.hostFutexes) this.#keep(1 << KEPT_YIELD);
  }

  #keep(bits: number): void {
    const at = this.base + SLOT.kept;
    const words = this.#host.words;
    if (this.state === 'stopped') words[at] = (words[at] as number) | bits;
  }

  forgetAnswers(): void {
    if (this.state !== 'gone') this.#host.words[this.base + SLOT.kept] = 0;
  }

  showName(name: string): void {
    this.#nextName = name;
  }

  get isAtWork(): boolean {
    return this.flushed !== undefined;
  }

  whenFree(free: () => void): void {
    this.#free = free;
  }

  /** Tells who waits that the operations are done for which nobody waited. */
  workDone(): void {
    const free = this.#free;
    this.#free = undefined;
    free?.();
  }

  refreshCpuTime(done: () => void): boolean {
    // The host tells the CPU time of whole processes only: a thread among several must ask for its
    // own.
    if (this.space.threads.size <= 1 && this.#cpuNs === 0) return true;
    const canAnswer = this.state === 'stopped' && !this.space.isFrozen;
    if (!canAnswer || this.#failure !== 0 || this.clone !== undefined) return true;
    this.queueRaw({ kind: OP_CPU_TIME, addr: 0 });
    const flushed = this.#host.tryFlush(this, (late) => {
      this.#cpuTimeCame(late);
      done();
    });
    if (flushed !== undefined) this.#cpuTimeCame(flushed);
    return flushed !== undefined;
  }

  #cpuTimeCame(flushed: SysResult): void {
    if (this.state === 'gone') return;
    if (isErrno(flushed)) {
      this.failOperation(flushed, this.outcome.addr);
      return;
    }
    const shown = (this.#word(SLOT.cpuNs) >>> 0) + (this.#word(SLOT.cpuNs + 1) >>> 0) * TWO_32;
    this.#cpuNs = Math.max(this.#cpuNs, Math.min(shown, this.space.usage().cpuNs));
  }

  cpuNs(): number {
    if (this.space.threads.size <= 1 && this.#cpuNs === 0) return this.space.usage().cpuNs;
    return this.#cpuNs;
  }

  exit(): void {
    if (this.state === 'gone') return;
    if (this.state === 'running') {
      this.leavesAtStop = true;
      this.interrupt();
      return;
    }
    this.space.threadLeaves(this);
  }

  // ---- for the rest of this platform ----

  /**
   * Writes an operation to the slot. After an operation that failed the following ones are dropped.
   */
  queueRaw(operation: RawOperation): void {
    if (this.#failure !== 0 || this.state === 'gone') return;
    this.#operations.add(operation, this.isAtWork);
  }

  /**
   * Fills the slot, which is empty, with operations that it had no room for. Returns false where
   * there are none.
   */
  loadMore(): boolean {
    return this.#operations.loadMore();
  }

  dropOperations(): void {
    this.#operations.drop();
  }

  /**
   * Takes note of an operation that could not be queued. Its failure is reported instead of running
   * the guest.
   */
  failOperation(errno: SysResult, addr: number): void {
    if (this.#failure !== 0) return;
    this.#failure = errno;
    this.#failureAddr = addr;
  }

  /** Returns and forgets the failure of an operation that was never queued; 0 if there was none. */
  takeFailure(): SysResult {
    const failure = this.#failure;
    if (failure !== 0) {
      this.outcome.kind = 'operationFailed';
      this.outcome.errno = failure;
      this.outcome.addr = this.#failureAddr;
      this.#failure = 0;
      this.dropOperations();
    }
    return failure;
  }

  /** Gives the slot to the stub, with `order` and the queued operations. */
  answer(order: number): void {
    const words = this.#host.words;
    let bits = order;
    if (this.#operations.handOver()) bits |= ORDER_OPERATIONS;
    if (this.#fresh) {
      this.#fresh = false;
      bits |= ORDER_FRESH;
    }
    const { window } = this;
    if (window.isDirty) {
      if (window.order()) bits |= ORDER_COPY;
      else this.space.flushWindow(window);
    }
    window.close();
    words[this.base + SLOT.kind] = bits;
    if (Atomics.load(words, this.base) !== STATE_POSTED) this.#host.beforeWake(this);
    const old = Atomics.exchange(words, this.base, STATE_ANSWERED);
    if (old === STATE_POSTED) {
      this.#host.answered(false);
      return;
    }
    if (order <= ORDER_REGISTERS) this.#host.answered(true);
    if (old === STATE_SLEEPING || old === STATE_DEFERRED) native.futexWake(this.base * 4);
    else this.#host.spaceBroke(this.space, `slot in state ${old} when answered`);
  }

  get hasOperations(): boolean {
    return this.#operations.count !== 0;
  }

  /** Takes over a parked host thread, as a copy of the stopped thread `of`. */
  become(of: SystrapThread, { hostTid, shownName, place }: ParkedThread): void {
    this.hostTid = hostTid;
    this.place = place;
    this.#shownName = shownName;
    this.#nextName = of.shownName;
    this.state = 'stopped';
    this.#registers.set(of.registers());
    this.#fetched = true;
    this.#changed = true;
    this.#fresh = true;
  }

  get shownName(): string {
    return this.#shownName;
  }

  /** Where the host thread runs, and who traces it, which takes turns with it. */
  runOn(cpu: number): SysResult {
    if (this.tracerTid !== 0) native.setAffinity(this.tracerTid, cpu);
    return native.setAffinity(this.hostTid, cpu);
  }

  /** Takes note that the host gave this thread the name and the processor of its creator `of`. */
  clonedFrom(of: SystrapThread): void {
    this.place.cpu = of.place.cpu;
    this.#shownName = of.shownName;
  }

  /** The address of the FP state, as the stub tells it. The guest can forge it. */
  get fpAddr(): number {
    return (this.#word(SLOT.fpAddr) >>> 0) + (this.#word(SLOT.fpAddr + 1) >>> 0) * TWO_32;
  }

  /**
   * Parks the host thread of a guest thread that has exited. A leader is parked for good, because
   * the address space ends with its leader's host thread; any other host thread is parked until a
   * new guest thread takes it over.
   */
  park(): void {
    this.willWait();
    this.state = 'gone';
  }

  leave(): void {
    this.dropOperations();
    this.answer(ORDER_EXIT);
    this.state = 'gone';
  }

  /** Reads a stop into `outcome`. Returns false where the slot holds nonsense. */
  readStop(event: number): boolean {
    const kind = event & ~EVENT_WINDOW;
    if (kind !== event) this.window.open();
    this.#fetched = false;
    this.#changed = false;
    this.#site = 0;
    if (kind === EVENT_SYSCALL || kind === EVENT_CALL) {
      const words = this.#host.words;
      const from = this.base + SLOT.call;
      const syscall = this.syscall;
      for (let i = 0; i < SLOT_CALL_WORDS; i++) syscall[i] = words[from + i] as number;
      this.outcome.kind = 'syscall';
      if (kind === EVENT_SYSCALL) this.#trapped(syscall[0] as number);
      return true;
    }
    if (kind === EVENT_INTERRUPTED) {
      this.outcome.kind = 'interrupted';
      return true;
    }
    if (kind === EVENT_FAULT) return this.#readFault();
    if (kind === EVENT_OPERATION_FAILED) return this.#readFailure();
    return false;
  }

  #trapped(number: number): void {
    const ip = this.base + SLOT.regs + 2 * REG.rip;
    const words = this.#host.words;
    const after = ((words[ip] as number) >>> 0) + ((words[ip + 1] as number) >>> 0) * TWO_32;
    if (this.space.siteTrapped(after, number)) this.#site = after;
  }

  #readFault(): boolean {
    const outcome = this.outcome;
    outcome.kind = 'fault';
    outcome.signal = this.#word(SLOT.signal);
    outcome.code = this.#word(SLOT.code);
    outcome.trapNumber = this.#word(SLOT.trapNumber);
    outcome.errorCode = this.#word(SLOT.errorCode);
    // Signed: an address of the upper half, of the kernel's, is exact only as a small negative number.
    outcome.addr =
      (this.#word(SLOT.faultAddr) >>> 0) + (this.#word(SLOT.faultAddr + 1) | 0) * TWO_32;
    // SIGILL, SIGTRAP, SIGBUS, SIGFPE and SIGSEGV are all that the stub reports: any other signal
    // is forged.
    return [4, 5, 7, 8, 11].includes(outcome.signal);
  }

  #readFailure(): boolean {
    const errno = this.#word(SLOT.error);
    const index = this.#word(SLOT.opIndex);
    if (errno >= 0 || errno < -4095) return false;
    this.outcome.kind = 'operationFailed';
    // From any other operation EFAULT would mean that the host's mappings are not those that the
    // kernel believes in. The guest then gets ENOMEM, with which it can do something.
    const mayFault = this.#operations.mayFault(index);
    this.outcome.errno = errno === EFAULT && !mayFault ? ENOMEM : errno;
    this.outcome.addr = this.#operations.addrOf(index);
    return true;
  }

  #run(order: number): void {
    if (this.state !== 'stopped') {
      if (this.state === 'gone') return;
      if (this.isAtWork) {
        this.whenFree(() => this.#run(order));
        return;
      }
      throw new Error('resume of a running guest thread');
    }
    if (this.#nextName !== undefined) this.#queueName(this.#nextName);
    if (this.takeFailure() !== 0) {
      this.#host.deliverLater(this);
      return;
    }
    if (this.#operations.hasOverflow) {
      this.#host.flushFirst(this, () => this.#run(order));
      return;
    }
    let bits = order;
    if (this.#changed) {
      this.#storeRegisters();
      bits |= ORDER_REGISTERS;
    }
    this.answer(bits);
    this.#host.threadRuns(this);
  }

  #queueName(name: string): void {
    this.#nextName = undefined;
    if (name === this.#shownName) return;
    this.#shownName = name;
    const bytes = Buffer.alloc(16);
    bytes.write(name.slice(0, 15), 'latin1');
    this.queueRaw({ kind: OP_SHOW_NAME, addr: 0, name: bytes });
  }

  #storeRegisters(): void {
    const words = this.#host.words;
    const to = this.base + SLOT.regs;
    const registers = this.#registers;
    for (let i = 0; i < 2 * REG_COUNT; i++) words[to + i] = registers[i] as number;
  }

  #word(offset: number): number {
    return this.#host.words[this.base + offset] as number;
  }
}
