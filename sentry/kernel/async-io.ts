// SPDX-License-Identifier: Apache-2.0
// Signal-driven I/O (fcntl(2), "Managing signals"): a file with O_ASYNC tells the owner that F_SETOWN
// named of every event, with SIGIO or with the signal of F_SETSIG.
import {
  F_OWNER_PGRP,
  F_OWNER_PID,
  F_OWNER_TID,
  O_ACCMODE,
  O_ASYNC,
  O_RDONLY,
  O_WRONLY,
} from '../../abi/fcntl.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLMSG,
  POLLOUT,
  POLLPRI,
  POLLRDBAND,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from '../../abi/poll.ts';
import {
  POLL_ERR,
  POLL_HUP,
  POLL_IN,
  POLL_OUT,
  POLL_PRI,
  SI_KERNEL,
  SI_SIGIO,
  SIGBUS,
  SIGCHLD,
  SIGFPE,
  SIGILL,
  SIGIO,
  SIGRTMIN,
  SIGSEGV,
  SIGSYS,
  SIGTRAP,
} from '../../abi/signal.ts';
import { S_IFIFO } from '../../abi/stat.ts';
import type { Waker } from '../base/wait.ts';
import type {
  CloseObserver,
  IoOwner,
  IoSignal,
  OpenFile,
  SignalReceiver,
} from '../vfs/open-file.ts';
import type { Container } from './container.ts';
import { idSeenFrom, rulesOver } from './id-ranges.ts';
import type { PidNamespace } from './pid-namespace.ts';
import { ProcessGroup } from './session.ts';
import { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

/** An event, as si_code and si_band of sigaction(2) tell it. */
interface Reason {
  readonly code: number;
  readonly band: number;
}

const input: Reason = { code: POLL_IN, band: POLLIN | POLLRDNORM };
const output: Reason = { code: POLL_OUT, band: POLLOUT | POLLWRNORM | POLLWRBAND };
const urgent: Reason = { code: POLL_PRI, band: POLLPRI | POLLRDBAND };
const hangUp: Reason = { code: POLL_HUP, band: POLLHUP | POLLERR };
const failure: Reason = { code: POLL_ERR, band: POLLERR };

/** The process, thread or process group of a `struct fown_struct`, with the rights of who named it. */
class Owner implements SignalReceiver {
  readonly #target: Task | ThreadGroup | ProcessGroup;
  readonly #container: Container;
  readonly #uid: number;
  readonly #euid: number;

  constructor(target: Task | ThreadGroup | ProcessGroup, setter: Task) {
    this.#target = target;
    this.#container = setter.group.container;
    this.#uid = setter.credentials.uid;
    this.#euid = setter.credentials.euid;
  }

  receive(info: IoSignal): void {
    const target = this.#target;
    if (target instanceof Task) {
      if (this.#mayReach(target.group, target)) target.group.sendTo(target, checked(info, target));
    } else if (target instanceof ProcessGroup) {
      for (const group of target.members) this.#sendTo(group, info);
    } else this.#sendTo(target, info);
  }

  #sendTo(group: ThreadGroup, info: IoSignal): void {
    const task = group.anyTask;
    if (task !== undefined && this.#mayReach(group, task)) group.send(checked(info, task));
  }

  /** sigio_perm() of Linux: whoever named the owner could have sent the signal himself. */
  #mayReach(group: ThreadGroup, task: Task): boolean {
    const [mine, theirs] = [this.#container.ids, group.container.ids];
    if (this.#euid === 0 && rulesOver(mine, theirs)) return true;
    const uid = idSeenFrom(mine.uids, theirs.uids, task.credentials.uid);
    const suid = idSeenFrom(mine.uids, theirs.uids, task.credentials.suid);
    return [uid, suid].some((id) => id === this.#euid || id === this.#uid);
  }
}

/** Where no more of a real-time signal can wait, SIGIO comes in its place. */
function checked(info: IoSignal, task: Task): IoSignal {
  return info.signal >= SIGRTMIN && task.queueLimitReached() ? plainSigio : info;
}

/** Signals whose own si_codes overlap POLL_*; SIGIO's are the same ones. */
const hasOwnCodes = new Set([SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGCHLD, SIGSYS]);

const plainSigio: IoSignal = { signal: SIGIO, code: SI_KERNEL };

/**
 * The receiver for F_SETOWN and F_SETOWN_EX with F_OWNER_`type` and an id of the setter's
 * namespace. Undefined where nothing of that type has the id.
 */
export function ioReceiver(setter: Task, type: number, id: number): SignalReceiver | undefined {
  const target = targetOf(setter.pids, type, id);
  return target === undefined ? undefined : new Owner(target, setter);
}

function targetOf(
  pids: PidNamespace,
  type: number,
  id: number,
): Task | ThreadGroup | ProcessGroup | undefined {
  switch (type) {
    case F_OWNER_TID:
      return pids.tasks.get(id);
    case F_OWNER_PID:
      return pids.groups.get(id);
    case F_OWNER_PGRP:
      return pids.processGroups.get(id);
    default:
      return undefined;
  }
}

/** The part of an open file that O_ASYNC switches on: it listens on the file's queue. */
class AsyncNotice implements Waker, CloseObserver {
  readonly #file: OpenFile;
  /** si_fd: the descriptor by which O_ASYNC was set last, even where it is closed by now. */
  readonly #fd: number;

  constructor(file: OpenFile, fd: number) {
    this.#file = file;
    this.#fd = fd;
    file.queue.join(this, eventsOf(file));
    file.observeClose(this);
  }

  wake(events: number): void {
    const owner = this.#file.ioOwner;
    if (owner?.receiver === undefined) return;
    owner.receiver.receive(signalFor(owner, this.#fd, reasonOf(this.#file, events)));
  }

  fileClosed(): void {
    this.end();
  }

  end(): void {
    this.#file.queue.leave(this);
    this.#file.unobserveClose(this);
  }
}

function signalFor(owner: IoOwner, fd: number, { code, band }: Reason): IoSignal {
  if (owner.signal === 0) return plainSigio;
  const isAmbiguous = hasOwnCodes.has(owner.signal);
  return { signal: owner.signal, code: isAmbiguous ? SI_SIGIO : code, band, fd };
}

function eventsOf(file: OpenFile): number {
  const access = file.flags & O_ACCMODE;
  const reads = access === O_WRONLY ? 0 : POLLIN | POLLPRI | POLLMSG;
  const writes = access === O_RDONLY ? 0 : POLLOUT;
  return reads | writes | POLLERR | POLLHUP;
}

function reasonOf(file: OpenFile, events: number): Reason {
  if ((events & POLLIN) !== 0) return input;
  if ((events & POLLPRI) !== 0) return urgent;
  if ((events & POLLOUT) !== 0) return output;
  // A pipe's other end that goes away is told of as input or room for output.
  if (file.node.kind === S_IFIFO) return (file.flags & O_ACCMODE) === O_WRONLY ? output : input;
  return (events & POLLHUP) !== 0 ? hangUp : failure;
}

/** O_ASYNC of `file` becomes `isOn`, by its descriptor `fd`. The file is one that sends signals. */
export function setAsync(file: OpenFile, fd: number, isOn: boolean): void {
  file.asyncNotice?.end();
  file.asyncNotice = isOn ? new AsyncNotice(file, fd) : undefined;
  file.flags = isOn ? file.flags | O_ASYNC : file.flags & ~O_ASYNC;
}
