// SPDX-License-Identifier: Apache-2.0
// The test's side of mini-shim.py.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Somebody kept the command's output open for seconds after its end: an engine would hang there. */
  readonly held: boolean;
}

export interface RunRequest {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Files; without a name, nothing comes in and what goes out is collected. */
  readonly stdin?: string;
  readonly stdout?: string;
  readonly stderr?: string;
}

export interface ConsoleEvent {
  readonly path: string;
  readonly payload: string;
  readonly descriptors: number;
}

interface Answer extends Partial<Ran>, Partial<ConsoleEvent> {
  readonly tag?: number;
  readonly event?: string;
  readonly value?: unknown;
  readonly error?: string;
}

export class MiniShim {
  readonly #child: ChildProcess;
  readonly #open = new Map<number, (answer: Answer) => void>();
  readonly #gone: Promise<void>;
  #tags = 0;
  readonly consoles: ConsoleEvent[] = [];

  constructor() {
    this.#child = spawn('python3', [join(import.meta.dirname, 'mini-shim.py')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#gone = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    // Nobody is to wait for what it can no longer answer.
    void this.#gone.then(() => {
      for (const [tag, answer] of this.#open) answer({ tag, error: 'the shim has ended' });
    });
    this.#child.stdin?.on('error', () => undefined);
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      if (answer.tag === undefined) this.consoles.push(answer as ConsoleEvent);
      else this.#open.get(answer.tag)?.(answer);
    });
  }

  async run(request: RunRequest): Promise<Ran> {
    const { code, stdout, stderr, held } = (await this.#ask('run', request)) as Ran;
    return { code, stdout, stderr, held };
  }

  /** Starts it and comes back at once. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The status of a process that was left to us. */
  async wait(pid: number): Promise<number> {
    return (await this.#ask('wait', { pid })).value as number;
  }

  /** Living processes below us: what a test has to have none of at its end. */
  async descendants(): Promise<number[]> {
    return (await this.#ask('descendants', {})).value as number[];
  }

  async console(path: string, size: readonly [rows: number, columns: number]): Promise<void> {
    await this.#ask('console', { path, size });
  }

  async type(path: string, text: string): Promise<void> {
    await this.#ask('type', { path, text });
  }

  async resize(path: string, size: readonly [rows: number, columns: number]): Promise<void> {
    await this.#ask('resize', { path, size });
  }

  async hangUp(path: string): Promise<void> {
    await this.#ask('hang up', { path });
  }

  /** Kills what is left. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#gone;
  }

  #ask(verb: string, request: object): Promise<Answer> {
    this.#tags += 1;
    const tag = this.#tags;
    this.#child.stdin?.write(`${JSON.stringify({ ...request, do: verb, tag })}\n`);
    return new Promise((resolve, reject) => {
      this.#open.set(tag, (answer) => {
        this.#open.delete(tag);
        if (answer.error === undefined) resolve(answer);
        else reject(new Error(`mini-shim: ${verb}: ${answer.error}`));
      });
    });
  }
}
