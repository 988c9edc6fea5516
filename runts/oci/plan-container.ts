// SPDX-License-Identifier: Apache-2.0
// A bundle as the Sentry and the launcher want it. Everything that can be wrong in it is found
// here, before anything is made.
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { ContainerConfig, MemoryGuarding, SandboxConfig } from '../../protocol/boot-config.ts';
import { toByteString } from '../byte-string.ts';
import { sentryCacheFile } from '../code-cache.ts';
import { describe, Failure } from '../failure.ts';
import { findInstallation, type Installation } from '../installation.ts';
import type { AttachPoint, LaunchPlan } from '../launch.ts';
import {
  type ContainerSettings,
  LOG_DIRECTORY,
  type PodRole,
  readPodRole,
  readSettings,
} from './annotations.ts';
import { foldUnified } from './fold-unified.ts';
import type { CommandLog } from './log.ts';
import { defaultPropagation } from './mount-options.ts';
import { idRange, planFiles } from './plan-mounts.ts';
import { type NetworkPlan, planNetwork } from './plan-network.ts';
import { planProcess } from './plan-process.ts';
import { checkMemoryLimit, guestLimits, hasRaisedMemory } from './plan-resources.ts';
import { planSeccomp } from './plan-seccomp.ts';
import { planSysctls } from './plan-sysctl.ts';
import { planTime } from './plan-time.ts';
import { parseSpec } from './spec/parse.ts';
import type { Namespace, Spec } from './spec/types.ts';

export interface ContainerRequest {
  readonly id: string;
  /** Absolute. */
  readonly bundle: string;
  /** Settings from the command line. */
  readonly flags: Parameters<typeof readSettings>[1];
  readonly hasContainer: (id: string) => boolean;
}

export interface ContainerPlan {
  readonly spec: Spec;
  readonly settings: ContainerSettings;
  readonly pod: PodRole | undefined;
  readonly container: ContainerConfig;
  readonly attach: readonly AttachPoint[];
  readonly network: NetworkPlan;
  readonly pidNamespace: Namespace | undefined;
  readonly ipcNamespace: Namespace | undefined;
  readonly utsNamespace: Namespace | undefined;
  readonly installation: Installation;
}

export function loadSpec(bundle: string, log: CommandLog): Spec {
  const path = join(bundle, 'config.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Failure('RUNTS_E_BUNDLE', `${path}: ${describe(error)}`);
  }
  const { spec, warnings } = parseSpec(text, path);
  for (const warning of warnings) log.write('warning', warning);
  const { linux } = spec;
  if (linux?.resources?.unified === undefined) return spec;
  return { ...spec, linux: { ...linux, resources: foldUnified(linux.resources) } };
}

export function planContainer(spec: Spec, request: ContainerRequest): ContainerPlan {
  const annotations = spec.annotations ?? {};
  const settings = readSettings(annotations, request.flags);
  checkMemoryLimit(spec.linux?.resources ?? {});
  const ids = planIds(spec);
  const files = planFiles(spec, {
    bundle: request.bundle,
    overlay: settings.overlay,
    propagation: defaultPropagation(spec.linux?.rootfsPropagation),
    ...ids,
  });
  const process = planProcess(spec.process);
  const namespaces = spec.linux?.namespaces ?? [];
  const seccomp = spec.linux?.seccomp;
  const sysctls = planSysctls(spec.linux?.sysctl ?? {}, settings.network === 'host');
  const pod = readPodRole(request.id, annotations, request.hasContainer);
  return {
    spec,
    settings,
    pod,
    container: {
      id: request.id,
      root: files.root,
      mounts: files.mounts,
      devices: files.devices,
      maskedPaths: files.maskedPaths,
      readOnlyPaths: files.readOnlyPaths,
      sysctl: sysctls.own,
      ...planNames(spec, pod?.role === 'container' && !hasOwn(namespaces, 'uts')),
      limits: guestLimits(spec.linux?.resources ?? {}),
      guardsMemory: memoryGuarding(spec),
      ...ids,
      ...planTime(spec),
      ...(seccomp !== undefined && { seccomp: planSeccomp(seccomp) }),
      process,
      isInit: true,
    },
    attach: files.attach,
    network: planNetwork(spec, settings.network, process.capabilities, sysctls.ofNetwork),
    pidNamespace: namespaces.find(({ type }) => type === 'pid'),
    ipcNamespace: namespaces.find(({ type }) => type === 'ipc'),
    utsNamespace: namespaces.find(({ type }) => type === 'uts'),
    installation: findInstallation(),
  };
}

function hasOwn(namespaces: readonly Namespace[], type: Namespace['type']): boolean {
  return namespaces.some((one) => one.type === type && (one.path ?? '') === '');
}

/** A namespace that is new, or the host's, has the host's name where none is given. */
function planNames(spec: Spec, joins: boolean): Pick<ContainerConfig, 'hostname' | 'domainname'> {
  const name = spec.hostname || (joins ? '' : hostname());
  const domain = spec.domainname ?? '';
  return {
    ...(name === '' ? {} : { hostname: toByteString(name) }),
    ...(domain === '' ? {} : { domainname: toByteString(domain) }),
  };
}

function planIds({ linux }: Spec): Pick<ContainerConfig, 'ids'> {
  const { uidMappings = [], gidMappings = [] } = linux ?? {};
  if (uidMappings.length === 0 && gidMappings.length === 0) return {};
  return { ids: { uids: uidMappings.map(idRange), gids: gidMappings.map(idRange) } };
}

/** Its cgroup holds a container to its limit, unless that is too small for runts' own processes beside it. */
function memoryGuarding({ linux }: Spec): MemoryGuarding {
  return hasRaisedMemory(Number(linux?.resources?.memory?.limit ?? 0)) ? 'always' : 'late';
}

/** The configuration of a Sentry whose first container this is. */
export function sandboxConfig(plan: ContainerPlan): SandboxConfig {
  const { settings } = plan;
  return {
    container: plan.container,
    waitsForStart: true,
    hasShell: false,
    strace: settings.strace,
    debug: settings.debug,
    seccomp: 'kill',
    platform: settings.platform,
    patching: settings.patching,
    windows: settings.windows,
    hostFutexes: settings.futexes === 'host',
    // In the caller's own namespace there is nothing to take over.
    network:
      settings.network === 'sandbox' && plan.network.namespace === undefined
        ? 'none'
        : settings.network,
    networkSettings: Object.keys(plan.network.settings),
    writeCodeCache: sentryCacheFile() !== undefined,
    stats: settings.stats,
    profile: false,
    turns: false,
  };
}

/** Makes the plan with which the launcher starts Sentry and Gofer. */
export function launchPlan(plan: ContainerPlan, config: SandboxConfig): LaunchPlan {
  const { settings, container } = plan;
  return {
    installation: plan.installation,
    config,
    attach: plan.attach,
    logFd: settings.debug ? openLogFile(`${container.id}.log`) : openCacheFile(),
    straceFd: settings.strace ? openLogFile(`${container.id}.strace`) : undefined,
    statsFd: settings.stats ? openLogFile(`${container.id}.stats`) : undefined,
    timeoutMs: 0,
  };
}

function openLogFile(name: string): number {
  const path = join(LOG_DIRECTORY, name);
  try {
    mkdirSync(LOG_DIRECTORY, { recursive: true, mode: 0o700 });
    return openSync(path, 'a', 0o600);
  } catch (error) {
    throw new Failure('RUNTS_E_LOG_FILE', `${path}: ${describe(error)}`);
  }
}

/** The Sentry writes its code cache to its log's descriptor. */
function openCacheFile(): number | undefined {
  const path = sentryCacheFile();
  return path === undefined ? undefined : openSync(path, 'w', 0o644);
}

/** The front has copies. */
export function closeLogs(plan: LaunchPlan): void {
  for (const fd of [plan.logFd, plan.straceFd, plan.statsFd]) if (fd !== undefined) closeSync(fd);
}
