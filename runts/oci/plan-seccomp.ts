// SPDX-License-Identifier: Apache-2.0
// linux.seccomp for the Sentry, which compiles it (sentry/kernel/seccomp).
import type { SeccompProfile } from '../../protocol/seccomp-profile.ts';
import type { Integer64, Seccomp } from './spec/types.ts';

export function planSeccomp({ syscalls, ...profile }: Seccomp): SeccompProfile {
  return {
    ...profile,
    syscalls: (syscalls ?? []).map(({ args, ...rule }) => ({
      ...rule,
      args: (args ?? []).map(({ value, valueTwo, ...argument }) => ({
        ...argument,
        value: wide(value),
        valueTwo: wide(valueTwo ?? 0),
      })),
    })),
  };
}

/** JSON has no bigint. */
function wide(value: Integer64): number | string {
  return typeof value === 'bigint' ? String(value) : value;
}
