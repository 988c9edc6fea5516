// SPDX-License-Identifier: Apache-2.0
// prctl(2)'s options about capabilities (capabilities(7)): bounding and ambient sets, securebits.
import {
  CAP_LAST_CAP,
  CAP_SETPCAP,
  type CapabilitySet,
  SECBIT_KEEP_CAPS,
  SECBIT_NO_CAP_AMBIENT_RAISE,
} from '../../abi/capability.ts';
import { EINVAL, EPERM, type SysResult } from '../../abi/errno.ts';
import type { Task } from '../kernel/task.ts';
import { type Credentials, isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';

const PR_GET_KEEPCAPS = 7;
const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_GET_SECUREBITS = 27;
const PR_SET_SECUREBITS = 28;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_IS_SET = 1;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_LOWER = 3;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const SECBIT_KEEP_CAPS_LOCKED = 32;
const SECUREBIT_LOCKS = 0xaa;
const SECUREBITS_KNOWN = 0xff;

/** EINVAL for any option that is none of these. */
export function capabilityOption(task: Task, option: number, args: SyscallArgs): SysResult {
  const value = args.u64(1);
  const old = task.credentials;
  switch (option) {
    case PR_GET_KEEPCAPS:
      return (old.securebits & SECBIT_KEEP_CAPS) === 0 ? 0 : 1;
    case PR_SET_KEEPCAPS:
      if (value > 1) return EINVAL;
      if ((old.securebits & SECBIT_KEEP_CAPS_LOCKED) !== 0) return EPERM;
      task.credentials = {
        ...old,
        securebits:
          value === 1 ? old.securebits | SECBIT_KEEP_CAPS : old.securebits & ~SECBIT_KEEP_CAPS,
      };
      return 0;
    case PR_CAPBSET_READ:
      return value > CAP_LAST_CAP ? EINVAL : has(old.bounding, value);
    case PR_CAPBSET_DROP:
      if (!isCapable(old, CAP_SETPCAP)) return EPERM;
      if (value > CAP_LAST_CAP) return EINVAL;
      task.credentials = { ...old, bounding: remove(old.bounding, value) };
      return 0;
    case PR_GET_SECUREBITS:
      return old.securebits;
    case PR_SET_SECUREBITS:
      if (!isCapable(old, CAP_SETPCAP) || !mayBecome(old.securebits, value)) return EPERM;
      task.credentials = { ...old, securebits: value };
      return 0;
    case PR_CAP_AMBIENT:
      if (args.u64(3) !== 0 || args.u64(4) !== 0) return EINVAL;
      return ambient(task, old, value, args.u64(2));
    default:
      return EINVAL;
  }
}

/** A locked bit (each lock is the bit above) stays as it is, and so does the lock. */
function mayBecome(old: number, wanted: number): boolean {
  const locks = old & SECUREBIT_LOCKS;
  return (
    ((locks >> 1) & (old ^ wanted)) === 0 && (locks & ~wanted) === 0 && wanted <= SECUREBITS_KNOWN
  );
}

function ambient(task: Task, old: Credentials, operation: number, capability: number): SysResult {
  if (operation === PR_CAP_AMBIENT_CLEAR_ALL) {
    if (capability !== 0) return EINVAL;
    task.credentials = { ...old, ambient: { lo: 0, hi: 0 } };
    return 0;
  }
  if (capability > CAP_LAST_CAP) return EINVAL;
  if (operation === PR_CAP_AMBIENT_IS_SET) return has(old.ambient, capability);
  if (operation === PR_CAP_AMBIENT_LOWER) {
    task.credentials = { ...old, ambient: remove(old.ambient, capability) };
    return 0;
  }
  if (operation !== PR_CAP_AMBIENT_RAISE) return EINVAL;
  if (has(old.permitted, capability) === 0 || has(old.inheritable, capability) === 0) return EPERM;
  if ((old.securebits & SECBIT_NO_CAP_AMBIENT_RAISE) !== 0) return EPERM;
  const bit =
    capability < 32
      ? { lo: (1 << capability) >>> 0, hi: 0 }
      : { lo: 0, hi: (1 << (capability - 32)) >>> 0 };
  task.credentials = {
    ...old,
    ambient: { lo: (old.ambient.lo | bit.lo) >>> 0, hi: (old.ambient.hi | bit.hi) >>> 0 },
  };
  return 0;
}

function has(set: CapabilitySet, capability: number): number {
  return ((capability < 32 ? set.lo : set.hi) >>> (capability & 31)) & 1;
}

function remove(set: CapabilitySet, capability: number): CapabilitySet {
  if (capability < 32) return { lo: (set.lo & ~(1 << capability)) >>> 0, hi: set.hi };
  return { lo: set.lo, hi: (set.hi & ~(1 << (capability - 32))) >>> 0 };
}
