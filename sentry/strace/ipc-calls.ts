// SPDX-License-Identifier: Apache-2.0
// Calls of System V IPC as strace(1) prints them.
import { isErrno } from '../../abi/errno.ts';
import { getI64 } from '../../abi/time.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { ArgumentKind } from '../syscalls/entry.ts';
import { type Argument, after, early, late } from './argument.ts';
import * as names from './names.ts';
import { list } from './printers.ts';
import { hexNumber, MAX_QUOTED, pointer, quoteBytes } from './quote.ts';

const SEMBUF_BYTES = 6;

const key = early((args, index) =>
  args.u32(index) === 0 ? 'IPC_PRIVATE' : hexNumber(args.u32(index)),
);
/** The flags of a get call, with the permissions in octal: `IPC_CREAT|0600`. */
const getFlags = (table: names.Names): Argument =>
  early((args, index) => {
    const mode = `0${(args.u32(index) & 0o777).toString(8)}`.padStart(3, '0');
    const bits = args.u32(index) & ~0o777;
    return bits === 0 ? mode : `${names.printFlags(bits, table)}|${mode}`;
  });
const flags = (table: names.Names): Argument =>
  early((args, index) => names.printFlags(args.u32(index), table));
const command = (table: names.Names): Argument =>
  early((args, index) => names.printName(args.u32(index), table));

const operations = early((args, index, memory) =>
  list(args.addr(index), args.u32(index + 1), SEMBUF_BYTES, memory, (view, offset) => {
    const bits = names.printFlags(view.getUint16(offset + 4, true), names.semaphoreFlagNames);
    return `{sem_num=${view.getUint16(offset, true)}, sem_op=${view.getInt16(offset + 2, true)}, sem_flg=${bits}}`;
  }),
);

/** A struct msgbuf with `length` bytes of text. */
function messageText(at: number, length: number, memory: GuestMemory): string {
  const shown = Math.max(0, Math.min(length, MAX_QUOTED));
  const view = at === 0 ? undefined : memory.view(at, 8 + shown);
  if (view === undefined || isErrno(view)) return pointer(at);
  const text = new Uint8Array(view.buffer, view.byteOffset + 8, shown);
  return `{mtype=${getI64(view, 0)}, mtext=${quoteBytes(text, length > shown)}}`;
}

const sent = early((args, index, memory) =>
  messageText(args.addr(index), args.len(index + 1), memory),
);
const received = late((args, index, memory, length) =>
  messageText(args.addr(index), length, memory),
);

export const ipcCalls: Readonly<Record<string, readonly (ArgumentKind | Argument)[]>> = {
  semget: [key, 'int', getFlags(names.ipcFlagNames)],
  semop: ['int', operations, 'len'],
  semtimedop: ['int', operations, 'uint', 'timespec'],
  semctl: ['int', 'int', command(names.semctlNames), 'addr'],
  shmget: [key, 'len', getFlags(names.shmGetFlagNames)],
  shmat: ['int', 'addr', flags(names.shmatFlagNames)],
  shmctl: ['int', command(names.shmctlNames), 'addr'],
  msgget: [key, getFlags(names.ipcFlagNames)],
  msgsnd: ['int', sent, 'len', flags(names.msgFlagNames)],
  msgrcv: ['int', received, after('len'), after('offset'), flags(names.msgFlagNames)],
  msgctl: ['int', command(names.msgctlNames), 'addr'],
};
