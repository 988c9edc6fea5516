// SPDX-License-Identifier: Apache-2.0
// Clones make processes and threads. A stub calls clone(2) when it is ordered to. The host kernel
// asks the Sentry (seccomp user notification) before any clone of a stub goes on, and the Sentry
// lets only ordered ones through. It believes a new process to be the ordered child once the
// process's memory shows the nonce of the mailbox that was made for the child.
import {
  EAGAIN,
  ENOMEM,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import {
  ORDER_FORK,
  ORDER_THREAD,
  SLOT,
  SLOT_BYTES,
  STUB_MAILBOX_OFFSET,
} from '../../protocol/mailbox.ts';
import type { ForkedAddressSpace } from '../../sentry/platform/address-space.ts';
import type { GuestThread } from '../../sentry/platform/guest-thread.ts';
import {
  type PreparedSpace,
  prepareSpace,
  type SpaceHost,
  type SystrapSpace,
} from './address-space.ts';
import type { SystrapThread } from './guest-thread.ts';
import { type StrangerHost, Strangers } from './strangers.ts';
import { CLONE_PROCESS_FLAGS, CLONE_THREAD_FLAGS } from './stub-filter.ts';

export interface PendingClone {
  readonly kind: 'process' | 'thread';
  readonly via: SystrapThread;
  readonly child: SystrapThread;
  readonly done: (result: SysResult) => void;
  /**
   * The nonce of a new process, never zero. It is kept here because the guest can write the copy in
   * the mailbox.
   */
  readonly nonce: readonly [number, number];
  /** The notification was answered: the clone has been let through. */
  allowed: boolean;
  /** The host thread that was let through, and how often. */
  allowedTid: number;
  grants: number;
  /** The result of clone(2) in the parent. */
  parentResult: number | undefined;
  childReady: boolean;
  /**
   * How long a child is waited for whose parent process has ended (ns of the sandbox's clock), else
   * 0. Such a child may still appear, and must die.
   */
  abandonedUntilNs: number;
}

/** The parts of the platform that Clones uses, beside those of SpaceHost. */
export interface CloneHost extends SpaceHost, StrangerHost {
  readonly stubBase: number;
  /** Mailboxes are written by a tracer, not by guest processes. */
  readonly hasTracer: boolean;
  adoptProcess(space: SystrapSpace, pid: number): boolean;
  nowNs(): number;
}

const SYS_clone = 56;
const MOST_NOTIFICATIONS = 16;
/**
 * How often one clone is let through: the host starts it anew where a signal, a stop or a freezer
 * comes in between.
 */
const MOST_GRANTS = 256;
const CHILD_PATIENCE_NS = 1e9;
/** Random words drawn at once. */
const NONCE_WORDS = 512;

export class Clones {
  readonly #host: CloneHost;
  /** Where clones wait for leave. Without one only ordered clones are ever made. */
  readonly #listener: number | undefined;
  readonly #strangers: Strangers;
  readonly #pending: Set<PendingClone> = new Set();
  readonly #notification = new Int32Array(8);
  readonly #proof = new Int32Array(2);
  readonly #proofBytes = new Uint8Array(this.#proof.buffer);
  readonly #nonces = new Int32Array(NONCE_WORDS);
  readonly #nonceBytes = new Uint8Array(this.#nonces.buffer);
  #nextNonce = NONCE_WORDS;
  /** The address space that was prepared for the next fork; at most one. */
  readonly #prepared: PreparedSpace[] = [];
  /** Pids of children that were reaped before it was known whose they were. */
  readonly #reapedEarly: Set<number> = new Set();

  constructor(host: CloneHost, listener: number | undefined) {
    this.#host = host;
    this.#listener = listener;
    this.#strangers = new Strangers(host);
  }

  get isIdle(): boolean {
    return this.#pending.size === 0;
  }

  /** A clone is under way that will be asked for on the listener. */
  get isAsked(): boolean {
    return this.#listener !== undefined && this.#pending.size > 0;
  }

  /** When `expire` has to be called; Infinity where it need not be. */
  get expiryNs(): number {
    let soonest = Number.POSITIVE_INFINITY;
    for (const clone of this.#pending) {
      if (clone.abandonedUntilNs !== 0) soonest = Math.min(soonest, clone.abandonedUntilNs);
    }
    return soonest;
  }

  /**
   * Gives up waiting for children that never showed themselves. Strangers are looked for then, and
   * killed.
   */
  expire(): void {
    const now = this.#host.nowNs();
    for (const clone of [...this.#pending]) {
      if (clone.abandonedUntilNs === 0 || clone.abandonedUntilNs > now) continue;
      this.#drop(clone);
      this.#suspect();
    }
  }

  fork(via: SystrapThread, done: (child: Result<ForkedAddressSpace>) => void): void {
    if (via.takeFailure() !== 0) {
      done(ENOMEM);
      return;
    }
    const prepared = this.#prepared.pop() ?? prepareSpace(this.#host);
    if (isErrno(prepared)) {
      done(EAGAIN);
      return;
    }
    const { space, stubFd } = prepared;
    const messageId = via.space.pass(stubFd, space.mailboxFd);
    native.close(stubFd);
    const thread = isErrno(messageId) ? EAGAIN : space.addThread(via.slot);
    if (isErrno(thread)) {
      space.release();
      done(EAGAIN);
      return;
    }
    const words = this.#host.words;
    const nonce = this.#drawNonce();
    words[thread.base + SLOT.nonce] = nonce[0];
    words[thread.base + SLOT.nonce + 1] = nonce[1];
    words[via.base + SLOT.messageId] = messageId;
    this.#order('process', via, thread, nonce, (result) => {
      done(isErrno(result) ? EAGAIN : { space, thread });
    });
    this.#prepareNext();
  }

  /** Makes the next child's mailbox while the stub is busy with this one. */
  #prepareNext(): void {
    if (this.#prepared.length > 0) return;
    const next = prepareSpace(this.#host);
    if (isErrno(next)) return;
    next.space.attachFirstBlock();
    this.#prepared.push(next);
  }

  newThread(via: SystrapThread, done: (thread: Result<GuestThread>) => void): void {
    if (via.takeFailure() !== 0) {
      done(ENOMEM);
      return;
    }
    const reused = via.space.reuseThread(via);
    if (reused !== undefined) {
      done(reused);
      return;
    }
    const slot = via.space.freeSlot();
    const thread = isErrno(slot) ? EAGAIN : via.space.addThread(slot);
    if (isErrno(thread)) {
      done(EAGAIN);
      return;
    }
    const words = this.#host.words;
    // A slot that was used before still holds the state that its last thread left.
    Atomics.store(words, thread.base + SLOT.state, 0);
    words[via.base + SLOT.newSlot] = slot;
    this.#order('thread', via, thread, [0, 0], (result) => {
      done(isErrno(result) ? EAGAIN : thread);
    });
  }

  /** Lets the ordered clones through and refuses all others. Returns true if any was waiting. */
  answerNotifications(): boolean {
    const listener = this.#listener;
    if (listener === undefined) return false;
    let any = false;
    // The count is bounded, so that guests that keep asking cannot keep the Sentry here.
    for (let count = 0; count < MOST_NOTIFICATIONS; count++) {
      if (native.notifyReceive(listener, this.#notification) !== 0) break;
      any = true;
      const clone = this.#orderedBy(this.#notification);
      const answered = native.notifyAnswer(listener, this.#notification, clone ? 0 : EPERM);
      // ENOENT means that a signal has interrupted the call; the stub makes it again.
      if (clone && !isErrno(answered)) grant(clone, this.#notification[2] as number);
    }
    return any;
  }

  /**
   * Takes the parent's report of how its clone went, or of an operation before the clone that
   * failed.
   */
  parentAnswered(clone: PendingClone, result: number): void {
    clone.parentResult = result;
    this.#settle(clone);
  }

  childReady(clone: PendingClone): void {
    clone.childReady = true;
    this.#settle(clone);
  }

  /**
   * Lets the clones of a process that has ended fail. A child that was made all the same is killed
   * when it shows up.
   */
  spaceGone(space: SystrapSpace): void {
    for (const clone of this.#pending) {
      if (clone.via.space !== space) continue;
      if (clone.kind === 'process' && clone.allowed) {
        clone.abandonedUntilNs = this.#host.nowNs() + CHILD_PATIENCE_NS;
      } else this.#drop(clone);
    }
  }

  /** Takes note that a child of the Sentry has died that no address space claims. */
  strangerReaped(pid: number): void {
    for (const clone of this.#pending) {
      if (clone.kind !== 'process' || !clone.allowed) continue;
      if (clone.abandonedUntilNs !== 0) {
        this.#drop(clone);
        return;
      }
      if (clone.parentResult === pid) {
        this.#drop(clone);
        clone.done(EAGAIN);
        return;
      }
    }
    if (this.#pending.size > 0) this.#reapedEarly.add(pid);
  }

  #order(
    kind: PendingClone['kind'],
    via: SystrapThread,
    child: SystrapThread,
    nonce: readonly [number, number],
    done: (result: SysResult) => void,
  ): void {
    child.clonedFrom(via);
    if (kind === 'process') child.space.forkedFrom(via.space);
    const clone: PendingClone = {
      kind,
      via,
      child,
      done,
      nonce,
      allowed: this.#listener === undefined,
      allowedTid: 0,
      grants: 0,
      parentResult: undefined,
      childReady: false,
      abandonedUntilNs: 0,
    };
    via.clone = clone;
    child.clone = clone;
    this.#pending.add(clone);
    via.answer(kind === 'process' ? ORDER_FORK : ORDER_THREAD);
    this.#host.threadRuns(via);
    this.#host.threadRuns(child);
  }

  #orderedBy(notification: Int32Array): PendingClone | undefined {
    const [, , tid = 0, number = 0, flags = 0, upper = 0] = notification;
    if (number !== SYS_clone || upper !== 0) return undefined;
    for (const clone of this.#pending) {
      const wanted = clone.kind === 'process' ? CLONE_PROCESS_FLAGS : CLONE_THREAD_FLAGS;
      if (flags !== wanted) continue;
      if (clone.allowed) {
        if (clone.allowedTid === tid && clone.grants < MOST_GRANTS) return clone;
        continue;
      }
      const pid = clone.via.space.pid;
      if (pid === tid || native.tgkill(pid, tid, 0) === 0) return clone;
    }
    return undefined;
  }

  #settle(clone: PendingClone): void {
    const { via, child } = clone;
    if (clone.parentResult !== undefined && clone.parentResult < 0) {
      this.#drop(clone);
      // Either the host refused the clone, or there is a child that the parent denies.
      if (clone.kind === 'process' && clone.allowed) this.#suspect();
      clone.done(EAGAIN);
      return;
    }
    if (clone.kind === 'process' && this.#reapedEarly.delete(clone.parentResult ?? 0)) {
      this.#drop(clone);
      clone.done(EAGAIN);
      return;
    }
    const abandoned = clone.abandonedUntilNs !== 0;
    if (!clone.childReady || (clone.parentResult === undefined && !abandoned)) return;

    const id =
      clone.kind === 'process'
        ? (this.#host.words[child.base + SLOT.childId] as number)
        : (this.#host.words[child.base + SLOT.alive] as number);
    child.hostTid = id;
    if (this.#host.hasTracer)
      child.tracerTid = this.#host.words[child.base + SLOT.tracerTid] as number;
    const proof = clone.kind === 'process' ? this.#prove(clone, id) : 'true';
    if (proof !== 'true') {
      this.#drop(clone);
      clone.done(EAGAIN);
      // With 'none' the child may have been killed meanwhile, which is not the parent's fault.
      this.#suspect();
      if (proof === 'false') this.#host.spaceBroke(via.space, 'hides a process that it forked');
      return;
    }
    this.#forget(clone);
    if (abandoned) child.space.destroy();
    else clone.done(0);
  }

  /**
   * Looks whether `pid` is the process behind the child's mailbox, and not known yet. 'none': there
   * is no such process.
   */
  #prove(clone: PendingClone, pid: number): 'true' | 'false' | 'none' {
    if (pid <= 0) return 'false';
    const { child } = clone;
    if (this.#host.hasTracer) return this.#host.adoptProcess(child.space, pid) ? 'true' : 'false';
    const addr =
      this.#host.stubBase + STUB_MAILBOX_OFFSET + child.slot * SLOT_BYTES + SLOT.nonce * 4;
    const shown = native.readMemory(pid, addr, this.#proofBytes, 8);
    if (shown === ESRCH) return 'none';
    const proven =
      shown === 8 &&
      this.#proof[0] === clone.nonce[0] &&
      this.#proof[1] === clone.nonce[1] &&
      this.#host.adoptProcess(child.space, pid);
    return proven ? 'true' : 'false';
  }

  /** Looks for children that nobody ordered, where a guest can have made some. */
  #suspect(): void {
    if (this.#listener !== undefined) this.#strangers.suspect(this.#pending);
  }

  #forget(clone: PendingClone): void {
    this.#pending.delete(clone);
    clone.via.clone = undefined;
    clone.child.clone = undefined;
    if (this.#pending.size === 0) this.#reapedEarly.clear();
    this.#strangers.settled(clone);
    // A parent that asked for leave several times may have made a child each time.
    if (clone.kind === 'process' && clone.grants > 1) this.#suspect();
    if (clone.via.leavesAtStop && clone.via.state === 'stopped') clone.via.exit();
  }

  /** Forgets a clone whose child is not wanted or does not exist. */
  #drop(clone: PendingClone): void {
    this.#forget(clone);
    if (clone.kind === 'process') clone.child.space.destroy();
    else clone.child.space.dropThread(clone.child);
  }

  #drawNonce(): readonly [number, number] {
    if (this.#nextNonce + 2 > NONCE_WORDS) {
      native.getRandom(this.#nonceBytes);
      this.#nextNonce = 0;
    }
    const first = this.#nonces[this.#nextNonce++] as number;
    const second = this.#nonces[this.#nextNonce++] as number;
    return [first, second | 1];
  }
}

function grant(clone: PendingClone, tid: number): void {
  clone.allowed = true;
  clone.allowedTid = tid;
  clone.grants += 1;
}
