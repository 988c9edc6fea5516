// SPDX-License-Identifier: Apache-2.0
// A container's seccomp profile as what its processes start with, those of `runts exec` too.

import type { SeccompProfile } from '../../protocol/seccomp-profile.ts';
import { compileProfile, profileLogs } from '../kernel/seccomp/compile-profile.ts';
import { SeccompProfileError } from '../kernel/seccomp/profile-error.ts';
import { newFilter, Seccomp } from '../kernel/seccomp/seccomp.ts';
import { table } from '../syscalls/table-x86-64.ts';
import { BootFailure } from './boot-failure.ts';

/** Undefined for no profile. Throws BootFailure for one that cannot be had. */
export function guestSeccomp(profile: SeccompProfile | undefined): Seccomp | undefined {
  if (profile === undefined) return undefined;
  try {
    const numbers = new Map(table.map((row, number) => [row?.name, number]));
    const program = compileProfile(profile, (name) => numbers.get(name));
    return new Seccomp(newFilter(program, undefined, profileLogs(profile)));
  } catch (error) {
    if (!(error instanceof SeccompProfileError)) throw error;
    throw new BootFailure(`seccomp profile: ${error.message}`);
  }
}
