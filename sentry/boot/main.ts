// SPDX-License-Identifier: Apache-2.0
// Entry of the Sentry process. The launcher has made its namespaces, ids and descriptors
// (protocol/descriptors.ts); here the sandbox is put together, the process is confined, and the kernel runs.
import type { SysResult } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import { useBaselineCompiler } from '../../native/baseline-compiler.ts';
import { startAs } from '../../native/roles.ts';
import type { SandboxConfig } from '../../protocol/boot-config.ts';
import { eventLine } from '../../protocol/control.ts';
import { SENTRY_CONTROL, SENTRY_STRACE, STDERR_LOG } from '../../protocol/descriptors.ts';
import { globals } from '../../protocol/globals.ts';
import { GoferDied } from '../fs/gofer/gofer-died.ts';
import { ControlChannel } from '../host/control-channel.ts';
import { newLog } from '../host/log.ts';
import { bootSandbox, type Connections } from './boot.ts';
import { BootFailure } from './boot-failure.ts';
import { failureOf } from './start-failure.ts';

startAs('sentry', () => {
  const channel = new ControlChannel(SENTRY_CONTROL);
  const line = channel.readLine();
  if (line === undefined) native.exitNow(0); // The command line went before it said what to do.
  const config = JSON.parse(line) as SandboxConfig;
  // What looks into a sandbox takes its time to set up: only who asks for it waits for that.
  if (config.strace || config.stats || config.profile)
    observers(config, channel).then((asked) => run(config, channel, asked));
  else run(config, channel, noObservers);
});

type Observers = Pick<Connections, 'newTracer' | 'newMeasurement' | 'startProfile'>;

const noObservers: Observers = {
  newTracer: undefined,
  newMeasurement: undefined,
  startProfile: undefined,
};

async function observers(config: SandboxConfig, channel: ControlChannel): Promise<Observers> {
  const { strace, stats, profile, straceOptions = {} } = config;
  const tracing = strace ? await import('./tracer.ts') : undefined;
  const measuring = stats || profile ? await import('./measurement.ts') : undefined;
  const profiling = profile ? await import('./profile.ts') : undefined;
  return {
    newTracer:
      tracing &&
      ((nowNs) =>
        tracing.newTracer(SENTRY_STRACE, nowNs, straceOptions, (error) =>
          straceLost(channel, error),
        )),
    newMeasurement: measuring && ((nowNs) => new measuring.Measurement(nowNs)),
    startProfile: profiling?.startProfile,
  };
}

function run(config: SandboxConfig, channel: ControlChannel, asked: Observers): never {
  const log = newLog(config.debug);
  try {
    const sandbox = bootSandbox(config, { channel, log, ...asked });
    // A code cache is for the flags of a start.
    if (!config.writeCodeCache) useBaselineCompiler();
    const status = sandbox.run();
    if (config.writeCodeCache) writeCodeCache();
    channel.send(eventLine({ type: 'exited', status }));
  } catch (error) {
    // A failed start is told as it is; anything else is a bug of ours, and the sandbox's state is
    // worth nothing.
    if (error instanceof GoferDied) letLauncherTell();
    const text = error instanceof Error ? error.message : String(error);
    const failure =
      error instanceof BootFailure ? error : new BootFailure(`internal error: ${text}`);
    log('error', error instanceof Error ? (error.stack ?? text) : text);
    channel.send(eventLine({ type: 'failed', code: failure.code, text: failure.message }));
  }
  // This end would end the stubs as well, but only after that of its own memory: so they go at the same time.
  native.killNamespace();
  native.exitNow(0);
}

/** The launcher saw how the Gofer died, ends this process and says so: only where it does not, we speak. */
function letLauncherTell(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
}

function straceLost(channel: ControlChannel, error: SysResult): void {
  channel.send(eventLine({ type: 'warning', text: `--strace: ${failureOf('', error).message}` }));
}

/** The loader of the bundle (tools/code-cache.ts) knows how to make it. */
function writeCodeCache(): void {
  const bytes = globals.runtsCodeCache?.();
  if (bytes === undefined) return;
  for (let at = 0; at < bytes.length; ) {
    const wrote = native.write(STDERR_LOG, bytes, at, bytes.length - at);
    if (wrote <= 0) return;
    at += wrote;
  }
}
