// SPDX-License-Identifier: Apache-2.0
// Hooks of config.json: programs of the host that run at points of a container's life, with its
// state on standard input. config.md "POSIX-platform Hooks" of the runtime specification; the texts
// of failures are runc's.
import { ETIMEDOUT, errnoName, isErrno } from '../../abi/errno.ts';
import { MFD_CLOEXEC } from '../../abi/mman.ts';
import { signalName } from '../../abi/signal.ts';
import { native } from '../../native/addon.ts';
import { describe, Failure } from '../failure.ts';
import { describeErrno } from './errno-text.ts';
import type { Hook, Hooks } from './spec/types.ts';

/** How much of each stream is kept for the message of a failure. */
const KEPT_BYTES = 16 * 1024;

/**
 * One after the other, in the bundle (`state.bundle`); the first that fails ends it with a Failure.
 * A hook has the environment that it is given and no other. It is over when its own process is,
 * whatever children it leaves.
 */
export function runHooks(
  hooks: readonly Hook[],
  state: Readonly<Record<string, unknown>>,
  kind: keyof Hooks,
): void {
  const { bundle } = state;
  const directory = typeof bundle === 'string' ? bundle : '/';
  for (const [index, hook] of hooks.entries()) {
    const complaint = runHook(hook, JSON.stringify(state), directory);
    if (complaint !== undefined)
      throw new Failure('RUNTS_E_HOOK', `error running hook #${index} (${kind}): ${complaint}`);
  }
}

/** Runs a hook. Returns what went wrong, if anything. */
function runHook(hook: Hook, state: string, directory: string): string | undefined {
  const input = memoryFile(state);
  const said = new Uint8Array(2 * KEPT_BYTES);
  const out = new Int32Array(3);
  const ended = native.runProgram(
    bytesOf(hook.path),
    words(hook.args?.length ? hook.args : [hook.path]),
    words(environment(hook.env ?? [])),
    bytesOf(directory),
    input,
    hook.timeout === undefined ? -1 : hook.timeout * 1000,
    said,
    out,
  );
  native.close(input);
  const [status = 0, stdout = 0, stderr = 0] = out;
  if (ended === ETIMEDOUT)
    return `hook ran past specified timeout of ${(hook.timeout ?? 0).toFixed(1)}s`;
  if (isErrno(ended))
    return `${hook.path}: ${describe(Object.assign(new Error(), { code: errnoName(ended) }))}`;
  if (status === 0) return undefined;
  const text = (from: number, length: number): string =>
    Buffer.from(said.subarray(from, from + length)).toString();
  const how =
    (status & 0x7f) === 0 ? `exit status ${status >> 8}` : `signal: ${signalName(status & 0x7f)}`;
  return `${how}, stdout: ${text(0, stdout)}, stderr: ${text(KEPT_BYTES, stderr)}`;
}

/** Returns the path in the addon's form: one character for each byte. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function words(texts: readonly string[]): Uint8Array {
  return Buffer.from(texts.map((text) => `${text}\0`).join(''));
}

/** The later of two with one name wins, as getenv(3) would not have it but every shell does. */
function environment(entries: readonly string[]): string[] {
  const byName = new Map(
    entries.map((entry) => [
      entry.split('=', 1)[0] as string,
      entry.includes('=') ? entry : `${entry}=`,
    ]),
  );
  return [...byName.values()];
}

/** A file, not a pipe: a hook that does not read its state blocks nobody and breaks nothing. */
function memoryFile(text: string): number {
  const bytes = Buffer.from(text);
  const fd = native.memfdCreate('runts-state', MFD_CLOEXEC);
  if (isErrno(fd)) throw describeErrno('no memory file for the state', fd);
  for (let at = 0; at < bytes.length; ) {
    const wrote = native.pwrite(fd, bytes, at, bytes.length - at, at);
    if (wrote <= 0) throw describeErrno('no memory for the state', wrote);
    at += wrote;
  }
  return fd;
}
