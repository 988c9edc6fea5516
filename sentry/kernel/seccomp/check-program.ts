// SPDX-License-Identifier: Apache-2.0
// The verifier of classic BPF programs for seccomp: bpf_check_classic() and check_load_and_stores()
// of net/core/filter.c, seccomp_check_filter() of kernel/seccomp.c. What passes ends after at most
// as many steps as it has instructions, reads nothing but struct seccomp_data, and no scratch word
// before it is written.
import { EINVAL, type Result } from '../../../abi/errno.ts';
import {
  BPF_ADD_K,
  BPF_ADD_X,
  BPF_AND_K,
  BPF_AND_X,
  BPF_DIV_K,
  BPF_DIV_X,
  BPF_JA,
  BPF_JEQ_K,
  BPF_JEQ_X,
  BPF_JGE_K,
  BPF_JGE_X,
  BPF_JGT_K,
  BPF_JGT_X,
  BPF_JSET_K,
  BPF_JSET_X,
  BPF_LD_IMM,
  BPF_LD_MEM,
  BPF_LD_W_ABS,
  BPF_LD_W_LEN,
  BPF_LDX_IMM,
  BPF_LDX_MEM,
  BPF_LDX_W_LEN,
  BPF_LSH_K,
  BPF_LSH_X,
  BPF_MAXINSNS,
  BPF_MEMWORDS,
  BPF_MUL_K,
  BPF_MUL_X,
  BPF_NEG,
  BPF_OR_K,
  BPF_OR_X,
  BPF_RET_A,
  BPF_RET_K,
  BPF_RSH_K,
  BPF_RSH_X,
  BPF_ST,
  BPF_STX,
  BPF_SUB_K,
  BPF_SUB_X,
  BPF_TAX,
  BPF_TXA,
  BPF_XOR_K,
  BPF_XOR_X,
  sockFilter,
} from '../../../abi/filter.ts';
import { seccompData } from '../../../abi/seccomp.ts';

/** A verified program, taken apart for the interpreter. */
export interface FilterProgram {
  readonly length: number;
  /** Opcodes, those of LD|LEN and LDX|LEN turned into loads of the constant. */
  readonly codes: Uint8Array;
  /** Operands; of LD|ABS the index of the word. */
  readonly operands: Int32Array;
  /** The index of the instruction at which each jump goes on. */
  readonly whenTrue: Uint16Array;
  readonly whenFalse: Uint16Array;
  /** Instructions of Linux's eBPF that the program would become: what its limit for a path counts. */
  readonly cost: number;
  readonly readsInstructionPointer: boolean;
}

type Shape =
  | 'plain'
  | 'divide'
  | 'shift'
  | 'scratch'
  | 'jump'
  | 'branch'
  | 'load'
  | 'length'
  | 'return';

const shapes: ReadonlyMap<number, Shape> = new Map<number, Shape>([
  ...[BPF_LD_IMM, BPF_LDX_IMM, BPF_TAX, BPF_TXA, BPF_NEG].map(shaped('plain')),
  ...[BPF_ADD_K, BPF_ADD_X, BPF_SUB_K, BPF_SUB_X, BPF_MUL_K, BPF_MUL_X].map(shaped('plain')),
  ...[BPF_OR_K, BPF_OR_X, BPF_AND_K, BPF_AND_X, BPF_XOR_K, BPF_XOR_X].map(shaped('plain')),
  ...[BPF_DIV_X, BPF_LSH_X, BPF_RSH_X].map(shaped('plain')),
  ...[BPF_LSH_K, BPF_RSH_K].map(shaped('shift')),
  ...[BPF_LD_MEM, BPF_LDX_MEM, BPF_ST, BPF_STX].map(shaped('scratch')),
  ...[BPF_JEQ_K, BPF_JEQ_X, BPF_JGT_K, BPF_JGT_X].map(shaped('branch')),
  ...[BPF_JGE_K, BPF_JGE_X, BPF_JSET_K, BPF_JSET_X].map(shaped('branch')),
  ...[BPF_LD_W_LEN, BPF_LDX_W_LEN].map(shaped('length')),
  ...[BPF_RET_K, BPF_RET_A].map(shaped('return')),
  [BPF_DIV_K, 'divide'],
  [BPF_LD_W_ABS, 'load'],
  [BPF_JA, 'jump'],
]);

function shaped(shape: Shape): (code: number) => readonly [number, Shape] {
  return (code) => [code, shape];
}

const DATA_BYTES = 4 * seccompData.words;
/** eBPF instructions that every converted program begins with. */
const PROLOGUE = 3;

/** Checks and takes apart an array of struct sock_filter. EINVAL where Linux refuses the program. */
export function checkProgram(bytes: Uint8Array): Result<FilterProgram> {
  const length = bytes.length / sockFilter.size;
  if (length < 1 || length > BPF_MAXINSNS || !Number.isInteger(length)) return EINVAL;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const codes = new Uint8Array(length);
  const operands = new Int32Array(length);
  const whenTrue = new Uint16Array(length);
  const whenFalse = new Uint16Array(length);
  let cost = PROLOGUE;
  let readsInstructionPointer = false;
  for (let at = 0; at < length; at += 1) {
    const code = view.getUint16(at * sockFilter.size, true);
    const operand = view.getUint32(at * sockFilter.size + sockFilter.k, true);
    const onTrue = view.getUint8(at * sockFilter.size + sockFilter.jt);
    const onFalse = view.getUint8(at * sockFilter.size + sockFilter.jf);
    const shape = shapes.get(code);
    if (shape === undefined || !isSound(shape, operand)) return EINVAL;
    codes[at] = code;
    operands[at] = operand;
    if (shape === 'load') {
      const word = operand >>> 2;
      operands[at] = word;
      if (word === seccompData.instructionPointer || word === seccompData.instructionPointer + 1)
        readsInstructionPointer = true;
    } else if (shape === 'length') {
      codes[at] = code === BPF_LD_W_LEN ? BPF_LD_IMM : BPF_LDX_IMM;
      operands[at] = DATA_BYTES;
    } else if (shape === 'jump' || shape === 'branch') {
      const far = shape === 'jump';
      const rest = length - at - 1;
      if ((far ? operand : Math.max(onTrue, onFalse)) >= rest) return EINVAL;
      whenTrue[at] = at + 1 + (far ? operand : onTrue);
      whenFalse[at] = at + 1 + (far ? operand : onFalse);
    }
    cost += costOf(code, operand, onTrue, onFalse);
  }
  const last = codes[length - 1];
  if (last !== BPF_RET_K && last !== BPF_RET_A) return EINVAL;
  const program = { length, codes, operands, whenTrue, whenFalse, cost, readsInstructionPointer };
  return readsUnwritten(program) ? EINVAL : program;
}

function isSound(shape: Shape, operand: number): boolean {
  switch (shape) {
    case 'divide':
      return operand !== 0;
    case 'shift':
      return operand < 32;
    case 'scratch':
      return operand < BPF_MEMWORDS;
    case 'load':
      return operand < DATA_BYTES && operand % 4 === 0;
    default:
      return true;
  }
}

/** Returns the cost of an instruction, by the eBPF that bpf_convert_filter() makes of it. */
function costOf(code: number, operand: number, onTrue: number, onFalse: number): number {
  switch (code) {
    case BPF_RET_K:
      return 2;
    case BPF_DIV_X:
      return 5; // The test for zero comes with it.
    case BPF_JEQ_K:
    case BPF_JGT_K:
    case BPF_JGE_K:
    case BPF_JSET_K: {
      // Immediates of eBPF are signed: a large one goes through a register.
      const load = operand > 0x7fffffff ? 1 : 0;
      return load + branchCost(code === BPF_JSET_K, onTrue, onFalse);
    }
    case BPF_JEQ_X:
    case BPF_JGT_X:
    case BPF_JGE_X:
    case BPF_JSET_X:
      return branchCost(code === BPF_JSET_X, onTrue, onFalse);
    default:
      return 1;
  }
}

/** JSET has no opposite to jump by when its condition does not hold. */
function branchCost(isSetTest: boolean, onTrue: number, onFalse: number): number {
  return onFalse === 0 || (onTrue === 0 && !isSetTest) ? 1 : 2;
}

/** Whether some way through the program may load a scratch word that it has not stored. */
function readsUnwritten(program: FilterProgram): boolean {
  const { length, codes, operands, whenTrue, whenFalse } = program;
  const written = new Uint16Array(length).fill(0xffff);
  let now = 0;
  for (let at = 0; at < length; at += 1) {
    now &= written[at] as number;
    const code = codes[at] as number;
    const bit = 1 << (operands[at] as number);
    const shape = shapes.get(code);
    if (code === BPF_ST || code === BPF_STX) now |= bit;
    else if (code === BPF_LD_MEM || code === BPF_LDX_MEM) {
      if ((now & bit) === 0) return true;
    } else if (shape === 'jump' || shape === 'branch') {
      const first = whenTrue[at] as number;
      const second = whenFalse[at] as number;
      written[first] = (written[first] as number) & now;
      written[second] = (written[second] as number) & now;
      now = 0xffff; // Nothing falls through; what jumps to the next instruction has said so.
    }
  }
  return false;
}
