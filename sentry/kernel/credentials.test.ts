// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  allCapabilities,
  CAP_CHOWN,
  CAP_KILL,
  noCapabilities,
  SECBIT_KEEP_CAPS,
  SECBIT_NO_SETUID_FIXUP,
  SECBIT_NOROOT,
} from '../../abi/capability.ts';
import { type Credentials, isCapable } from '../vfs/credentials.ts';
import {
  credentialsAfterExec,
  credentialsOf,
  fixCapabilitiesAfterFsuidChange,
  fixCapabilitiesAfterUidChange,
} from './credentials.ts';

const root = credentialsOf(0, 0, []);
const user = credentialsOf(1000, 1000, []);
const plainFile = { setUid: undefined, setGid: undefined, noNewPrivileges: false };

const withUids = (old: Credentials, uid: number, euid: number, suid: number): Credentials => ({
  ...old,
  uid,
  euid,
  suid,
  fsuid: euid,
});

describe('a change of uids', () => {
  it('takes everything from a root that leaves for good, the effective ones from one that may come back', () => {
    const gone = fixCapabilitiesAfterUidChange(root, withUids(root, 1000, 1000, 1000));
    expect([gone.permitted, gone.effective]).toEqual([noCapabilities, noCapabilities]);
    const away = fixCapabilitiesAfterUidChange(root, withUids(root, 0, 1000, 0));
    expect([away.permitted, away.effective]).toEqual([allCapabilities, noCapabilities]);
    const back = fixCapabilitiesAfterUidChange(away, withUids(away, 0, 0, 0));
    expect(back.effective).toEqual(allCapabilities);
  });

  it('keeps permitted ones with KEEP_CAPS, but no ambient ones', () => {
    const keeper = { ...root, securebits: SECBIT_KEEP_CAPS, ambient: { lo: 1, hi: 0 } };
    const now = fixCapabilitiesAfterUidChange(keeper, withUids(keeper, 1000, 1000, 1000));
    expect([now.permitted, now.effective, now.ambient]).toEqual([
      allCapabilities,
      noCapabilities,
      noCapabilities,
    ]);
  });

  it('changes nothing with NO_SETUID_FIXUP', () => {
    const fixed = { ...root, securebits: SECBIT_NO_SETUID_FIXUP };
    const now = fixCapabilitiesAfterUidChange(fixed, withUids(fixed, 1000, 1000, 1000));
    expect(now.effective).toEqual(allCapabilities);
  });

  it('lets the file-system capabilities follow fsuid alone', () => {
    const away = fixCapabilitiesAfterFsuidChange(root, { ...root, fsuid: 1000 });
    expect([isCapable(away, CAP_CHOWN), isCapable(away, CAP_KILL)]).toEqual([false, true]);
    const back = fixCapabilitiesAfterFsuidChange(away, { ...away, fsuid: 0 });
    expect(back.effective).toEqual(allCapabilities);
  });
});

describe('execve', () => {
  it('makes root whole within the bounding set', () => {
    const bare = {
      ...root,
      permitted: noCapabilities,
      effective: noCapabilities,
      bounding: { lo: 1 << CAP_KILL, hi: 0 },
    };
    expect(credentialsAfterExec(bare, plainFile).effective).toEqual(bare.bounding);
  });

  it('gives nothing back with no_new_privs', () => {
    const bare = { ...root, permitted: noCapabilities, effective: noCapabilities };
    const now = credentialsAfterExec(bare, { ...plainFile, noNewPrivileges: true });
    expect([now.permitted, now.effective]).toEqual([noCapabilities, noCapabilities]);
    const switched = credentialsAfterExec(withUids(user, 1000, 2000, 2000), {
      ...plainFile,
      noNewPrivileges: true,
    });
    expect(switched.euid).toBe(2000); // Nothing changed in this exec.
  });

  it('gives a set-user-ID program its owner, and an empty ambient set', () => {
    const old = { ...user, ambient: { lo: 1, hi: 0 } };
    const now = credentialsAfterExec(old, { ...plainFile, setUid: 0 });
    expect([now.uid, now.euid, now.suid, now.effective]).toEqual([1000, 0, 0, allCapabilities]);
    expect(now.ambient).toEqual(noCapabilities);
  });

  it('keeps ambient capabilities for others, and nothing else', () => {
    const old = { ...user, permitted: { lo: 3, hi: 0 }, ambient: { lo: 1, hi: 0 } };
    const now = credentialsAfterExec(old, plainFile);
    expect([now.permitted, now.effective]).toEqual([old.ambient, old.ambient]);
  });

  it('treats root as anybody with NOROOT, and drops KEEP_CAPS', () => {
    const old = { ...root, securebits: SECBIT_NOROOT | SECBIT_KEEP_CAPS };
    const now = credentialsAfterExec(old, plainFile);
    expect([now.effective, now.securebits]).toEqual([noCapabilities, SECBIT_NOROOT]);
  });
});
