// SPDX-License-Identifier: Apache-2.0
// SyscallArgs lives below, in kernel/: a Task owns one.
export type { SyscallArgs } from '../kernel/syscall-args.ts';
