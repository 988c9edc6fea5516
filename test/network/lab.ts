// SPDX-License-Identifier: Apache-2.0
// Network namespaces for tests: a sandbox's on one side, the test's own on the other, where the
// host's stack is the peer. Each lab has names and a subnet of its own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Outcome, root, run, runts } from '../support/run.ts';

let made = 0;

function ip(...words: string[]): void {
  const { status, stderr } = spawnSync('ip', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr}`);
}

/** Namespaces and interfaces need root and iproute2. */
export const canMakeLabs: boolean =
  process.geteuid?.() === 0 && spawnSync('ip', ['-V']).status === 0;

export class Lab {
  readonly name: string;
  /** The test's side, and the sandbox's. */
  readonly hostIp: string;
  readonly guestIp: string;
  readonly hostIp6: string;
  readonly guestIp6: string;
  readonly directory: string = mkdtempSync(join(tmpdir(), 'runts-lab-'));

  constructor() {
    made += 1;
    const number = (process.pid % 200) * 250 + made;
    const subnet = `10.${64 + (number >> 8)}.${number & 0xff}`;
    this.name = `rl${process.pid}x${made}`;
    this.hostIp = `${subnet}.1`;
    this.guestIp = `${subnet}.2`;
    this.hostIp6 = `fd64:${number.toString(16)}::1`;
    this.guestIp6 = `fd64:${number.toString(16)}::2`;
    ip('netns', 'add', this.name);
    ip('link', 'add', this.name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.name);
    this.#address(['-n', this.name], 'eth0', this.guestIp, this.guestIp6);
    this.#address([], this.name, this.hostIp, this.hostIp6);
    ip('-n', this.name, 'link', 'set', 'lo', 'up');
    ip('-n', this.name, 'route', 'add', 'default', 'via', this.hostIp);
  }

  #address(where: readonly string[], device: string, ip4: string, ip6: string): void {
    ip(...where, 'addr', 'add', `${ip4}/24`, 'dev', device);
    spawnSync('ip', [...where, '-6', 'addr', 'add', `${ip6}/64`, 'dev', device, 'nodad']);
    ip(...where, 'link', 'set', device, 'up');
  }

  /** The command with which a sandbox has this lab's network. */
  sandbox(command: readonly string[]): string[] {
    return this.within([runts, 'do', '--network', 'sandbox', '--', ...command]);
  }

  /** The command in the sandbox's namespace, natively. */
  within(command: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...command];
  }

  inSandbox(command: readonly string[], seconds = 120): Promise<Outcome> {
    return run(this.sandbox(command), { cwd: this.directory, seconds });
  }

  /** A program of Python inside. */
  python(text: string, ...words: string[]): Promise<Outcome> {
    const file = join(this.directory, `program-${Math.random().toString(36).slice(2)}.py`);
    writeFileSync(file, text);
    return this.inSandbox(['python3', file, ...words]);
  }

  end(): void {
    spawnSync('ip', ['link', 'del', this.name]);
    spawnSync('ip', ['netns', 'del', this.name]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Puts a bridge that spoils what it carries between both sides; it ends by the function answered. */
export async function spoil(lab: Lab, words: readonly string[]): Promise<() => void> {
  const middle = `${lab.name}m`;
  const script = join(root, 'test/network/programs/lossy-bridge.py');
  ip('netns', 'add', middle);
  ip('link', 'del', lab.name);
  ip('link', 'add', lab.name, 'type', 'veth', 'peer', 'name', 'near', 'netns', middle);
  ip('link', 'add', `${lab.name}f`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', lab.name);
  ip('link', 'set', `${lab.name}f`, 'netns', middle, 'name', 'far');
  for (const [where, device, address] of [
    [[], lab.name, lab.hostIp],
    [['-n', lab.name], 'eth0', lab.guestIp],
    [['-n', middle], 'near', undefined],
    [['-n', middle], 'far', undefined],
  ] as const) {
    if (address !== undefined) ip(...where, 'addr', 'add', `${address}/24`, 'dev', device);
    ip(...where, 'link', 'set', device, 'up');
  }
  spawnSync('python3', [script, 'plain', lab.name]);
  spawnSync('ip', ['netns', 'exec', lab.name, 'python3', script, 'plain', 'eth0']);
  const bridge = run(['ip', 'netns', 'exec', middle, 'python3', script, 'near', 'far', ...words], {
    seconds: 280,
  });
  void bridge;
  return () => {
    const { stdout } = spawnSync('ip', ['netns', 'pids', middle], { encoding: 'utf8' });
    for (const pid of stdout.split(/\s+/)) if (pid !== '') process.kill(Number(pid), 'SIGKILL');
    spawnSync('ip', ['netns', 'del', middle]);
  };
}

/** A connection as soon as somebody listens. */
export async function connected(port: number, host: string): Promise<ReturnType<typeof connect>> {
  for (;;) {
    const socket = connect(port, host);
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    if (isOpen) return socket;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
