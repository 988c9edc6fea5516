// SPDX-License-Identifier: Apache-2.0
// devpts (pts(4)): ptmx, which makes pseudoterminals, and a node for each slave.

import { TTYAUX_MAJOR, TTYAUX_MINOR_PTMX } from '../../../abi/dev.ts';
import {
  EIO,
  ENOENT,
  ENOSPC,
  EPERM,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { DEVPTS_SUPER_MAGIC } from '../../../abi/fs.ts';
import { makeDevice, S_IALLUGO, S_IFCHR, S_IFDIR } from '../../../abi/stat.ts';
import type { WallTime } from '../../base/clock.ts';
import type { Caller } from '../../vfs/caller.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import { DirectoryFile, type ListedEntry, type Listing } from '../../vfs/directory-file.ts';
import {
  type AttributeChange,
  type Attributes,
  emptyStatus,
  type FileSystem,
  type FileSystemStatus,
  Node,
  type Ownership,
} from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { TerminalKernel } from '../tty/job-control.ts';
import { PtyMaster, type PtyOwner } from '../tty/pty-master.ts';
import { Terminal } from '../tty/terminal.ts';

/** Pseudoterminals of one sandbox (kernel.pty.max). */
export const ptyLimit = 4096;
/**
 * Where a mount does not say: group 'tty' of every distribution may write, as with devpts of
 * distributions.
 */
const defaults: DevptsOptions = { mode: 0o620, gid: 5, ptmxMode: 0o666 };
const rootInode = 1;
const ptmxInode = 2;
const firstSlaveInode = 3;

/** Mode and owner of slaves (absent: who opened the master), mode of ptmx. */
export interface DevptsOptions {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly ptmxMode: number;
}

export class DevptsFileSystem implements FileSystem, PtyOwner {
  readonly type = 'devpts';
  readonly dev: number = allocateDevice();
  readonly kernel: TerminalKernel;
  readonly root: DevptsRoot;
  readonly ptmx: PtmxNode;
  readonly #options: DevptsOptions;
  readonly #slaves = new Map<number, SlaveNode>();

  constructor(kernel: TerminalKernel, options: DevptsOptions = defaults) {
    this.kernel = kernel;
    this.#options = options;
    this.root = new DevptsRoot(this);
    this.ptmx = new PtmxNode(this, options.ptmxMode);
  }

  status(): FileSystemStatus {
    return emptyStatus(DEVPTS_SUPER_MAGIC);
  }

  sync(): SysResult {
    return 0;
  }

  /** A terminal and its slave's node; the caller gives it a master. */
  newTerminal(uid: number, gid: number): Result<Terminal> {
    if (this.#slaves.size >= ptyLimit) return ENOSPC;
    let index = 0;
    while (this.#slaves.has(index)) index += 1;
    const terminal = new Terminal(this.kernel, index);
    const { mode } = this.#options;
    const owner = { mode, uid: this.#options.uid ?? uid, gid: this.#options.gid ?? gid };
    this.#slaves.set(index, new SlaveNode(this, terminal, owner));
    return terminal;
  }

  /** An open of a ptmx node: the master of a new terminal. */
  openMaster(node: Node, flags: number, caller: Caller): Result<PtyMaster> {
    const terminal = this.newTerminal(caller.credentials.fsuid, caller.credentials.fsgid);
    return isErrno(terminal) ? terminal : new PtyMaster(terminal, this, node, flags);
  }

  openSlave(index: number, node: Node, flags: number, caller: Caller): Result<OpenFile> {
    return this.#slaves.get(index)?.terminal.openSlave(node, flags, caller) ?? EIO;
  }

  slaveNode(index: number): SlaveNode | undefined {
    return this.#slaves.get(index);
  }

  slaves(): IterableIterator<SlaveNode> {
    return this.#slaves.values();
  }

  masterClosed(index: number): void {
    this.#slaves.delete(index);
  }
}

/** Common to the three kinds of node: owner and mode can be changed. */
abstract class DevptsNode extends Node {
  readonly filesystem: DevptsFileSystem;
  readonly kind: number;
  readonly ino: number;
  readonly rdev: number;
  #mode: number;
  #uid: number;
  #gid: number;
  #atime: WallTime;
  #mtime: WallTime;
  #ctime: WallTime;

  constructor(
    filesystem: DevptsFileSystem,
    as: Ownership,
    kind: number,
    ino: number,
    rdev: number,
  ) {
    super();
    this.filesystem = filesystem;
    this.kind = kind;
    this.ino = ino;
    this.rdev = rdev;
    this.#mode = as.mode;
    this.#uid = as.uid;
    this.#gid = as.gid;
    const now = filesystem.kernel.clock.realtime();
    this.#atime = now;
    this.#mtime = now;
    this.#ctime = now;
  }

  override ownership(): Ownership {
    return { mode: this.kind | this.#mode, uid: this.#uid, gid: this.#gid };
  }

  attributes(): Attributes {
    return {
      dev: this.filesystem.dev,
      ino: this.ino,
      mode: this.kind | this.#mode,
      nlink: this.kind === S_IFDIR ? 2 : 1,
      uid: this.#uid,
      gid: this.#gid,
      rdev: this.rdev,
      sizeBytes: 0,
      blockSize: 1024,
      blocks: 0,
      atime: this.#atime,
      mtime: this.#mtime,
      ctime: this.#ctime,
      btime: this.#ctime,
    };
  }

  override setAttributes(change: AttributeChange): SysResult {
    if (change.mode !== undefined) this.#mode = change.mode & S_IALLUGO;
    this.#uid = change.uid ?? this.#uid;
    this.#gid = change.gid ?? this.#gid;
    this.#atime = change.atime ?? this.#atime;
    this.#mtime = change.mtime ?? this.#mtime;
    this.#ctime = this.filesystem.kernel.clock.realtime();
    return 0;
  }
}

class DevptsRoot extends DevptsNode implements Listing {
  override readonly cacheable: boolean = false;
  readonly parentIno = rootInode;

  constructor(filesystem: DevptsFileSystem) {
    super(filesystem, { mode: 0o755, uid: 0, gid: 0 }, S_IFDIR, rootInode, 0);
  }

  override lookup(name: string, _caller: Caller): Result<Node> {
    if (name === 'ptmx') return this.filesystem.ptmx;
    if (!/^(0|[1-9]\d{0,3})$/.test(name)) return ENOENT;
    return this.filesystem.slaveNode(Number(name)) ?? ENOENT;
  }

  override create(): Result<Node> {
    return EPERM;
  }

  list(): readonly ListedEntry[] {
    const entries: ListedEntry[] = [{ name: 'ptmx', ino: ptmxInode, kind: S_IFCHR }];
    for (const slave of this.filesystem.slaves()) {
      entries.push({ name: String(slave.terminal.index), ino: slave.ino, kind: S_IFCHR });
    }
    return entries;
  }

  stillHas(name: string): boolean {
    return name === 'ptmx' || this.filesystem.slaveNode(Number(name)) !== undefined;
  }

  wasRead(): void {}

  open(flags: number, _caller: Caller): Result<OpenFile> {
    return new DirectoryFile(this, flags);
  }
}

class PtmxNode extends DevptsNode {
  constructor(filesystem: DevptsFileSystem, mode: number) {
    super(
      filesystem,
      { mode, uid: 0, gid: 0 },
      S_IFCHR,
      ptmxInode,
      makeDevice(TTYAUX_MAJOR, TTYAUX_MINOR_PTMX),
    );
  }

  open(flags: number, caller: Caller): Result<OpenFile> {
    return this.filesystem.openMaster(this, flags, caller);
  }
}

class SlaveNode extends DevptsNode {
  readonly terminal: Terminal;

  constructor(filesystem: DevptsFileSystem, terminal: Terminal, owner: Ownership) {
    super(filesystem, owner, S_IFCHR, firstSlaveInode + terminal.index, terminal.rdev);
    this.terminal = terminal;
  }

  open(flags: number, caller: Caller): Result<OpenFile> {
    return this.terminal.openSlave(this, flags, caller);
  }
}
