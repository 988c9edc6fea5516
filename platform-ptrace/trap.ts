// SPDX-License-Identifier: Apache-2.0
// What differs between the platforms of stub processes: how guest code is made to stop, and who
// speaks for it in the mailbox. Under systrap that is the guest process itself, whose memory the
// guest can write; under ptrace it is the tracer, a process without guest code.
import type { FilterSpec } from '../native/seccomp/bpf.ts';

export interface Trap {
  readonly name: 'systrap' | 'ptrace';
  /** Says what the host lacks, as far as it can be known without a try; undefined: nothing. */
  missing(): string | undefined;
  /** The filter of guest processes that lie at `base`. */
  processFilter(base: number): FilterSpec;
  /** The filter of the tracer; undefined where there is none. */
  readonly tracerFilter: FilterSpec | undefined;
  /** System call instructions of guests can be rewritten into jumps to the stub. */
  readonly canPatch: boolean;
}

/** Returns those of the traps whose needs the host has, as far as can be known. */
export function usableTraps(traps: readonly Trap[]): readonly [Trap, ...Trap[]] {
  const [first, ...others] = traps.filter((trap) => trap.missing() === undefined);
  if (first !== undefined) return [first, ...others];
  const reasons = traps.map((trap) => [trap.name, trap.missing()] as const);
  throw new Error(
    reasons.length === 1 ? reasons[0]?.[1] : reasons.map((one) => one.join(': ')).join('; '),
  );
}
