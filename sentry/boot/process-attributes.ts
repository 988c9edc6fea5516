// What a process that is started from outside begins with, out of its configuration.
import { isErrno, type Result } from '../../abi/errno.ts';
import { AT_FDCWD, O_RDONLY } from '../../abi/fcntl.ts';
import { RLIM_INFINITY } from '../../abi/resource.ts';
import { SCHED_FLAG_RESET_ON_FORK, SCHED_FLAG_UTIL_CLAMP } from '../../abi/sched.ts';
import { S_IFREG } from '../../abi/stat.ts';
import type { ProcessConfig } from '../../protocol/boot-config.ts';
import { credentialsOf } from '../kernel/credentials.ts';
import { Limits } from '../kernel/limits.ts';
import { checkRequest, install } from '../kernel/scheduling.ts';
import type { Task } from '../kernel/task.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { Credentials } from '../vfs/credentials.ts';
import type { FsCaller } from '../vfs/fs-context.ts';
import { BufferSink } from '../vfs/io.ts';
import { openNow } from '../vfs/open.ts';
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

/** With HOME, as runc adds it: from /etc/passwd of the container, '/' for who is not in there. */
export function processEnvironment(config: ProcessConfig, caller: FsCaller): readonly string[] {
  if (!config.addsHome || config.env.some((entry) => entry.startsWith('HOME='))) return config.env;
  return [...config.env, `HOME=${homeOf(config.user.uid, caller)}`];
}

/** passwd(5): what a hostile image may have there is read to this length. */
const passwdBytes = 1024 * 1024;

function homeOf(uid: number, caller: FsCaller): string {
  for (const line of readText(caller, '/etc/passwd', passwdBytes).split('\n')) {
    const fields = line.split(':');
    if (fields[2] === String(uid) && /^\d+$/.test(fields[2]))
      return fields[5] === undefined || fields[5] === '' ? '/' : fields[5];
  }
  return '/';
}

/** '' for a file that is not there or is no regular one. */
function readText(caller: FsCaller, path: string, limit: number): string {
  const at = walkPath(caller, AT_FDCWD, path, WALK_FOLLOW);
  // A terminal or a FIFO would ask who opens it.
  if (isErrno(at) || at.node.kind !== S_IFREG) return '';
  const file = openNow(caller, AT_FDCWD, path, { flags: O_RDONLY, mode: 0, resolve: 0 });
  if (isErrno(file)) return '';
  file.acquire();
  const parts: Buffer[] = [];
  for (let total = 0; total < limit; ) {
    const buffer = Buffer.alloc(64 * 1024);
    const count = file.read(new BufferSink(buffer));
    if (count <= 0) break;
    parts.push(buffer.subarray(0, count));
    total += count;
  }
  file.release();
  return Buffer.concat(parts).toString('latin1');
}

/** Nothing that is called here asks for guest memory. */
const noMemory = undefined as unknown as GuestMemory;

/** The directory to start in, as chdir(2) finds it for `caller`. */
export function workingDirectory(path: string, caller: Omit<FsCaller, 'memory'>): Result<Path> {
  return walkPath({ ...caller, memory: noMemory }, AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY);
}
