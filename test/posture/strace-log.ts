// SPDX-License-Identifier: Apache-2.0
// Reads the log of `strace -f -i`: which process made which host calls after it had confined itself.

export type Role = 'sentry' | 'gofer' | 'proxy' | 'stub' | 'other';

/** Below this are the guest's own instructions; their calls are trapped and never reach the host. */
const STUB_RANGE = 0x7fc000000000;

interface Process {
  role: Role;
  confined: boolean;
}

/** Names of calls by role. Calls before the filter was installed do not count. */
export function callsByProcess(log: string): Map<Role, Set<string>> {
  const processes = new Map<string, Process>();
  const calls = new Map<Role, Set<string>>();
  const processOf = (pid: string): Process => {
    const known = processes.get(pid);
    if (known !== undefined) return known;
    const made: Process = { role: 'other', confined: false };
    processes.set(pid, made);
    return made;
  };
  for (const line of log.split('\n')) {
    const match = /^(\d+) +\[([0-9a-f?]+)\] (\w+)\((.*)$/.exec(line);
    if (match === null) continue;
    const [, pid = '', address = '', name = '', rest = ''] = match;
    const process = processOf(pid);
    follow(process, name, rest, processOf);
    if (!process.confined || isInstallation(name, rest)) continue;
    if (process.role === 'stub' && Number.parseInt(address, 16) < STUB_RANGE) continue;
    const names = calls.get(process.role) ?? new Set();
    names.add(name);
    calls.set(process.role, names);
  }
  return calls;
}

/** Learns roles from exec, the end of start-up from seccomp, and descent from clone. */
function follow(
  process: Process,
  name: string,
  rest: string,
  processOf: (pid: string) => Process,
): void {
  if (name === 'execveat' || name === 'execve') {
    const role = /"runts-(sentry|gofer|zygote)"/.exec(rest)?.[1];
    if (role === 'zygote') process.role = 'stub';
    else if (role !== undefined) process.role = role as Role;
  } else if (name === 'prctl') {
    // Neither a preboot (native/preboot) nor the network proxy is executed.
    const role = /^PR_SET_NAME, "runts-(sentry|gofer|proxy)"/.exec(rest)?.[1];
    if (role !== undefined) process.role = role as Role;
  } else if (isInstallation(name, rest)) {
    process.confined = true;
  } else if (name === 'clone' || name === 'clone3') {
    const child = /= (\d+)/.exec(rest)?.[1];
    if (child !== undefined && process.role !== 'other') Object.assign(processOf(child), process);
  }
}

function isInstallation(name: string, rest: string): boolean {
  return name === 'seccomp' && rest.includes('SECCOMP_SET_MODE_FILTER');
}

/**
 * Names of the calls of the thread that ends itself, after the last filter was installed: by descent it is
 * not found, for what clone(2) answers in another PID namespace is not the number that strace has.
 */
export function callsOfEndedThread(log: string): Set<string> {
  const confined = log.slice(log.lastIndexOf('SECCOMP_SET_MODE_FILTER'));
  const calls = [...confined.matchAll(/^(\d+) +\[[0-9a-f?]+\] (\w+)\(/gm)];
  const ended = [...confined.matchAll(/^(\d+) +\[[0-9a-f]+\] exit\(0\)/gm)].map(([, one]) => one);
  // Threads of stubs, and of whatever ran before, end as well: the sampler is who sends signals.
  const sampler = ended.find((one) =>
    calls.some(([, of, name]) => of === one && name === 'tgkill'),
  );
  return new Set(calls.filter(([, of]) => of === sampler).map(([, , name]) => name as string));
}
