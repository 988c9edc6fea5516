// SPDX-License-Identifier: Apache-2.0
// nsfs: what /proc/PID/ns/* leads to. Open files of it are good for fstat, for comparing, and for setns(2).
import { EINVAL, type Result, type SysResult } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { S_IFREG } from '../../../abi/stat.ts';
import type { IpcNamespace } from '../../kernel/ipc/ipc-namespace.ts';
import type { UtsNamespace } from '../../kernel/uts-namespace.ts';
import type { Caller } from '../../vfs/caller.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import {
  type Attributes,
  emptyStatus,
  type FileSystem,
  type FileSystemStatus,
  Node,
} from '../../vfs/node.ts';
import { OpenFile } from '../../vfs/open-file.ts';

type EnterableNamespace = IpcNamespace | UtsNamespace;

class NamespaceFileSystem implements FileSystem {
  readonly type = 'nsfs';
  readonly dev: number = allocateDevice();
  readonly root: Node;

  constructor(root: Node) {
    this.root = root;
  }

  status(): FileSystemStatus {
    return emptyStatus(0x6e736673);
  }

  sync(): number {
    return 0;
  }
}

const epoch = { sec: 0, nsec: 0 };

class NamespaceNode extends Node {
  readonly kind: number = S_IFREG;
  readonly ino: number;
  readonly namespace: EnterableNamespace | undefined;

  constructor(ino: number, namespace: EnterableNamespace | undefined) {
    super();
    this.ino = ino;
    this.namespace = namespace;
  }

  get filesystem(): FileSystem {
    return nsfs;
  }

  attributes(): Attributes {
    return {
      dev: this.filesystem.dev,
      ino: this.ino,
      mode: S_IFREG | 0o444,
      nlink: 1,
      uid: 0,
      gid: 0,
      rdev: 0,
      sizeBytes: 0,
      blockSize: PAGE_SIZE,
      blocks: 0,
      atime: epoch,
      mtime: epoch,
      ctime: epoch,
      btime: epoch,
    };
  }

  open(flags: number, _caller: Caller): Result<OpenFile> {
    return new NamespaceFile(this, flags);
  }
}

const nsfs = new NamespaceFileSystem(new NamespaceNode(0, undefined));

/** Keeps its namespace. */
class NamespaceFile extends OpenFile {
  readonly node: NamespaceNode;

  constructor(node: NamespaceNode, flags: number) {
    super(flags);
    this.node = node;
    node.namespace?.acquire();
  }

  override get pollable(): boolean {
    return false;
  }

  override close(): void {
    this.node.namespace?.release();
  }

  override read(): SysResult {
    return EINVAL;
  }
}

/** A namespace as /proc/PID/ns shows it: one that can be entered, or the number of one that cannot. */
export type ShownNamespace = EnterableNamespace | number;

const numbered = new Map<number, NamespaceNode>();
const entered = new WeakMap<EnterableNamespace, NamespaceNode>();

export function inodeOf(shown: ShownNamespace): number {
  return typeof shown === 'number' ? shown : shown.inode;
}

/** The same node for the same namespace. */
export function nodeOf(shown: ShownNamespace): Node {
  const known = typeof shown === 'number' ? numbered.get(shown) : entered.get(shown);
  if (known !== undefined) return known;
  const node = new NamespaceNode(inodeOf(shown), typeof shown === 'number' ? undefined : shown);
  if (typeof shown === 'number') numbered.set(shown, node);
  else entered.set(shown, node);
  return node;
}

/** Returns the namespace that setns(2) would enter; undefined for a file that stands for none. */
export function namespaceOfFile(file: OpenFile): EnterableNamespace | undefined {
  return file instanceof NamespaceFile ? file.node.namespace : undefined;
}
