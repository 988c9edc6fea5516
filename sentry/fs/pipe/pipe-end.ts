// SPDX-License-Identifier: Apache-2.0
// Descriptors of a pipe: the two ends that pipe(2) makes, and FIFOs opened by path (fifo(7)).
import { EBADF, ENOTTY, type SysResult } from '../../../abi/errno.ts';
import { O_ACCMODE, O_DIRECT, O_RDONLY, O_RDWR, O_WRONLY } from '../../../abi/fcntl.ts';
import { FIONREAD } from '../../../abi/ioctl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { S_IFIFO } from '../../../abi/stat.ts';
import type { Clock } from '../../base/clock.ts';
import type { WaitQueue } from '../../base/wait.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { Node } from '../../vfs/node.ts';
import { OpenFile } from '../../vfs/open-file.ts';
import { AnonymousNode, pipefs } from '../anon/anonymous-node.ts';
import { Pipe } from './pipe.ts';

/** An anonymous pipe's inode, which keeps the pipe so that /proc/PID/fd/N can be opened. */
export class PipeNode extends AnonymousNode {
  readonly pipe: Pipe = new Pipe();
}

/** One open file description of a pipe: reader, writer, or (FIFOs opened O_RDWR) both. */
export class PipeEnd extends OpenFile {
  override readonly queue: WaitQueue;
  readonly node: Node;
  readonly pipe: Pipe;
  readonly #reads: boolean;
  readonly #writes: boolean;
  /** Writers opened so far when a reader came without one: it sees no hang-up until one has been here. */
  readonly #writersBefore: number;

  /** The caller has counted this end in with pipe.addReader and addWriter. */
  constructor(pipe: Pipe, node: Node, flags: number, writersBefore = -1) {
    super(flags);
    this.pipe = pipe;
    this.queue = pipe.queue;
    this.node = node;
    const access = flags & O_ACCMODE;
    this.#reads = access === O_RDONLY || access === O_RDWR;
    this.#writes = access === O_WRONLY || access === O_RDWR;
    this.#writersBefore = writersBefore;
  }

  override get canSignal(): boolean {
    return true;
  }

  override get canSpliceTo(): boolean {
    return true;
  }

  override get description(): string {
    return this.node instanceof AnonymousNode ? `pipe:[${this.node.ino}]` : 'pipe:[0]';
  }

  override get isByteStream(): boolean {
    // In packet mode too: Linux's pipe_write goes on until all is written.
    return true;
  }

  override get raisesSigpipe(): boolean {
    return true;
  }

  override close(): void {
    if (this.#reads) this.pipe.dropReader();
    if (this.#writes) this.pipe.dropWriter();
    if (this.pipe.readers === 0 && this.pipe.writers === 0) this.pipe.purge();
  }

  override read(sink: Sink): SysResult {
    return this.#reads ? this.pipe.read(sink) : EBADF;
  }

  override write(source: Source): SysResult {
    if (!this.#writes) return EBADF;
    return (this.flags & O_DIRECT) === 0 ? this.pipe.write(source) : this.pipe.writePackets(source);
  }

  override poll(): number {
    const pipe = this.pipe;
    let events = 0;
    if (this.#reads) {
      if (pipe.ring.length > 0) events |= POLLIN | POLLRDNORM;
      if (pipe.writers === 0 && pipe.writerOpens !== this.#writersBefore) events |= POLLHUP;
    }
    if (this.#writes) {
      if (!pipe.isFull) events |= POLLOUT | POLLWRNORM;
      if (pipe.readers === 0) events |= POLLERR;
    }
    return events;
  }

  override pipeCapacity(): SysResult {
    return this.pipe.capacity;
  }

  override setPipeCapacity(wantedBytes: number, privileged: boolean): SysResult {
    return this.pipe.resize(wantedBytes, privileged);
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    if (command === FIONREAD) return caller.memory.writeU32(argument, this.pipe.ring.length);
    return ENOTTY;
  }
}

/** The ends of a new pipe: [reader, writer]. `flags`: O_NONBLOCK, O_DIRECT. */
export function newPipe(flags: number, credentials: Credentials, clock: Clock): [PipeEnd, PipeEnd] {
  const birth = { uid: credentials.fsuid, gid: credentials.fsgid, time: clock.realtime() };
  const node = new PipeNode(pipefs, S_IFIFO | 0o600, pipefs.nextInode(), birth);
  node.pipe.addReader();
  node.pipe.addWriter();
  return [
    new PipeEnd(node.pipe, node, flags | O_RDONLY),
    new PipeEnd(node.pipe, node, flags | O_WRONLY),
  ];
}

/** The pipe behind a descriptor (fcntl F_GETPIPE_SZ, splice), or undefined. */
export function pipeOf(file: OpenFile): Pipe | undefined {
  return file instanceof PipeEnd ? file.pipe : undefined;
}
