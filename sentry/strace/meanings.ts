// SPDX-License-Identifier: Apache-2.0
// Arguments and results whose meaning hangs on a number beside them: fcntl(2), ioctl(2), wait statuses,
// the siginfo of a signal.
import { epollEvent } from '../../abi/epoll.ts';
import { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFL, F_SETFD, F_SETFL } from '../../abi/fcntl.ts';
import { FIONBIO, FIONREAD } from '../../abi/ioctl.ts';
import { SI_QUEUE, SI_TIMER, SIGCHLD, signalName } from '../../abi/signal.ts';
import {
  TCGETS,
  TCSETS,
  TCSETSF,
  TCSETSW,
  TIOCGPGRP,
  TIOCGWINSZ,
  TIOCSPGRP,
  TIOCSWINSZ,
} from '../../abi/termios.ts';
import { getU64 } from '../../abi/time.ts';
import { CONTINUED_STATUS } from '../../abi/wait.ts';
import type { SignalInfo } from '../kernel/signal-info.ts';
import type { SyscallArgs } from '../kernel/syscall-args.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import * as names from './names.ts';
import { openFlagsText } from './printers.ts';
import { hexNumber, pointer } from './quote.ts';
import * as structs from './structs.ts';

/** The third argument of fcntl(2); undefined where the command has none. */
export function fcntlArgument(args: SyscallArgs, index: number): string | undefined {
  const command = args.u32(index - 1);
  if (names.fcntlsWithoutArgument.has(command)) return undefined;
  if (command === F_SETFD) return names.printFlags(args.u32(index), names.descriptorFlagNames);
  if (command === F_SETFL) return openFlagsText(args.u32(index));
  if (command === F_DUPFD || command === F_DUPFD_CLOEXEC) return String(args.i32(index));
  return hexNumber(args.u64(index));
}

/** The flags behind the result of fcntl(2); '' where it has none. */
export function fcntlNote(args: SyscallArgs, answer: number): string {
  const command = args.u32(1);
  if (command === F_GETFL) return ` (flags ${openFlagsText(answer)})`;
  if (!names.answersDescriptorFlags(command) || answer === 0) return '';
  return ` (flags ${names.printFlags(answer, names.descriptorFlagNames)})`;
}

const ioctlArguments: ReadonlyMap<number, structs.StructPrinter> = new Map([
  [FIONREAD, structs.intAt],
  [FIONBIO, structs.intAt],
  [TIOCGPGRP, structs.intAt],
  [TIOCSPGRP, structs.intAt],
  [TIOCGWINSZ, structs.winsizeAt],
  [TIOCSWINSZ, structs.winsizeAt],
  [TCGETS, structs.termiosAt],
  [TCSETS, structs.termiosAt],
  [TCSETSW, structs.termiosAt],
  [TCSETSF, structs.termiosAt],
]);

export function ioctlArgument(args: SyscallArgs, index: number, memory: GuestMemory): string {
  const print = ioctlArguments.get(args.u32(index - 1));
  return print === undefined ? hexNumber(args.u64(index)) : print(args.addr(index), memory);
}

/** The status that wait4(2) fills in. */
export const statusAt: structs.StructPrinter = structs.struct(
  4,
  (view) => `[{${statusText(view.getInt32(0, true))}}]`,
);

function statusText(status: number): string {
  if (status === CONTINUED_STATUS) return 'WIFCONTINUED(s)';
  const signal = status & 0x7f;
  if (signal === 0) return `WIFEXITED(s) && WEXITSTATUS(s) == ${(status >> 8) & 0xff}`;
  if (signal === 0x7f) return `WIFSTOPPED(s) && WSTOPSIG(s) == ${signalName((status >> 8) & 0xff)}`;
  const dumped = (status & 0x80) === 0 ? '' : ' && WCOREDUMP(s)';
  return `WIFSIGNALED(s) && WTERMSIG(s) == ${signalName(signal)}${dumped}`;
}

export function epollEventAt(view: DataView, offset: number): string {
  const events = names.printFlags(view.getUint32(offset, true), names.epollEventNames);
  const low = view.getUint32(offset + epollEvent.dataLow, true);
  return `{events=${events}, data={u32=${low}, u64=${getU64(view, offset + epollEvent.dataLow)}}}`;
}

/** `SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=3, ...}`. */
export function signalText(info: SignalInfo): string {
  return `${signalName(info.signal)} ${siginfoText(info)}`;
}

export function siginfoText(info: SignalInfo): string {
  const name = signalName(info.signal);
  const words = [`si_signo=${name}`, `si_code=${names.signalCodeName(info.signal, info.code)}`];
  if (info.addr !== undefined) words.push(`si_addr=${pointer(info.addr)}`);
  else if (info.timerId !== undefined)
    words.push(`si_timerid=${hexNumber(info.timerId)}`, `si_overrun=${info.overrun ?? 0}`);
  else if (info.pid !== undefined) words.push(`si_pid=${info.pid}`, `si_uid=${info.uid ?? 0}`);
  if (info.signal === SIGCHLD && info.status !== undefined) {
    const status = names.isExitCode(info.code) ? String(info.status) : signalName(info.status);
    words.push(`si_status=${status}`);
    words.push(`si_utime=${info.utimeTicks ?? 0}`, `si_stime=${info.stimeTicks ?? 0}`);
  }
  if (info.code === SI_QUEUE || info.code === SI_TIMER) {
    const low = info.valueLo ?? 0;
    const whole = (info.valueHi ?? 0) * 0x1_0000_0000 + low;
    words.push(`si_value={int=${low | 0}, ptr=${pointer(whole)}}`);
  }
  return `{${words.join(', ')}}`;
}
