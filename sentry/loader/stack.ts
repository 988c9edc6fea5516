// SPDX-License-Identifier: Apache-2.0
// The stack that a new program finds: argc, argv, envp, the auxiliary vector, and the strings above
// them (create_elf_tables in fs/binfmt_elf.c; System V ABI, "Initial Stack and Register State").

import * as at from '../../abi/auxv.ts';
import { E2BIG, type Result, type SysResult } from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/page.ts';

const POINTER_BYTES = 8;
/** MAX_ARG_STRLEN: one string with its NUL. */
const STRING_LIMIT = 131_072;
/** ARG_MAX: strings and pointers may always have this much. */
const ALWAYS_ALLOWED = 131_072;
/** Three quarters of _STK_LIM: never more than this. */
const NEVER_MORE = 6 * 1024 * 1024;
const RANDOM_BYTES = 16;
const SHORT_TEXT = 32;
const PLATFORM = 'x86_64';

/** E2BIG where the strings are too many or too long for RLIMIT_STACK (execve(2), "Limits"). */
export function checkArgumentSize(
  argv: readonly string[],
  envp: readonly string[],
  execfn: string,
  stackLimit: number,
): SysResult {
  let bytes = execfn.length + 1 + POINTER_BYTES * (Math.max(argv.length, 1) + envp.length);
  const limit = Math.max(Math.min(stackLimit / 4, NEVER_MORE), ALWAYS_ALLOWED);
  for (const list of [argv, envp]) {
    for (const text of list) {
      if (text.length >= STRING_LIMIT) return E2BIG;
      bytes += text.length + 1;
      if (bytes > limit) return E2BIG;
    }
  }
  return 0;
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
  /** To be written at `argStart`: the strings. Zeroes lie between the two. */
  readonly high: Uint8Array;
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
  readonly argv: readonly string[];
  readonly envp: readonly string[];
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
  const stringBytes = byteLengths(argv) + byteLengths(envp) + execfn.length + 1;
  const argStart = top - POINTER_BYTES - stringBytes; // Linux leaves one pointer of zeroes at the top.
  const platformAddr = floor16(argStart - request.shiftBytes) - (PLATFORM.length + 1);
  const randomAddr = floor16(platformAddr - RANDOM_BYTES);
  const pairs = auxiliaryPairs(
    request.facts,
    randomAddr,
    platformAddr,
    top - POINTER_BYTES - execfn.length - 1,
  );
  const pointerCount = 1 + argv.length + 1 + envp.length + 1 + pairs.length;
  const stackPointer = floor16(randomAddr - pointerCount * POINTER_BYTES);
  if (stackPointer <= 0) return E2BIG;

  // Two pieces, for up to 8 KiB of nothing lie between: those pages need not be there.
  const low = zeroes(platformAddr + PLATFORM.length + 1 - stackPointer);
  const high = zeroes(top - argStart);
  let slot = 0;
  const push = (value: number): void => {
    low.writeUInt32LE(value >>> 0, slot);
    low.writeUInt32LE(Math.floor(value / 0x1_0000_0000), slot + 4);
    slot += POINTER_BYTES;
  };
  let stringAddr = argStart;
  const pushStrings = (strings: readonly string[]): void => {
    for (const string of strings) {
      push(stringAddr);
      putText(high, string, stringAddr - argStart);
      stringAddr += string.length + 1;
    }
    push(0);
  };
  push(argv.length);
  pushStrings(argv);
  const envStart = stringAddr;
  pushStrings(envp);
  const envEnd = stringAddr;
  high.write(execfn, envEnd - argStart, 'latin1');
  const auxvAt = slot;
  for (const value of pairs) push(value);
  low.write(PLATFORM, platformAddr - stackPointer, 'latin1');
  low.set(request.random.subarray(0, RANDOM_BYTES), randomAddr - stackPointer);
  return {
    low,
    high,
    length: top - stackPointer,
    stackPointer,
    argStart,
    argEnd: envStart,
    envStart,
    envEnd,
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

/** Short strings are many at times, and a native call for each would cost more than its bytes. */
function putText(into: Buffer, text: string, position: number): void {
  if (text.length > SHORT_TEXT) into.write(text, position, 'latin1');
  else for (let i = 0; i < text.length; i += 1) into[position + i] = text.charCodeAt(i);
}

function byteLengths(strings: readonly string[]): number {
  let bytes = 0;
  for (const string of strings) bytes += string.length + 1;
  return bytes;
}

function floor16(addr: number): number {
  return addr - (addr % 16);
}

/** Small ones come from Node's pool: memory of its own for each costs garbage collections. */
function zeroes(length: number): Buffer {
  return Buffer.allocUnsafe(length).fill(0);
}
