// SPDX-License-Identifier: Apache-2.0
// Makes a container, up to its first process being loaded and ready to start (runtime.md of the
// specification, steps 1 to 6). What fails leaves nothing behind.
import { resolve } from 'node:path';
import type { SandboxConfig } from '../../protocol/boot-config.ts';
import type { ConnectionRequest } from '../../protocol/control.ts';
import type { LauncherValues } from '../../protocol/launcher-options.ts';
import { STATUS_WORD } from '../../protocol/status.ts';
import { Failure } from '../failure.ts';
import { oomMargin, sandboxOptions } from '../launch.ts';
import { needTerminal, windowSize } from '../terminal.ts';
import { type Cgroup, type CgroupState, restoreCgroup } from './cgroups/cgroup.ts';
import { createCgroup } from './cgroups/create-cgroup.ts';
import { planCgroup } from './cgroups/plan.ts';
import type { OciContext } from './context.ts';
import { destroy } from './destroy.ts';
import { Front, StartFailure } from './front.ts';
import { runHooks } from './hooks.ts';
import { setGuestOomScore } from './oom-scores.ts';
import { writePidFile } from './pid-file.ts';
import {
  type ContainerPlan,
  closeLogs,
  launchPlan,
  loadSpec,
  planContainer,
  sandboxConfig,
} from './plan-container.ts';
import { networkOptions } from './plan-network.ts';
import { hasRaisedMemory, hostResources } from './plan-resources.ts';
import type { Namespace } from './spec/types.ts';
import { type ContainerRecord, RECORD_VERSION } from './state/container-record.ts';
import { identify, type ProcessIdentity } from './state/process-identity.ts';
import { stateDocument, statusOf } from './state/status.ts';

/**
 * The memory that Sentry and Gofer have in a cgroup before the first program runs
 * (docs/performance.md).
 */
const OWN_MEMORY_MIB = 28;

/** For the container's own standard error, where a person looks: docker run, docker logs. */
const NETWORK_NOTICE =
  'runts: this container has a loopback only; for the network that the engine gave it set runtimeArgs ["--network", "host"] where the engine is told of runts, or the annotation dev.runts.network=host';

export interface CreateRequest {
  readonly id: string;
  readonly bundle: string;
  readonly pidFile: string | undefined;
  readonly consoleSocket: string | undefined;
  readonly preservedFds: number;
  /** `run` without --detach: standard input may be the terminal that the process gets. */
  readonly isForeground: boolean;
}

export async function createContainer(
  context: OciContext,
  request: CreateRequest,
): Promise<ContainerRecord> {
  const bundle = resolve(request.bundle);
  const spec = loadSpec(bundle, context.log);
  checkTerminal(spec.process.terminal === true, request);
  const plan = planContainer(spec, {
    id: request.id,
    bundle,
    flags: context.flags,
    hasContainer: (id) => context.store.exists(id),
  });
  if (plan.pod === undefined && spec.annotations?.['io.kubernetes.cri-o.SandboxID'] !== undefined)
    context.log.write(
      'warning',
      'the pod has no sandbox container (drop_infra_ctr of CRI-O): the container gets a sandbox of its own',
    );
  checkPidNamespace(plan);
  context.store.claim(request.id);
  const making: Making = { context, request, plan, record: firstRecord(request.id, bundle, plan) };
  try {
    make(making);
    return making.record;
  } catch (error) {
    await destroy(context, making.record, { runsHooks: false });
    throw error;
  }
}

/**
 * Returns whether a container without a network is to be told so: nobody said that there is to be
 * none. Whether there is one the launcher finds out (native/launcher/link.c).
 */
function wantsNetwork({ settings, network, spec }: ContainerPlan): boolean {
  if (settings.network !== 'sandbox') return false;
  const isAsked = spec.linux?.namespaces?.some(({ type }) => type === 'network') === true;
  // An ordinary user's front stays in the caller's network, and says nothing of what was asked for.
  return network.namespace !== undefined || !isAsked;
}

/**
 * A container whose PID namespace is to be the host's, or that of a container of another Sentry,
 * would be silently alone in one of its own.
 */
function checkPidNamespace({ pidNamespace, pod }: ContainerPlan): void {
  if (pidNamespace === undefined)
    throw new Failure(
      'RUNTS_E_CONFIG_NAMESPACE',
      'linux.namespaces: there is no pid namespace, but runts cannot share the one of the host (--pid host, hostPID)',
    );
  const path = pidNamespace.path ?? '';
  if (path !== '' && pod?.role !== 'container')
    throw new Failure(
      'RUNTS_E_CONFIG_NAMESPACE',
      `linux.namespaces: pid: runts cannot join ${path}: containers share processes within a pod only`,
    );
}

interface Making {
  readonly context: OciContext;
  readonly request: CreateRequest;
  readonly plan: ContainerPlan;
  record: ContainerRecord;
}

function firstRecord(id: string, bundle: string, plan: ContainerPlan): ContainerRecord {
  const memory = Number(plan.spec.linux?.resources?.memory?.limit ?? 0);
  const creator = identify(process.pid) as ProcessIdentity;
  return {
    version: RECORD_VERSION,
    id,
    ociVersion: plan.spec.ociVersion,
    bundle,
    rootfs: resolve(bundle, plan.spec.root.path),
    created: new Date().toISOString(),
    annotations: plan.spec.annotations ?? {},
    owner: process.geteuid?.() ?? 0,
    creator,
    cgroup: null,
    hooks: plan.spec.hooks ?? {},
    ...(plan.pod === undefined && hasRaisedMemory(memory) ? { smallMemory: memory } : {}),
    ...(plan.pod?.role === 'container' ? { sandbox: plan.pod.sandbox } : {}),
  };
}

function make(making: Making): void {
  const { context, request } = making;
  context.store.save(making.record);
  const cgroup = joinCgroup(making);
  const front = startFront(making, cgroup);
  try {
    front.await(STATUS_WORD.namespaces);
    cgroup.joined();
    runCreateHooks(making);
    front.open();
    awaitCreated(front, cgroup);
    if (making.record.sandbox !== undefined) {
      const { process: guest, limits } = making.plan.container;
      const score = guest.oomScoreAdjustment + oomMargin(limits.memoryBytes ?? 0);
      setGuestOomScore(cgroup, front.pid, score);
    }
    if (request.pidFile !== undefined) writePidFile(request.pidFile, front.pid);
  } finally {
    front.close();
  }
}

/** A sandbox that its own limit does not leave room for is told as such. */
function awaitCreated(front: Front, cgroup: Cgroup): void {
  try {
    front.await(STATUS_WORD.created);
  } catch (error) {
    if (!(error instanceof StartFailure) || cgroup.oomKills() === 0) throw error;
    throw new Failure(
      'RUNTS_E_MEMORY_TOO_SMALL',
      `linux.resources.memory.limit is too small: the sandbox itself takes about ${OWN_MEMORY_MIB} MiB of it`,
    );
  }
}

function joinCgroup(making: Making): Cgroup {
  const { context, plan, record } = making;
  const { linux } = plan.spec;
  const where = planCgroup(linux?.cgroupsPath, record.id, {
    systemd: context.systemdCgroup,
    rootless: context.rootless,
  });
  const remember = (state: CgroupState | null): void => {
    making.record = { ...record, cgroup: state };
    context.store.save(making.record);
  };
  try {
    const cgroup = createCgroup(where, hostResources(linux?.resources ?? {}), remember);
    for (const warning of cgroup.warnings) context.log.write('warning', warning);
    remember(cgroup.toJSON());
    return cgroup;
  } catch (error) {
    remember(null);
    throw error;
  }
}

function startFront(making: Making, cgroup: Cgroup): Front {
  const { context, request, plan, record } = making;
  const { process: guest } = plan.container;
  const config = configOf(making);
  const launch = launchPlan(plan, config);
  const cgroupFiles = cgroup.procsFiles();
  const front = Front.start(
    {
      launcher: plan.installation.launcher,
      options: {
        container: true,
        ...(record.sandbox === undefined ? {} : joinOptions(context, record.sandbox)),
        ...networkOptions(plan.network),
        'network-notice': wantsNetwork(plan) ? NETWORK_NOTICE : undefined,
        ...sandboxOptions(launch),
        log: launch.logFd,
        strace: launch.straceFd,
        stats: launch.statsFd,
      },
      title: guest.argv.join(' '),
      request:
        record.sandbox === undefined ? config : joinRequest(making, config, cgroupFiles.length),
      stateDirectory: context.store.directory(record.sandbox ?? record.id),
      cgroupFiles,
      log: context.log,
      consoleSocket: request.consoleSocket,
      window: guest.terminal?.window,
      oomScoreAdjustment: guest.oomScoreAdjustment,
      preservedFds: request.preservedFds,
      keptFds: [launch.logFd, launch.straceFd, launch.statsFd].filter((fd) => fd !== undefined),
    },
    true,
  );
  closeLogs(launch);
  const identity = identify(front.pid);
  if (identity !== undefined) {
    making.record = { ...making.record, front: identity };
    context.store.save(making.record);
  }
  return front;
}

/** A terminal of the caller's is known by its window; a new one gets its size from config.json. */
function configOf({ plan, request }: Making): SandboxConfig {
  const config = sandboxConfig(plan);
  const { container } = config;
  if (container.process.terminal === undefined || request.consoleSocket !== undefined)
    return config;
  const terminal = { streams: [true, true, true], window: windowSize(0) } as const;
  return { ...config, container: { ...container, process: { ...container.process, terminal } } };
}

/** The Gofer goes where the Sentry is. */
function joinOptions({ store }: OciContext, sandbox: string): LauncherValues {
  const { cgroup } = store.load(sandbox);
  const files = cgroup === null ? [] : restoreCgroup(cgroup).procsFiles();
  return { join: true, 'gofer-cgroup': files };
}

/** Makes the request to the Sentry of a pod's sandbox for a further container. */
function joinRequest(
  { context, plan, record }: Making,
  config: SandboxConfig,
  cgroups: number,
): ConnectionRequest {
  const sandbox = context.store.load(record.sandbox as string);
  const status = statusOf(context.store, sandbox);
  if (status !== 'running' && status !== 'created')
    throw new Failure(
      'RUNTS_E_POD_SANDBOX',
      `sandbox ${sandbox.id} of container ${record.id} is ${status}`,
    );
  const pidsOf = joinedPids(context, plan.pidNamespace?.path, sandbox);
  const ipcOf = joinedOf(context, 'ipc', plan.ipcNamespace, sandbox);
  const utsOf = joinedOf(context, 'uts', plan.utsNamespace, sandbox);
  return {
    type: 'create',
    container: config.container,
    cgroups,
    joins: {
      ...(pidsOf === undefined ? {} : { joinsPidsOf: pidsOf }),
      ...(ipcOf === undefined ? {} : { joinsIpcOf: ipcOf }),
      ...(utsOf === undefined ? {} : { joinsUtsOf: utsOf }),
    },
  };
}

function joinedPids(
  context: OciContext,
  path: string | undefined,
  sandbox: ContainerRecord,
): string | undefined {
  if (path === undefined || path === '') return undefined;
  const joined = containerOf(context, 'pid', path, sandbox);
  if (joined !== undefined) return joined;
  throw new Failure(
    'RUNTS_E_CONFIG_NAMESPACE',
    `linux.namespaces: pid: ${path} is of no container of this pod`,
  );
}

/**
 * Containers of a pod share its IPC and UTS namespaces unless they ask for a new one. CRI-O names
 * it by a path of its own.
 */
function joinedOf(
  context: OciContext,
  type: 'ipc' | 'uts',
  namespace: Namespace | undefined,
  sandbox: ContainerRecord,
): string | undefined {
  const path = namespace?.path ?? '';
  if (namespace !== undefined && path === '') return undefined;
  return containerOf(context, type, path, sandbox) ?? sandbox.id;
}

/**
 * /proc/PID/ns/TYPE of a container's front names that container; there is no other way to name one
 * from outside.
 */
function containerOf(
  context: OciContext,
  type: 'pid' | 'ipc' | 'uts',
  path: string,
  sandbox: ContainerRecord,
): string | undefined {
  const match = /^\/proc\/(\d+)\/ns\/(\w+)$/.exec(path);
  if (match?.[2] !== type) return undefined;
  const pid = Number(match[1]);
  for (const { id, front, sandbox: its = id } of context.store.records())
    if (front?.pid === pid && its === sandbox.id) return id;
  return undefined;
}

/**
 * All see the host's namespaces but the network, which is the container's by then; startContainer's
 * run inside.
 */
function runCreateHooks({ plan, record }: Making): void {
  const { hooks } = plan.spec;
  if (hooks === undefined) return;
  const state = stateDocument(record, 'creating');
  for (const kind of ['prestart', 'createRuntime', 'createContainer'] as const)
    runHooks(hooks[kind] ?? [], state, kind);
}

/** In runc's words. */
function checkTerminal(hasTerminal: boolean, request: CreateRequest): void {
  const isDetached = !request.isForeground;
  if (hasTerminal && isDetached && request.consoleSocket === undefined)
    throw new Failure(
      'RUNTS_E_TERMINAL',
      'cannot allocate tty if runts will detach without setting console socket',
    );
  if (!hasTerminal && request.consoleSocket !== undefined)
    throw new Failure(
      'RUNTS_E_TERMINAL',
      'cannot use console socket if runts will not detach or allocate tty',
    );
  if (hasTerminal && request.consoleSocket === undefined) needTerminal();
}
