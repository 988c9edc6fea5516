// SPDX-License-Identifier: Apache-2.0
// Files that are rendered as text when they are read from the start (fs/seq_file.c's behaviour):
// size 0, seekable, and writable where they take a setting.
import {
  EAGAIN,
  EIO,
  ENOMEM,
  EPERM,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { POLLERR, POLLPRI } from '../../../abi/poll.ts';
import { S_IFREG } from '../../../abi/stat.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import { WaitQueue } from '../../base/wait.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { type AttributeChange, type Attributes, Node, type Ownership } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { PositionedFile } from '../../vfs/positioned-file.ts';
import {
  type Entry,
  type EntryOptions,
  type FileOperations,
  type Render,
  rootOwner,
  type Text,
} from './entry.ts';
import { Inode, type PseudoFileSystem } from './pseudo-filesystem.ts';

/** The most that one write of a setting may bring. */
const writeLimitBytes = 4096;

export interface TextFileOptions<S extends object> extends EntryOptions<S> {
  /** Takes one write(2), one char per byte. Bytes taken, or an errno. */
  readonly write?: (subject: S, text: string, caller: Caller) => SysResult;
  /** stat's size (sysfs says 4096). */
  readonly sizeBytes?: number;
  /** Those of the file system without it. */
  readonly operations?: FileOperations;
  /** Returns the thing whose changes poll(2) of the file tells; undefined where there is none. */
  readonly changes?: (subject: S) => Changes | undefined;
}

/** Something whose changes can be waited for. */
export interface Changes {
  /** Notified with POLLERR | POLLPRI. */
  readonly queue: WaitQueue;
  /** Another number after each change. */
  readonly version: number;
}

/** A file with permission bits `mode` whose text is `render(subject)`. */
export function textFile<S extends object>(
  mode: number,
  render: Render<S>,
  options: TextFileOptions<S> = {},
): Entry<S> {
  return (filesystem, subject) => new TextNode(filesystem, subject, mode, render, options);
}

class TextNode<S extends object> extends Node {
  readonly filesystem: PseudoFileSystem;
  readonly kind: number = S_IFREG;
  readonly #inode: Inode;
  readonly #subject: S;
  readonly #mode: number;
  readonly #render: Render<S>;
  readonly #options: TextFileOptions<S>;

  constructor(
    filesystem: PseudoFileSystem,
    subject: S,
    mode: number,
    render: Render<S>,
    options: TextFileOptions<S>,
  ) {
    super();
    this.filesystem = filesystem;
    this.#inode = new Inode(filesystem);
    this.#subject = subject;
    this.#mode = mode;
    this.#render = render;
    this.#options = options;
  }

  attributes(): Attributes {
    return this.#inode.attributes(this.ownership(), 1, this.#options.sizeBytes ?? 0);
  }

  override ownership(): Ownership {
    const { uid, gid } = this.#options.owner?.(this.#subject) ?? rootOwner;
    return { mode: S_IFREG | this.#mode, uid, gid };
  }

  /** open(O_TRUNC) is fine and changes nothing, as is touching the times. */
  override setAttributes(change: AttributeChange): SysResult {
    return change.mode === undefined && change.uid === undefined && change.gid === undefined
      ? 0
      : EPERM;
  }

  open(flags: number, caller: Caller): Result<OpenFile> {
    const allowed = this.#options.mayOpen?.(this.#subject, caller, flags) ?? 0;
    if (isErrno(allowed)) return allowed;
    const render = (): Result<Text> => this.#render(this.#subject, caller);
    const { write } = this.#options;
    const store =
      write === undefined
        ? undefined
        : (text: string): SysResult => write(this.#subject, text, caller);
    const operations = this.#options.operations ?? this.filesystem.operations;
    return new TextFile(this, flags, {
      operations,
      changes: this.#options.changes?.(this.#subject),
      render,
      store,
    });
  }
}

/** A text that comes in parts: how many of them one read makes, and the most bytes that it gives. */
const partsPerRead = 128;
const bytesPerRead = 65_536;

/** The parts of one open file. */
interface TextFileParts {
  readonly operations: FileOperations;
  readonly changes: Changes | undefined;
  readonly render: () => Result<Text>;
  readonly store: ((text: string) => SysResult) | undefined;
}

class TextFile extends PositionedFile {
  override readonly queue: WaitQueue;
  readonly node: Node;
  readonly #of: TextFileParts;
  /** The bytes from #base on that were made last. */
  #content: Uint8Array | undefined = undefined;
  #base = 0;
  /** The source of the bytes behind #content; undefined when there are none. */
  #parts: IterableIterator<string> | undefined = undefined;
  #goesOn = false;
  /** The account that pays for the content: the process that opened the file. */
  readonly #account: MemoryAccount = currentAccount();
  /** The version of `changes` that poll(2) has told of. */
  #toldVersion: number;

  constructor(node: Node, flags: number, parts: TextFileParts) {
    super(flags);
    this.node = node;
    this.#of = parts;
    this.queue = parts.changes?.queue ?? new WaitQueue();
    this.#toldVersion = parts.changes?.version ?? 0;
  }

  /** Tells of a change once, as mounts_poll does. */
  override poll(): number {
    const version = this.#of.changes?.version ?? 0;
    if (version === this.#toldVersion) return super.poll();
    this.#toldVersion = version;
    return super.poll() | POLLERR | POLLPRI;
  }

  override get pollable(): boolean {
    return this.#of.operations.poll;
  }

  override get canSpliceFrom(): boolean {
    return this.#of.operations.spliceRead;
  }

  override get canSpliceTo(): boolean {
    return this.#of.operations.spliceWrite;
  }

  override get goesOn(): boolean {
    return this.#goesOn;
  }

  override pread(sink: Sink, position: number): SysResult {
    const isAnew = position === 0 && !this.#goesOn;
    if (isAnew || this.#content === undefined || position < this.#base) {
      const begun = this.#begin();
      if (isErrno(begun)) return begun;
    }
    if (this.#parts !== undefined) this.#makeParts(position, sink.remaining);
    const content = this.#content as Uint8Array;
    const rest = content.subarray(position - this.#base, position - this.#base + sink.remaining);
    this.#goesOn = rest.length === 0 && this.#parts !== undefined && sink.remaining > 0;
    if (this.#goesOn) return EAGAIN;
    return rest.length === 0 ? 0 : sink.put(rest);
  }

  #begin(): SysResult {
    const text = this.#of.render();
    if (isErrno(text)) return text;
    this.#base = 0;
    this.#parts = typeof text === 'string' ? undefined : text;
    const bytes = typeof text === 'string' ? text.length : 0;
    const grown = bytes - (this.#content?.length ?? 0);
    if (grown > 0 && !this.#account.hasRoom(grown)) return ENOMEM;
    this.#setContent(typeof text === 'string' ? Buffer.from(text, 'latin1') : new Uint8Array(0));
    return 0;
  }

  #setContent(content: Uint8Array): void {
    this.#account.force(content.length - (this.#content?.length ?? 0));
    this.#content = content;
  }

  /** Makes what a read at `position` wants, as far as one read may, and forgets what lies before. */
  #makeParts(position: number, wanted: number): void {
    const old = this.#content as Uint8Array;
    const kept = old.subarray(Math.min(position - this.#base, old.length));
    const end = position + Math.min(wanted, bytesPerRead);
    let base = this.#base + old.length - kept.length;
    if (base + kept.length >= end) return;
    let text = '';
    let count = 0;
    while (this.#parts !== undefined && count < partsPerRead) {
      if (base + kept.length + text.length >= end) break;
      const next = this.#parts.next();
      if (next.done === true) this.#parts = undefined;
      else text += next.value;
      count += 1;
      if (kept.length > 0 || base + text.length > position) continue;
      base += text.length;
      text = '';
    }
    const before = Math.min(position - base, text.length);
    if (before > 0 && kept.length === 0) {
      text = text.slice(before);
      base += before;
    }
    const made = Buffer.from(text, 'latin1');
    this.#setContent(kept.length === 0 ? made : Buffer.concat([kept, made]));
    this.#base = base;
  }

  override get objectBytes(): number {
    return OBJECT_COST.openFile + OBJECT_COST.textFile;
  }

  override close(): void {
    this.#account.uncharge(this.#content?.length ?? 0);
    this.#content = undefined;
  }

  protected override writeAt(source: Source): SysResult {
    const { store } = this.#of;
    if (store === undefined) return EIO;
    const bytes = new Uint8Array(Math.min(source.remaining, writeLimitBytes));
    const taken = source.take(bytes);
    if (isErrno(taken)) return taken;
    return store(Buffer.from(bytes.buffer, 0, taken).toString('latin1'));
  }
}
