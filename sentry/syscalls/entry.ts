// SPDX-License-Identifier: Apache-2.0
// Rows of the syscall table. From one row come dispatch, strace output, docs/compatibility.md and
// the table tests.
import { ENOSYS, type SysResult } from '../../abi/errno.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';

/**
 * How an argument is printed by strace. sentry/strace/ has a printer for each; add a kind there when
 * one is missing.
 */
export type ArgumentKind =
  | 'int'
  | 'uint'
  | 'hex'
  | 'addr'
  | 'len'
  | 'offset'
  | 'fd'
  | 'dirfd'
  | 'pid'
  | 'uid'
  | 'gid'
  | 'signal'
  | 'mode'
  | 'path'
  | 'string'
  | 'inBuffer'
  | 'outBuffer'
  | 'iovec'
  | 'msghdr'
  | 'sockaddr'
  | 'openFlags'
  | 'atFlags'
  | 'prot'
  | 'mapFlags'
  | 'cloneFlags'
  | 'futexOp'
  | 'waitOptions'
  | 'sigaction'
  | 'sigset'
  | 'fdPair'
  | 'timespec'
  | 'timeval'
  | 'stat'
  | 'argv'
  | 'pollfds'
  | 'ioctl'
  | 'fcntl'
  | 'whence'
  | 'clockId'
  | 'rlimit'
  | 'socketDomain'
  | 'socketType'
  | 'epollOp'
  | 'madvise'
  | 'prctl'
  | 'archPrctl';

interface RowBase {
  readonly number: number;
  readonly name: string;
  readonly args: readonly ArgumentKind[];
  /** The part that a guest may notice missing; docs/compatibility.md shows it. */
  readonly partial?: string;
}

export interface DirectRow extends RowBase {
  readonly mode: 'direct';
  readonly handler: (task: Task, args: SyscallArgs) => SysResult;
}

export interface SleepsRow extends RowBase {
  readonly mode: 'sleeps';
  readonly handler: (task: Task, args: SyscallArgs) => MaybeBlocking;
}

export interface AbsentRow extends RowBase {
  readonly mode: 'absent';
  readonly errno: SysResult;
}

export type Row = DirectRow | SleepsRow | AbsentRow;

interface Notes {
  readonly partial?: string;
}

/** A call that never sleeps. */
export function direct(
  number: number,
  name: string,
  args: readonly ArgumentKind[],
  handler: DirectRow['handler'],
  notes: Notes = {},
): Row {
  return { mode: 'direct', number, name, args, handler, ...notes };
}

/** A call that may sleep: it answers a number at once where it can, else a generator. */
export function sleeps(
  number: number,
  name: string,
  args: readonly ArgumentKind[],
  handler: SleepsRow['handler'],
  notes: Notes = {},
): Row {
  return { mode: 'sleeps', number, name, args, handler, ...notes };
}

/** A call that runts does not have; answers what Linux answers where it is not built in. */
export function absent(
  number: number,
  name: string,
  args: readonly ArgumentKind[],
  errno: SysResult = ENOSYS,
  notes: Notes = {},
): Row {
  return { mode: 'absent', number, name, args, errno, ...notes };
}
