// SPDX-License-Identifier: Apache-2.0
// Calls by which tasks wait for each other and make each other: futex, clone3, waitid, select, and what
// waits for a signal.
import { isErrno, type SysResult } from '../../abi/errno.ts';
import {
  CLONE_CHILD_CLEARTID,
  CLONE_CHILD_SETTID,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_SETTLS,
} from '../../abi/sched.ts';
import { SI_QUEUE, SI_TIMER, SIGCHLD, SIGINFO_BYTES, signalName } from '../../abi/signal.ts';
import { getU64 } from '../../abi/time.ts';
import type { SignalInfo } from '../kernel/signal-info.ts';
import type { SyscallArgs } from '../kernel/syscall-args.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { ArgumentKind } from '../syscalls/entry.ts';
import { type Argument, after, early, filled, late } from './argument.ts';
import { siginfoText } from './meanings.ts';
import * as names from './names.ts';
import { printers, sigset } from './printers.ts';
import { hexNumber, pointer } from './quote.ts';
import * as structs from './structs.ts';

/** The kinds of the fourth to sixth argument of futex(2), by what the third means. */
const futexKinds: ReadonlyMap<string, readonly (ArgumentKind | 'bitset' | 'wakeOp' | 'none')[]> =
  new Map([
    ['FUTEX_WAIT', ['timespec', 'none', 'none']],
    ['FUTEX_WAKE', ['none', 'none', 'none']],
    ['FUTEX_REQUEUE', ['uint', 'addr', 'none']],
    ['FUTEX_CMP_REQUEUE', ['uint', 'addr', 'uint']],
    ['FUTEX_WAKE_OP', ['uint', 'addr', 'wakeOp']],
    ['FUTEX_LOCK_PI', ['timespec', 'none', 'none']],
    ['FUTEX_UNLOCK_PI', ['none', 'none', 'none']],
    ['FUTEX_TRYLOCK_PI', ['none', 'none', 'none']],
    ['FUTEX_WAIT_BITSET', ['timespec', 'none', 'bitset']],
    ['FUTEX_WAKE_BITSET', ['none', 'none', 'bitset']],
  ]);

const futexArgument = early((args, index, memory) => {
  const kinds = futexKinds.get(names.printName(args.u32(1) & 0x7f, names.futexOpNames));
  const kind = kinds === undefined ? 'hex' : (kinds[index - 3] ?? 'none');
  if (kind === 'none') return undefined;
  if (kind === 'wakeOp') return wakeOpText(args.u32(index));
  if (kind !== 'bitset') return printers[kind](args, index, memory);
  const bits = args.u32(index);
  return bits === 0xffff_ffff ? 'FUTEX_BITSET_MATCH_ANY' : hexNumber(bits);
});

/**
 * The change of FUTEX_WAKE_OP to its second word, and the comparison that wakes there: FUTEX_OP()
 * of futex.h.
 */
function wakeOpText(value: number): string {
  const isShift = value >>> 31 === 1;
  const shift = isShift ? 'FUTEX_OP_OPARG_SHIFT<<28|' : '';
  const operation = names.printName((value >>> 28) & 7, names.futexWakeOpNames);
  const comparison = names.printName((value >>> 24) & 15, names.futexCompareNames);
  const [argument, compared] = [(value >>> 12) & 0xfff, value & 0xfff].map(hexNumber);
  return `${shift}${operation}<<28|${argument}<<12|${comparison}<<24|${compared}`;
}

/** struct clone_args, as of Linux 5.3. */
const CLONE_ARGS_BYTES = 64;

const cloneArgsAt: structs.StructPrinter = structs.struct(CLONE_ARGS_BYTES, (view) => {
  const bits = view.getUint32(0, true);
  const field = (name: string, index: number): string =>
    `${name}=${pointer(getU64(view, 8 * index))}`;
  const signal = view.getUint32(32, true);
  const words = [`flags=${names.printFlags(bits, names.cloneFlagNames)}`];
  if ((bits & CLONE_PIDFD) !== 0) words.push(field('pidfd', 1));
  if ((bits & (CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID)) !== 0) words.push(field('child_tid', 2));
  if ((bits & CLONE_PARENT_SETTID) !== 0) words.push(field('parent_tid', 3));
  words.push(`exit_signal=${signal === 0 ? '0' : signalName(signal)}`, field('stack', 5));
  words.push(`stack_size=${hexNumber(getU64(view, 48))}`);
  if ((bits & CLONE_SETTLS) !== 0) words.push(field('tls', 7));
  return `{${words.join(', ')}}`;
});

/** The siginfo that a call fills in; waitid(2) leaves one of zeros where it found nobody. */
const siginfoAt: structs.StructPrinter = structs.struct(SIGINFO_BYTES, (view) => {
  const signal = view.getInt32(0, true);
  return signal === 0 ? '{}' : siginfoText(siginfoOf(view, signal));
});

function siginfoOf(view: DataView, signal: number): SignalInfo {
  const code = view.getInt32(8, true);
  if (code === SI_QUEUE || code === SI_TIMER)
    return {
      signal,
      code,
      ...(code === SI_TIMER
        ? { timerId: view.getInt32(16, true), overrun: view.getInt32(20, true) }
        : { pid: view.getInt32(16, true), uid: view.getUint32(20, true) }),
      valueLo: view.getUint32(24, true),
      valueHi: view.getUint32(28, true),
    };
  const sender = { signal, code, pid: view.getInt32(16, true), uid: view.getUint32(20, true) };
  if (signal !== SIGCHLD || code <= 0) return sender;
  const [utimeTicks, stimeTicks] = [getU64(view, 32), getU64(view, 40)];
  return { ...sender, status: view.getInt32(24, true), utimeTicks, stimeTicks };
}

/** Descriptors above are not shown. */
const MAX_SET_FDS = 1024;

/** A descriptor set of select(2); undefined where it is empty or cannot be read. */
function setText(at: number, count: number, memory: GuestMemory): string | undefined {
  const shown = Math.min(Math.max(count, 0), MAX_SET_FDS);
  const view = memory.view(at, Math.ceil(shown / 64) * 8);
  if (isErrno(view)) return undefined;
  const fds: number[] = [];
  for (let fd = 0; fd < shown; fd++)
    if (((view.getUint8(fd >>> 3) >>> (fd & 7)) & 1) === 1) fds.push(fd);
  return fds.length === 0 ? undefined : `[${fds.join(' ')}]`;
}

const givenSet = early((args, index, memory) => {
  if (args.addr(index) === 0) return 'NULL';
  return setText(args.addr(index), args.i32(0), memory) ?? '[]';
});

const maskAndSize = early((args, index, memory) => {
  const view = args.addr(index) === 0 ? undefined : memory.view(args.addr(index), 16);
  if (view === undefined || isErrno(view)) return pointer(args.addr(index));
  const mask = getU64(view, 0) === 0 ? undefined : memory.view(getU64(view, 0), 8);
  const text =
    mask === undefined || isErrno(mask)
      ? pointer(getU64(view, 0))
      : sigset(mask.getUint32(0, true), mask.getUint32(4, true));
  return `{sigmask=${text}, sigsetsize=${getU64(view, 8)}}`;
});

/** The note behind the number of a result of select(2): what is ready, and the time that is left. */
export function selectNote(
  name: string,
  args: SyscallArgs,
  memory: GuestMemory,
  answer: SysResult,
): string {
  if (answer === 0) return ' (Timeout)';
  const words = ['in', 'out', 'except'].flatMap((word, index) => {
    const at = args.addr(index + 1);
    const text = at === 0 ? undefined : setText(at, args.i32(0), memory);
    return text === undefined ? [] : [`${word} ${text}`];
  });
  const printTime = name === 'select' ? structs.timevalAt : structs.timespecAt;
  if (args.addr(4) !== 0) words.push(`left ${printTime(args.addr(4), memory)}`);
  return ` (${words.join(', ')})`;
}

const idType = early((args, index) => names.printName(args.u32(index), names.idTypeNames));
const filledSiginfo: Argument = late((args, index, memory) => siginfoAt(args.addr(index), memory));

export const taskCalls: Readonly<Record<string, readonly (ArgumentKind | Argument)[]>> = {
  futex: ['addr', 'futexOp', 'uint', futexArgument, futexArgument, futexArgument],
  clone3: [early((args, index, memory) => cloneArgsAt(args.addr(index), memory)), 'len'],
  waitid: [idType, 'pid', filledSiginfo, after('waitOptions'), filled(structs.rusageAt)],
  rt_sigtimedwait: ['sigset', filledSiginfo, after('timespec'), after('len')],
  select: ['int', givenSet, givenSet, givenSet, 'timeval'],
  pselect6: ['int', givenSet, givenSet, givenSet, 'timespec', maskAndSize],
};
