// Hooks of config.json: programs of the host that run at points of a container's life, with its state on standard input.
// config.md "POSIX-platform Hooks" of the runtime specification; the texts of failures are runc's.
import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MFD_CLOEXEC } from '../../abi/mman.ts';
import { native } from '../../native/addon.ts';
import { describe, Failure } from '../failure.ts';
import { describeErrno } from './errno-text.ts';
import type { Hook, Hooks } from './spec/types.ts';

/** What of each stream is kept for the message of a failure. */
const KEPT_BYTES = 16 * 1024;
/** How long the last words of a failed hook may take: a child that it left may hold its streams for ever. */
const LAST_WORDS_MS = 200;

/**
 * One after the other, in the bundle (`state.bundle`); the first that fails ends it with a Failure. A hook has the
 * environment that it is given and no other.
 */
export async function runHooks(
  hooks: readonly Hook[],
  state: Readonly<Record<string, unknown>>,
  kind: keyof Hooks,
): Promise<void> {
  const { bundle } = state;
  const cwd = typeof bundle === 'string' ? bundle : '/';
  for (const [index, hook] of hooks.entries()) {
    const complaint = await runHook(hook, JSON.stringify(state), cwd);
    if (complaint !== undefined)
      throw new Failure(`error running hook #${index} (${kind}): ${complaint}`, 1);
  }
}

/** What went wrong, if anything. */
async function runHook(hook: Hook, state: string, cwd: string): Promise<string | undefined> {
  const stdin = memoryFile(state);
  const streams = [new Kept(), new Kept()] as const;
  const [stdout, stderr] = streams;
  try {
    const child = spawn(hook.path, hook.args?.slice(1) ?? [], {
      argv0: hook.args?.[0] ?? hook.path,
      cwd,
      env: environment(hook.env ?? []),
      stdio: [stdin, stdout.writer, stderr.writer],
    });
    for (const stream of streams) stream.closeWriter();
    const ending = await ended(child, hook);
    if (ending === undefined) return undefined;
    await Promise.race([
      Promise.all(streams.map(({ closed }) => closed)),
      sleep(LAST_WORDS_MS, undefined, { ref: false }),
    ]);
    return ending.hasOutput
      ? `${ending.text}, stdout: ${stdout.text()}, stderr: ${stderr.text()}`
      : ending.text;
  } finally {
    native.close(stdin);
    for (const stream of streams) stream.destroy();
  }
}

interface Ending {
  readonly text: string;
  readonly hasOutput: boolean;
}

/** Resolves when the hook itself has ended, whoever of its children lives on. Nothing: it went well. */
function ended(child: ChildProcess, hook: Hook): Promise<Ending | undefined> {
  const { promise, resolve } = Promise.withResolvers<Ending | undefined>();
  let isLate = false;
  const timer =
    hook.timeout === undefined
      ? undefined
      : setTimeout(() => {
          isLate = true;
          child.kill('SIGKILL');
        }, hook.timeout * 1000);
  child.once('error', (error) => {
    clearTimeout(timer);
    resolve({ text: `${hook.path}: ${describe(error)}`, hasOutput: false });
  });
  child.once('exit', (code, signal) => {
    clearTimeout(timer);
    const seconds = (hook.timeout ?? 0).toFixed(1);
    if (isLate)
      resolve({ text: `hook ran past specified timeout of ${seconds}s`, hasOutput: false });
    else if (signal !== null) resolve({ text: `signal: ${signal}`, hasOutput: true });
    else if (code !== 0) resolve({ text: `exit status ${code}`, hasOutput: true });
    else resolve(undefined);
  });
  return promise;
}

/** The later of two with one name wins, as getenv(3) would not have it but every shell does. */
function environment(entries: readonly string[]): Record<string, string> {
  const pairs = entries.map((entry) => {
    const at = entry.indexOf('=');
    return at < 0 ? ([entry, ''] as const) : ([entry.slice(0, at), entry.slice(at + 1)] as const);
  });
  return Object.fromEntries(pairs);
}

/** A file, not a pipe: a hook that does not read its state blocks nobody and breaks nothing. */
function memoryFile(text: string): number {
  const bytes = Buffer.from(text);
  const fd = native.memfdCreate('runts-state', MFD_CLOEXEC);
  if (fd < 0) throw describeErrno('no memory file for the state', fd);
  for (let at = 0; at < bytes.length; ) {
    const wrote = native.pwrite(fd, bytes, at, bytes.length - at, at);
    if (wrote <= 0) throw describeErrno('no memory for the state', wrote);
    at += wrote;
  }
  return fd;
}

/** A pipe whose beginning is kept, and the rest read and dropped. (Node's own are sockets, which /dev/stderr cannot open.) */
class Kept {
  readonly writer: number;
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #isWriterOpen = true;

  constructor() {
    const ends = new Int32Array(2);
    const result = native.pipe(ends);
    if (result < 0) throw describeErrno('no pipe for a hook', result);
    const [reader = -1, writer = -1] = ends;
    this.writer = writer;
    this.#socket = new Socket({ fd: reader, readable: true, writable: false });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#keep(chunk);
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.once('close', () => resolve());
    this.#socket.on('error', () => undefined);
    this.closed = promise;
  }

  closeWriter(): void {
    if (this.#isWriterOpen) native.close(this.writer);
    this.#isWriterOpen = false;
  }

  /** Whoever still writes gets EPIPE. */
  destroy(): void {
    this.closeWriter();
    this.#socket.destroy();
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  #keep(chunk: Buffer): void {
    const part = chunk.subarray(0, KEPT_BYTES - this.#length);
    if (part.length === 0) return;
    this.#chunks.push(part);
    this.#length += part.length;
  }
}
