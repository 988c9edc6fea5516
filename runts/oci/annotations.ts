// SPDX-License-Identifier: Apache-2.0
// Settings of single containers, by annotations of config.json:
//   dev.runts.platform  auto (default) | systrap | ptrace
//   dev.runts.patching  true (default); false: system call instructions stay as they are
//   dev.runts.windows   true (default); false: the Sentry copies the arguments of all calls itself
//   dev.runts.futexes   host (default): threads of a process wait for one another there; sentry
//   dev.runts.network   none | host | sandbox
//   dev.runts.overlay   memory: writes to the root stay in the sandbox and are forgotten; none (default)
//   dev.runts.strace    true: the guest's system calls go to LOG_DIRECTORY/ID.strace
//   dev.runts.stats     true: what they cost, at the end, to LOG_DIRECTORY/ID.stats
//   dev.runts.debug     true: runts' own log goes to LOG_DIRECTORY/ID.log
// An engine may pass annotations on from users: none of them names a file.
import { type PlatformChoice, platformChoices } from '../../protocol/boot-config.ts';
import { Failure } from '../failure.ts';
import { parsePlatform } from '../platform-choice.ts';

export const LOG_DIRECTORY = '/var/log/runts';
const PREFIX = 'dev.runts.';

export type NetworkKind = 'none' | 'host' | 'sandbox';

export interface ContainerSettings {
  readonly platform: PlatformChoice;
  readonly patching: boolean;
  readonly windows: boolean;
  readonly futexes: 'host' | 'sentry';
  readonly network: NetworkKind;
  readonly overlay: boolean;
  readonly strace: boolean;
  readonly stats: boolean;
  readonly debug: boolean;
}

const known: Readonly<Record<keyof ContainerSettings, readonly string[]>> = {
  platform: platformChoices,
  patching: ['true', 'false'],
  windows: ['true', 'false'],
  futexes: ['host', 'sentry'],
  network: ['none', 'host', 'sandbox'],
  overlay: ['memory', 'none'],
  strace: ['true', 'false'],
  stats: ['true', 'false'],
  debug: ['true', 'false'],
};

/** `flags`: what the command line says, where the container says nothing. */
export function readSettings(
  annotations: Readonly<Record<string, string>>,
  flags: Partial<Record<keyof ContainerSettings, string>>,
): ContainerSettings {
  for (const name of Object.keys(annotations)) {
    if (name.startsWith(PREFIX) && !Object.hasOwn(known, name.slice(PREFIX.length)))
      throw new Failure('RUNTS_E_ANNOTATION', `annotations: unknown setting '${name}'`);
  }
  const value = (name: keyof ContainerSettings, otherwise: string): string => {
    const text = annotations[PREFIX + name] ?? flags[name] ?? otherwise;
    if (known[name].includes(text)) return text;
    throw new Failure(
      'RUNTS_E_ANNOTATION',
      `${name}: '${text}' is not one of ${known[name].join(', ')}`,
    );
  };
  return {
    platform: parsePlatform(
      annotations[`${PREFIX}platform`] ?? flags.platform ?? 'auto',
      'platform',
    ),
    patching: value('patching', 'true') === 'true',
    windows: value('windows', 'true') === 'true',
    futexes: value('futexes', 'host') as 'host' | 'sentry',
    network: value('network', 'sandbox') as NetworkKind,
    overlay: value('overlay', 'none') === 'memory',
    strace: value('strace', 'false') === 'true',
    stats: value('stats', 'false') === 'true',
    debug: value('debug', 'false') === 'true',
  };
}

/**
 * The containers of a Kubernetes pod name the one that is the pod (CRI: containerd's and CRI-O's
 * annotations).
 */
export interface PodRole {
  /** 'sandbox': the first, whose Sentry the others share. */
  readonly role: 'sandbox' | 'container';
  readonly sandbox: string;
}

/**
 * Undefined for a container of its own. So is one that names a sandbox of CRI-O's which does not
 * exist: CRI-O makes none for pods without a PID namespace of their own (drop_infra_ctr, its
 * default), and keeps their namespaces itself.
 */
export function readPodRole(
  id: string,
  annotations: Readonly<Record<string, string>>,
  exists: (sandbox: string) => boolean,
): PodRole | undefined {
  const role =
    annotations['io.kubernetes.cri.container-type'] ??
    annotations['io.kubernetes.cri-o.ContainerType'];
  if (role === undefined) return undefined;
  if (role === 'sandbox') return { role, sandbox: id };
  const ofContainerd = annotations['io.kubernetes.cri.sandbox-id'];
  const sandbox = ofContainerd ?? annotations['io.kubernetes.cri-o.SandboxID'];
  if (role !== 'container')
    throw new Failure(
      'RUNTS_E_ANNOTATION',
      `annotations: a container of the unknown type '${role}'`,
    );
  if (sandbox === undefined || sandbox === '')
    throw new Failure(
      'RUNTS_E_ANNOTATION',
      'annotations: a container of a pod without the id of its sandbox',
    );
  if (ofContainerd === undefined && !exists(sandbox)) return undefined;
  return { role, sandbox };
}
