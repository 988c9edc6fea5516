// The magic links of a process: /proc/PID/{exe,cwd,root} and ns/*.
import { EACCES, EINVAL, ENOENT, type Result } from '../../../abi/errno.ts';
import { S_IFREG } from '../../../abi/stat.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread-group.ts';
import type { Caller } from '../../vfs/caller.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import { type Attributes, type FileSystem, type FileSystemStatus, Node } from '../../vfs/node.ts';
import { OpenFile } from '../../vfs/open-file.ts';
import { anonymousPath, type Path, pathText } from '../../vfs/path.ts';
import { directory } from '../pseudo/directory.ts';
import type { Entries, Entry } from '../pseudo/entry.ts';
import { link } from '../pseudo/links.ts';
import { directoryOwnerOf, mayLookInto, ownerOf, type Subject } from './subject.ts';

/** A link to the place that `find` gives, for those who may look into the process. */
function pathLink(find: (task: Task) => Path | undefined): Entry<Subject> {
  const follow = (subject: Subject, caller: Caller): Result<Path> => {
    const task = subject.task;
    const path = task === undefined ? undefined : find(task);
    if (path === undefined) return ENOENT;
    return mayLookInto(subject, caller) < 0 ? EACCES : path;
  };
  const text = (subject: Subject, caller: Caller): Result<string> => {
    const path = follow(subject, caller);
    return typeof path === 'number' ? path : pathText(path, (caller as Task).fs.root);
  };
  return link<Subject>(text, { follow, owner: ownerOf });
}

export const exeLink: Entry<Subject> = pathLink((task) => task.mm.executable?.path);
export const cwdLink: Entry<Subject> = pathLink((task) => task.fs.cwd);
export const rootLink: Entry<Subject> = pathLink((task) => task.fs.root);

type InodeOf = (group: ThreadGroup) => number;
const only =
  (ino: number): InodeOf =>
  () =>
    ino;
const pidInode: InodeOf = (group) => group.pids.inode;

const timeInode: InodeOf = (group) => group.container.time?.inode ?? 0xeffffffa;

/** What the sandbox has one of has the number of Linux's initial one (linux/proc_ns.h). */
const namespaces: readonly (readonly [name: string, type: string, inodeOf: InodeOf])[] = [
  ['cgroup', 'cgroup', only(0xeffffffb)],
  ['ipc', 'ipc', only(0xefffffff)],
  ['mnt', 'mnt', (group) => group.container.mounts.inode],
  ['net', 'net', only(0xf0000000)],
  ['pid', 'pid', pidInode],
  ['pid_for_children', 'pid', pidInode],
  ['time', 'time', timeInode],
  ['time_for_children', 'time', timeInode],
  ['user', 'user', only(0xeffffffd)],
  ['uts', 'uts', only(0xeffffffe)],
];

function namespaceLinks(): Entries<Subject> {
  const entries: Record<string, Entry<Subject>> = {};
  const nodes = new Map<number, NamespaceNode>();
  for (const [name, type, inodeOf] of namespaces) {
    const textOf = (subject: Subject): string => `${type}:[${inodeOf(subject.group)}]`;
    const check = (subject: Subject, caller: Caller): number => mayLookInto(subject, caller);
    entries[name] = link<Subject>(
      (subject, caller) => (check(subject, caller) < 0 ? EACCES : textOf(subject)),
      {
        follow: (subject, caller) =>
          check(subject, caller) < 0
            ? EACCES
            : anonymousPath(nodeOf(nodes, inodeOf(subject.group)), textOf(subject)),
        owner: ownerOf,
      },
    );
  }
  return entries;
}

function nodeOf(nodes: Map<number, NamespaceNode>, ino: number): NamespaceNode {
  const node = nodes.get(ino) ?? new NamespaceNode(ino);
  nodes.set(ino, node);
  return node;
}

/** nsfs: the objects behind the links. */
class NamespaceFileSystem implements FileSystem {
  readonly type = 'nsfs';
  readonly dev: number = allocateDevice();
  readonly root: Node;

  constructor(root: Node) {
    this.root = root;
  }

  status(): FileSystemStatus {
    return {
      type: 0x6e736673,
      blockSize: 4096,
      blocks: 0,
      blocksFree: 0,
      files: 0,
      filesFree: 0,
      nameMax: 255,
      flags: 0x20,
    };
  }

  sync(): number {
    return 0;
  }
}

let nsfs: NamespaceFileSystem | undefined;
const epoch = { sec: 0, nsec: 0 };

class NamespaceNode extends Node {
  readonly kind: number = S_IFREG;
  readonly #ino: number;

  constructor(ino: number) {
    super();
    this.#ino = ino;
  }

  get filesystem(): FileSystem {
    nsfs ??= new NamespaceFileSystem(this);
    return nsfs;
  }

  attributes(): Attributes {
    return {
      dev: this.filesystem.dev,
      ino: this.#ino,
      mode: S_IFREG | 0o444,
      nlink: 1,
      uid: 0,
      gid: 0,
      rdev: 0,
      sizeBytes: 0,
      blockSize: 4096,
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

/** Good for fstat and for comparing; setns(2) has nowhere else to go. */
class NamespaceFile extends OpenFile {
  readonly node: NamespaceNode;

  constructor(node: NamespaceNode, flags: number) {
    super(flags);
    this.node = node;
  }

  override read(): number {
    return EINVAL;
  }
}

// Last in the file: the nodes of the links are made at once, and their classes must be there.
export const namespaceDirectory: Entry<Subject> = directory<Subject>(namespaceLinks(), {
  mode: 0o511,
  owner: directoryOwnerOf,
});
