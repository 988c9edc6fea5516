// SPDX-License-Identifier: Apache-2.0
// What passwd(5) and group(5) inside a container say of the user that a process is started as.

import { noCapabilities } from '../../abi/capability.ts';
import { isErrno } from '../../abi/errno.ts';
import { AT_FDCWD, O_RDONLY } from '../../abi/fcntl.ts';
import { S_IFREG } from '../../abi/stat.ts';
import type { GuestUser, ProcessConfig } from '../../protocol/boot-config.ts';
import type { FsCaller } from '../vfs/fs-context.ts';
import { BufferSink } from '../vfs/io.ts';
import { openNow } from '../vfs/open.ts';
import { WALK_FOLLOW, walkPath } from '../vfs/path-walk.ts';
import { BootFailure } from './boot-failure.ts';

/** A hostile image's files are read to this length. */
const fileBytes = 1024 * 1024;

/** Ids that a file may hold: 2^32 - 1 is none. */
const mostId = 0xffff_fffe;

/** With HOME, as runc adds it: from /etc/passwd of the container, '/' for who is not in there. */
export function processEnvironment(config: ProcessConfig, caller: FsCaller): readonly string[] {
  if (!config.addsHome || config.env.some((entry) => entry.startsWith('HOME='))) return config.env;
  return [...config.env, `HOME=${homeOf(config.user.uid, caller)}`];
}

function homeOf(uid: number, caller: FsCaller): string {
  for (const fields of lines(caller, '/etc/passwd')) {
    if (fields[2] === String(uid) && /^\d+$/.test(fields[2]))
      return fields[5] === undefined || fields[5] === '' ? '/' : fields[5];
  }
  return '/';
}

/** '' for a file that is not there or is no regular one. */
function readText(caller: FsCaller, path: string): string {
  const at = walkPath(caller, AT_FDCWD, path, WALK_FOLLOW);
  // A terminal or a FIFO would ask who opens it.
  if (isErrno(at) || at.node.kind !== S_IFREG) return '';
  const file = openNow(caller, AT_FDCWD, path, { flags: O_RDONLY, mode: 0, resolve: 0 });
  if (isErrno(file)) return '';
  file.acquire();
  const parts: Buffer[] = [];
  for (let total = 0; total < fileBytes; ) {
    const buffer = Buffer.alloc(64 * 1024);
    const count = file.read(new BufferSink(buffer));
    if (count <= 0) break;
    parts.push(buffer.subarray(0, count));
    total += count;
  }
  file.release();
  return Buffer.concat(parts).toString('latin1');
}

function lines(caller: FsCaller, path: string): string[][] {
  return readText(caller, path)
    .split('\n')
    .map((line) => line.split(':'));
}

/** The configuration with ids in the place of the names of `userNames`. Throws BootFailure. */
export function withKnownUser(config: ProcessConfig, caller: FsCaller): ProcessConfig {
  if (config.userNames === undefined) return config;
  const user = findUser(config.userNames, caller);
  if (user.uid === 0) return { ...config, user };
  const capabilities = {
    ...config.capabilities,
    effective: noCapabilities,
    permitted: noCapabilities,
  };
  return { ...config, user, capabilities };
}

function findUser(names: Required<ProcessConfig>['userNames'], caller: FsCaller): GuestUser {
  const isNumber = /^\d+$/.test(names.user);
  const entry = lines(caller, '/etc/passwd').find(
    (fields) => fields[0] === names.user && idOf(fields[2]) !== undefined,
  );
  const uid = isNumber ? idOf(names.user) : idOf(entry?.[2]);
  if (uid === undefined)
    throw new BootFailure(`--user: there is no user '${names.user}' in /etc/passwd of the guest`);
  if (names.group !== undefined) {
    const gid = findGroup(names.group, caller);
    return { uid, gid, groups: [gid] };
  }
  const gid = idOf(entry?.[3]) ?? uid;
  return { uid, gid, groups: [gid, ...groupsWith(names.user, caller)] };
}

function findGroup(name: string, caller: FsCaller): number {
  if (/^\d+$/.test(name)) {
    const gid = idOf(name);
    if (gid !== undefined) return gid;
  }
  for (const [each, , id] of lines(caller, '/etc/group')) {
    const gid = idOf(id);
    if (each === name && gid !== undefined) return gid;
  }
  throw new BootFailure(`--user: there is no group '${name}' in /etc/group of the guest`);
}

/** The groups that name the user as a member, as initgroups(3) has them. */
function groupsWith(user: string, caller: FsCaller): number[] {
  return lines(caller, '/etc/group').flatMap(([, , id, members = '']) => {
    const gid = idOf(id);
    return gid !== undefined && members.split(',').includes(user) ? [gid] : [];
  });
}

function idOf(text = ''): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= mostId ? Number(text) : undefined;
}
