// SPDX-License-Identifier: Apache-2.0
// User and group ids, supplementary groups, capabilities: setuid(2), setresuid(2), capset(2) and relatives.

import {
  _LINUX_CAPABILITY_VERSION_1,
  _LINUX_CAPABILITY_VERSION_2,
  _LINUX_CAPABILITY_VERSION_3,
  allCapabilities,
  CAP_SETGID,
  CAP_SETPCAP,
  CAP_SETUID,
  type CapabilitySet,
  noCapabilities,
} from '../../abi/capability.ts';
import {
  EFAULT,
  EINVAL,
  ENOMEM,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import {
  fixCapabilitiesAfterFsuidChange,
  fixCapabilitiesAfterUidChange,
  intersect,
  isSubset,
  unite,
} from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { type Credentials, isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

/** (uid_t)-1: "leave as it is", and not an id. */
const UNCHANGED = 0xffffffff;
const NGROUPS_MAX = 65536;

function install(task: Task, wanted: Credentials, fix = fixCapabilitiesAfterUidChange): SysResult {
  const old = task.credentials;
  const now = fix(old, wanted);
  task.credentials = now;
  if (
    old.euid !== now.euid ||
    old.egid !== now.egid ||
    old.fsuid !== now.fsuid ||
    old.fsgid !== now.fsgid
  ) {
    task.group.dumpable = 0;
    task.parentDeathSignal = 0;
  }
  return 0;
}

function sysSetuid(task: Task, args: SyscallArgs): SysResult {
  const uid = args.u32(0);
  const old = task.credentials;
  if (uid === UNCHANGED) return EINVAL;
  if (isCapable(old, CAP_SETUID))
    return install(task, { ...old, uid, euid: uid, suid: uid, fsuid: uid });
  if (uid !== old.uid && uid !== old.suid) return EPERM;
  return install(task, { ...old, euid: uid, fsuid: uid });
}

function sysSetgid(task: Task, args: SyscallArgs): SysResult {
  const gid = args.u32(0);
  const old = task.credentials;
  if (gid === UNCHANGED) return EINVAL;
  if (isCapable(old, CAP_SETGID))
    return install(task, { ...old, gid, egid: gid, sgid: gid, fsgid: gid });
  if (gid !== old.gid && gid !== old.sgid) return EPERM;
  return install(task, { ...old, egid: gid, fsgid: gid });
}

function sysSetreuid(task: Task, args: SyscallArgs): SysResult {
  const old = task.credentials;
  const ruid = args.u32(0) === UNCHANGED ? old.uid : args.u32(0);
  const euid = args.u32(1) === UNCHANGED ? old.euid : args.u32(1);
  if (!isCapable(old, CAP_SETUID)) {
    if (ruid !== old.uid && ruid !== old.euid) return EPERM;
    if (euid !== old.uid && euid !== old.euid && euid !== old.suid) return EPERM;
  }
  const savesIt = args.u32(0) !== UNCHANGED || (args.u32(1) !== UNCHANGED && euid !== old.uid);
  return install(task, { ...old, uid: ruid, euid, fsuid: euid, suid: savesIt ? euid : old.suid });
}

function sysSetregid(task: Task, args: SyscallArgs): SysResult {
  const old = task.credentials;
  const rgid = args.u32(0) === UNCHANGED ? old.gid : args.u32(0);
  const egid = args.u32(1) === UNCHANGED ? old.egid : args.u32(1);
  if (!isCapable(old, CAP_SETGID)) {
    if (rgid !== old.gid && rgid !== old.egid) return EPERM;
    if (egid !== old.gid && egid !== old.egid && egid !== old.sgid) return EPERM;
  }
  const savesIt = args.u32(0) !== UNCHANGED || (args.u32(1) !== UNCHANGED && egid !== old.gid);
  return install(task, { ...old, gid: rgid, egid, fsgid: egid, sgid: savesIt ? egid : old.sgid });
}

/** Three wished-for ids against the three that a task has. */
function resolveThree(
  args: SyscallArgs,
  current: readonly [number, number, number],
  capable: boolean,
): [number, number, number] | undefined {
  const wanted = current.map((id, index) =>
    args.u32(index) === UNCHANGED ? id : args.u32(index),
  ) as [number, number, number];
  return capable || wanted.every((id) => current.includes(id)) ? wanted : undefined;
}

function sysSetresuid(task: Task, args: SyscallArgs): SysResult {
  const old = task.credentials;
  const ids = resolveThree(args, [old.uid, old.euid, old.suid], isCapable(old, CAP_SETUID));
  if (ids === undefined) return EPERM;
  const [uid, euid, suid] = ids;
  return install(task, { ...old, uid, euid, suid, fsuid: euid });
}

function sysSetresgid(task: Task, args: SyscallArgs): SysResult {
  const old = task.credentials;
  const ids = resolveThree(args, [old.gid, old.egid, old.sgid], isCapable(old, CAP_SETGID));
  if (ids === undefined) return EPERM;
  const [gid, egid, sgid] = ids;
  return install(task, { ...old, gid, egid, sgid, fsgid: egid });
}

function putThree(task: Task, args: SyscallArgs, ids: readonly number[]): SysResult {
  for (const [index, id] of ids.entries()) {
    const written = task.memory.writeU32(args.addr(index), id);
    if (isErrno(written)) return written;
  }
  return 0;
}

function sysGetresuid(task: Task, args: SyscallArgs): SysResult {
  return putThree(task, args, [task.credentials.uid, task.credentials.euid, task.credentials.suid]);
}

function sysGetresgid(task: Task, args: SyscallArgs): SysResult {
  return putThree(task, args, [task.credentials.gid, task.credentials.egid, task.credentials.sgid]);
}

/** setfsuid answers the old value whatever happens. */
function sysSetfsuid(task: Task, args: SyscallArgs): SysResult {
  const old = task.credentials;
  const uid = args.u32(0);
  const allowed =
    isCapable(old, CAP_SETUID) || [old.uid, old.euid, old.suid, old.fsuid].includes(uid);
  if (allowed && uid !== UNCHANGED)
    install(task, { ...old, fsuid: uid }, fixCapabilitiesAfterFsuidChange);
  return old.fsuid;
}

function sysSetfsgid(task: Task, args: SyscallArgs): SysResult {
  const old = task.credentials;
  const gid = args.u32(0);
  const allowed =
    isCapable(old, CAP_SETGID) || [old.gid, old.egid, old.sgid, old.fsgid].includes(gid);
  if (allowed && gid !== UNCHANGED) install(task, { ...old, fsgid: gid });
  return old.fsgid;
}

function sysGetgroups(task: Task, args: SyscallArgs): SysResult {
  const size = args.i32(0);
  const { groups } = task.credentials;
  if (size < 0) return EINVAL;
  if (size === 0) return groups.length;
  if (size < groups.length) return EINVAL;
  const copied = task.memory.write(args.addr(1), new Uint8Array(Uint32Array.from(groups).buffer));
  return isErrno(copied) ? copied : groups.length;
}

function sysSetgroups(task: Task, args: SyscallArgs): SysResult {
  const size = args.u32(0);
  if (!isCapable(task.credentials, CAP_SETGID)) return EPERM;
  if (size > NGROUPS_MAX) return EINVAL;
  const bytes = new Uint8Array(size * 4);
  if (isErrno(task.memory.read(args.addr(1), bytes))) return EFAULT;
  const groups = [...new Uint32Array(bytes.buffer)];
  if (groups.includes(UNCHANGED)) return EINVAL;
  const { holdings } = task.group;
  const grown = (groups.length - task.credentials.groups.length) * OBJECT_COST.group;
  if (grown > 0 && !holdings.hasRoom(grown)) return ENOMEM;
  holdings.force(grown);
  task.credentials = { ...task.credentials, groups: groups.sort((a, b) => a - b) };
  return 0;
}

/**
 * Words of capability data for a header's version; EINVAL (and the preferred version written back)
 * for others.
 */
function capabilityWords(task: Task, headerAddr: number): Result<{ words: number; pid: number }> {
  const header = task.memory.view(headerAddr, 8);
  if (isErrno(header)) return header;
  const version = header.getUint32(0, true);
  const pid = header.getInt32(4, true);
  if (version === _LINUX_CAPABILITY_VERSION_1) return { words: 1, pid };
  if (version === _LINUX_CAPABILITY_VERSION_2 || version === _LINUX_CAPABILITY_VERSION_3)
    return { words: 2, pid };
  const written = task.memory.writeU32(headerAddr, _LINUX_CAPABILITY_VERSION_3);
  return isErrno(written) ? written : EINVAL;
}

function sysCapget(task: Task, args: SyscallArgs): SysResult {
  const header = capabilityWords(task, args.addr(0));
  if (isErrno(header)) return header === EINVAL && args.addr(1) === 0 ? 0 : header;
  if (header.pid < 0) return EINVAL;
  const sets = capabilitiesOf(task, header.pid);
  if (sets === undefined) return ESRCH;
  if (args.addr(1) === 0) return 0;
  const { effective, permitted, inheritable } = sets;
  const words = [
    effective.lo,
    permitted.lo,
    inheritable.lo,
    effective.hi,
    permitted.hi,
    inheritable.hi,
  ];
  return task.memory.write(
    args.addr(1),
    new Uint8Array(Uint32Array.from(words).buffer, 0, 12 * header.words),
  );
}

function capabilitiesOf(
  task: Task,
  pid: number,
): Pick<Credentials, 'effective' | 'permitted' | 'inheritable'> | undefined {
  const { tasks, groups, init } = task.pids;
  // The Sentry's own init has no task: it may do everything.
  if (init?.isVirtual && pid === init.id)
    return {
      effective: allCapabilities,
      permitted: allCapabilities,
      inheritable: noCapabilities,
    };
  return (pid === 0 ? task : (tasks.get(pid) ?? groups.get(pid)?.leader))?.credentials;
}

function sysCapset(task: Task, args: SyscallArgs): SysResult {
  const header = capabilityWords(task, args.addr(0));
  if (isErrno(header)) return header;
  if (header.pid !== 0 && header.pid !== task.tid) return EPERM;
  const view = task.memory.view(args.addr(1), 12 * header.words);
  if (isErrno(view)) return view;
  const setAt = (at: number): CapabilitySet => ({
    lo: view.getUint32(at, true),
    hi: header.words === 2 ? view.getUint32(at + 12, true) & 0x1ff : 0,
  });
  const old = task.credentials;
  const effective = setAt(0);
  const permitted = setAt(4);
  const inheritable = setAt(8);
  if (!isCapable(old, CAP_SETPCAP) && !isSubset(inheritable, unite(old.inheritable, old.permitted)))
    return EPERM;
  if (!isSubset(inheritable, unite(old.inheritable, old.bounding))) return EPERM;
  if (!isSubset(permitted, old.permitted) || !isSubset(effective, permitted)) return EPERM;
  const ambient = intersect(old.ambient, intersect(permitted, inheritable));
  task.credentials = { ...old, effective, permitted, inheritable, ambient };
  return 0;
}

export const credentialRows: readonly Row[] = [
  direct(102, 'getuid', [], (task) => task.answerFromNowOn('getuid', task.credentials.uid)),
  direct(104, 'getgid', [], (task) => task.answerFromNowOn('getgid', task.credentials.gid)),
  direct(105, 'setuid', ['uid'], sysSetuid),
  direct(106, 'setgid', ['gid'], sysSetgid),
  direct(107, 'geteuid', [], (task) => task.answerFromNowOn('geteuid', task.credentials.euid)),
  direct(108, 'getegid', [], (task) => task.answerFromNowOn('getegid', task.credentials.egid)),
  direct(113, 'setreuid', ['uid', 'uid'], sysSetreuid),
  direct(114, 'setregid', ['gid', 'gid'], sysSetregid),
  direct(115, 'getgroups', ['int', 'addr'], sysGetgroups),
  direct(116, 'setgroups', ['int', 'addr'], sysSetgroups),
  direct(117, 'setresuid', ['uid', 'uid', 'uid'], sysSetresuid),
  direct(118, 'getresuid', ['addr', 'addr', 'addr'], sysGetresuid),
  direct(119, 'setresgid', ['gid', 'gid', 'gid'], sysSetresgid),
  direct(120, 'getresgid', ['addr', 'addr', 'addr'], sysGetresgid),
  direct(122, 'setfsuid', ['uid'], sysSetfsuid),
  direct(123, 'setfsgid', ['gid'], sysSetfsgid),
  direct(125, 'capget', ['addr', 'addr'], sysCapget),
  direct(126, 'capset', ['addr', 'addr'], sysCapset),
];
