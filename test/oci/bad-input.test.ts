// SPDX-License-Identifier: Apache-2.0
// What cannot be: one clear error, runc's exit code, nothing left behind (boxCases looks).
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Box, type BoxCase, boxCases } from './support/box.ts';
import type { Ran } from './support/mini-shim.ts';
import type { Spec } from './support/spec.ts';

/** Only our log has the family of a failure, runts/errors.ts. */
const foreseenCode = /^RUNTS_E_(?!UNEXPECTED)/;

/** One line on stderr, the same in the log as engines read it. */
function refused(box: Box, ran: Ran, says: RegExp, code = 1): void {
  expect(ran).toMatchObject({ code, stdout: '', held: false });
  expect(ran.stderr).toMatch(says);
  const last = JSON.parse(box.log().trim().split('\n').at(-1) ?? '{}') as Record<string, string>;
  expect(last).toMatchObject({
    level: 'error',
    msg: expect.stringMatching(says),
    ...(box.runtime.name === 'runts' && { code: expect.stringMatching(foreseenCode) }),
  });
  expect(Date.parse(last['time'] ?? '')).toBeGreaterThan(Date.now() - 60_000);
  if (box.runtime.name === 'runts') expect(ran.stderr.trim().split('\n')).toHaveLength(1);
}

const collected = { stdout: '', stderr: '' };

/** A config.json changed so that `create` must refuse it. `runts` is what only we say. */
function badSpec(
  name: string,
  change: (spec: Spec) => void,
  says: RegExp,
  runts?: RegExp,
): BoxCase {
  return {
    name,
    body: async (box) => {
      box.bundle(change);
      const ran = await box.create('a', [], collected);
      refused(box, ran, says);
      if (box.runtime.name === 'runts' && runts !== undefined) expect(ran.stderr).toMatch(runts);
      expect(existsSync(join(box.dir, 'bundles/a/pid'))).toBe(false);
      expect(await box.do('delete', ['--force', 'a'])).toMatchObject({ code: 0, stderr: '' });
    },
  };
}

/** Text in place of config.json. */
function badJson(name: string, text: string | ((good: string) => string), runts: RegExp): BoxCase {
  return {
    name,
    body: async (box) => {
      const file = join(box.bundle(), 'config.json');
      const good = readFileSync(file, 'utf8');
      writeFileSync(file, typeof text === 'string' ? text : text(good));
      const ran = await box.create('a', [], collected);
      refused(box, ran, /./);
      if (box.runtime.name === 'runts') expect(ran.stderr).toMatch(runts);
    },
  };
}

const set = (spec: Spec, path: string, value: unknown): void => {
  const names = path.split('.');
  const last = names.pop() as string;
  let at = spec as unknown as Record<string, unknown>;
  for (const name of names) at = at[name] as Record<string, unknown>;
  if (value === undefined) delete at[last];
  else at[last] = value;
};

boxCases('bad-input', [
  {
    name: 'no bundle',
    body: async (box) => {
      refused(
        box,
        await box.do('create', ['--bundle', '/nonexistent', 'a']),
        /no such file or directory|not found/,
      );
      mkdirSync(join(box.dir, 'empty'));
      refused(
        box,
        await box.do('create', ['--bundle', join(box.dir, 'empty'), 'a']),
        /config\.json/,
      );
    },
  },
  badJson(
    'not JSON: where',
    '{\n  "ociVersion": "1.0.2",\n  "process": oops\n}',
    /config\.json.*(:3:|line 3)/,
  ),
  badJson('empty JSON', '', /config\.json/),
  badJson('half a file', (good) => good.slice(0, 300), /config\.json/),
  badJson('an array', '[]', /config\.json|object/),
  badSpec(
    'a string for a number',
    (spec) => set(spec, 'process.user.uid', 'root'),
    /./,
    /process\.user\.uid/,
  ),
  badSpec(
    'a number for a string',
    (spec) => set(spec, 'process.args', ['sleep', 5]),
    /./,
    /process\.args\[1\]/,
  ),
  badSpec('an object for a list', (spec) => set(spec, 'mounts', {}), /./, /mounts/),
  badSpec('no process', (spec) => set(spec, 'process', undefined), /process/),
  badSpec('no arguments', (spec) => set(spec, 'process.args', []), /args/),
  badSpec(
    'a relative working directory',
    (spec) => set(spec, 'process.cwd', 'here'),
    /cwd|[Cc]wd|working directory/,
  ),
  {
    ...badSpec(
      'a version from the future',
      (spec) => set(spec, 'ociVersion', '7.0.0'),
      /ociVersion/,
    ),
    only: 'runts',
  },
  badSpec('no root file system', (spec) => set(spec, 'root.path', 'nowhere'), /nowhere/),
  badSpec(
    'a command that is not there',
    (spec) => set(spec, 'process.args', ['nosuchcommand']),
    /executable file not found/,
  ),
  badSpec(
    'a path that is not there',
    (spec) => set(spec, 'process.args', ['/no/such']),
    /no such file or directory/,
  ),
  badSpec(
    'a command that may not run',
    (spec) => set(spec, 'process.args', ['/etc/passwd']),
    /permission denied/,
  ),
  badSpec(
    'a command of another machine',
    (spec) => {
      set(spec, 'process.args', ['/bin/notelf']);
    },
    /executable file not found|no such file/,
  ),
  badSpec(
    'an unknown namespace',
    (spec) => spec.linux.namespaces.push({ type: 'nosuch' }),
    /nosuch|namespace/,
  ),
  badSpec(
    'a namespace twice',
    (spec) => spec.linux.namespaces.push({ type: 'pid' }),
    /pid|namespace/,
  ),
  badSpec(
    'a namespace path that is none',
    (spec) => {
      set(spec, 'linux.namespaces', [
        ...spec.linux.namespaces.filter(({ type }) => type !== 'network'),
        { type: 'network', path: '/etc/passwd' },
      ]);
    },
    /./,
  ),
  badSpec(
    'a namespace path that is not there',
    (spec) => {
      set(spec, 'linux.namespaces', [
        ...spec.linux.namespaces.filter(({ type }) => type !== 'network'),
        { type: 'network', path: '/no/such/ns' },
      ]);
    },
    /no such file/,
  ),
  badSpec(
    'an unknown resource limit',
    (spec) => set(spec, 'process.rlimits', [{ type: 'RLIMIT_NOSUCH', soft: 1, hard: 1 }]),
    /RLIMIT_NOSUCH|rlimit/,
  ),
  badSpec(
    'a soft limit above the hard one',
    (spec) => set(spec, 'process.rlimits', [{ type: 'RLIMIT_NOFILE', soft: 9, hard: 1 }]),
    /rlimit|RLIMIT_NOFILE|invalid argument/,
  ),
  badSpec(
    'a bind mount of nothing',
    (spec) =>
      spec.mounts.push({
        destination: '/m',
        type: 'bind',
        source: '/no/such/source',
        options: ['bind'],
      }),
    /no such file or directory/,
  ),
  badSpec(
    'an unknown file system',
    (spec) => spec.mounts.push({ destination: '/m', type: 'nosuchfs', source: 'x' }),
    /nosuchfs|no such device/,
  ),
  badSpec(
    'a seccomp action that is none',
    (spec) => set(spec, 'linux.seccomp', { defaultAction: 'SCMP_ACT_NOSUCH' }),
    /seccomp|SCMP_ACT_NOSUCH/,
  ),
  badSpec(
    'a seccomp operator that is none',
    (spec) =>
      set(spec, 'linux.seccomp', {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [
          {
            names: ['read'],
            action: 'SCMP_ACT_ERRNO',
            args: [{ index: 0, value: 1, op: 'SCMP_CMP_NOSUCH' }],
          },
        ],
      }),
    /seccomp|SCMP_CMP_NOSUCH/,
  ),
  badSpec(
    'a sysctl of the host',
    (spec) => set(spec, 'linux.sysctl', { 'kernel.panic': '1' }),
    /sysctl/,
  ),
  badSpec(
    'a sysctl without its namespace',
    (spec) => {
      set(spec, 'linux.sysctl', { 'net.ipv4.ip_forward': '1' });
      set(
        spec,
        'linux.namespaces',
        spec.linux.namespaces.filter(({ type }) => type !== 'network'),
      );
    },
    /sysctl/,
  ),
  badSpec(
    'a host name without its namespace',
    (spec) => {
      set(
        spec,
        'linux.namespaces',
        spec.linux.namespaces.filter(({ type }) => type !== 'uts'),
      );
    },
    /hostname|UTS|uts/,
  ),
  badSpec(
    'a hook that is not there',
    (spec) => set(spec, 'hooks', { prestart: [{ path: '/no/such/hook' }] }),
    /no such file or directory/,
  ),
  badSpec(
    'a hook that fails',
    (spec) => set(spec, 'hooks', { createRuntime: [{ path: '/bin/false' }] }),
    /hook/,
  ),
  badSpec(
    'a memory limit that is too small',
    (spec) => set(spec, 'linux.resources', { memory: { limit: 4096 } }),
    /memory/,
    /linux\.resources\.memory\.limit: 4096 bytes are too few/,
  ),
  {
    ...badSpec(
      'the PID namespace of the host',
      (spec) =>
        set(
          spec,
          'linux.namespaces',
          spec.linux.namespaces.filter(({ type }) => type !== 'pid'),
        ),
      /linux\.namespaces: there is no pid namespace/,
    ),
    only: 'runts',
  },
  {
    ...badSpec(
      'the PID namespace of a stranger',
      (spec) =>
        set(
          spec,
          'linux.namespaces',
          spec.linux.namespaces.map((one) =>
            one.type === 'pid' ? { ...one, path: '/proc/1/ns/pid' } : one,
          ),
        ),
      /linux\.namespaces: pid: runts cannot join \/proc\/1\/ns\/pid/,
    ),
    only: 'runts',
  },
  {
    ...badSpec(
      'programs of 32 bits',
      (spec) => set(spec, 'linux.personality', { domain: 'LINUX32' }),
      /linux\.personality\.domain: LINUX32 is not supported/,
    ),
    only: 'runts',
  },
  badSpec(
    'an overlay of layers that are not there',
    (spec) =>
      spec.mounts.push({
        destination: '/m',
        type: 'overlay',
        source: 'overlay',
        options: ['lowerdir=/no/such/layer'],
      }),
    /no such file or directory/,
    /mounts\[5\] \(\/m\): overlay: stat \/no\/such\/layer/,
  ),
  {
    name: 'ids with bad characters',
    body: async (box) => {
      box.bundle();
      const bundle = join(box.dir, 'bundles/a');
      for (const id of ['a/b', '../a', '..', '.', 'a b', 'ä', 'a\nb', '']) {
        refused(box, await box.do('create', ['--bundle', bundle, id]), /id/i);
      }
      expect(await box.do('create', ['--bundle', bundle])).toMatchObject({
        code: expect.any(Number),
      });
    },
  },
  {
    name: 'an id twice',
    body: async (box) => {
      await box.running();
      const pid = box.pid();
      refused(box, await box.create('a', [], collected), /already exists/);
      expect(await box.state()).toMatchObject({ status: 'running', pid });
    },
  },
  {
    name: 'arguments too few, too many, unknown',
    body: async (box) => {
      for (const [verb, args] of [
        ['start', []],
        ['start', ['a', 'b']],
        ['state', []],
        ['delete', []],
        ['kill', []],
        ['create', ['a', 'b']],
        ['create', ['--nosuchflag', 'a']],
        ['nosuchverb', []],
      ] as const) {
        const ran = await box.do(verb, args);
        const code = verb === 'nosuchverb' ? 3 : 1;
        expect(ran.code, `${verb} ${args.join(' ')}`).toBe(code);
        expect(`${ran.stdout}${ran.stderr}`).not.toBe('');
        // An engine that is newer than we are looks there.
        if (box.runtime.name === 'runts')
          refused(box, ran, /argument|unknown option|no command/, code);
      }
    },
  },
  {
    name: 'a pid file that cannot be written',
    body: async (box) => {
      box.bundle();
      const ran = await box.do('create', [
        '--bundle',
        join(box.dir, 'bundles/a'),
        '--pid-file',
        '/no/such/pid',
        'a',
      ]);
      refused(box, ran, /no such file or directory/);
      expect(await box.shim.descendants()).toEqual([]);
    },
  },
  {
    name: 'a read-only state directory',
    body: async (box) => {
      box.bundle();
      const state = join(box.dir, 'state');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,size=64k', 'tmpfs', state]);
      try {
        refused(box, await box.create('a', [], collected), /read-only file system/i);
      } finally {
        execFileSync('umount', [state]);
      }
    },
  },
  {
    name: 'a state directory that cannot be made',
    body: async (box) => {
      const log = ['--log', join(box.dir, 'log.json'), '--log-format', 'json'];
      const args = ['--bundle', box.bundle(), 'a'];
      const argv = [box.runtime.path, '--root', '/proc/nosuch/x', ...log, 'create', ...args];
      refused(box, await box.shim.run({ cwd: box.dir, argv }), /no such file or directory/);
    },
  },
  {
    name: 'a state directory that is read-only at the end',
    only: 'runts',
    body: async (box) => {
      const state = join(box.dir, 'state');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', state]);
      try {
        box.bundle();
        expect(await box.create('a', [], collected)).toMatchObject({ code: 0 });
        expect(await box.do('kill', ['a', '9'])).toMatchObject({ code: 0 });
        expect(await box.wait()).toBe(137);
        execFileSync('mount', ['-o', 'remount,ro', state]);
        for (const options of [[], ['--force']])
          refused(box, await box.do('delete', [...options, 'a']), /a: read-only file system$/m);
        execFileSync('mount', ['-o', 'remount,rw', state]);
        expect(await box.do('delete', ['a'])).toMatchObject({ code: 0, stderr: '' });
      } finally {
        execFileSync('umount', [state]);
      }
    },
  },
  {
    name: 'a full disk',
    body: async (box) => {
      box.bundle();
      const state = join(box.dir, 'state');
      // Room for a directory and no more.
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', state]);
      writeFileSync(join(state, 'filler'), Buffer.alloc(4096));
      try {
        refused(box, await box.create('a', [], collected), /no space left|unable to store/i);
        execFileSync('rm', [join(state, 'filler')]);
        expect(execFileSync('ls', [state], { encoding: 'utf8' })).toBe('');
      } finally {
        execFileSync('umount', [state]);
      }
    },
  },
  {
    name: 'a state that is not ours',
    body: async (box) => {
      const at = join(box.dir, 'state/odd');
      for (const text of ['', '{', '[]', '{"id":7}', '\0\0\0']) {
        mkdirSync(at, { recursive: true });
        writeFileSync(join(at, 'state.json'), text);
        expect((await box.do('state', ['odd'])).code).toBe(1);
        expect((await box.do('list', ['-q'])).code).toBe(0);
        expect((await box.do('delete', ['--force', 'odd'])).code).toBeLessThanOrEqual(1);
        execFileSync('rm', ['-rf', at]);
      }
    },
  },
  {
    name: 'a state that is not ours beside others',
    only: 'runts',
    body: async (box) => {
      await box.running();
      const at = join(box.dir, 'state/odd');
      const good = JSON.parse(readFileSync(join(box.dir, 'state/a/state.json'), 'utf8'));
      const broken: unknown[] = [
        null,
        { version: 1 },
        { ...good },
        { ...good, id: '../a' },
        { ...good, id: 'odd', front: { pid: 'x' } },
        { ...good, id: 'odd', creator: null },
        { ...good, id: 'odd', cgroup: { directories: [null], limits: {} } },
        { ...good, id: 'odd', hooks: { poststop: [7] } },
      ];
      for (const record of broken) {
        mkdirSync(at);
        writeFileSync(join(at, 'state.json'), JSON.stringify(record));
        expect(await box.do('list', ['-q'])).toMatchObject({ code: 0, stdout: 'a\n' });
        for (const verb of ['state', 'start', 'kill', 'delete'])
          expect(await box.do(verb, ['odd'])).toMatchObject({
            code: 1,
            stderr: expect.stringMatching(/^runts: container odd: .* is not a container record\n$/),
          });
        expect(await box.do('delete', ['--force', 'odd'])).toMatchObject({ code: 0, stderr: '' });
        expect(existsSync(at)).toBe(false);
      }
      expect(await box.state()).toMatchObject({ status: 'running' });
    },
  },
  {
    name: 'texts for a person',
    body: async (box) => {
      box.bundle((spec) => set(spec, 'process.args', ['nosuchcommand']));
      const bundle = join(box.dir, 'bundles/a');
      const log = join(box.dir, 'text.log');
      const ran = await box.shim.run({
        argv: [
          box.runtime.path,
          '--root',
          join(box.dir, 'state'),
          '--log',
          log,
          'create',
          '--bundle',
          bundle,
          'a',
        ],
      });
      expect(ran).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/executable file not found/),
      });
      expect(readFileSync(log, 'utf8')).toMatch(/level=error msg=".*executable file not found.*"/);
    },
  },
]);
