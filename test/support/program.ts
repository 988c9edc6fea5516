// SPDX-License-Identifier: Apache-2.0
// Real programs: one script, natively and in the sandbox, in the same fresh directory; standard output
// and exit code must be equal.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { itMayFail } from './expected.ts';
import { type Outcome, type RunOptions, run, runInSandbox, straceTail } from './run.ts';

export interface ProgramOptions {
  readonly seconds?: number;
  /** Commands that must be there: the case is skipped, and says so, where one is not. */
  readonly needs?: readonly string[];
  readonly shell?: string;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What cannot be equal (process numbers, times) is replaced before the comparison. */
  readonly normalize?: (text: string) => string;
}

const searchPath = '/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';

function isInstalled(command: string): boolean {
  if (command.startsWith('/')) return existsSync(command);
  return searchPath.split(delimiter).some((dir) => existsSync(join(dir, command)));
}

/** One case: `script` is given to bash -c (or options.shell) in an empty directory. */
export function program(name: string, script: string, options: ProgramOptions = {}): void {
  const missing = (options.needs ?? []).filter((needed) => !isInstalled(needed));
  if (missing.length > 0) {
    it.skip(`${name} (not installed: ${missing.join(', ')})`, () => undefined);
    return;
  }
  const seconds = options.seconds ?? 150;
  // The same for both, and no other test run's.
  const dir = `/tmp/runts-program-${process.pid}-${name.replace(/\W+/g, '-')}`;
  const command = [options.shell ?? '/bin/bash', '-c', script];
  const runOptions: RunOptions = {
    cwd: dir,
    seconds,
    ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    ...(options.env === undefined ? {} : { env: options.env }),
  };
  const inFreshDirectory = async <T>(body: () => Promise<T>): Promise<T> => {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    try {
      return await body();
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  };
  const normalize = options.normalize ?? ((text: string) => text);
  const summary = ({ stdout, code }: Outcome) => ({ code, stdout: normalize(stdout) });

  itMayFail(
    name,
    `programs: ${name}`,
    async () => {
      const native = await inFreshDirectory(() => run(command, runOptions));
      expect(native.timedOut, 'wrong test: times out natively').toBe(false);
      expect(native.stdout, `wrong test: silent natively\n${native.stderr}`).not.toBe('');
      const guest = await inFreshDirectory(() => runInSandbox(command, runOptions));
      const wanted = summary(native);
      const got = summary(guest);
      if (!guest.timedOut && got.code === wanted.code && got.stdout === wanted.stdout) return;
      const trace = await inFreshDirectory(() =>
        straceTail(command, { ...runOptions, seconds: Math.min(seconds, 30) }),
      );
      const how = guest.timedOut ? `timed out after ${seconds} s\n` : '';
      expect(got, `${how}${guest.stderr.slice(-3000)}\n${trace}`).toEqual(wanted);
    },
    4 * seconds * 1000,
  );
}

export { describe };
