// SPDX-License-Identifier: Apache-2.0
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type InstallOptions, runInstall, runUninstall } from './install.ts';

let dir: string;
let config: string;
let exe: string;
let printed: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'runts-install-'));
  config = join(dir, 'daemon.json');
  exe = join(dir, 'runts');
  writeFileSync(exe, '', { mode: 0o755 });
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(dir, { recursive: true });
});

const options = (more: Partial<InstallOptions> = {}): InstallOptions => ({
  dockerConfig: config,
  name: 'runts',
  path: exe,
  ...more,
});

const read = (): string => readFileSync(config, 'utf8');

describe('install', () => {
  test('writes a file that was not there, and again changes nothing', () => {
    runInstall(options());
    expect(JSON.parse(read())).toEqual({ runtimes: { runts: { path: exe } } });
    const first = statSync(config).ino;
    runInstall(options());
    expect(statSync(config).ino).toBe(first);
    expect(printed).toContain('needs no change');
    runUninstall(options());
    expect(read()).toBe('{}\n');
    runUninstall(options());
    expect(readdirSync(dir).sort()).toEqual(['daemon.json', 'daemon.json.before-runts', 'runts']);
  });

  test('writes the options before the verb, in the place of earlier ones of their name', () => {
    const entry = () => JSON.parse(read()).runtimes.runts;
    runInstall(options({ network: 'none' }));
    expect(entry()).toEqual({ path: exe, runtimeArgs: ['--network', 'none'] });
    writeFileSync(config, read().replace('"none"', '"none", "--debug", "--network=none"'));
    runInstall(options({ network: 'host' }));
    expect(entry()).toEqual({ path: exe, runtimeArgs: ['--debug', '--network', 'host'] });
    printed = '';
    runInstall(options());
    expect(printed).toContain('needs no change');
    expect(printed).not.toContain('-with-options');
    runInstall(options({ network: 'host' }));
    expect(printed).toContain(`#!/bin/sh\nexec ${exe} --network host "$@"\n`);
    expect(printed).toContain(`BinaryName = "${exe}-with-options"`);
    expect(() => runInstall(options({ network: 'moon' }))).toThrow(
      "'moon' is not one of none, host",
    );
  });

  test('makes what others may read, whatever the umask', () => {
    const before = process.umask(0o077);
    try {
      const file = join(dir, 'etc/docker/daemon.json');
      runInstall(options({ dockerConfig: file }));
      const modes = [join(dir, 'etc'), join(dir, 'etc/docker'), file].map(
        (path) => statSync(path).mode & 0o777,
      );
      expect(modes).toEqual([0o755, 0o755, 0o644]);
    } finally {
      process.umask(before);
    }
  });

  test('refuses a program that sandboxes could not run', () => {
    chmodSync(exe, 0o700);
    expect(() => runInstall(options())).toThrow('chmod 755');
  });

  test('keeps all else: order, indentation, long numbers, mode, a copy', () => {
    const before = `{
    "zulu": 12345678901234567890,
    "runtimes": {
        "runsc": {
            "path": "/usr/bin/runsc",
            "runtimeArgs": [
                "--debug"
            ]
        }
    },
    "exp": 1e400
}
`;
    writeFileSync(config, before);
    chmodSync(config, 0o640);
    runInstall(options());
    const runsc =
      '"/usr/bin/runsc",\n            "runtimeArgs": [\n                "--debug"\n            ]\n        }';
    expect(read()).toBe(
      before.replace(
        `${runsc}\n`,
        `${runsc},\n        "runts": {\n            "path": "${exe}"\n        }\n`,
      ),
    );
    expect(statSync(config).mode & 0o777).toBe(0o640);
    expect(readFileSync(`${config}.before-runts`, 'utf8')).toBe(before);
    runUninstall(options());
    expect(read()).toBe(before);
  });

  test('moves an older place of ours, with what was said beside it', () => {
    writeFileSync(
      config,
      '{"runtimes":{"runts":{"path":"/opt/old/runts","runtimeArgs":["--debug"]}}}',
    );
    runInstall(options());
    expect(JSON.parse(read())).toEqual({
      runtimes: { runts: { path: exe, runtimeArgs: ['--debug'] } },
    });
  });

  test('follows a symbolic link', () => {
    const target = join(dir, 'target.json');
    writeFileSync(target, '{}');
    symlinkSync(target, config);
    runInstall(options());
    expect(JSON.parse(readFileSync(target, 'utf8'))).toHaveProperty('runtimes.runts');
  });

  test('--dry-run changes nothing', () => {
    runInstall(options({ dryRun: true }));
    expect(existsSync(config)).toBe(false);
    expect(printed).toContain(`"path": "${exe}"`);
  });

  test('prints the lines of the other engines', () => {
    runInstall(options({ name: 'sandbox' }));
    expect(printed).toContain(
      '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.sandbox.options]',
    );
    expect(printed).toContain(`BinaryName = "${exe}"`);
    expect(printed).toContain('handler: sandbox');
    expect(printed).toContain(`sandbox = ["${exe}"]`);
  });
});

const bad: readonly (readonly [string, string, Partial<InstallOptions>, RegExp])[] = [
  ['invalid JSON', '{\n  "a": 1,\n}', {}, /daemon\.json:3:1: not valid JSON/],
  ['an array', '[]', {}, /daemon\.json: expected an object/],
  ['runtimes that are none', '{"runtimes":[]}', {}, /daemon\.json: runtimes: expected an object/],
  ['an entry that is none', '{"runtimes":{"runts":1}}', {}, /runtimes\.runts: expected an object/],
  [
    'the name of another runtime',
    '{"runtimes":{"runts":{"path":"/usr/bin/runsc"}}}',
    {},
    /runtimes\.runts is another runtime: "\/usr\/bin\/runsc"/,
  ],
  ['a name with a slash', '{}', { name: 'a/b' }, /--name: 'a\/b'/],
  ["Docker's own name", '{}', { name: 'runc' }, /--name/],
  ['no such executable', '{}', { path: '/nowhere/runts' }, /--path: .*No such file/],
];

test.each(bad)('refuses %s', (_what, text, more, message) => {
  writeFileSync(config, text);
  expect(() => runInstall(options(more))).toThrow(message);
  expect(read()).toBe(text);
});

test('uninstall leaves what is not ours, and what dockerd would miss', () => {
  const other = '{"runtimes":{"runts":{"path":"/usr/bin/runsc"}}}';
  writeFileSync(config, other);
  expect(() => runUninstall(options())).toThrow(/not ours/);
  const wanted = `{"default-runtime":"runts","runtimes":{"runts":{"path":"${exe}"}}}`;
  writeFileSync(config, wanted);
  expect(() => runUninstall(options())).toThrow(/default-runtime/);
  expect(read()).toBe(wanted);
});

test('a directory that cannot be made', () => {
  const nowhere = options({ dockerConfig: '/proc/nosuch/daemon.json' });
  expect(() => runInstall(nowhere)).toThrow('/proc/nosuch/daemon.json: No such file');
});
