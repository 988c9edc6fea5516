// SPDX-License-Identifier: Apache-2.0
// mq_notify(3): how one process is told that a message came into an empty queue.
import { NOTIFY_COOKIE_LEN, NOTIFY_REMOVED, NOTIFY_WOKENUP } from '../../../abi/mqueue.ts';
import { SI_MESGQ, type SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD } from '../../../abi/signal.ts';
import { pidSeenFrom } from '../../kernel/pid-namespace.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread-group.ts';
import type { OpenFile } from '../../vfs/open-file.ts';

/** The netlink socket of SIGEV_THREAD: libc's helper thread reads datagrams from it. */
export interface CookieReceiver extends OpenFile {
  deliver(bytes: Uint8Array): void;
}

export type QueueEvent =
  | { readonly notify: typeof SIGEV_NONE }
  | {
      readonly notify: typeof SIGEV_SIGNAL;
      /** 0: none is sent. */
      readonly signal: number;
      readonly valueLo: number;
      readonly valueHi: number;
    }
  | {
      readonly notify: typeof SIGEV_THREAD;
      readonly cookie: Uint8Array;
      readonly socket: CookieReceiver;
    };

export class QueueNotification {
  readonly owner: ThreadGroup;
  readonly event: QueueEvent;
  readonly #execCount: number;

  constructor(owner: ThreadGroup, event: QueueEvent) {
    this.owner = owner;
    this.event = event;
    this.#execCount = owner.execCount;
    if (event.notify === SIGEV_THREAD) event.socket.acquire();
  }

  /** It is used up by this. */
  messageCame(): void {
    const { event, owner } = this;
    if (event.notify === SIGEV_THREAD) this.#sendCookie(NOTIFY_WOKENUP);
    // What the process was before execve asked for it.
    else if (event.notify === SIGEV_SIGNAL && owner.execCount === this.#execCount)
      this.#signal(event);
  }

  /** By mq_notify(NULL), or because the queue was closed. */
  release(): void {
    if (this.event.notify === SIGEV_THREAD) this.#sendCookie(NOTIFY_REMOVED);
  }

  /** Does closing a descriptor in `files`, a table, count as its owner's? One that ends has none any more. */
  isOwnedBy(files: object): boolean {
    if (this.owner.isExiting) return true;
    for (const task of this.owner.tasks) if (task.files === files) return true;
    return false;
  }

  #signal({ signal, valueLo, valueHi }: QueueEvent & { notify: typeof SIGEV_SIGNAL }): void {
    if (signal === 0) return;
    const { owner } = this;
    // Whoever sent the message runs right now.
    const sender: Task | undefined = owner.kernel.scheduler.current;
    owner.send({
      signal,
      code: SI_MESGQ,
      pid: sender === undefined ? 0 : pidSeenFrom(owner.pids, sender.pids, sender.group.id),
      uid: sender?.credentials.uid ?? 0,
      valueLo,
      valueHi,
    });
  }

  #sendCookie(what: number): void {
    if (this.event.notify !== SIGEV_THREAD) return;
    const { cookie, socket } = this.event;
    const bytes = cookie.slice();
    bytes[NOTIFY_COOKIE_LEN - 1] = what;
    socket.deliver(bytes);
    socket.release();
  }
}
