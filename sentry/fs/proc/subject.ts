// SPDX-License-Identifier: Apache-2.0
// What a directory /proc/PID or /proc/PID/task/TID shows: a process, or one thread of it.
import { EACCES, type Errno, ESRCH, type Result, type SysResult } from '../../../abi/errno.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { mayAccessProcess } from '../../kernel/process-access.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread-group.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Node } from '../../vfs/node.ts';
import {
  type Entry,
  type FileOperations,
  type Owner,
  processOperations,
  rootOwner,
  type Text,
} from '../pseudo/entry.ts';
import { type TextFileOptions, textFile } from '../pseudo/text-file.ts';

export class Subject {
  readonly kernel: Kernel;
  readonly group: ThreadGroup;
  /** The thread; undefined where the directory is the process's. */
  readonly thread: Task | undefined;
  /** Nodes of directories whose entries are computed, by their path from here. */
  readonly computedNodes: Map<string, Node> = new Map();

  constructor(group: ThreadGroup, thread: Task | undefined) {
    this.kernel = group.kernel;
    this.group = group;
    this.thread = thread;
  }

  /** The id that the directory is named by. */
  get id(): number {
    return this.thread?.tid ?? this.group.id;
  }

  /** A task whose memory, files and credentials are shown: undefined for zombies and process 1. */
  get task(): Task | undefined {
    const task = this.thread ?? this.group.anyTask;
    return task === undefined || task.isDead ? undefined : task;
  }

  /** The task even when it is dead, for what outlives it (name, credentials). */
  get remains(): Task | undefined {
    return this.thread ?? this.group.anyTask;
  }

  /** Nothing is left to show: reads answer ESRCH. */
  get isGone(): boolean {
    return this.thread === undefined ? this.group.state === 'reaped' : this.thread.isDead;
  }

  get owner(): Owner {
    const task = this.remains;
    if (task === undefined || this.group.dumpable !== 1) return rootOwner;
    return { uid: task.credentials.euid, gid: task.credentials.egid };
  }

  /** Directories with mode 0555 show the user even of a process that is not dumpable. */
  get directoryOwner(): Owner {
    const task = this.remains;
    return task === undefined
      ? rootOwner
      : { uid: task.credentials.euid, gid: task.credentials.egid };
  }
}

export const ownerOf = (subject: Subject): Owner => subject.owner;
export const directoryOwnerOf = (subject: Subject): Owner => subject.directoryOwner;

/**
 * 0 where `caller` may look into the process, else EACCES: also for boot, which is no process and
 * has no business there.
 */
export function mayLookInto(subject: Subject, caller: Caller): SysResult {
  if ((caller as Partial<Task>).group === undefined) return EACCES;
  return mayAccessProcess(caller as Task, subject.group, 'file') ? 0 : EACCES;
}

/** A file of a process: what it shows ends with the process. */
export function processFile(
  mode: number,
  render: (subject: Subject, caller: Caller) => Result<Text>,
  options: TextFileOptions<Subject> = {},
): Entry<Subject> {
  return textFile<Subject>(
    mode,
    (subject, caller) => (subject.isGone ? ESRCH : render(subject, caller)),
    {
      owner: ownerOf,
      operations: processOperations,
      ...options,
    },
  );
}

/** A file that only those may open who may trace the process. */
export function privateFile(
  mode: number,
  render: (subject: Subject, caller: Caller) => Result<Text>,
  operations: FileOperations = processOperations,
): Entry<Subject> {
  return processFile(mode, render, { mayOpen: mayLookInto, operations });
}

/** Rows 'name:\tvalue' as /proc/PID/status has them. */
export function rows(pairs: readonly (readonly [string, string | number])[]): string {
  return pairs.map(([name, value]) => `${name}:\t${value}\n`).join('');
}

/** Parses a decimal number that a program wrote, a newline after it allowed. */
export function parseInteger(text: string, error: Errno): Result<{ readonly value: number }> {
  const match = /^\s*([+-]?\d{1,15})\s*$/.exec(text.replace(/\0.*$/s, ''));
  return match === null ? error : { value: Number(match[1]) };
}
