// SPDX-License-Identifier: Apache-2.0
// Changes of credentials (credentials(7), capabilities(7)): the rules of setuid and friends, and of
// what execve does to capability sets.

import type { CapabilitySet } from '../../abi/capability.ts';
import {
  allCapabilities,
  CAP_SETUID,
  noCapabilities,
  SECBIT_KEEP_CAPS,
  SECBIT_NO_SETUID_FIXUP,
  SECBIT_NOROOT,
} from '../../abi/capability.ts';
import { type Credentials, isCapable } from '../vfs/credentials.ts';
import type { FileCapabilities } from './file-capabilities.ts';

/** Returns the credentials that a user starts with: root has every capability, others none. */
export function credentialsOf(uid: number, gid: number, groups: readonly number[]): Credentials {
  const capabilities = uid === 0 ? allCapabilities : noCapabilities;
  return {
    uid,
    euid: uid,
    suid: uid,
    fsuid: uid,
    gid,
    egid: gid,
    sgid: gid,
    fsgid: gid,
    groups,
    effective: capabilities,
    permitted: capabilities,
    inheritable: noCapabilities,
    bounding: allCapabilities,
    ambient: noCapabilities,
    securebits: 0,
  };
}

export const intersect = (a: CapabilitySet, b: CapabilitySet): CapabilitySet => ({
  lo: (a.lo & b.lo) >>> 0,
  hi: (a.hi & b.hi) >>> 0,
});
export const unite = (a: CapabilitySet, b: CapabilitySet): CapabilitySet => ({
  lo: (a.lo | b.lo) >>> 0,
  hi: (a.hi | b.hi) >>> 0,
});
/** Everything in `a` is in `b`. */
export const isSubset = (a: CapabilitySet, b: CapabilitySet): boolean =>
  (a.lo & ~b.lo) === 0 && (a.hi & ~b.hi) === 0;

/** Capabilities 0..3 and 4 with 9, 27: the file-system ones that follow fsuid. */
const fileSystemCapabilities: CapabilitySet = { lo: 0b1000_0000_0000_0000_0010_0001_1111, hi: 0 };

/** After a change of uids: "Effect of user ID changes on capabilities". */
export function fixCapabilitiesAfterUidChange(old: Credentials, now: Credentials): Credentials {
  if ((now.securebits & SECBIT_NO_SETUID_FIXUP) !== 0) return now;
  let { effective, permitted, ambient } = now;
  const hadRoot = old.uid === 0 || old.euid === 0 || old.suid === 0;
  const hasRoot = now.uid === 0 || now.euid === 0 || now.suid === 0;
  if (hadRoot && !hasRoot) {
    if ((now.securebits & SECBIT_KEEP_CAPS) === 0) {
      permitted = noCapabilities;
      effective = noCapabilities;
    }
    ambient = noCapabilities;
  }
  if (old.euid === 0 && now.euid !== 0) effective = noCapabilities;
  if (old.euid !== 0 && now.euid === 0) effective = permitted;
  return { ...now, effective, permitted, ambient };
}

function without(a: CapabilitySet, b: CapabilitySet): CapabilitySet {
  return { lo: (a.lo & ~b.lo) >>> 0, hi: (a.hi & ~b.hi) >>> 0 };
}

/** After setfsuid(2): only the file-system capabilities follow. */
export function fixCapabilitiesAfterFsuidChange(old: Credentials, now: Credentials): Credentials {
  if ((now.securebits & SECBIT_NO_SETUID_FIXUP) !== 0) return now;
  let { effective } = now;
  if (old.fsuid === 0 && now.fsuid !== 0) effective = without(effective, fileSystemCapabilities);
  if (old.fsuid !== 0 && now.fsuid === 0)
    effective = unite(effective, intersect(now.permitted, fileSystemCapabilities));
  return { ...now, effective };
}

export interface ExecIdentity {
  /** Owner to become where the file is set-user-ID / set-group-ID and that counts. */
  readonly setUid: number | undefined;
  readonly setGid: number | undefined;
  /** PR_SET_NO_NEW_PRIVS: nothing is gained, whoever the program would run as. */
  readonly noNewPrivileges: boolean;
  /**
   * Somebody outside the thread group shares the root and working directory (LSM_UNSAFE_SHARE), and
   * could lead a program with other ids astray: only who may set ids anyway gets them.
   */
  readonly sharesFs?: boolean;
  /** A tracer that may not trace every process holds it (LSM_UNSAFE_PTRACE): as for `sharesFs`. */
  readonly isTraced?: boolean;
  /** Where the file has them and they count. */
  readonly fileCapabilities?: FileCapabilities | undefined;
}

/** Returns the capabilities that a file's capabilities give a process. */
function grantOf(old: Credentials, file: FileCapabilities): CapabilitySet {
  return unite(
    intersect(old.bounding, file.permitted),
    intersect(old.inheritable, file.inheritable),
  );
}

/** The file wants all that it permits to be effective, but cannot have it all: execve(2) answers EPERM. */
export function lacksFileCapabilities(old: Credentials, file: FileCapabilities): boolean {
  return file.effective && !isSubset(file.permitted, grantOf(old, file));
}

/**
 * Returns whether the program asks for ids that the process does not have, whether it gets them or
 * not: such an exec is "secure" (AT_SECURE), and loses ambient capabilities.
 */
export function wantsOtherIds(old: Credentials, identity: ExecIdentity): boolean {
  const egid = identity.setGid ?? old.egid;
  const hasGroup = egid === old.fsgid || old.groups.includes(egid);
  return (identity.setUid ?? old.euid) !== old.euid || !hasGroup;
}

/** Credentials after execve (cap_bprm_creds_from_file). */
export function credentialsAfterExec(old: Credentials, identity: ExecIdentity): Credentials {
  let euid = identity.setUid ?? old.euid;
  let egid = identity.setGid ?? old.egid;
  const rootHelps = (old.securebits & SECBIT_NOROOT) === 0;
  const file = identity.fileCapabilities;
  // A program with capabilities of its own gets no more from being set-user-ID root.
  const isSetRoot = euid === 0 && old.uid !== 0;
  const isRoot = rootHelps && (euid === 0 || old.uid === 0) && !(file !== undefined && isSetRoot);
  const granted = file === undefined ? noCapabilities : grantOf(old, file);
  let permitted = isRoot ? unite(old.inheritable, old.bounding) : granted;
  let isEffective = (isRoot && euid === 0) || (file?.effective ?? false);
  const changesId = wantsOtherIds(old, identity);
  const gains = !isSubset(permitted, old.permitted);
  const isUnsafe =
    identity.noNewPrivileges || identity.sharesFs === true || identity.isTraced === true;
  if (isUnsafe && (changesId || gains)) {
    if (identity.noNewPrivileges || !isCapable(old, CAP_SETUID)) {
      euid = old.euid;
      egid = old.egid;
    }
    permitted = intersect(permitted, old.permitted);
    isEffective = isEffective && (euid === 0 || file !== undefined);
  }
  const ambient = changesId || file !== undefined ? noCapabilities : old.ambient;
  permitted = unite(permitted, ambient);
  return {
    ...old,
    euid,
    suid: euid,
    fsuid: euid,
    egid,
    sgid: egid,
    fsgid: egid,
    permitted,
    effective: isEffective ? permitted : ambient,
    ambient,
    securebits: old.securebits & ~SECBIT_KEEP_CAPS,
  };
}
