// Lines of `runts do --strace`, as strace(1) -f prints them:
//   [    2] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
// A call is formatted when it enters, for its arguments may change while it runs; the caller keeps the
// text and appends the result.
import { errnoName, isRestart } from '../../abi/errno.ts';
import { signalName } from '../../abi/signal.ts';
import type { SyscallArgs } from '../kernel/syscall-args.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { Row } from '../syscalls/entry.ts';
import { hexNumber, printers } from './printers.ts';

interface Traced {
  readonly tid: number;
}

/** Calls whose results are addresses. */
const answersAddress: ReadonlySet<string> = new Set(['mmap', 'mremap', 'brk', 'shmat']);

/** `[    2] name(arguments)`. `row` is undefined for a number that no table row has. */
export function formatCall(
  task: Traced,
  row: Row | undefined,
  args: SyscallArgs,
  memory: GuestMemory,
): string {
  const name = row?.name ?? `syscall_${hexNumber(args.number)}`;
  const kinds = row?.args ?? ['hex', 'hex', 'hex', 'hex', 'hex', 'hex'];
  const words = kinds.map((kind, index) => printers[kind](args, index, memory));
  return `${formatTid(task)} ${name}(${words.join(', ')})`;
}

/** ` = 3`, ` = -1 ENOENT`, ` = ? ERESTARTSYS`: to be appended to the call. */
export function formatResult(row: Row | undefined, result: number): string {
  // Past the errnos: the call set the registers itself or has no answer (kernel/result.ts).
  if (Number.isNaN(result) || result < -4096) return ' = ?';
  if (isRestart(result)) return ` = ? ${errnoName(result)}`;
  if (result < 0 && result > -4096) return ` = -1 ${errnoName(result)}`;
  const asAddress = row !== undefined && answersAddress.has(row.name);
  return ` = ${asAddress ? hexNumber(result) : String(result)}`;
}

/** `status` as wait4(2) tells it. */
export function formatExit(task: Traced, status: number): string {
  const signal = status & 0x7f;
  const how =
    signal === 0 ? `exited with ${(status >> 8) & 0xff}` : `killed by ${signalName(signal)}`;
  return `${formatTid(task)} +++ ${how} +++`;
}

function formatTid(task: Traced): string {
  return `[${String(task.tid).padStart(5)}]`;
}
