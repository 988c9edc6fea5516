// SPDX-License-Identifier: Apache-2.0
// A terminal with a person at it: tmux runs the host's shell, keys go in, the screen comes out. Nothing
// waits for a fixed time: each step waits for what a person would wait for, and fails with the screen.
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** Longest wait for anything to show up: a failure, not a duration that is part of a test. */
const PATIENCE_MS = 60_000;
const POLL_MS = 25;

/** The prompts carry bash's command number: a new one tells that the command before has ended. */
const HOST_PROMPT = 'host:\\#:$?> ';
export const GUEST_PROMPT = 'guest:\\#:$?> ';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Prompt {
  readonly where: 'host' | 'guest';
  /** Of the commands before. */
  readonly number: number;
  /** $? of the one before. */
  readonly status: number;
}

export interface CommandEnd {
  /** What it wrote, without trailing blanks. */
  readonly output: string;
  readonly status: number;
}

let servers = 0;

export class Terminal {
  readonly #server: string;

  private constructor(server: string) {
    this.#server = server;
  }

  /** The host's bash, at its first prompt. */
  static async open(size: Size = { columns: 80, rows: 24 }): Promise<Terminal> {
    servers += 1;
    const terminal = new Terminal(`runts-test-${process.pid}-${servers}`);
    const env = { LANG: 'C.UTF-8', HISTFILE: '' };
    terminal.#tmux([
      ...['-f', '/dev/null', 'new-session', '-d', '-x', `${size.columns}`, '-y', `${size.rows}`],
      ...Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]),
      // A shell between tmux and ours would drop PS1.
      ...['-c', '/', '--', 'env', `PS1=${HOST_PROMPT}`, 'bash', '--norc', '--noprofile'],
    ]);
    try {
      await terminal.waitForPrompt();
    } catch (error) {
      terminal.close();
      throw error;
    }
    return terminal;
  }

  close(): void {
    spawnSync('tmux', ['-L', this.#server, 'kill-server']);
  }

  /** The host shell's process. */
  get shellPid(): number {
    return Number(this.#tmux(['display-message', '-p', '#{pane_pid}']));
  }

  /** As stty(1) prints them, whoever has the terminal. */
  settings(): string {
    const device = this.#tmux(['display-message', '-p', '#{pane_tty}']).trim();
    return spawnSync('stty', ['-a', '-F', device], { encoding: 'utf8' }).stdout;
  }

  /** Keys by tmux's names: Enter, C-c, BSpace, Left. */
  keys(...names: readonly string[]): void {
    this.#tmux(['send-keys', ...names]);
  }

  /** Text as it is. */
  type(text: string): void {
    this.#tmux(['send-keys', '-l', '--', text]);
  }

  line(text: string): void {
    this.type(text);
    this.keys('Enter');
  }

  /** Text from the clipboard: in brackets where the program asked for them. */
  paste(text: string): void {
    this.#tmux(['set-buffer', '--', text]);
    this.#tmux(['paste-buffer', '-p', '-r']);
  }

  resize({ columns, rows }: Size): void {
    this.#tmux(['resize-window', '-x', `${columns}`, '-y', `${rows}`]);
  }

  /** What is to be seen, wrapped lines joined, without trailing blanks. */
  screen(): string {
    return this.#tmux(['capture-pane', '-p', '-J']).replace(/[ \n]+$/gm, '');
  }

  /** The screen, as soon as it matches. */
  async see(wanted: RegExp): Promise<string> {
    return this.#until(() => {
      const screen = this.screen();
      return wanted.test(screen) ? screen : undefined;
    }, String(wanted));
  }

  /** The prompt the cursor is at, once there is one with nothing typed and a number above `after`. */
  async waitForPrompt(where?: 'host' | 'guest', after = 0): Promise<Prompt> {
    return this.#until(
      () => {
        const found = parsePrompt(this.screen().split('\n').at(-1) ?? '');
        const fits = found !== undefined && found.number > after;
        return fits && (where === undefined || found.where === where) ? found : undefined;
      },
      `a prompt ${where ?? ''} after ${after}`,
    );
  }

  /** Runs one command of the shell that is at its prompt. */
  async run(command: string): Promise<CommandEnd> {
    return this.finish(async () => this.line(command));
  }

  /** From one prompt to the next of the same shell: `act` types. */
  async finish(act: () => Promise<void> | void): Promise<CommandEnd> {
    const { where, number } = await this.waitForPrompt();
    await act();
    const next = await this.waitForPrompt(where, number);
    return { output: this.#outputOf(where, number, next.number), status: next.status };
  }

  /** What lies between the prompt with that number and the next one. */
  #outputOf(where: string, number: number, next: number): string {
    const text = this.#tmux(['capture-pane', '-p', '-J', '-S', '-2000']);
    const command = text.lastIndexOf(`${where}:${number}:`);
    const from = text.indexOf('\n', command) + 1;
    const output = text.slice(from, text.lastIndexOf(`${where}:${next}:`));
    return output.replace(/ +$/gm, '').replace(/\n$/, '');
  }

  async #until<T>(probe: () => T | undefined, wanted: string): Promise<T> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const value = probe();
      if (value !== undefined) return value;
      if (Date.now() > end) throw new Error(`not seen: ${wanted}; the screen:\n${this.screen()}`);
      await sleep(POLL_MS);
    }
  }

  #tmux(args: readonly string[]): string {
    const done = spawnSync('tmux', ['-L', this.#server, ...args], { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`tmux ${args[0]}: ${done.stderr}`);
    return done.stdout;
  }
}

/** Output without a newline may stand before it. */
function parsePrompt(line: string): Prompt | undefined {
  const match = /(host|guest):(\d+):(\d+)>$/.exec(line.trimEnd());
  if (match === null) return undefined;
  return {
    where: match[1] as 'host' | 'guest',
    number: Number(match[2]),
    status: Number(match[3]),
  };
}
