// SPDX-License-Identifier: Apache-2.0
// The interpreter of verified programs (check-program.ts): 32-bit registers A and X, 16 scratch
// words, forward jumps.
import {
  BPF_ADD_K,
  BPF_ALU,
  BPF_AND_K,
  BPF_DIV_K,
  BPF_JA,
  BPF_JEQ_K,
  BPF_JGE_K,
  BPF_JGT_K,
  BPF_JMP,
  BPF_LD,
  BPF_LD_IMM,
  BPF_LD_W_ABS,
  BPF_LDX,
  BPF_LDX_IMM,
  BPF_LSH_K,
  BPF_MEMWORDS,
  BPF_MUL_K,
  BPF_NEG,
  BPF_OR_K,
  BPF_RET,
  BPF_RET_K,
  BPF_RSH_K,
  BPF_ST,
  BPF_STX,
  BPF_SUB_K,
  BPF_TAX,
  BPF_X,
} from '../../../abi/filter.ts';
import type { FilterProgram } from './check-program.ts';

/** No answer of a program, which are signed 32-bit words: it asked for a word that is not known. */
export const UNDECIDED = 0x1_0000_0000;

const scratch = new Int32Array(BPF_MEMWORDS);

/**
 * Runs the program and returns its answer as a signed word. Only the first `known` words of `data`
 * count: the answer is UNDECIDED where the program reads others.
 */
export function runProgram(program: FilterProgram, data: Int32Array, known: number): number {
  const { codes, operands, whenTrue, whenFalse } = program;
  let a = 0;
  let x = 0;
  let at = 0;
  for (;;) {
    const code = codes[at] as number;
    const k = operands[at] as number;
    const operand = (code & BPF_X) === 0 ? k : x;
    switch (code & 7) {
      case BPF_LD:
        if (code === BPF_LD_W_ABS) {
          if (k >= known) return UNDECIDED;
          a = data[k] as number;
        } else a = code === BPF_LD_IMM ? k : (scratch[k] as number);
        break;
      case BPF_LDX:
        x = code === BPF_LDX_IMM ? k : (scratch[k] as number);
        break;
      case BPF_ST:
        scratch[k] = a;
        break;
      case BPF_STX:
        scratch[k] = x;
        break;
      case BPF_ALU:
        if (operand === 0 && (code & ~BPF_X) === BPF_DIV_K) return 0;
        a = calculate(code & ~BPF_X, a, operand);
        break;
      case BPF_JMP:
        at = (holds(code & ~BPF_X, a, operand) ? whenTrue[at] : whenFalse[at]) as number;
        continue;
      case BPF_RET:
        return code === BPF_RET_K ? k : a;
      default:
        if (code === BPF_TAX) x = a;
        else a = x;
    }
    at += 1;
  }
}

/** A jump's condition; unsigned but for equality. */
function holds(code: number, a: number, operand: number): boolean {
  switch (code) {
    case BPF_JEQ_K:
      return a === operand;
    case BPF_JGE_K:
      return a >>> 0 >= operand >>> 0;
    case BPF_JGT_K:
      return a >>> 0 > operand >>> 0;
    case BPF_JA:
      return true;
    default:
      return (a & operand) !== 0; // JSET
  }
}

function calculate(code: number, a: number, operand: number): number {
  switch (code) {
    case BPF_AND_K:
      return a & operand;
    case BPF_OR_K:
      return a | operand;
    case BPF_LSH_K:
      return a << operand; // As eBPF, JavaScript counts no further than 31.
    case BPF_RSH_K:
      return (a >>> operand) | 0;
    case BPF_ADD_K:
      return (a + operand) | 0;
    case BPF_SUB_K:
      return (a - operand) | 0;
    case BPF_MUL_K:
      return Math.imul(a, operand);
    case BPF_DIV_K:
      return ((a >>> 0) / (operand >>> 0)) | 0;
    case BPF_NEG:
      return -a | 0;
    default:
      return a ^ operand;
  }
}
