// SPDX-License-Identifier: Apache-2.0
// /proc/PID/fd and fdinfo: the open descriptors of a process.
import { EACCES, ENOENT, isErrno, type Result } from '../../../abi/errno.ts';
import { O_ACCMODE, O_CLOEXEC, O_RDONLY, O_WRONLY } from '../../../abi/fcntl.ts';
import type { Task } from '../../kernel/task.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Node } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { anonymousPath, type Path, pathText } from '../../vfs/path.ts';
import { type Computed, type ComputedName, directory } from '../pseudo/directory.ts';
import { type Entry, type Owner, processOperations, type Text } from '../pseudo/entry.ts';
import { link } from '../pseudo/links.ts';
import type { PseudoFileSystem } from '../pseudo/pseudo-filesystem.ts';
import { textFile } from '../pseudo/text-file.ts';
import { directoryOwnerOf, mayLookInto, rows, type Subject } from './subject.ts';

/** One descriptor of a process. Its nodes mean whatever file the number leads to right now. */
class DescriptorSlot {
  readonly subject: Subject;
  readonly fd: number;

  constructor(subject: Subject, fd: number) {
    this.subject = subject;
    this.fd = fd;
  }

  get file(): OpenFile | undefined {
    const file = this.subject.task?.files.getAny(this.fd);
    return file === undefined || isErrno(file) ? undefined : file;
  }

  get owner(): Owner {
    return this.subject.owner;
  }
}

/** A directory of descriptors, `directoryName` in its process's, whose entries are made by `entry`. */
function descriptors(directoryName: string, entry: Entry<DescriptorSlot>): Computed<Subject> {
  return {
    list: listDescriptors,
    lookup: (filesystem, subject, name, caller) => {
      const fd = descriptorNumber(name);
      if (fd < 0 || isErrno(mayLookInto(subject, caller))) return undefined;
      return slotNode(filesystem, new DescriptorSlot(subject, fd), `${directoryName}/${fd}`, entry);
    },
  };
}

function slotNode(
  filesystem: PseudoFileSystem,
  slot: DescriptorSlot,
  key: string,
  entry: Entry<DescriptorSlot>,
): Node | undefined {
  const { computedNodes } = slot.subject;
  if (slot.file === undefined) {
    computedNodes.delete(key);
    return undefined;
  }
  let node = computedNodes.get(key);
  if (node === undefined) {
    node = entry(filesystem, slot);
    computedNodes.set(key, node);
  }
  return node;
}

function descriptorNumber(name: string): number {
  return /^(0|[1-9]\d{0,8})$/.test(name) ? Number(name) : -1;
}

function listDescriptors(
  subject: Subject,
  caller: Caller,
  firstKey: number,
): Result<Iterable<ComputedName>> {
  if (isErrno(mayLookInto(subject, caller))) return EACCES;
  const { task } = subject;
  return task === undefined ? [] : descriptorNames(task, firstKey);
}

function* descriptorNames(task: Task, first: number): IterableIterator<ComputedName> {
  for (const [fd] of task.files.entries(first)) yield { name: String(fd), key: fd };
}

/** Permission bits of a link tell how the file is open. */
function linkMode(slot: DescriptorSlot): number {
  const access = (slot.file?.flags ?? O_RDONLY) & O_ACCMODE;
  return access === O_RDONLY ? 0o500 : access === O_WRONLY ? 0o300 : 0o700;
}

function pathOf(slot: DescriptorSlot): Result<Path> {
  const { file } = slot;
  if (file === undefined) return ENOENT;
  return file.path ?? anonymousPath(file.node, file.description);
}

function textOf(slot: DescriptorSlot, caller: Caller): Result<string> {
  const { file } = slot;
  if (file === undefined) return ENOENT;
  return file.path === undefined ? file.description : pathText(file.path, (caller as Task).fs.root);
}

const descriptorLink: Entry<DescriptorSlot> = link<DescriptorSlot>(textOf, {
  mode: linkMode,
  owner: (slot) => slot.owner,
  follow: (slot) => pathOf(slot),
});

const descriptorInfo: Entry<DescriptorSlot> = textFile<DescriptorSlot>(0o444, renderInfo, {
  owner: (slot) => slot.owner,
  operations: processOperations,
});

function renderInfo(slot: DescriptorSlot): Result<Text> {
  const { file } = slot;
  if (file === undefined) return ENOENT;
  const cloexec = slot.subject.task?.files.isCloexec(slot.fd) === true ? O_CLOEXEC : 0;
  const attributes = file.node.attributes();
  const ino = isErrno(attributes) ? 0 : attributes.ino;
  const flags = (file.flags | cloexec).toString(8);
  const common = rows([
    ['pos', file.offset],
    ['flags', `0${flags}`],
    ['mnt_id', file.path?.mount?.id ?? 15],
    ['ino', ino],
  ]);
  const more = file.information(slot.subject.group.pids);
  return typeof more === 'string' ? common + more : parts(common, more);
}

function* parts(first: string, rest: Iterable<string>): IterableIterator<string> {
  yield first;
  yield* rest;
}

export const fdDirectory: Entry<Subject> = directory<Subject>(
  {},
  {
    mode: 0o500,
    owner: directoryOwnerOf,
    mayOpen: mayLookInto,
    mayLookUp: mayLookInto,
    sizeBytes: (subject) => subject.task?.files.count ?? 0,
    computed: descriptors('fd', descriptorLink),
  },
);

export const fdinfoDirectory: Entry<Subject> = directory<Subject>(
  {},
  {
    mode: 0o555,
    owner: directoryOwnerOf,
    mayOpen: mayLookInto,
    mayLookUp: mayLookInto,
    computed: descriptors('fdinfo', descriptorInfo),
  },
);
