// SPDX-License-Identifier: Apache-2.0
// The clocks of a container that has linux.timeOffsets: the host's, so much ahead
// (time_namespaces(7)). Others' clocks start at 0 with the sandbox.
import { isErrno } from '../../abi/errno.ts';
import type { SystrapClock } from '../../platform-ptrace/systrap/clock.ts';
import type { TimeOffsets } from '../../protocol/boot-config.ts';
import type { NamespaceNumbers } from '../kernel/namespace-numbers.ts';
import { addTimes, type TimeNamespace } from '../kernel/time-offsets.ts';
import { BootFailure } from './boot-failure.ts';

/** Throws BootFailure. */
export function newTimeNamespace(
  clock: SystrapClock,
  numbers: NamespaceNumbers,
  asked: TimeOffsets,
): TimeNamespace {
  const origin = clock.origin();
  const offsets = {
    monotonic: addTimes(origin.monotonic, asked.monotonic),
    boottime: addTimes(origin.boottime, asked.boottime),
  };
  const vdso = clock.vdsoWith(offsets.monotonic, offsets.boottime);
  if (isErrno(vdso)) throw new BootFailure(`a time namespace: errno ${-vdso}`);
  return { inode: numbers.next('time'), shown: asked, offsets, vdso };
}
