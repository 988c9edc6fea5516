// SPDX-License-Identifier: Apache-2.0
// Structures in guest memory as strace(1) prints them. What cannot be read is printed as its address.
import { isErrno } from '../../abi/errno.ts';
import { ST_VALID, statfsLayout } from '../../abi/fs.ts';
import { RUSAGE_BYTES } from '../../abi/resource.ts';
import { S_IFBLK, S_IFCHR, S_IFMT, statLayout } from '../../abi/stat.ts';
import { CBAUD, CSIZE } from '../../abi/termios.ts';
import { getI64, getU64, ITIMERSPEC_BYTES, TIMESPEC_BYTES } from '../../abi/time.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import * as names from './names.ts';
import { hexNumber, pointer, quoteBytes } from './quote.ts';

/** Prints what `at` points to. */
export type StructPrinter = (at: number, memory: GuestMemory) => string;

/** A printer of `bytes` bytes. */
export function struct(bytes: number, print: (view: DataView) => string): StructPrinter {
  return (at, memory) => {
    if (at === 0) return 'NULL';
    const view = memory.view(at, bytes);
    return isErrno(view) ? pointer(at) : print(view);
  };
}

/** A C int that is passed by its address. */
export const intAt: StructPrinter = struct(4, (view) => `[${view.getInt32(0, true)}]`);

const DEVICE_MINOR_BITS = 8;

/** Prints a number of new_encode_dev(): the low 8 bits of the minor number, 12 of the major, the rest. */
function device(number: number): string {
  const major = (number >>> DEVICE_MINOR_BITS) & 0xfff;
  const minor = (number & 0xff) | ((number >>> 12) & ~0xff);
  return `makedev(${hexNumber(major)}, ${hexNumber(minor)})`;
}

/** A file's mode: `S_IFREG|0644`. */
export function modeText(mode: number): string {
  return `${names.printName(mode & S_IFMT, names.fileKindNames)}|0${(mode & ~S_IFMT).toString(8)}`;
}

export const statAt: StructPrinter = struct(statLayout.size, (view) => {
  const mode = view.getUint32(statLayout.at.mode, true);
  const kind = mode & S_IFMT;
  const isDevice = kind === S_IFCHR || kind === S_IFBLK;
  const what = isDevice
    ? `st_rdev=${device(view.getUint32(statLayout.at.rdev, true))}`
    : `st_size=${getI64(view, statLayout.at.size)}`;
  return `{st_mode=${modeText(mode)}, ${what}, ...}`;
});

export const statfsAt: StructPrinter = struct(statfsLayout.size, (view) => {
  const at = statfsLayout.at;
  const field = (offset: number): string => String(getU64(view, offset));
  const flags = view.getUint32(at.flags, true);
  const shown = names.printFlags(flags & ~ST_VALID, names.statfsFlagNames);
  const isValid = (flags & ST_VALID) !== 0;
  const words = [isValid ? 'ST_VALID' : '', shown === '0' && isValid ? '' : shown].filter(Boolean);
  const fsid = [0, 4].map((more) => hexNumber(view.getUint32(at.fsid + more, true))).join(', ');
  return (
    `{f_type=${names.printName(view.getUint32(at.type, true), names.fileSystemNames)}, ` +
    `f_bsize=${field(at.bsize)}, f_blocks=${field(at.blocks)}, f_bfree=${field(at.bfree)}, ` +
    `f_bavail=${field(at.bavail)}, f_files=${field(at.files)}, f_ffree=${field(at.ffree)}, ` +
    `f_fsid={val=[${fsid}]}, f_namelen=${field(at.namelen)}, f_frsize=${field(at.frsize)}, ` +
    `f_flags=${words.join('|')}}`
  );
});

/** struct utsname is six arrays of this size. */
const UTS_FIELD_BYTES = 65;

export const utsnameAt: StructPrinter = struct(6 * UTS_FIELD_BYTES, (view) => {
  const field = (index: number): string => {
    const start = view.byteOffset + index * UTS_FIELD_BYTES;
    const bytes = new Uint8Array(view.buffer, start, UTS_FIELD_BYTES);
    return quoteBytes(bytes.subarray(0, Math.max(0, bytes.indexOf(0))));
  };
  return `{sysname=${field(0)}, nodename=${field(1)}, ...}`;
});

/** struct sysinfo, x86-64: the places of what follows three loads and six sizes. */
const SYSINFO_BYTES = 112;

export const sysinfoAt: StructPrinter = struct(SYSINFO_BYTES, (view) => {
  const field = (offset: number): number => getU64(view, offset);
  const loads = [8, 16, 24].map(field).join(', ');
  const sizes = ['totalram', 'freeram', 'sharedram', 'bufferram', 'totalswap', 'freeswap'];
  const words = sizes.map((name, index) => `${name}=${field(32 + 8 * index)}`).join(', ');
  return (
    `{uptime=${field(0)}, loads=[${loads}], ${words}, procs=${view.getUint16(80, true)}, ` +
    `totalhigh=${field(88)}, freehigh=${field(96)}, mem_unit=${view.getUint32(104, true)}}`
  );
});

function pairOf(view: DataView, offset: number, small: string): string {
  return `{tv_sec=${getI64(view, offset)}, ${small}=${getI64(view, offset + 8)}}`;
}

export const timespecAt: StructPrinter = struct(TIMESPEC_BYTES, (view) =>
  pairOf(view, 0, 'tv_nsec'),
);
export const timevalAt: StructPrinter = struct(TIMESPEC_BYTES, (view) =>
  pairOf(view, 0, 'tv_usec'),
);

export const itimervalAt: StructPrinter = struct(
  ITIMERSPEC_BYTES,
  (view) =>
    `{it_interval=${pairOf(view, 0, 'tv_usec')}, it_value=${pairOf(view, TIMESPEC_BYTES, 'tv_usec')}}`,
);
export const itimerspecAt: StructPrinter = struct(
  ITIMERSPEC_BYTES,
  (view) =>
    `{it_interval=${pairOf(view, 0, 'tv_nsec')}, it_value=${pairOf(view, TIMESPEC_BYTES, 'tv_nsec')}}`,
);

export const rusageAt: StructPrinter = struct(
  RUSAGE_BYTES,
  (view) =>
    `{ru_utime=${pairOf(view, 0, 'tv_usec')}, ru_stime=${pairOf(view, TIMESPEC_BYTES, 'tv_usec')}, ...}`,
);

const INFINITY_HALF = 0xffff_ffff;

/** `infinity` is another name in prlimit64(2) than in getrlimit(2). */
export function rlimitAt(infinity: string): StructPrinter {
  const limit = (view: DataView, at: number): string => {
    const isInfinite =
      view.getUint32(at, true) === INFINITY_HALF && view.getUint32(at + 4, true) === INFINITY_HALF;
    if (isInfinite) return infinity;
    const value = getU64(view, at);
    return value > 1024 && value % 1024 === 0 ? `${value / 1024}*1024` : String(value);
  };
  return struct(16, (view) => `{rlim_cur=${limit(view, 0)}, rlim_max=${limit(view, 8)}}`);
}

export const winsizeAt: StructPrinter = struct(8, (view) => {
  const field = (index: number): number => view.getUint16(2 * index, true);
  return `{ws_row=${field(0)}, ws_col=${field(1)}, ws_xpixel=${field(2)}, ws_ypixel=${field(3)}}`;
});

/** struct termios of the kernel: four flag words, the line discipline, then the characters. */
const TERMIOS_BYTES = 36;
const CSIZE_SHIFT = 4;

export const termiosAt: StructPrinter = struct(TERMIOS_BYTES, (view) => {
  const [input, output, control, local] = [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
  ];
  const iflag = names.printFlags(input, names.inputModeNames);
  const lflag = names.printFlags(local, names.localModeNames);
  return `{c_iflag=${iflag}, c_oflag=${outputMode(output)}, c_cflag=${controlMode(control)}, c_lflag=${lflag}, ...}`;
});

/** c_oflag begins with fields that are numbers: NL0|CR0|TAB0|BS0|VT0|FF0. */
function outputMode(value: number): string {
  let rest = value;
  const words = names.delayFields.map(([name, shift, bits]) => {
    const mask = (1 << bits) - 1;
    rest &= ~(mask << shift);
    return `${name}${(value >>> shift) & mask}`;
  });
  const flags = rest === 0 ? [] : [names.printFlags(rest, names.outputModeNames)];
  return [...words, ...flags].join('|');
}

/** c_cflag begins with the speed and the size of a character. */
function controlMode(value: number): string {
  const rest = value & ~(CBAUD | CSIZE);
  const speed = names.printName(value & CBAUD, names.speedNames);
  const size = `CS${5 + ((value & CSIZE) >>> CSIZE_SHIFT)}`;
  const flags = rest === 0 ? [] : [names.printFlags(rest, names.controlModeNames)];
  return [speed, size, ...flags].join('|');
}

export const fdPairAt: StructPrinter = struct(
  8,
  (view) => `[${view.getInt32(0, true)}, ${view.getInt32(4, true)}]`,
);
