// SPDX-License-Identifier: Apache-2.0
// One argument of a call in a trace: when it is printed, and how.
import { isErrno, type SysResult } from '../../abi/errno.ts';
import type { SyscallArgs } from '../kernel/syscall-args.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { ArgumentKind } from '../syscalls/entry.ts';
import { printers } from './printers.ts';
import { pointer } from './quote.ts';
import type * as structs from './structs.ts';

/** Undefined: the argument is not printed. The result is NaN while the call runs. */
export type Print = (
  args: SyscallArgs,
  index: number,
  memory: GuestMemory,
  result: SysResult,
  before?: string,
) => string | undefined;

export interface Argument {
  /** Printed when the call is left. */
  readonly isLate: boolean;
  readonly print: Print;
  /** The value that a late one remembers of the time before the call. */
  readonly before?: Print;
}

export const early = (print: Print): Argument => ({ isLate: false, print });

/** Prints the bytes that the kernel wrote; their address where the call failed. */
export const late = (print: Print): Argument => ({
  isLate: true,
  print: (args, index, memory, result, before) =>
    failed(result) ? pointer(args.addr(index)) : print(args, index, memory, result, before),
});

/** A structure that is passed in, and one that is passed out. */
export const given = (print: structs.StructPrinter): Argument =>
  early((args, index, memory) => print(args.addr(index), memory));
export const filled = (print: structs.StructPrinter): Argument =>
  late((args, index, memory) => print(args.addr(index), memory));

/** An argument behind a late one: it only looks late. */
export const after = (kind: ArgumentKind): Argument => early(printers[kind]);

export const failed = (result: SysResult): boolean => Number.isNaN(result) || isErrno(result);
