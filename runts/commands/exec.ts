// SPDX-License-Identifier: Apache-2.0
// `runts exec`: a further process in a running container.

import { Failure } from '../failure.ts';
import type { OciContext } from '../oci/context.ts';
import { execute } from '../oci/exec.ts';
import type { Capabilities, Process, User } from '../oci/spec/types.ts';
import { parseId } from '../quantities.ts';

interface ProcessOptions {
  readonly cwd?: string;
  readonly env: readonly string[];
  readonly tty?: boolean;
  readonly user?: string;
  readonly additionalGids: readonly string[];
  readonly noNewPrivs?: boolean;
  readonly cap: readonly string[];
}

/** The options of `runts exec`, which are runc's, in commander's form. */
export interface ExecOptions extends ProcessOptions {
  readonly consoleSocket?: string;
  readonly process?: string;
  readonly detach?: boolean;
  readonly pidFile?: string;
  readonly ignorePaused?: boolean;
  readonly preserveFds?: number;
}

export function exec(
  context: OciContext,
  id: string,
  command: readonly string[],
  options: ExecOptions,
): void {
  if (options.process === undefined && command.length === 0)
    throw new Failure('RUNTS_E_USAGE', 'process args cannot be empty');
  execute(context, {
    id,
    change: (process) => changedProcess(process, command, options),
    processFile: options.process,
    isDetached: options.detach === true,
    ignoresPause: options.ignorePaused === true,
    pidFile: options.pidFile,
    consoleSocket: options.consoleSocket,
    preservedFds: options.preserveFds ?? 0,
  });
}

/** The container's process, with what was asked for. The quick path's is native/launcher/quick/changes.c. */
export function changedProcess(
  process: Process,
  command: readonly string[],
  options: ProcessOptions,
): Process {
  return {
    ...process,
    args: command,
    cwd: options.cwd ?? process.cwd,
    env: [...(process.env ?? []), ...options.env],
    terminal: options.tty === true,
    user: changedUser(process.user, options),
    ...(options.noNewPrivs === true ? { noNewPrivileges: true } : {}),
    ...(options.cap.length === 0
      ? {}
      : { capabilities: withCapabilities(process.capabilities ?? {}, options.cap) }),
  };
}

function changedUser(user: User, options: ProcessOptions): User {
  const additionalGids = [
    ...(user.additionalGids ?? []),
    ...options.additionalGids.map((id) => parseId(id, '--additional-gids')),
  ];
  if (options.user === undefined) return { ...user, additionalGids };
  const [uid = '', gid, ...more] = options.user.split(':');
  if (more.length > 0)
    throw new Failure('RUNTS_E_OPTION_VALUE', `--user: '${options.user}' is not UID[:GID]`);
  return {
    ...user,
    uid: parseId(uid, '--user'),
    ...(gid === undefined ? {} : { gid: parseId(gid, '--user') }),
    additionalGids,
  };
}

/** Adds capabilities by name to all sets but the inheritable and the ambient one, as runc does. */
function withCapabilities(sets: Capabilities, names: readonly string[]): Capabilities {
  const add = (set: readonly string[] = []): string[] => [...new Set([...set, ...names])];
  return {
    bounding: add(sets.bounding),
    effective: add(sets.effective),
    permitted: add(sets.permitted),
    inheritable: sets.inheritable ?? [],
    ambient: sets.ambient ?? [],
  };
}
