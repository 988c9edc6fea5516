// SPDX-License-Identifier: Apache-2.0
// The texts of `runts do --strace`, as strace(1) -f -o FILE has them:
//   2     openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
// What a guest passes is formatted when the call is entered, for it may change while the call runs; what
// the kernel fills in when the call is left. lines.ts puts both together.
import { errnoName, isErrno, isRestart, type SysResult } from '../../abi/errno.ts';
import { signalName } from '../../abi/signal.ts';
import type { SyscallArgs } from '../kernel/syscall-args.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { Row } from '../syscalls/entry.ts';
import { argumentsOf, resultNote } from './calls.ts';
import { errnoText } from './errno-texts.ts';
import { hexNumber } from './quote.ts';

/** Calls whose results are addresses, and those whose result is a mode. */
const answersAddress: ReadonlySet<string> = new Set(['mmap', 'mremap', 'brk', 'shmat']);
const answersMode: ReadonlySet<string> = new Set(['umask']);
const answersFlags: ReadonlySet<string> = new Set(['fcntl']);

/** A call on its way. */
export interface Call {
  readonly name: string;
  readonly row: Row | undefined;
  /** `name(` and the arguments that are known already. */
  readonly head: string;
  /** The index of the first argument that is not. */
  readonly next: number;
  /** The values that arguments from there on remember of the time before the call. */
  readonly before: readonly (string | undefined)[];
}

/** `row` is undefined for a number that no table row has. */
export function enterCall(row: Row | undefined, args: SyscallArgs, memory: GuestMemory): Call {
  if (row === undefined) {
    const words = [0, 1, 2, 3, 4, 5].map((index) => hexNumber(args.u64(index)));
    const name = `syscall_${hexNumber(args.number)}`;
    return { name, row, head: `${name}(${words.join(', ')}`, next: words.length, before: [] };
  }
  const all = argumentsOf(row);
  const late = all.findIndex(({ isLate }) => isLate);
  const next = late < 0 ? all.length : late;
  const words = all
    .slice(0, next)
    .map(({ print }, index) => print(args, index, memory, Number.NaN))
    .filter((word) => word !== undefined);
  const before = all.map((each, index) => each.before?.(args, index, memory, Number.NaN));
  const comma = words.length > 0 && next < all.length ? ', ' : '';
  return { name: row.name, row, head: `${row.name}(${words.join(', ')}${comma}`, next, before };
}

/** The rest of the arguments, up to the bracket. */
export function leaveCall(
  { row, next, before }: Call,
  args: SyscallArgs,
  memory: GuestMemory,
  answer: SysResult,
): string {
  if (row === undefined) return ')';
  const words = argumentsOf(row)
    .slice(next)
    .map(({ print }, index) => print(args, next + index, memory, answer, before[next + index]))
    .filter((word) => word !== undefined);
  return `${words.join(', ')})`;
}

/** The end of a call that will never come back: what would be printed then is not known. */
export function abandonCall({ row, next }: Call): string {
  return row === undefined || next === argumentsOf(row).length ? ')' : ' <unfinished ...>)';
}

/** `= 3`, `= -1 ENOENT (No such file or directory)`, `= ?`. */
export function formatResult(
  { row }: Call,
  args: SyscallArgs,
  memory: GuestMemory,
  answer: SysResult,
): string {
  // Past the errnos: the call has no answer (kernel/result.ts).
  if (Number.isNaN(answer) || answer < -4096) return '= ?';
  const name = errnoName(answer);
  if (isRestart(answer)) return `= ? ${name}${errnoText(name)}`;
  if (isErrno(answer)) return `= -1 ${name}${errnoText(name)}`;
  if (row === undefined) return `= ${answer}`;
  const note = resultNote(row, args, memory, answer);
  return `= ${plainResult(row, answer, note)}${note}`;
}

function plainResult({ name }: Row, answer: number, note: string): string {
  if (answersAddress.has(name)) return hexNumber(answer);
  if (answersMode.has(name)) return `0${answer.toString(8)}`;
  return answersFlags.has(name) && note !== '' ? hexNumber(answer) : String(answer);
}

/** `status` as wait4(2) tells it. */
export function formatExit(status: number): string {
  const signal = status & 0x7f;
  if (signal === 0) return `+++ exited with ${(status >> 8) & 0xff} +++`;
  return `+++ killed by ${signalName(signal)} +++`;
}
