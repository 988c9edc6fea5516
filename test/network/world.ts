// SPDX-License-Identifier: Apache-2.0
// A small world for the tests of --network user: a network namespace in which runts runs, with the
// address 192.0.2.1, and one of a machine far away, 192.0.2.2 and 192.0.2.3, which is its name
// server too. The host's own network is not touched.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, firstOutput, type Running, start } from '../lifecycle/command.ts';

export const NEAR = '192.0.2.1';
export const FAR = '192.0.2.2';
export const FAR_TOO = '192.0.2.3';

const ip = (...words: string[]): void => void execFileSync('ip', words);

export class World {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'runts-network-'));
  readonly #near = `runts-near-${process.pid}`;
  readonly #far = `runts-far-${process.pid}`;
  readonly #running: Running[] = [];

  /** Makes the namespaces, and the servers far away. */
  async begin(): Promise<void> {
    ip('netns', 'add', this.#near);
    ip('netns', 'add', this.#far);
    const [near, far] = [`rn${process.pid}`, `rf${process.pid}`];
    ip('link', 'add', near, 'netns', this.#near, 'type', 'veth', 'peer', far, 'netns', this.#far);
    ip('-n', this.#near, 'addr', 'add', `${NEAR}/24`, 'dev', near);
    ip('-n', this.#far, 'addr', 'add', `${FAR}/24`, 'dev', far);
    ip('-n', this.#far, 'addr', 'add', `${FAR_TOO}/24`, 'dev', far);
    for (const [namespace, device] of [
      [this.#near, near],
      [this.#far, far],
    ] as const) {
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      ip('-n', namespace, 'link', 'set', device, 'up');
    }
    ip('-n', this.#near, 'route', 'add', 'default', 'via', FAR);
    const [certificate, key] = [join(this.folder, 'cert.pem'), join(this.folder, 'key.pem')];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
        .concat(['-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=test'])
        .concat(['-addext', 'subjectAltName=DNS:www.example.test,DNS:evil.test']),
      { stdio: 'ignore' },
    );
    writeFileSync(join(this.folder, 'resolv.conf'), `search example.test\nnameserver ${FAR}\n`);
    const main = join(import.meta.dirname, 'far-end/main.ts');
    const words = [process.execPath, main, FAR, FAR_TOO, certificate, key];
    await firstOutput(this.#start(['ip', 'netns', 'exec', this.#far, ...words]));
  }

  /** Starts `command` near by, where /etc/resolv.conf names the far name server. */
  #nearBy(command: readonly string[]): readonly string[] {
    const mounts = `mount --bind ${join(this.folder, 'resolv.conf')} /etc/resolv.conf; exec "$@"`;
    const inside = ['unshare', '-m', 'sh', '-c', mounts, 'sh', ...command];
    return ['ip', 'netns', 'exec', this.#near, ...inside];
  }

  #start(command: readonly string[]): Running {
    const [first = '', ...rest] = command;
    const running = start([], { enter: ['sh', '-c', `exec ${quoted([first, ...rest])}`, 'sh'] });
    this.#running.push(running);
    return running;
  }

  /** `runts do --network user` near by. */
  start(options: readonly string[], ...command: string[]): Running {
    const args = ['do', '--network', 'user', ...options, '--', ...command];
    const running = start(args, { enter: this.#nearBy([]) });
    this.#running.push(running);
    return running;
  }

  /** The same, to its end. */
  run(options: readonly string[], ...command: string[]): Promise<Finished> {
    return this.start(options, ...command).finished;
  }

  /** A command near by that is not in a sandbox. */
  outside(...command: string[]): Promise<Finished> {
    return this.#start(this.#nearBy(command)).finished;
  }

  async end(): Promise<void> {
    for (const { child } of this.#running) child.kill('SIGTERM');
    await Promise.all(this.#running.map(({ finished }) => finished));
    for (const namespace of [this.#near, this.#far]) ip('netns', 'del', namespace);
    rmSync(this.folder, { recursive: true });
  }
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
}
