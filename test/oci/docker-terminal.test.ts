// SPDX-License-Identifier: Apache-2.0
// docker run -it and docker exec -it on a terminal with a person at it.
import { afterEach, beforeEach, describe, expect, inject } from 'vitest';
import { itMayFail } from '../support/expected.ts';
import { GUEST_PROMPT, Terminal } from '../support/terminal.ts';
import { enginesIn } from './engines/daemons.ts';
import { type Runtime, runtimes } from './support/runtimes.ts';

const dir = inject('enginesDir');
let terminal: Terminal;

/** The terminal's size, which the engine may set only after the shell has begun. */
const size = 'until stty size | grep -v "^0"; do sleep 0.1; done';

describe.skipIf(dir === '')('docker-terminal', () => {
  beforeEach(async () => {
    terminal = await Terminal.open();
    const { env } = enginesIn(dir);
    await terminal.run(
      `export DOCKER_HOST=${env['DOCKER_HOST']} DOCKER_CONFIG=${env['DOCKER_CONFIG']} DETACH=ctrl-p,ctrl-q; docker() { /usr/bin/docker "$@"; }`,
    );
  });
  afterEach(() => terminal.close());

  for (const runtime of runtimes) {
    // The case before may not have ended well.
    const name = `terminal-${runtime.name}-$$`;
    const run = `docker run -it --rm --name ${name} --runtime ${runtime.name} --network none -e 'PS1=${GUEST_PROMPT}' local/debian`;
    const bash = `${run} bash --norc --noprofile`;

    one('job control', runtime, async () => {
      terminal.line(bash);
      await terminal.waitForPrompt('guest');
      expect((await terminal.run('tty')).output).toMatch(/^\/dev\/(pts\/\d+|console)$/);
      const stopped = await terminal.finish(async () => {
        terminal.line("bash -c 'echo ready; sleep 1000; exit 1'");
        await terminal.see(/^ready$/m);
        terminal.keys('C-z');
      });
      expect(stopped.status).toBe(148);
      expect((await terminal.run('jobs')).output).toMatch(/^\[1\]\+ +Stopped +bash -c/);
      await terminal.run('bg');
      expect((await terminal.run('jobs')).output).toMatch(/^\[1\]\+ +Running +bash -c/);
      const interrupted = await terminal.finish(async () => {
        terminal.line('fg');
        await terminal.see(/\bfg\nbash -c 'echo ready/);
        terminal.keys('C-c');
      });
      expect(interrupted.status).toBe(130);
      terminal.line('exit 5');
      expect((await terminal.waitForPrompt('host')).status).toBe(5);
    });

    one('the size of the window', runtime, async () => {
      terminal.line(bash);
      await terminal.waitForPrompt('guest');
      // The client sets the size after the start.
      expect((await terminal.run(size)).output).toBe('24 80');
      const resized = await terminal.finish(async () => {
        terminal.line(`(trap 'stty size; exit 0' WINCH; echo ready; while :; do :; done)`);
        await terminal.see(/^ready$/m);
        terminal.resize({ columns: 100, rows: 30 });
      });
      expect(resized.output).toMatch(/^ready\n30 100$/);
      terminal.keys('C-d');
      expect((await terminal.waitForPrompt('host')).status).toBe(0);
    });

    one('exec, and a program that draws', runtime, async () => {
      await terminal.run(
        `docker run -d --rm --name ${name} --runtime ${runtime.name} --network none local/debian sleep 1000`,
      );
      terminal.line(
        `docker exec -it -e 'PS1=${GUEST_PROMPT}' -e TERM=xterm ${name} bash --norc --noprofile`,
      );
      await terminal.waitForPrompt('guest');
      expect((await terminal.run(`tty; ${size}`)).output).toMatch(/^\/dev\/pts\/\d+\n24 80$/);
      await terminal.finish(async () => {
        terminal.line('top -d 100');
        await terminal.see(/^Tasks: [\s\S]*^ +PID USER[\s\S]* top$/m);
        terminal.type('q');
      });
      const interrupted = await terminal.finish(async () => {
        // The program says so itself, once the terminal is its own.
        terminal.line(`bash -c 'echo ready; exec sleep 1000'`);
        await terminal.see(/^ready$/m);
        terminal.keys('C-c');
      });
      expect(interrupted.status).toBe(130);
      terminal.line('exit 6');
      expect((await terminal.waitForPrompt('host')).status).toBe(6);
      expect((await terminal.run(`docker rm -f ${name}`)).status).toBe(0);
    });

    one('detach and attach', runtime, async () => {
      terminal.line(`${run} bash -c 'echo ready; read -r words; echo "got $words"; exit 7'`);
      await terminal.see(/^ready$/m);
      terminal.keys('C-p', 'C-q');
      await terminal.waitForPrompt('host', 1);
      const end = await terminal.finish(() => {
        terminal.line(`docker attach ${name}`);
        terminal.line('these words');
      });
      expect(end.output).toMatch(/got these words/);
      expect(end.status).toBe(7);
    });
  }
});

function one(name: string, runtime: Runtime, body: () => Promise<void>): void {
  const isOracle = runtime.name === 'runc';
  itMayFail(
    isOracle ? `${name} (runc)` : name,
    `oci/docker-terminal: ${name}${isOracle ? ' (runc)' : ''}`,
    body,
  );
}
