// SPDX-License-Identifier: Apache-2.0
// Starts a sandbox: this process becomes the launcher. See native/launcher/launcher.h for the descriptors and
// protocol/control.ts for the messages.
import { accessSync, constants, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { isErrno } from '../abi/errno.ts';
import { native } from '../native/addon.ts';
import type { GoferConfig, OwnersConfig } from '../protocol/attach-config.ts';
import type { SandboxConfig } from '../protocol/boot-config.ts';
import { type LauncherValues, launcherArguments } from '../protocol/launcher-options.ts';
import { PREBOOT_LAUNCHER } from '../protocol/processes.ts';
import { become } from './become.ts';
import { configFile } from './config-file.ts';
import { describe, Failure } from './failure.ts';
import type { Installation } from './installation.ts';
import { askPreboot } from './preboot/ask.ts';

/** How the title of a front of `runts do` begins; the command follows. `runts list` looks for it. */
export const DO_TITLE = 'runts do: ';

/** So much of a command is shown. */
const TITLE_CHARACTERS = 200;

export interface AttachPoint {
  readonly path: string;
  readonly writable: boolean;
  /** Mounts of the host below `path` are shown too (rbind): so unless false. */
  readonly recursive?: boolean;
  /** Mounts that the host makes below `path` later show up too. */
  readonly follows?: boolean;
  /** A new overlay of the host's kernel: `path` is the data of mount(2) for it. */
  readonly overlay?: boolean;
  /** The container's ids are others on the host, or those of the mount are. */
  readonly owners?: OwnersConfig;
}

export interface LaunchPlan {
  readonly installation: Installation;
  readonly config: SandboxConfig;
  /** The root first, then the volumes. */
  readonly attach: readonly AttachPoint[];
  readonly logFd: number | undefined;
  readonly straceFd: number | undefined;
  readonly statsFd?: number | undefined;
  readonly profileFd?: number | undefined;
  /** A socket with the configuration of the network proxy (runts/network). */
  readonly proxyFd?: number | undefined;
  /** 0: none. */
  readonly timeoutMs: number;
}

/**
 * Replaces this process by the launcher, which starts the sandbox and is the command line from here
 * on: it forwards signals, has the terminal, and ends with the program's exit code
 * (native/launcher/front.c). So no Node idles beside a sandbox.
 */
export function handOver(plan: LaunchPlan): never {
  const { launcher } = plan.installation;
  try {
    accessSync(launcher, constants.X_OK);
  } catch (error) {
    throw new Failure('RUNTS_E_LAUNCHER', `cannot start ${launcher}: ${describe(error)}`);
  }
  const config = configFile(plan.config);
  const { logFd: log, straceFd: strace, statsFd: stats, profileFd: profile, proxyFd: proxy } = plan;
  const words = launcherArguments({
    ...sandboxOptions(plan),
    title: titleOf(plan),
    config,
    log,
    strace,
    stats,
    profile,
    proxy,
  });
  const args = ['runts', ...words];
  const fds = [config];
  for (const [option, fd] of Object.entries({ log, strace, stats, profile, proxy })) {
    if (fd === undefined) continue;
    if (isErrno(native.keepAtExec(fd)))
      throw new Failure('RUNTS_E_DESCRIPTOR', `--${option}: bad descriptor`);
    fds.push(fd);
  }
  const preboot = askPreboot(PREBOOT_LAUNCHER, [launcher, ...args.slice(1)], fds, true);
  if (preboot !== undefined) {
    native.keepAtExec(preboot.socket);
    args.push(...launcherArguments({ preboot: preboot.socket, 'preboot-pid': preboot.pid }));
  }
  return become(launcher, args);
}

function titleOf({ config }: LaunchPlan): string {
  const command = Buffer.from(config.container.process.argv.join(' '), 'latin1').toString();
  return `${DO_TITLE}${command.slice(0, TITLE_CHARACTERS)}`;
}

/** The launcher's options that describe a sandbox, those aside that name descriptors. */
export function sandboxOptions(plan: LaunchPlan): LauncherValues {
  const { installation, config, timeoutMs } = plan;
  return {
    ...installation.parts(),
    'gofer-config': JSON.stringify(goferConfig(plan)),
    attach: plan.attach.map(({ path, writable, recursive, follows, overlay }) => ({
      path,
      writable,
      flat: recursive === false,
      slave: follows === true,
      overlay: overlay === true,
    })),
    terminal: config.container.process.terminal !== undefined,
    'host-network': config.network === 'host',
    'own-stack': config.network === 'sandbox',
    'oom-margin': oomMargin(config.container.limits.memoryBytes ?? 0),
    timeout: timeoutMs > 0 ? Math.ceil(timeoutMs) : undefined,
  };
}

const OOM_LEAD_BYTES = 128 * 1024 * 1024;

/**
 * Where memory ends, a guest process counts as if it had so much more (proc_pid_oom_score_adj(5):
 * thousandths of the limit), more than Sentry and Gofer need: so it goes first, and none of it is
 * ahead of a larger one elsewhere.
 */
export function oomMargin(limitBytes: number): number {
  const bytes = limitBytes > 0 ? Math.min(limitBytes, totalmem()) : totalmem();
  return Math.min(1000, Math.ceil((1000 * OOM_LEAD_BYTES) / bytes));
}

function goferConfig(plan: LaunchPlan): GoferConfig {
  return {
    readOnly: plan.attach.map((point) => !point.writable),
    follows: plan.attach.map((point) => point.follows === true),
    owners: plan.attach.map((point) => point.owners ?? null),
    seccomp: plan.config.seccomp,
    privileged: process.geteuid?.() === 0,
    maxWatches: isAlone(plan) ? 0 : maxWatches(),
  };
}

/** Nobody else changes what the Gofer serves: the root alone, and that below an overlay. */
function isAlone({ attach, config }: LaunchPlan): boolean {
  return attach.length === 1 && config.container.root.overlay;
}

/** A part of what the user may have (inotify(7)): the host's other programs need some too. */
function maxWatches(): number {
  try {
    const limit = Number(readFileSync('/proc/sys/fs/inotify/max_user_watches', 'utf8'));
    return Math.min(4096, Math.floor(limit / 32)) || 0;
  } catch {
    return 0;
  }
}
