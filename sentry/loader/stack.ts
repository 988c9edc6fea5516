// SPDX-License-Identifier: Apache-2.0
// The stack that a new program finds: argc, argv, envp, the auxiliary vector, and the strings above
// them (create_elf_tables in fs/binfmt_elf.c; System V ABI, "Initial Stack and Register State").

import * as at from '../../abi/auxv.ts';
import { E2BIG, type Result, type SysResult } from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import type { PackedStrings } from './packed-strings.ts';

const POINTER_BYTES = 8;
/** MAX_ARG_STRLEN: one string with its NUL. */
const STRING_LIMIT = 131_072;
/** ARG_MAX: strings and pointers may always have this much. */
const ALWAYS_ALLOWED = 131_072;
/** Three quarters of _STK_LIM: never more than this. */
const NEVER_MORE = 6 * 1024 * 1024;
const RANDOM_BYTES = 16;
/** Fewer are copied together, so that they are written with one host call. */
const COPIED_BYTES = 65_536;
const PLATFORM = 'x86_64';

/** E2BIG where the strings are too many or too long for RLIMIT_STACK (execve(2), "Limits"). */
export function checkArgumentSize(
  argv: readonly PackedStrings[],
  envp: PackedStrings,
  execfn: string,
  stackLimit: number,
): SysResult {
  const lists = [...argv, envp];
  let bytes = execfn.length + 1 + POINTER_BYTES * (Math.max(countOf(argv), 1) + envp.count);
  const limit = Math.max(Math.min(stackLimit / 4, NEVER_MORE), ALWAYS_ALLOWED);
  for (const list of lists) {
    if (list.longest >= STRING_LIMIT) return E2BIG;
    bytes += list.bytes.length;
  }
  return bytes > limit ? E2BIG : 0;
}

function countOf(lists: readonly PackedStrings[]): number {
  return lists.reduce((sum, { count }) => sum + count, 0);
}

function bytesOf(lists: readonly PackedStrings[]): number {
  return lists.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** The facts of the auxiliary vector that the stack itself does not know. */
export interface AuxiliaryFacts {
  readonly headersAddr: number;
  readonly headerCount: number;
  /** Load address of the interpreter, 0 without one. */
  readonly base: number;
  readonly entry: number;
  readonly uid: number;
  readonly euid: number;
  readonly gid: number;
  readonly egid: number;
  readonly secure: boolean;
  readonly hwcap: number;
  readonly hwcap2: number;
  /** 0 where the platform has no vDSO. */
  readonly vdsoAddr: number;
  readonly minSignalStackBytes: number;
}

export interface InitialStack {
  /** To be written at `stackPointer`: pointers, auxiliary vector and what that points to. */
  readonly low: Uint8Array;
  /** To be written from `argStart` on, one behind the other: the strings. Zeroes lie between the two. */
  readonly high: readonly Uint8Array[];
  /** All of it, with what lies between. */
  readonly length: number;
  readonly stackPointer: number;
  readonly argStart: number;
  readonly argEnd: number;
  readonly envStart: number;
  readonly envEnd: number;
  /** The auxiliary vector alone, for /proc/PID/auxv. */
  readonly auxv: Uint8Array;
}

export interface StackRequest {
  /** Page-aligned end of the stack mapping. */
  readonly top: number;
  /** In one or several parts. */
  readonly argv: readonly PackedStrings[];
  readonly envp: PackedStrings;
  /** The path given to execve (AT_EXECFN). */
  readonly execfn: string;
  readonly facts: AuxiliaryFacts;
  /** RANDOM_BYTES for AT_RANDOM, and one number below 8192 that shifts the pointers. */
  readonly random: Uint8Array;
  readonly shiftBytes: number;
}

/** Fails with E2BIG only where the whole would not fit below `top` at all. */
export function buildStack(request: StackRequest): Result<InitialStack> {
  const { top, argv, envp, execfn } = request;
  const argc = countOf(argv);
  const envStart = bytesOf(argv);
  const stringBytes = envStart + envp.bytes.length + execfn.length + 1;
  const argStart = top - POINTER_BYTES - stringBytes; // Linux leaves one pointer of zeroes at the top.
  const platformAddr = floor16(argStart - request.shiftBytes) - (PLATFORM.length + 1);
  const randomAddr = floor16(platformAddr - RANDOM_BYTES);
  const pairs = auxiliaryPairs(
    request.facts,
    randomAddr,
    platformAddr,
    top - POINTER_BYTES - execfn.length - 1,
  );
  const pointerCount = 1 + argc + 1 + envp.count + 1 + pairs.length;
  const stackPointer = floor16(randomAddr - pointerCount * POINTER_BYTES);
  if (stackPointer <= 0) return E2BIG;

  // Two pieces, for up to 8 KiB of nothing lie between: those pages need not be there.
  const low = zeroes(platformAddr + PLATFORM.length + 1 - stackPointer);
  let slot = 0;
  const push = (value: number): void => {
    low.writeUInt32LE(value >>> 0, slot);
    low.writeUInt32LE(Math.floor(value / 0x1_0000_0000), slot + 4);
    slot += POINTER_BYTES;
  };
  const pushPointers = (lists: readonly PackedStrings[], start: number): void => {
    slot = putPointers(low, slot, lists, start);
    push(0);
  };
  push(argc);
  pushPointers(argv, argStart);
  pushPointers([envp], argStart + envStart);
  const execfnAndEnd = Buffer.from(`${execfn}${'\0'.repeat(1 + POINTER_BYTES)}`, 'latin1');
  const strings = [...argv.map(({ bytes }) => bytes), envp.bytes, execfnAndEnd];
  const auxvAt = slot;
  for (const value of pairs) push(value);
  low.write(PLATFORM, platformAddr - stackPointer, 'latin1');
  low.set(request.random.subarray(0, RANDOM_BYTES), randomAddr - stackPointer);
  return {
    low,
    high: stringBytes > COPIED_BYTES ? strings : [Buffer.concat(strings)],
    length: top - stackPointer,
    stackPointer,
    argStart,
    argEnd: argStart + envStart,
    envStart: argStart + envStart,
    envEnd: argStart + envStart + envp.bytes.length,
    auxv: new Uint8Array(low.subarray(auxvAt, slot)),
  };
}

/** Keys and values in Linux's order, AT_NULL last. */
function auxiliaryPairs(
  facts: AuxiliaryFacts,
  randomAddr: number,
  platformAddr: number,
  execfnAddr: number,
): number[] {
  const vdso = facts.vdsoAddr === 0 ? [] : [at.AT_SYSINFO_EHDR, facts.vdsoAddr];
  return [
    ...vdso,
    ...[at.AT_MINSIGSTKSZ, facts.minSignalStackBytes],
    ...[at.AT_HWCAP, facts.hwcap],
    ...[at.AT_PAGESZ, PAGE_SIZE],
    ...[at.AT_CLKTCK, 100],
    ...[at.AT_PHDR, facts.headersAddr],
    ...[at.AT_PHENT, 56],
    ...[at.AT_PHNUM, facts.headerCount],
    ...[at.AT_BASE, facts.base],
    ...[at.AT_FLAGS, 0],
    ...[at.AT_ENTRY, facts.entry],
    ...[at.AT_UID, facts.uid],
    ...[at.AT_EUID, facts.euid],
    ...[at.AT_GID, facts.gid],
    ...[at.AT_EGID, facts.egid],
    ...[at.AT_SECURE, facts.secure ? 1 : 0],
    ...[at.AT_RANDOM, randomAddr],
    ...[at.AT_HWCAP2, facts.hwcap2],
    ...[at.AT_EXECFN, execfnAddr],
    ...[at.AT_PLATFORM, platformAddr],
    ...[at.AT_NULL, 0],
  ];
}

/** Pointers to strings that lie from `start` on, put into `low` at `slot`: the place behind them. */
function putPointers(
  low: Buffer,
  slot: number,
  lists: readonly PackedStrings[],
  start: number,
): number {
  const words = new Uint32Array(low.buffer, low.byteOffset, Math.floor(low.length / 4));
  let place = slot;
  let base = start;
  for (const list of lists) {
    list.putPointers(words, place / 4, base);
    place += list.count * POINTER_BYTES;
    base += list.bytes.length;
  }
  return place;
}

function floor16(addr: number): number {
  return addr - (addr % 16);
}

/**
 * Small ones come from Node's pool, at multiples of 8: memory of its own for each costs garbage
 * collections.
 */
function zeroes(length: number): Buffer {
  return Buffer.allocUnsafe(length).fill(0);
}
