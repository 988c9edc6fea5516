// SPDX-License-Identifier: Apache-2.0
// What a task has of seccomp(2): strict mode, or filters one on top of the other
// (kernel/seccomp.c). Immutable but for its memory of earlier answers, so that tasks share it by
// reference: over fork and clone, and by TSYNC.
import {
  AUDIT_ARCH_X86_64,
  SECCOMP_MODE_FILTER,
  SECCOMP_MODE_STRICT,
  SECCOMP_RET_ACTION_FULL,
  SECCOMP_RET_ALLOW,
  seccompData,
} from '../../../abi/seccomp.ts';
import type { FilterProgram } from './check-program.ts';
import { runProgram } from './run-program.ts';

/** A program and what was installed before it. */
export interface Filter {
  readonly program: FilterProgram;
  readonly below: Filter | undefined;
  /** SECCOMP_FILTER_FLAG_LOG: tells of whatever it does not allow. */
  readonly logs: boolean;
  /** Filters from here down. */
  readonly count: number;
  /** Their instructions, with Linux's surcharge for each. */
  readonly cost: number;
  /** Some program from here down reads the instruction pointer. */
  readonly readsInstructionPointer: boolean;
}

/** The answer of the filters to one call. */
export interface Verdict {
  /** SECCOMP_RET_* without its data, as a signed word. */
  action: number;
  /** SECCOMP_RET_DATA. */
  data: number;
  /** The filter that gave the answer; undefined where all allow the call. */
  filter: Filter | undefined;
}

/** Numbers that the memory of answers covers. */
const REMEMBERED = 512;
/** Linux's: a filter that others lie on costs so many instructions more. */
const FILTER_SURCHARGE = 4;
const ALLOW: number = SECCOMP_RET_ALLOW | 0;
const ACTION: number = SECCOMP_RET_ACTION_FULL | 0;

// read, write, exit, rt_sigreturn.
const strictCalls = [0, 1, 60, 15];

/** struct seccomp_data of the call at hand. */
const data = new Int32Array(seccompData.words);
const verdict: Verdict = { action: 0, data: 0, filter: undefined };

export class Seccomp {
  /** SECCOMP_MODE_*. */
  readonly mode: number;
  /** The filter on top; undefined in strict mode. */
  readonly newest: Filter | undefined;
  /** A bit for each number that every filter allows whatever the arguments. */
  readonly #allowed = new Uint32Array(REMEMBERED / 32);
  /** A bit for each number that was looked at for that. */
  readonly #explored = new Uint32Array(REMEMBERED / 32);

  constructor(newest: Filter | undefined) {
    this.newest = newest;
    this.mode = newest === undefined ? SECCOMP_MODE_STRICT : SECCOMP_MODE_FILTER;
    if (newest !== undefined) return;
    this.#explored.fill(0xffffffff);
    for (const number of strictCalls) this.#remember(this.#allowed, number);
  }

  get filterCount(): number {
    return this.newest?.count ?? 0;
  }

  /** The call is allowed for its number alone: the whole check of most calls. */
  allows(number: number): boolean {
    return (
      number < REMEMBERED && (((this.#allowed[number >>> 5] as number) >>> (number & 31)) & 1) !== 0
    );
  }

  /** The filters' answer to a call: `words` as SyscallArgs has them. The object is the same each time. */
  judge(words: Uint32Array, instructionPointer: () => number): Verdict {
    const { newest } = this;
    data[seccompData.number] = words[0] as number;
    data[seccompData.arch] = AUDIT_ARCH_X86_64;
    for (let at = seccompData.args; at < seccompData.words; at += 1)
      data[at] = words[at - 2] as number;
    if (newest?.readsInstructionPointer === true) {
      const address = instructionPointer();
      data[seccompData.instructionPointer] = address % 0x1_0000_0000;
      data[seccompData.instructionPointer + 1] = address / 0x1_0000_0000;
    }
    this.#explore(words[0] as number);
    verdict.action = ALLOW;
    verdict.data = 0;
    verdict.filter = undefined;
    for (let filter = newest; filter !== undefined; filter = filter.below) {
      const answer = runProgram(filter.program, data, seccompData.words);
      if ((answer & ACTION) >= verdict.action) continue;
      verdict.action = answer & ACTION;
      verdict.data = answer & 0xffff;
      verdict.filter = filter;
    }
    return verdict;
  }

  /** Finds out, once for a number, whether the filters allow it without having looked at arguments. */
  #explore(number: number): void {
    if (number >= REMEMBERED) return;
    if ((((this.#explored[number >>> 5] as number) >>> (number & 31)) & 1) !== 0) return;
    this.#remember(this.#explored, number);
    for (let filter = this.newest; filter !== undefined; filter = filter.below) {
      const answer = runProgram(filter.program, data, seccompData.instructionPointer);
      // UNDECIDED has none of the bits.
      if ((answer & ACTION) !== ALLOW) return;
    }
    this.#remember(this.#allowed, number);
  }

  #remember(bits: Uint32Array, number: number): void {
    bits[number >>> 5] = (bits[number >>> 5] as number) | (1 << (number & 31));
  }
}

export const strictSeccomp: Seccomp = new Seccomp(undefined);

/** The program on top of what was installed before. */
export function newFilter(
  program: FilterProgram,
  below: Filter | undefined,
  logs: boolean,
): Filter {
  return {
    program,
    below,
    logs,
    count: (below?.count ?? 0) + 1,
    cost: program.cost + (below === undefined ? 0 : below.cost + FILTER_SURCHARGE),
    readsInstructionPointer:
      program.readsInstructionPointer || below?.readsInstructionPointer === true,
  };
}

/** `filter` is `newer`, or lies below it. */
export function isBelow(filter: Filter | undefined, newer: Filter): boolean {
  for (let at: Filter | undefined = newer; at !== undefined; at = at.below)
    if (at === filter) return true;
  return filter === undefined;
}
