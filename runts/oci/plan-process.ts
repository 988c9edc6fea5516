// SPDX-License-Identifier: Apache-2.0
// `process` of config.json, or of the file that `exec --process` names: what the Sentry starts a
// process with.
import { RLIM_INFINITY } from '../../abi/resource.ts';
import type {
  CapabilityConfig,
  ProcessConfig,
  TerminalConfig,
  WindowSize,
} from '../../protocol/boot-config.ts';
import { DEFAULT_UMASK } from '../../protocol/process-defaults.ts';
import { toByteString } from '../byte-string.ts';
import { Failure } from '../failure.ts';
import { planScheduling } from './plan-scheduling.ts';
import { capabilityNames, rlimitNames } from './spec/names.ts';
import type { Capabilities, Integer64, Process, Rlimit } from './spec/types.ts';

export function planProcess(process: Process): ProcessConfig {
  const { user } = process;
  const terminal = planTerminal(process);
  return {
    argv: process.args.map((arg, index) => checked(arg, `process.args[${index}]`)),
    env: planEnvironment(process.env ?? []),
    cwd: checked(process.cwd, 'process.cwd'),
    user: { uid: user.uid, gid: user.gid, groups: [...(user.additionalGids ?? [])] },
    umask: (user.umask ?? DEFAULT_UMASK) & 0o777,
    capabilities: planCapabilities(process.capabilities ?? {}),
    limits: planLimits(process.rlimits ?? []),
    addsHome: true,
    noNewPrivileges: process.noNewPrivileges ?? false,
    oomScoreAdjustment: process.oomScoreAdj ?? 0,
    ...planScheduling(process),
    ...(terminal === undefined ? {} : { terminal }),
  };
}

/** A NUL cannot be handed to any program. */
function checked(text: string, where: string): string {
  if (text.includes('\0'))
    throw new Failure('RUNTS_E_CONFIG_PROCESS', `${where}: contains a NUL character`);
  return toByteString(text);
}

/** A variable named twice keeps its first place and its last value, as with runc. */
function planEnvironment(entries: readonly string[]): string[] {
  const variables = new Map<string, string>();
  for (const [index, entry] of entries.entries()) {
    const at = entry.indexOf('=');
    if (at < 1)
      throw new Failure(
        'RUNTS_E_CONFIG_PROCESS',
        `process.env[${index}]: '${entry}' is not NAME=VALUE`,
      );
    variables.set(entry.slice(0, at), checked(entry, `process.env[${index}]`));
  }
  return [...variables.values()];
}

function planTerminal(process: Process): TerminalConfig | undefined {
  if (process.terminal !== true) return undefined;
  const size = process.consoleSize;
  // Without a size a new pseudo-terminal has none; the engine sets it on the master.
  const window: WindowSize =
    size === undefined ? { rows: 0, columns: 0 } : { rows: size.height, columns: size.width };
  return { streams: [true, true, true], window };
}

/** Sets that are not named are empty, as with runc. */
function planCapabilities(sets: Capabilities): CapabilityConfig {
  const config = {
    bounding: capabilitySet(sets.bounding),
    effective: capabilitySet(sets.effective),
    inheritable: capabilitySet(sets.inheritable),
    permitted: capabilitySet(sets.permitted),
    ambient: capabilitySet(sets.ambient),
  };
  const { effective, permitted, ambient, inheritable } = config;
  // capset(2) would refuse it.
  if (isBeyond(effective, permitted))
    throw new Failure(
      'RUNTS_E_CONFIG_PROCESS',
      'process.capabilities: effective ones must be permitted ones',
    );
  // runc goes on without such ambient ones (with a warning): so does Linux's PR_CAP_AMBIENT_RAISE.
  const usable = {
    lo: (ambient.lo & permitted.lo & inheritable.lo) >>> 0,
    hi: (ambient.hi & permitted.hi & inheritable.hi) >>> 0,
  };
  return { ...config, ambient: usable };
}

interface Bits {
  readonly lo: number;
  readonly hi: number;
}

function capabilitySet(names: readonly string[] | undefined): Bits {
  let [lo, hi] = [0, 0];
  for (const name of names ?? []) {
    const number = capabilityNames.indexOf(name);
    // parseSpec has warned of unknown ones.
    if (number < 0) continue;
    if (number < 32) lo |= 1 << number;
    else hi |= 1 << (number - 32);
  }
  return { lo: lo >>> 0, hi: hi >>> 0 };
}

function isBeyond(set: Bits, all: Bits): boolean {
  return (set.lo & ~all.lo) !== 0 || (set.hi & ~all.hi) !== 0;
}

function planLimits(limits: readonly Rlimit[]): ProcessConfig['limits'] {
  const seen = new Set<string>();
  return limits.map(({ type, soft, hard }, index) => {
    const resource = (rlimitNames as readonly string[]).indexOf(type);
    const where = `process.rlimits[${index}]`;
    if (resource < 0)
      throw new Failure(
        'RUNTS_E_CONFIG_PROCESS',
        `${where}.type: '${type}' is not a resource limit`,
      );
    if (seen.has(type))
      throw new Failure('RUNTS_E_CONFIG_PROCESS', `${where}: ${type} is listed twice`);
    seen.add(type);
    const [softValue, hardValue] = [limitOf(soft), limitOf(hard)];
    if ((softValue ?? RLIM_INFINITY) > (hardValue ?? RLIM_INFINITY))
      throw new Failure(
        'RUNTS_E_CONFIG_PROCESS',
        `${where}: the soft limit of ${type} is above the hard one`,
      );
    return [resource, softValue, hardValue] as const;
  });
}

/** 2^64 - 1 is RLIM_INFINITY; Docker and Podman write -1 for it too. */
function limitOf(value: Integer64): number | null {
  const number = Number(value);
  return number < 0 || number >= 2 ** 64 - 2 ** 11 ? null : number;
}
