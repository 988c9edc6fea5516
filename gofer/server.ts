// SPDX-License-Identifier: Apache-2.0
// The Gofer's main loop: takes a request, has it done on the host tree (operations/), answers. One
// request at a time, blocking; ends when the Sentry closes its side.
import { EAGAIN, ECONNRESET, EINTR, EINVAL, EPIPE, isErrno, type SysResult } from '../abi/errno.ts';
import { MSG_DONTWAIT } from '../abi/socket.ts';
import { native } from '../native/addon.ts';
import type { MemoryTrim } from '../native/memory-trim.ts';
import type { Message } from '../protocol/gofer/message.ts';
import { OPENED_MAX } from '../protocol/gofer/opened.ts';
import { cpuOf, operationOf, REPLY_BYTES, REQUEST_BYTES } from '../protocol/gofer/operations.ts';
import { MessageReader, MessageWriter } from '../protocol/gofer/wire.ts';
import { type AttachPoint, HostTree, type TreeOptions } from './host-tree.ts';
import type { GoferContext } from './operations/context.ts';
import { OpenListing } from './operations/list.ts';
import { type Row, rows } from './operations/table.ts';

export interface GoferOptions extends TreeOptions {
  /** SEQPACKET socket to the Sentry. */
  readonly socketFd: number;
  readonly attachPoints: readonly AttachPoint[];
  /** The memory trim that is due when nothing has been asked for a while. */
  readonly memoryTrim?: MemoryTrim;
}

/** Serves until the socket is closed. Answers 0, or the errno that ended it. */
export function runGofer(options: GoferOptions): SysResult {
  return new GoferServer(options).run();
}

class GoferServer implements GoferContext {
  readonly tree: HostTree;
  readonly attachPoints: readonly AttachPoint[];
  readonly listing = new OpenListing();
  readonly #options: GoferOptions;
  readonly #request = new MessageReader(REQUEST_BYTES);
  readonly #reply = new MessageWriter(REPLY_BYTES);
  readonly #fds = new Int32Array(OPENED_MAX);
  /** The processor to which this process was moved last. */
  #cpu = -1;

  constructor(options: GoferOptions) {
    this.#options = options;
    this.attachPoints = options.attachPoints;
    this.tree = new HostTree(options);
  }

  run(): SysResult {
    const { socketFd } = this.#options;
    for (;;) {
      // The Sentry waits for the answer before it asks for more: there is hardly ever a request yet.
      this.#awaitRequest();
      const length = native.recvMessage(socketFd, this.#request.bytes, undefined, MSG_DONTWAIT);
      if (length === EAGAIN) continue;
      if (length === 0 || length === ECONNRESET) return 0;
      if (length === EINTR) continue;
      if (isErrno(length)) return length;
      const answered = this.#serve(length);
      if (isErrno(answered)) return answered === EPIPE || answered === ECONNRESET ? 0 : answered;
    }
  }

  #awaitRequest(): void {
    const { socketFd, memoryTrim } = this.#options;
    const quietNs = memoryTrim?.quietNs ?? Number.POSITIVE_INFINITY;
    const milliseconds = quietNs === Number.POSITIVE_INFINITY ? -1 : quietNs / 1e6;
    if (native.awaitInput(socketFd, milliseconds) === 0) memoryTrim?.trim();
    else memoryTrim?.disturb();
  }

  /** The next request finds this process on the processor of the Sentry. */
  #moveTo(cpu: number): void {
    if (cpu === this.#cpu || cpu < 0) return;
    this.#cpu = cpu;
    // A host that refuses (a cpuset that changed) leaves it where it is.
    native.setAffinity(0, cpu);
  }

  /** One request of `length` bytes. Answers the errno of sending the reply, or 0. */
  #serve(length: number): SysResult {
    const head = this.#request.start(length).u32();
    this.#moveTo(cpuOf(head));
    const row = rows[operationOf(head)];
    const answer = row === undefined ? EINVAL : this.#answer(row);
    const sent = row?.operation.answer === 'none' ? 0 : this.#send(row, answer);
    this.tree.requestEnds();
    return Math.min(sent, 0);
  }

  #answer({ operation, handle }: Row): object | number | undefined {
    const request = operation.request.decode(this.#request);
    return request === undefined ? EINVAL : handle(this, request);
  }

  #send(row: Row | undefined, answer: object | number | undefined): SysResult {
    let fds: readonly number[] = [];
    this.#reply.reset();
    if (isErrno(answer)) this.#reply.i32(answer);
    else if (row !== undefined && row.operation.answer !== 'none') {
      (row.operation.reply as Message<unknown>).encode(this.#reply.i32(0), answer);
      if (row.operation.answer === 'descriptor') fds = [(answer as { readonly fd: number }).fd];
      if (row.operation.answer === 'descriptors') ({ fds } = answer as { fds: readonly number[] });
    }
    this.#fds.set(fds);
    const { bytes, length } = this.#reply;
    const { socketFd } = this.#options;
    const sent = native.sendMessage(socketFd, bytes, length, this.#fds, fds.length, 0);
    for (const fd of fds) native.close(fd);
    return sent;
  }
}
