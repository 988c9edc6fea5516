// SPDX-License-Identifier: Apache-2.0
// `runts do` on a terminal: driven through a pseudo-terminal by a small Python program, which knows how to
// make one and to look at its settings.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runtsPath } from './command.ts';

const driver = join(import.meta.dirname, 'terminal-driver.py');

function drive(scenario: string): string {
  const run = spawnSync('python3', [driver, runtsPath, scenario], {
    encoding: 'utf8',
    timeout: 250_000,
  });
  return `${run.stdout}${run.stderr}`;
}

describe('on a terminal', () => {
  it('the guest has one of its own', () => {
    expect(drive('tty')).toMatch(/^\/dev\/pts\/\d+\nrestored\nexit 0\n$/);
  });
  it('keys are the guest’s: ^C interrupts it', () => {
    expect(drive('interrupt')).toBe('ready\ngot INT\nrestored\nexit 5\n');
  });
  it('its size follows', () => {
    expect(drive('window')).toBe('24 80\n40 100\nrestored\nexit 0\n');
  });
  it('settings come back when the command line is killed', () => {
    expect(drive('kill')).toBe('ready\nraw\nrestored\n');
  });
  it('^Z stops it and the command line, for the shell to see; SIGCONT goes on', () => {
    expect(drive('suspend')).toBe('ready\nstopped\nrestored\ndone\nrestored\nexit 0\n');
  });
});
