// SPDX-License-Identifier: Apache-2.0
// Answers of a syscall handler that are no values for rax. Outside the range of errnos and results.
import { ERESTARTSYS, type SysResult } from '../../abi/errno.ts';

/** The handler set the registers itself (rt_sigreturn, execve): resume with them as they are. */
export const REGISTERS_SET = -0x1_0000_0001;
/** The calling task has ended, or somebody else will resume it. */
export const HANDED_OVER = -0x1_0000_0002;

/** True for an answer that rax gets as it is: neither a restart code nor one of the answers above. */
export function isPlain(answer: SysResult): boolean {
  return answer > ERESTARTSYS;
}
