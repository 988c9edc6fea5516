// Starts a sandbox: this process becomes the launcher. See native/launcher/launcher.h for the descriptors and
// sentry/boot/control-protocol.ts for the messages.
import { accessSync, constants } from 'node:fs';
import { native } from '../native/addon.ts';
import type { SandboxConfig } from '../sentry/boot/config.ts';
import { describe, Failure } from './failure.ts';
import type { Installation } from './installation.ts';

export interface AttachPoint {
  readonly path: string;
  readonly writable: boolean;
}

export interface LaunchPlan {
  readonly installation: Installation;
  readonly config: SandboxConfig;
  /** The root first, then the volumes. */
  readonly attach: readonly AttachPoint[];
  readonly logFd: number | undefined;
  readonly straceFd: number | undefined;
  /** 0: none. */
  readonly timeoutMs: number;
}

/** Node's own flags for the Sentry and the Gofer. */
const nodeFlags: readonly string[] = [
  '--disallow-code-generation-from-strings',
  '--no-warnings',
  '--disable-sigusr1',
  // Workers of V8 beyond one would only contend with the guest for the processors.
  '--v8-pool-size=1',
  '--min-semi-space-size=4',
  // native/footprint.ts
  '--expose-gc',
];

/**
 * Replaces this process by the launcher, which starts the sandbox and is the command line from here on: it forwards
 * signals, has the terminal, and ends with the program's exit code (native/launcher/front.c). So no Node idles
 * beside a sandbox.
 */
export function handOver(plan: LaunchPlan): never {
  const { launcher } = plan.installation;
  try {
    accessSync(launcher, constants.X_OK);
  } catch (error) {
    throw new Failure(`cannot start ${launcher}: ${describe(error)}`);
  }
  const args = launcherArguments(plan);
  args.push('--config', String(configFile(plan.config)));
  for (const [option, fd] of [
    ['--log', plan.logFd],
    ['--strace', plan.straceFd],
  ] as const) {
    if (fd === undefined) continue;
    if (native.keepAtExec(fd) < 0) throw new Failure(`${option}: bad descriptor`);
    args.push(option, String(fd));
  }
  if (process.execve === undefined) throw new Failure('this Node has no process.execve');
  return process.execve(launcher, args, {});
}

/** The configuration in a memory file that survives execve. */
function configFile(config: SandboxConfig): number {
  // Byte strings: one char, one byte.
  const bytes = Buffer.from(`${JSON.stringify(config)}\n`, 'latin1');
  const fd = native.memfdCreate('runts-config', 0);
  let written = 0;
  while (fd >= 0 && written < bytes.length) {
    const wrote = native.pwrite(fd, bytes, written, bytes.length - written, written);
    if (wrote <= 0) break;
    written += wrote;
  }
  if (written < bytes.length) throw new Failure('no memory for the configuration');
  return fd;
}

function launcherArguments(plan: LaunchPlan): string[] {
  const { installation, config } = plan;
  const args = [
    'runts',
    '--node',
    installation.node,
    '--app',
    installation.app,
    '--zygote',
    installation.zygote,
  ];
  args.push('--sentry', installation.sentry, '--gofer', installation.gofer);
  args.push('--gofer-config', JSON.stringify(goferConfig(plan)));
  for (const flag of nodeFlags) args.push('--flag', flag);
  for (const { path, writable } of plan.attach)
    args.push(writable ? '--writable' : '--read-only', path);
  if (config.container.process.terminal !== undefined) args.push('--terminal');
  if (plan.timeoutMs > 0) args.push('--timeout', String(Math.ceil(plan.timeoutMs)));
  return args;
}

/** Twin of gofer/main.ts. */
function goferConfig(plan: LaunchPlan): object {
  return {
    readOnly: plan.attach.map((point) => !point.writable),
    seccomp: plan.config.seccomp,
    privileged: process.geteuid?.() === 0,
  };
}
