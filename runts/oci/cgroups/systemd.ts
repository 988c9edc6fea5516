// SPDX-License-Identifier: Apache-2.0
// --systemd-cgroup: cgroupsPath is slice:prefix:name, and the cgroup is a scope (a unit of
// processes that somebody else started) that systemd makes. Asked for with busctl(1), which every
// systemd brings. systemd.scope(5), systemd.resource-control(5), org.freedesktop.systemd1(5)
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, Failure } from '../../failure.ts';
import type { Resources } from '../spec/types.ts';
import { pause } from './control-files.ts';
import type { CgroupKind } from './layout.ts';
import { pidsOf } from './processes.ts';
import { unitProperties } from './systemd-properties.ts';

export interface SystemdUnit {
  readonly slice: string;
  /** 'docker-ID.scope' */
  readonly name: string;
  /** The caller's own systemd, not the machine's. */
  readonly isUsers: boolean;
}

/**
 * Runs busctl and returns its output; throws what the child process module throws. Tests pass
 * another one.
 */
export type Busctl = (args: readonly string[]) => string;

const busctl: Busctl = (args) =>
  execFileSync('busctl', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  });

const manager = [
  'org.freedesktop.systemd1',
  '/org/freedesktop/systemd1',
  'org.freedesktop.systemd1.Manager',
] as const;

export function parseSystemdPath(
  cgroupsPath: string,
  id: string,
  isUsers: boolean,
  isRunning: boolean = existsSync('/run/systemd/system'),
): SystemdUnit {
  if (!isRunning)
    throw new Failure(
      'RUNTS_E_SYSTEMD_ABSENT',
      'systemd not running on this host, cannot use systemd cgroups manager',
    );
  const parts = cgroupsPath === '' ? ['', 'runts', id] : cgroupsPath.split(':');
  const [slice = '', prefix = '', base = ''] = parts;
  if (parts.length !== 3 || base === '')
    throw new Failure(
      'RUNTS_E_CGROUP_PATH',
      `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "${cgroupsPath}" instead`,
    );
  const name = `${prefix === '' ? '' : `${prefix}-`}${base}.scope`;
  if (!/^[\w:.\\@-]{1,250}$/.test(name))
    throw new Failure(
      'RUNTS_E_CGROUP_PATH',
      `cgroupsPath: '${name}' is not a valid name for a systemd unit`,
    );
  const fallback = isUsers ? 'user.slice' : 'system.slice';
  return { slice: slice === '' ? fallback : slice, name, isUsers };
}

/** The path in each hierarchy: 'a-b.slice' is a part of 'a.slice'. */
export function unitCgroup(unit: SystemdUnit, ask: Busctl = busctl): string {
  return `${unit.isUsers ? usersRoot(ask) : ''}${expandSlice(unit.slice)}/${unit.name}`;
}

export function expandSlice(slice: string): string {
  if (slice === '-.slice') return '';
  const names = slice.replace(/\.slice$/, '').split('-');
  if (!slice.endsWith('.slice') || slice.includes('/') || names.some((name) => name === ''))
    throw new Failure(
      'RUNTS_E_CGROUP_PATH',
      `cgroupsPath: '${slice}' is not a valid name for a systemd slice`,
    );
  return names.map((_, index) => `/${names.slice(0, index + 1).join('-')}.slice`).join('');
}

/** 's "/user.slice/user-1000.slice/user@1000.service"' */
function usersRoot(ask: Busctl): string {
  const text = call(ask, 'find the cgroup of the user manager', [
    '--user',
    'get-property',
    ...manager,
    'ControlGroup',
  ]);
  return /"([^"]*)"/.exec(text)?.[1]?.replace(/\/$/, '') ?? '';
}

/**
 * Makes the scope, with a process that only keeps it: systemd makes none without. `directory` is
 * where it appears. Answers the process, which has done its duty when the container's own are
 * there.
 */
export function startScope(
  unit: SystemdUnit,
  directory: string,
  kind: CgroupKind,
  resources: Resources,
  ask: Busctl = busctl,
): number {
  const keeper = spawn('sleep', ['60'], { stdio: 'ignore', detached: true, cwd: '/' });
  // A failure to start is told by the missing pid.
  keeper.on('error', () => undefined);
  keeper.unref();
  if (keeper.pid === undefined)
    throw new Failure(
      'RUNTS_E_SYSTEMD_UNIT',
      'cannot start the process (sleep) that holds the scope',
    );
  const properties = [
    ['Description', 's', `runts container ${unit.name}`],
    ['Slice', 's', unit.slice],
    ['Delegate', 'b', 'true'],
    ['DefaultDependencies', 'b', 'false'],
    ['PIDs', 'au', '1', String(keeper.pid)],
    ['MemoryAccounting', 'b', 'true'],
    ['CPUAccounting', 'b', 'true'],
    ['TasksAccounting', 'b', 'true'],
    [kind === 'v2' ? 'IOAccounting' : 'BlockIOAccounting', 'b', 'true'],
    ...unitProperties(kind, resources),
  ];
  try {
    start(unit, properties, ask);
    awaitMember(directory, keeper.pid, unit);
  } catch (error) {
    endKeeper(keeper.pid);
    throw error;
  }
  return keeper.pid;
}

function start(unit: SystemdUnit, properties: readonly (readonly string[])[], ask: Busctl): void {
  const args = [
    ...bus(unit),
    'call',
    ...manager,
    'StartTransientUnit',
    'ssa(sv)a(sa(sv))',
    unit.name,
    'replace',
    String(properties.length),
    ...properties.flat(),
    '0',
  ];
  try {
    call(ask, `start ${unit.name}`, args);
  } catch (error) {
    // A scope of this name failed before, and is remembered.
    if (!/already exists|already loaded|UnitExists/.test(describe(error))) throw error;
    resetFailed(unit, ask);
    call(ask, `start ${unit.name}`, args);
  }
}

function awaitMember(directory: string, pid: number, unit: SystemdUnit): void {
  const end = Date.now() + 30_000;
  while (!pidsOf(directory, false).includes(pid)) {
    if (Date.now() > end)
      throw new Failure('RUNTS_E_SYSTEMD_UNIT', `systemd has not started ${unit.name} in 30 s`);
    pause(2);
  }
}

export function updateScope(
  unit: SystemdUnit,
  kind: CgroupKind,
  resources: Resources,
  ask: Busctl = busctl,
): void {
  const properties = unitProperties(kind, resources);
  if (properties.length === 0) return;
  call(ask, `update ${unit.name}`, [
    ...bus(unit),
    'call',
    ...manager,
    'SetUnitProperties',
    'sba(sv)',
    unit.name,
    'true',
    String(properties.length),
    ...properties.flat(),
  ]);
}

/** A scope that has ended already is fine. */
export function stopScope(unit: SystemdUnit, ask: Busctl = busctl): void {
  try {
    ask([...bus(unit), 'call', ...manager, 'StopUnit', 'ss', unit.name, 'replace']);
  } catch {
    // Not loaded any more.
  }
  resetFailed(unit, ask);
}

export function endKeeper(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Its time was over.
  }
}

function resetFailed(unit: SystemdUnit, ask: Busctl): void {
  try {
    ask([...bus(unit), 'call', ...manager, 'ResetFailedUnit', 's', unit.name]);
  } catch {
    // It had not failed.
  }
}

function bus({ isUsers }: SystemdUnit): string[] {
  return isUsers ? ['--user'] : ['--system'];
}

function call(ask: Busctl, what: string, args: readonly string[]): string {
  try {
    return ask(args);
  } catch (error) {
    const said = (error as { stderr?: unknown }).stderr;
    const text = typeof said === 'string' && said.trim() !== '' ? said.trim() : describe(error);
    throw new Failure('RUNTS_E_SYSTEMD_UNIT', `systemd: cannot ${what}: ${text}`);
  }
}
