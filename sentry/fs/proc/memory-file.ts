// SPDX-License-Identifier: Apache-2.0
// /proc/PID/mem: a process's memory at its addresses.
import {
  EAGAIN,
  EFAULT,
  EINVAL,
  EIO,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { SEEK_CUR, SEEK_SET } from '../../../abi/fcntl.ts';
import { PROT_WRITE } from '../../../abi/mman.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { POLLOUT } from '../../../abi/poll.ts';
import { S_IFREG } from '../../../abi/stat.ts';
import { type OpenedPage, openPage } from '../../kernel/ptrace/poke.ts';
import type { Task } from '../../kernel/task.ts';
import type { MemoryManager } from '../../mm/memory-manager.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { type Attributes, Node, type Ownership } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { PositionedFile } from '../../vfs/positioned-file.ts';
import type { Entry } from '../pseudo/entry.ts';
import { Inode, type PseudoFileSystem } from '../pseudo/pseudo-filesystem.ts';
import { mayLookInto, type Subject } from './subject.ts';

/** /proc/PID/mem: the process's memory at its addresses. */
export const memoryFile: Entry<Subject> = (filesystem, subject) =>
  new MemoryNode(filesystem, subject);

class MemoryNode extends Node {
  readonly filesystem: PseudoFileSystem;
  readonly kind: number = S_IFREG;
  readonly #inode: Inode;
  readonly #subject: Subject;

  constructor(filesystem: PseudoFileSystem, subject: Subject) {
    super();
    this.filesystem = filesystem;
    this.#inode = new Inode(filesystem);
    this.#subject = subject;
  }

  attributes(): Attributes {
    return this.#inode.attributes(this.ownership(), 1);
  }

  override ownership(): Ownership {
    return { mode: S_IFREG | 0o600, ...this.#subject.owner };
  }

  open(flags: number, caller: Caller): Result<OpenFile> {
    const allowed = mayLookInto(this.#subject, caller);
    if (isErrno(allowed)) return allowed;
    const mm = this.#subject.task?.mm;
    return mm === undefined ? ESRCH : new MemoryFile(this, flags, mm, this.#subject);
  }
}

const piece = new Uint8Array(65536);

const toPageEnd = (addr: number): number => PAGE_SIZE - (addr % PAGE_SIZE);

/** A thread of the memory that its tracer holds, and that has nothing to do: it can change mappings. */
function heldThreadOf(subject: Subject, mm: MemoryManager): Task | undefined {
  for (const task of subject.group.tasks)
    if (task.mm === mm && task.trace?.stop !== undefined && !task.thread.isAtWork) return task;
  return undefined;
}

class MemoryFile extends PositionedFile {
  readonly node: Node;
  /** The memory as it was at open: a later exec does not open the new program's. */
  readonly #mm: MemoryManager;

  readonly #subject: Subject;
  /** The page that is writable for a tracer for the moment. */
  #page: OpenedPage | undefined = undefined;
  #isOpening = false;

  constructor(node: Node, flags: number, mm: MemoryManager, subject: Subject) {
    super(flags);
    this.node = node;
    this.#mm = mm;
    this.#subject = subject;
  }

  override pread(sink: Sink, position: number): SysResult {
    if (this.#mm.userCount === 0) return 0;
    let total = 0;
    while (sink.remaining > 0) {
      const part = piece.subarray(0, Math.min(piece.length, sink.remaining));
      const read = this.#mm.memory.readSome(position + total, part);
      if (read <= 0) return total === 0 ? EIO : total;
      const put = sink.put(part.subarray(0, read));
      if (isErrno(put)) return total === 0 ? EFAULT : total;
      total += put;
      if (put < part.length) break;
    }
    return total;
  }

  /**
   * Differs from Linux: mappings that the process itself may not write can be written only while a
   * tracer holds one of its threads.
   */
  protected override writeAt(source: Source, position: number): SysResult {
    if (this.#mm.userCount === 0) return 0;
    let total = 0;
    while (source.remaining > 0) {
      const at = position + total;
      const ready = this.#prepare(at);
      if (isErrno(ready)) return total === 0 ? ready : total;
      const taken = source.take(piece.subarray(0, Math.min(toPageEnd(at), source.remaining)));
      if (taken <= 0) return total === 0 ? taken : total;
      const wrote = this.#mm.memory.writeSome(at, piece.subarray(0, taken));
      this.#closePage();
      if (wrote <= 0) return total === 0 ? EIO : total;
      total += wrote;
      if (wrote < taken) break;
    }
    return total;
  }

  /** Makes the page of `addr` one that can be written. EAGAIN: that takes longer, `queue` will tell. */
  #prepare(addr: number): SysResult {
    const isWritable = ((this.#mm.vmaAt(addr)?.prot ?? 0) & PROT_WRITE) !== 0;
    if (isWritable || this.#page?.start === addr - (addr % PAGE_SIZE))
      return this.#isOpening ? EAGAIN : 0;
    this.#closePage();
    const tracee = heldThreadOf(this.#subject, this.#mm);
    this.#page = tracee === undefined ? undefined : openPage(tracee, addr);
    if (tracee === undefined || this.#page === undefined) return EIO;
    this.#isOpening = true;
    const now = tracee.mm.space.tryFlush(tracee.thread, () => this.#opened());
    if (now === undefined) return EAGAIN;
    this.#isOpening = false;
    return 0;
  }

  #opened(): void {
    this.#isOpening = false;
    this.queue.notify(POLLOUT);
  }

  #closePage(): void {
    this.#page?.close();
    this.#page = undefined;
  }

  override close(): void {
    this.#closePage();
  }

  /** Addresses of all 64 bits are positions here, also those that look negative (mem_lseek). */
  override seek(position: number, whence: number): SysResult {
    if (whence !== SEEK_SET && whence !== SEEK_CUR) return EINVAL;
    this.offset = whence === SEEK_CUR ? this.offset + position : position;
    return this.offset;
  }
}
