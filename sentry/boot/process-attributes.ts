// SPDX-License-Identifier: Apache-2.0
// What a process that is started from outside begins with, out of its configuration.
import { isErrno, type Result } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { RLIM_INFINITY } from '../../abi/resource.ts';
import { SCHED_FLAG_RESET_ON_FORK, SCHED_FLAG_UTIL_CLAMP } from '../../abi/sched.ts';
import type { ProcessConfig } from '../../protocol/boot-config.ts';
import { credentialsOf } from '../kernel/credentials.ts';
import { Limits } from '../kernel/limits.ts';
import { checkRequest, install } from '../kernel/scheduling.ts';
import type { Task } from '../kernel/task.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { Credentials } from '../vfs/credentials.ts';
import type { FsCaller } from '../vfs/fs-context.ts';
import type { Path } from '../vfs/path.ts';
import { WALK_DIRECTORY, WALK_FOLLOW, walkPath } from '../vfs/path-walk.ts';
import { BootFailure } from './boot-failure.ts';

/** Sets as they are before execve(2), which then makes of them what capabilities(7) says. */
export function processCredentials(config: ProcessConfig): Credentials {
  const { uid, gid } = config.user;
  // Each once, as runc has them, and in the order that setgroups(2) leaves them in.
  const groups = [...new Set(config.user.groups)].sort((a, b) => a - b);
  return { ...credentialsOf(uid, gid, groups), ...config.capabilities };
}

export function processLimits(config: ProcessConfig): Limits {
  const limits = new Limits();
  for (const [resource, soft, hard] of config.limits)
    limits.set(resource, { soft: soft ?? RLIM_INFINITY, hard: hard ?? RLIM_INFINITY });
  return limits;
}

/** Throws BootFailure. */
export function checkScheduling({ scheduling }: ProcessConfig): void {
  if (scheduling === undefined) return;
  if ((scheduling.flags & SCHED_FLAG_UTIL_CLAMP) !== 0)
    throw new BootFailure('error setting scheduler: operation not supported');
  if (isErrno(checkRequest(scheduling, scheduling.policy)))
    throw new BootFailure('error setting scheduler: invalid argument');
}

/** Sets the scheduling that was found possible. As with runc it is set with all rights. */
export function applyScheduling(task: Task, { scheduling, ioPriority }: ProcessConfig): void {
  if (ioPriority !== undefined) task.ioPriority = ioPriority;
  if (scheduling === undefined) return;
  const resetsOnFork = (scheduling.flags & SCHED_FLAG_RESET_ON_FORK) !== 0;
  install(task, { ...scheduling, resetsOnFork });
}

/** Nothing that is called here asks for guest memory. */
const noMemory = undefined as unknown as GuestMemory;

/** The directory to start in, as chdir(2) finds it for `caller`. */
export function workingDirectory(path: string, caller: Omit<FsCaller, 'memory'>): Result<Path> {
  return walkPath({ ...caller, memory: noMemory }, AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY);
}
