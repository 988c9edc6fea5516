// SPDX-License-Identifier: Apache-2.0
// Calls that take or give a structure of their own: statx, openat2, sigaltstack, timers, several messages.
import { isErrno } from '../../abi/errno.ts';
import { sigevent } from '../../abi/mqueue.ts';
import { SIGEV_NONE, SIGEV_THREAD_ID, signalName } from '../../abi/signal.ts';
import { mmsghdr } from '../../abi/socket.ts';
import { statxLayout } from '../../abi/stat.ts';
import { getU64 } from '../../abi/time.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { ArgumentKind } from '../syscalls/entry.ts';
import { type Argument, after, early, filled, given, late } from './argument.ts';
import * as names from './names.ts';
import { messageAt, openFlagsText } from './printers.ts';
import { pointer } from './quote.ts';
import * as structs from './structs.ts';

const flags = (table: names.Names, zero = '0'): Argument =>
  early((args, index) => names.printFlags(args.u32(index), table, zero));

const statxFlags = early((args, index) => {
  const bits = args.u32(index);
  const isSync = (bits & names.STATX_SYNC_BITS) === 0;
  const words = names.printFlags(bits & ~names.STATX_SYNC_BITS, names.atFlagNames, '');
  const sync = isSync
    ? 'AT_STATX_SYNC_AS_STAT'
    : names.printFlags(bits & names.STATX_SYNC_BITS, names.statxSyncNames);
  return words === '' ? sync : `${sync}|${words}`;
});

const statxAt = structs.struct(statxLayout.size, (view) => {
  const { at } = statxLayout;
  const mode = view.getUint16(at.mode, true);
  return (
    `{stx_mask=${names.printFlags(view.getUint32(at.mask, true), names.statxMaskNames)}, ` +
    `stx_attributes=${names.printFlags(view.getUint32(at.attributes, true), names.statxAttributeNames)}, ` +
    `stx_mode=${structs.modeText(mode)}, stx_size=${getU64(view, at.size)}, ...}`
  );
});

/** struct open_how: flags, mode, resolve, 64 bits each. */
const openHowAt = structs.struct(24, (view) => {
  const bits = view.getUint32(0, true);
  const mode = view.getUint32(8, true);
  const resolve = names.printFlags(view.getUint32(16, true), names.resolveNames);
  const made = mode === 0 ? '' : `mode=0${mode.toString(8)}, `;
  return `{flags=${openFlagsText(bits)}, ${made}resolve=${resolve}}`;
});

/** stack_t: ss_sp, ss_flags, ss_size. */
const stackAt = structs.struct(24, (view) => {
  const bits = names.printFlags(view.getUint32(8, true), names.stackFlagNames);
  return `{ss_sp=${pointer(getU64(view, 0))}, ss_flags=${bits}, ss_size=${getU64(view, 16)}}`;
});

const sigeventAt = structs.struct(sigevent.size, (view) => {
  const number = view.getInt32(sigevent.signo, true);
  const notify = view.getUint32(sigevent.notify, true);
  const value = getU64(view, sigevent.value);
  const words =
    value === 0
      ? []
      : [`sigev_value={sival_int=${view.getInt32(0, true)}, sival_ptr=${pointer(value)}}`];
  const signal = number === 0 || notify === SIGEV_NONE ? String(number) : signalName(number);
  words.push(`sigev_signo=${signal}`);
  words.push(`sigev_notify=${names.printName(notify, names.sigevNames)}`);
  if (notify === SIGEV_THREAD_ID)
    words.push(`sigev_notify_thread_id=${view.getInt32(sigevent.notify + 4, true)}`);
  return `{${words.join(', ')}}`;
});

/** Messages beyond are not shown. */
const MAX_MESSAGES = 16;

/** An array of struct mmsghdr; the kernel has filled in `done` of them. */
function messages(at: number, count: number, memory: GuestMemory, isReceived: boolean): string {
  if (at === 0) return 'NULL';
  const words: string[] = [];
  const shown = Math.min(count, MAX_MESSAGES);
  for (let index = 0; index < shown; index += 1) {
    const header = at + index * mmsghdr.size;
    const view = memory.view(header + mmsghdr.length, 4);
    if (isErrno(view)) return pointer(at);
    const bytes = view.getUint32(0, true);
    const text = messageAt(header, memory, isReceived ? bytes : undefined);
    words.push(`{msg_hdr=${text}, msg_len=${bytes}}`);
  }
  return `[${words.join(', ')}${count > shown ? ', ...' : ''}]`;
}

const messageFlags = flags(names.messageFlagNames);
const timerId: ArgumentKind = 'int';

export const structureCalls: Readonly<Record<string, readonly (ArgumentKind | Argument)[]>> = {
  statx: ['dirfd', 'path', statxFlags, flags(names.statxMaskNames), filled(statxAt)],
  openat2: ['dirfd', 'path', given(openHowAt), 'len'],
  sigaltstack: [given(stackAt), filled(stackAt)],
  timer_create: ['clockId', given(sigeventAt), filled(structs.intAt)],
  timer_settime: [
    timerId,
    flags(names.timerFlagNames),
    given(structs.itimerspecAt),
    filled(structs.itimerspecAt),
  ],
  timer_gettime: [timerId, filled(structs.itimerspecAt)],
  sendmmsg: [
    'fd',
    late((args, index, memory, done) => messages(args.addr(index), done, memory, false)),
    after('uint'),
    messageFlags,
  ],
  recvmmsg: [
    'fd',
    late((args, index, memory, done) => messages(args.addr(index), done, memory, true)),
    after('uint'),
    messageFlags,
    after('timespec'),
  ],
};
