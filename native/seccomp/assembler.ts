// SPDX-License-Identifier: Apache-2.0
// Writes classic BPF backwards: targets of jumps exist before the jumps, so that one pass is
// enough. For the filters of our own processes (bpf.ts) and for those of guests
// (sentry/kernel/seccomp).
import { BPF_JA, BPF_MAXINSNS, BPF_RET_K, sockFilter } from '../../abi/filter.ts';

/** An instruction, counted from the program's end. */
export type JumpTarget = number;

interface Instruction {
  readonly code: number;
  readonly operand: number;
  readonly whenTrue: number;
  readonly whenFalse: number;
}

/** How far a conditional jump reaches. */
const REACH = 255;

export class BackwardAssembler {
  /** The last instruction first. */
  readonly #instructions: Instruction[] = [];
  /** The last jump to a place that lies out of reach. */
  readonly #stepping: Map<JumpTarget, JumpTarget> = new Map();

  answer(value: number): JumpTarget {
    return this.#push({ code: BPF_RET_K, operand: value, whenTrue: 0, whenFalse: 0 });
  }

  /** An instruction after which `next` is to run. */
  plain(code: number, operand: number, next: JumpTarget): JumpTarget {
    if (next !== this.#instructions.length - 1) this.#jump(next);
    return this.#push({ code, operand, whenTrue: 0, whenFalse: 0 });
  }

  branch(code: number, operand: number, whenTrue: JumpTarget, whenFalse: JumpTarget): JumpTarget {
    const onTrue = this.#near(whenTrue);
    const onFalse = this.#near(whenFalse);
    const here = this.#instructions.length;
    return this.#push({
      code,
      operand,
      whenTrue: here - onTrue - 1,
      whenFalse: here - onFalse - 1,
    });
  }

  /** struct sock_filter in order; undefined where there are more than a program may have. */
  assemble(): Uint8Array | undefined {
    const count = this.#instructions.length;
    if (count > BPF_MAXINSNS) return undefined;
    const bytes = new Uint8Array(count * sockFilter.size);
    const view = new DataView(bytes.buffer);
    this.#instructions.forEach((instruction, place) => {
      const at = (count - 1 - place) * sockFilter.size;
      view.setUint16(at + sockFilter.code, instruction.code, true);
      view.setUint8(at + sockFilter.jt, instruction.whenTrue);
      view.setUint8(at + sockFilter.jf, instruction.whenFalse);
      view.setUint32(at + sockFilter.k, instruction.operand, true);
    });
    return bytes;
  }

  /** `target`, or a jump to it that the next instruction and one more can reach. */
  #near(target: JumpTarget): JumpTarget {
    if (this.#isNear(target)) return target;
    const stone = this.#stepping.get(target);
    if (stone !== undefined && this.#isNear(stone)) return stone;
    const jump = this.#jump(target);
    this.#stepping.set(target, jump);
    return jump;
  }

  #isNear(place: JumpTarget): boolean {
    return this.#instructions.length - place - 1 < REACH;
  }

  #jump(target: JumpTarget): JumpTarget {
    const operand = this.#instructions.length - target - 1;
    return this.#push({ code: BPF_JA, operand, whenTrue: 0, whenFalse: 0 });
  }

  #push(instruction: Instruction): JumpTarget {
    return this.#instructions.push(instruction) - 1;
  }
}
