// Seccomp filters as data: rows of (syscall, argument conditions, action, why) compiled to classic BPF.
// seccomp(2), Documentation/userspace-api/seccomp_filter.rst, include/uapi/linux/{seccomp,filter,bpf_common}.h.
// Used for the stub (platform-ptrace/systrap/stub-filter.ts), the Sentry and the Gofer.
import { BPF_LD_W_ABS } from '../../abi/filter.ts';
import { AUDIT_ARCH_X86_64, SECCOMP_RET_ERRNO } from '../../abi/seccomp.ts';

export type FilterAction =
  | 'allow'
  | 'notify'
  | 'trap'
  | 'log'
  | 'killProcess'
  | { readonly errno: number };

/** A condition on one argument. Values are unsigned and below 2^53; `width` 32 ignores the upper half. */
export type ArgumentCondition =
  | { readonly arg: number; readonly eq: number; readonly width?: 32 | 64 }
  | { readonly arg: number; readonly oneOf: readonly number[]; readonly width?: 32 | 64 }
  /** (arg & mask) == value. */
  | {
      readonly arg: number;
      readonly mask: number;
      readonly value: number;
      readonly width?: 32 | 64;
    }
  /** No bit outside `bits`. */
  | { readonly arg: number; readonly within: number; readonly width?: 32 | 64 }
  /** min <= arg <= max, both inside one 4 GiB range starting at a multiple of 4 GiB. */
  | { readonly arg: number; readonly min: number; readonly max: number; readonly width?: 32 | 64 };

export interface FilterRow {
  readonly name: string;
  readonly number: number;
  /** Who needs the call and what for. */
  readonly why: string;
  /** All must hold, else the next row of the same number is tried, then `otherwise`. */
  readonly args?: readonly ArgumentCondition[];
  /** Default: allow. */
  readonly action?: FilterAction;
}

export interface FilterSpec {
  readonly name: string;
  readonly rows: readonly FilterRow[];
  /** For calls that match no row. */
  readonly otherwise: FilterAction;
  /** Calls made from elsewhere (the address after the syscall instruction) get `outside` at once. */
  readonly codeRange?: {
    readonly start: number;
    readonly end: number;
    readonly outside: FilterAction;
  };
}

/** The program: an array of struct sock_filter, 8 bytes each. Throws on a spec that cannot be expressed. */
export function compileFilter(spec: FilterSpec): Uint8Array {
  const program = new Program();
  program.load(OFFSET_ARCH);
  program.jumpUnless(BPF_JEQ, AUDIT_ARCH_X86_64, 'foreign');
  if (spec.codeRange) emitCodeRange(program, spec.codeRange);
  program.load(OFFSET_NR);
  // x32 numbers have bit 30 set.
  program.jumpIf(BPF_JSET, 0x40000000, 'foreign');
  spec.rows.forEach((row, index) => {
    emitRow(program, row, `row${index}`);
  });
  program.answer(spec.otherwise);
  program.label('foreign');
  program.answer('killProcess');
  if (spec.codeRange) {
    program.label('outside');
    program.answer(spec.codeRange.outside);
  }
  return program.assemble();
}

/** How many system calls reach the host: not those that the filter answers itself. */
export function countCalls(spec: FilterSpec): number {
  const reaching = spec.rows.filter((row) => typeof row.action !== 'object');
  return new Set(reaching.map((row) => row.number)).size;
}

/** One line a row, for `runts debug seccomp` and the docs. */
export function describeFilter(spec: FilterSpec): string {
  const head = `${spec.name}: ${countCalls(spec)} system calls, otherwise ${actionText(spec.otherwise)}`;
  const range = spec.codeRange
    ? [`  from outside the code range: ${actionText(spec.codeRange.outside)}`]
    : [];
  const lines = spec.rows.map((row) => {
    const conditions = (row.args ?? []).map(conditionText).join(', ');
    const call = `${row.name}(${conditions})`;
    return `  ${call.padEnd(44)} ${actionText(row.action ?? 'allow').padEnd(7)} ${row.why}`;
  });
  return [head, ...range, ...lines].join('\n');
}

/** The return value of a filter for an action. */
export function actionValue(action: FilterAction): number {
  if (typeof action === 'object') return (SECCOMP_RET_ERRNO | (action.errno & 0xffff)) >>> 0;
  return ACTIONS[action];
}

const ACTIONS = {
  allow: 0x7fff0000,
  log: 0x7ffc0000,
  notify: 0x7fc00000,
  trap: 0x00030000,
  killProcess: 0x80000000,
} as const;

// Offsets in struct seccomp_data.
const OFFSET_NR = 0;
const OFFSET_ARCH = 4;
const OFFSET_IP = 8;
const OFFSET_ARGS = 16;

// BPF opcodes.
const BPF_ALU_AND = 0x54;
const BPF_RET = 0x06;
const BPF_JMP = 0x05;
const BPF_JEQ = 0x10;
const BPF_JGT = 0x20;
const BPF_JGE = 0x30;
const BPF_JSET = 0x40;

const TWO_32 = 0x100000000;
const low = (value: number): number => value % TWO_32;
const high = (value: number): number => Math.floor(value / TWO_32);

interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly whenTrue?: string;
  readonly whenFalse?: string;
}

/** Instructions with symbolic forward jumps. */
class Program {
  readonly #code: Instruction[] = [];
  readonly #labels = new Map<string, number>();

  load(offset: number): void {
    this.#code.push({ code: BPF_LD_W_ABS, k: offset });
  }

  and(mask: number): void {
    this.#code.push({ code: BPF_ALU_AND, k: mask });
  }

  answer(action: FilterAction): void {
    this.#code.push({ code: BPF_RET, k: actionValue(action) });
  }

  jumpIf(test: number, k: number, label: string): void {
    this.#code.push({ code: BPF_JMP | test, k, whenTrue: label });
  }

  jumpUnless(test: number, k: number, label: string): void {
    this.#code.push({ code: BPF_JMP | test, k, whenFalse: label });
  }

  label(name: string): void {
    this.#labels.set(name, this.#code.length);
  }

  assemble(): Uint8Array {
    // Conditional jumps reach 255 instructions: a far target gets a jump of its own. Widening one may push
    // another out of reach, so widen until nothing changes.
    const wide = new Set<number>();
    for (;;) {
      const places = this.#places(wide);
      const before = wide.size;
      this.#code.forEach((instruction, index) => {
        const target = instruction.whenTrue ?? instruction.whenFalse;
        if (target !== undefined && this.#distance(places, index, target) > 250) wide.add(index);
      });
      if (wide.size === before) return this.#encode(places, wide);
    }
  }

  /** Where each instruction lands; one more entry for the end. */
  #places(wide: ReadonlySet<number>): number[] {
    const places: number[] = [];
    let at = 0;
    this.#code.forEach((_, index) => {
      places.push(at);
      at += wide.has(index) ? 2 : 1;
    });
    places.push(at);
    return places;
  }

  #distance(places: readonly number[], index: number, label: string): number {
    const target = this.#labels.get(label);
    if (target === undefined) throw new Error(`no label ${label}`);
    return (places[target] ?? 0) - (places[index] ?? 0) - 1;
  }

  #encode(places: readonly number[], wide: ReadonlySet<number>): Uint8Array {
    const count = places[this.#code.length] ?? 0;
    if (count > 4096) throw new Error('filter too long');
    const bytes = new Uint8Array(count * 8);
    const view = new DataView(bytes.buffer);
    const put = (at: number, code: number, jt: number, jf: number, k: number): void => {
      view.setUint16(at * 8, code, true);
      view.setUint8(at * 8 + 2, jt);
      view.setUint8(at * 8 + 3, jf);
      view.setUint32(at * 8 + 4, k >>> 0, true);
    };
    this.#code.forEach((instruction, index) => {
      const at = places[index] ?? 0;
      const target = instruction.whenTrue ?? instruction.whenFalse;
      if (target === undefined) {
        put(at, instruction.code, 0, 0, instruction.k);
        return;
      }
      const distance = this.#distance(places, index, target);
      const onTrue = instruction.whenTrue !== undefined;
      if (wide.has(index)) {
        // Over the jump when the test says stay, onto it when it says go.
        put(at, instruction.code, onTrue ? 0 : 1, onTrue ? 1 : 0, instruction.k);
        put(at + 1, BPF_JMP, 0, 0, distance - 1);
      } else {
        put(at, instruction.code, onTrue ? distance : 0, onTrue ? 0 : distance, instruction.k);
      }
    });
    return bytes;
  }
}

function emitCodeRange(program: Program, range: { start: number; end: number }): void {
  if (high(range.start) !== high(range.end)) throw new Error('code range crosses 4 GiB');
  program.load(OFFSET_IP + 4);
  program.jumpUnless(BPF_JEQ, high(range.start), 'outside');
  program.load(OFFSET_IP);
  // The address is the one after the instruction.
  program.jumpUnless(BPF_JGT, low(range.start), 'outside');
  program.jumpIf(BPF_JGT, low(range.end), 'outside');
}

/** Expects the number in the accumulator, and leaves it there when the row does not match. */
function emitRow(program: Program, row: FilterRow, label: string): void {
  const next = `${label}.next`;
  program.jumpUnless(BPF_JEQ, row.number, next);
  const conditions = row.args ?? [];
  conditions.forEach((condition, index) => {
    emitCondition(program, condition, `${label}.${index}`, `${label}.reload`);
  });
  program.answer(row.action ?? 'allow');
  if (conditions.length > 0) {
    program.label(`${label}.reload`);
    program.load(OFFSET_NR);
  }
  program.label(next);
}

function emitCondition(
  program: Program,
  condition: ArgumentCondition,
  label: string,
  mismatch: string,
): void {
  const offset = OFFSET_ARGS + condition.arg * 8;
  const full = condition.width !== 32;
  if ('oneOf' in condition) {
    if (full) requireHigh(program, offset, condition.oneOf, mismatch);
    program.load(offset);
    for (const value of condition.oneOf) program.jumpIf(BPF_JEQ, low(value), `${label}.found`);
    program.jumpUnless(BPF_JEQ, low(condition.oneOf[0] ?? 0), mismatch);
    program.label(`${label}.found`);
  } else if ('eq' in condition) {
    if (full) requireHigh(program, offset, [condition.eq], mismatch);
    program.load(offset);
    program.jumpUnless(BPF_JEQ, low(condition.eq), mismatch);
  } else if ('within' in condition) {
    if (full) {
      program.load(offset + 4);
      program.jumpIf(BPF_JSET, ~high(condition.within) >>> 0, mismatch);
    }
    program.load(offset);
    program.jumpIf(BPF_JSET, ~low(condition.within) >>> 0, mismatch);
  } else if ('mask' in condition) {
    if (full && high(condition.mask) !== 0) {
      program.load(offset + 4);
      program.and(high(condition.mask));
      program.jumpUnless(BPF_JEQ, high(condition.value), mismatch);
    }
    program.load(offset);
    program.and(low(condition.mask));
    program.jumpUnless(BPF_JEQ, low(condition.value), mismatch);
  } else {
    if (full) requireHigh(program, offset, [condition.min, condition.max], mismatch);
    program.load(offset);
    program.jumpUnless(BPF_JGE, low(condition.min), mismatch);
    program.jumpIf(BPF_JGT, low(condition.max), mismatch);
  }
}

/** All values must share their upper half, which the argument must have too. */
function requireHigh(
  program: Program,
  offset: number,
  values: readonly number[],
  mismatch: string,
): void {
  const upper = high(values[0] ?? 0);
  if (values.some((value) => high(value) !== upper)) throw new Error('values differ above bit 31');
  program.load(offset + 4);
  program.jumpUnless(BPF_JEQ, upper, mismatch);
}

function actionText(action: FilterAction): string {
  return typeof action === 'object' ? `errno ${action.errno}` : action;
}

function conditionText(condition: ArgumentCondition): string {
  const name = `a${condition.arg}`;
  const hex = (value: number): string => (value < 10 ? String(value) : `0x${value.toString(16)}`);
  if ('oneOf' in condition) return `${name} in {${condition.oneOf.map(hex).join(' ')}}`;
  if ('eq' in condition) return `${name}=${hex(condition.eq)}`;
  if ('within' in condition) return `${name} within ${hex(condition.within)}`;
  if ('mask' in condition) return `${name}&${hex(condition.mask)}=${hex(condition.value)}`;
  return `${hex(condition.min)}<=${name}<=${hex(condition.max)}`;
}
