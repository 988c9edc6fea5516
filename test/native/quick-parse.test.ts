// SPDX-License-Identifier: Apache-2.0
// The parsers of the quick path (native/launcher/quick), under ASan and UBSan: whatever they do not
// leave to Node they must understand as Node does.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changedProcess } from '../../runts/commands/exec.ts';
import { readPodRole } from '../../runts/oci/annotations.ts';
import { planProcess } from '../../runts/oci/plan-process.ts';
import { parseProcess, parseSpec } from '../../runts/oci/spec/parse.ts';
import type { ContainerRecord } from '../../runts/oci/state/container-record.ts';
import { quickRecord } from '../../runts/oci/state/quick-record.ts';
import { generator } from '../support/random.ts';
import { root } from '../support/run.ts';

const program = join(root, 'native/build/quick-parse');
const directory = mkdtempSync(join(tmpdir(), 'quick-'));

beforeAll(() => {
  const make = spawnSync('make', ['-s', '-C', 'native', 'quick-parse'], { cwd: root });
  expect(make.status, String(make.stderr)).toBe(0);
}, 400_000);
afterAll(() => rmSync(directory, { recursive: true }));

/** What C makes of each text: a line. */
function inC(
  kind: 'process' | 'config' | 'sandbox' | 'record',
  texts: readonly (string | Buffer)[],
): string[] {
  const files = texts.map((text, index) => {
    const file = join(directory, String(index));
    writeFileSync(file, text);
    return file;
  });
  const ran = spawnSync(program, [kind, ...files], { maxBuffer: 1 << 28 });
  expect(ran.status, String(ran.stderr).slice(0, 4000)).toBe(0);
  const lines = ran.stdout.toString('latin1').split('\n');
  expect(lines.pop()).toBe('');
  expect(lines).toHaveLength(texts.length);
  return lines;
}

/** The same by the long way; undefined where that refuses it. */
function inNode(text: string | Buffer): unknown {
  try {
    const { process } = parseProcess(text.toString('utf8'), 'process.json');
    return JSON.parse(
      JSON.stringify({ type: 'exec', container: 'id', process: planProcess(process) }),
    );
  } catch {
    return undefined;
  }
}

/** `runts exec` with the options that native/test/quick-parse.c has. */
function changedInNode(text: string | Buffer): unknown {
  try {
    const { spec } = parseSpec(text.toString('utf8'), 'config.json');
    const process = changedProcess(spec.process, ['echo', 'a b', ''], {
      cwd: '/tmp',
      user: '12:34',
      env: ['A=changed', 'NEW=\u00e9'],
      additionalGids: ['7'],
      cap: ['CAP_SYS_PTRACE'],
      tty: true,
      noNewPrivs: true,
    });
    return JSON.parse(
      JSON.stringify({ type: 'exec', container: 'id', process: planProcess(process) }),
    );
  } catch {
    return undefined;
  }
}

/** The processes of engines: each has to take the quick way. */
const docker = {
  terminal: true,
  consoleSize: { height: 40, width: 120 },
  user: { uid: 1000, gid: 100, additionalGids: [100, 4_294_967_295], umask: 0o77 },
  args: ['sh', '-c', 'echo "a\\b" && <x> \u2028 \u{1f600} é\t\n'],
  env: ['PATH=/bin:/usr/bin', 'EMPTY=', 'ÜMLAUT=ß', 'A=b=c'],
  cwd: '/ü',
  capabilities: {
    bounding: ['CAP_CHOWN', 'CAP_CHECKPOINT_RESTORE', 'CAP_WAKE_ALARM', 'CAP_SYSLOG'],
    effective: ['CAP_CHOWN'],
    permitted: ['CAP_CHOWN', 'CAP_BPF', 'CAP_KILL'],
    inheritable: ['CAP_BPF'],
    ambient: ['CAP_BPF', 'CAP_KILL'],
  },
  rlimits: [
    { type: 'RLIMIT_NOFILE', soft: 1024, hard: 1_048_576 },
    { type: 'RLIMIT_CORE', soft: 0, hard: 4_294_967_296 },
  ],
  noNewPrivileges: true,
  oomScoreAdj: -500,
  apparmorProfile: 'docker-default',
  selinuxLabel: '',
};
const plain = { user: {}, args: ['true'], cwd: '/' };
/** As encoding/json writes it. */
const goText = (value: unknown): string =>
  JSON.stringify(value).replace(/[<>&\u2028]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
const unlimited = JSON.stringify({ ...plain, rlimits: [{ type: 'RLIMIT_AS', soft: 1, hard: 2 }] })
  .replace('"soft":1', '"soft":18446744073709551615')
  .replace('"hard":2', '"hard":18446744073709551615');
const engineTexts = [
  JSON.stringify(docker),
  JSON.stringify(docker, undefined, 2),
  goText(docker),
  JSON.stringify(plain),
  JSON.stringify({ ...plain, env: ['A=1', 'B=2', 'A=3'] }),
  JSON.stringify({ ...plain, env: null, capabilities: null, rlimits: [], terminal: false }),
  JSON.stringify({ ...plain, oomScoreAdj: 1000, args: ['\ud83d\ude00'] }).replace(
    '\ud83d\ude00',
    '\\uD83D\\ude00',
  ),
  unlimited,
];

/** What is left to Node, be it right or wrong. */
const rareTexts = [
  '',
  '{}',
  'null',
  '[]',
  JSON.stringify({ ...plain, cwd: 'x' }),
  JSON.stringify({ ...plain, cwd: '' }),
  JSON.stringify({ ...plain, args: [] }),
  JSON.stringify({ ...plain, args: ['a', 1] }),
  JSON.stringify({ ...plain, args: ['a\0b'] }),
  JSON.stringify({ ...plain, args: ['\ud800'] }),
  JSON.stringify({ ...plain, env: ['=1'] }),
  JSON.stringify({ ...plain, unknown: 1 }),
  JSON.stringify({ ...plain, commandLine: 'x' }),
  JSON.stringify({ ...plain, scheduler: { policy: 'SCHED_OTHER' } }),
  JSON.stringify({ ...plain, oomScoreAdj: 1001 }),
  JSON.stringify({ ...plain, oomScoreAdj: 1.5 }),
  JSON.stringify({ ...plain, user: { uid: 2 ** 32 } }),
  JSON.stringify({ ...plain, user: { umask: 0o1000 } }),
  JSON.stringify({ ...plain, capabilities: { effective: ['CAP_CHOWN'] } }),
  JSON.stringify({ ...plain, capabilities: { bounding: ['CAP_WHAT'] } }),
  JSON.stringify({ ...plain, capabilities: { bounding: ['CHOWN'] } }),
  JSON.stringify({ ...plain, rlimits: [{ type: 'RLIMIT_NOFILE', soft: 2, hard: 1 }] }),
  JSON.stringify({ ...plain, rlimits: [{ type: 'RLIMIT_NOFILE', soft: 2 }] }),
  JSON.stringify({ ...plain, consoleSize: { height: 1 } }),
  '{"args":["a"],"args":["b"],"cwd":"/"}',
  '{"args":["a"],"args":null,"cwd":"/"}',
  `${JSON.stringify(plain)}x`,
  `\ufeff${JSON.stringify(plain)}`,
  JSON.stringify(plain).replace('"true"', '"true",'),
  JSON.stringify(plain).replace('"/"', '"/",'),
  JSON.stringify(plain).slice(0, -1),
  Buffer.concat([Buffer.from('{"cwd":"/","args":["'), Buffer.from([0xff]), Buffer.from('"]}')]),
];

describe('process.json', () => {
  it('of engines takes the quick way, to the same request', () => {
    const lines = inC('process', engineTexts);
    engineTexts.forEach((text, index) => {
      expect(JSON.parse(lines[index] as string), String(text)).toEqual(inNode(text));
    });
  });

  it('that is odd is left to Node', () => {
    expect(inC('process', rareTexts)).toEqual(rareTexts.map(() => 'slow'));
  });

  it('that was damaged is left to Node, or understood alike', () => {
    const random = generator(20_261_122);
    const texts = Array.from({ length: 1500 }, () => {
      const text = engineTexts[random(engineTexts.length)] as string;
      return damaged(Buffer.from(text), random, [
        'null',
        '"',
        '{',
        '}',
        '[',
        ',',
        '0',
        '-1',
        '\\u00',
      ]);
    });
    let quick = 0;
    inC('process', texts).forEach((line, index) => {
      if (line === 'slow') return;
      quick += 1;
      expect(JSON.parse(line), String(texts[index])).toEqual(inNode(texts[index] as Buffer));
    });
    // Some of the damage is to the letters of a text.
    expect(quick).toBeGreaterThan(20);
  });
});

/** What else is in an engine's config.json is walked over. */
const configOf = (process: string): string =>
  `{"ociVersion":"1.0.2","root":{"path":"rootfs"},"hostname":"a}","mounts":[{"destination":"/proc","type":"proc","source":"proc","options":null}],"annotations":{"process":"x"},"process":${process},"linux":{"resources":{"memory":{"limit":-1,"swappiness":6e1},"devices":[{"allow":false,"access":"rwm"}]},"namespaces":[{"type":"uts"},{"type":"mount"}]}}`;
/** Labels would have been warned of. */
const configTexts = engineTexts
  .filter((text) => !text.includes('apparmor'))
  .concat(JSON.stringify({ ...docker, apparmorProfile: '' }))
  .map(configOf);

describe('config.json and the options of exec', () => {
  it('take the quick way, to the same request', () => {
    const lines = inC('config', configTexts);
    configTexts.forEach((text, index) => {
      expect(JSON.parse(lines[index] as string), text).toEqual(changedInNode(text));
    });
  });

  it('that are odd are left to Node', () => {
    const good = configOf(JSON.stringify(plain));
    const texts = [
      '{}',
      '{"process":null}',
      `{"process":${JSON.stringify(plain)},"process":${JSON.stringify(plain)}}`,
      `${good}x`,
      good.replace('6e1', ''),
      good.replace('"rwm"', '"rwm'),
      good.replace('-1', '['.repeat(100_000)),
      configOf(JSON.stringify(docker)),
      ...rareTexts
        .filter((text) => text.length > 2 && typeof text === 'string')
        .map((text) => configOf(String(text))),
    ];
    expect(inC('config', texts)).toEqual(texts.map(() => 'slow'));
  });

  it('that were damaged are left to Node, or understood alike', () => {
    const random = generator(3);
    const texts = Array.from({ length: 1000 }, () =>
      damaged(Buffer.from(configTexts[random(configTexts.length)] as string), random, [
        'null',
        '"',
        '{',
        '}',
        '[',
        ',',
        '0',
        '-1',
        '\\u00',
      ]),
    );
    inC('config', texts).forEach((line, index) => {
      const wanted = changedInNode(texts[index] as Buffer);
      // Of what is not the process this side judges nothing: `create` did.
      if (line !== 'slow' && wanted !== undefined)
        expect(JSON.parse(line), String(texts[index])).toEqual(wanted);
    });
  });
});

const record: ContainerRecord = {
  version: 1,
  id: 'a',
  ociVersion: '1.0.2',
  bundle: '/b',
  rootfs: '/b/rootfs',
  created: '2026-11-22T03:00:00.000Z',
  annotations: { 'a\n  "pid": 1,': '"\u{1f600}' },
  owner: 0,
  creator: { pid: 10, startTime: 1 },
  front: { pid: 1234, startTime: 567_890 },
  cgroup: {
    kind: 'v1',
    directories: [
      { version: 1, controllers: ['freezer'], path: '/sys/fs/cgroup/freezer/a', isShared: false },
      { version: 2, controllers: [], path: '/sys/fs/cgroup/unified/a b', isShared: true },
    ],
    limits: {},
  },
  hooks: { poststop: [{ path: '/bin/true' }] },
} as ContainerRecord;

describe('the quick record', () => {
  it('is read as it is written', () => {
    const text = quickRecord(record) as string;
    const [line] = inC('record', [text]);
    expect(line).toMatch(
      /^1234 567890 hooks 4 freezer 1 \/sys\/fs\/cgroup\/freezer\/a unit 0 sandbox a bundle \/b 1:\/sys\/fs\/cgroup\/freezer\/a 0:\/sys\/fs\/cgroup\/unified\/a b document \d+ \d+ \d+$/,
    );
    const { cgroup: _, ...bare } = record;
    const lines = inC('record', [
      quickRecord({ ...bare, cgroup: null, owner: 1000, sandbox: 'pod' }) as string,
    ]);
    expect(lines[0]).toMatch(/freezer 0 - unit 0 sandbox pod bundle \/b document 0 0 0$/);
  });

  it('is not written where a line could not hold it, or Node is needed', () => {
    const { front: _, ...unborn } = record;
    expect(quickRecord(unborn)).toBeUndefined();
    expect(quickRecord({ ...record, sandbox: 'a\nb' })).toBeUndefined();
    expect(quickRecord({ ...record, annotations: { big: 'x'.repeat(1 << 20) } })).toBeUndefined();
  });

  it('that was damaged is left to Node, or at least does no harm', () => {
    const random = generator(42);
    const text = Buffer.from(quickRecord(record) as string);
    const texts = Array.from({ length: 1500 }, () =>
      damaged(text, random, ['\n', '\0', '/../', '9999999999999999999999', '-']),
    );
    for (const line of inC('record', texts)) {
      expect(line).toMatch(/^(slow|\d+ \d+ hooks .*)$/s);
      expect(line).not.toContain('/../');
    }
    const cut = Array.from(text, (_, length) => text.subarray(0, length));
    expect(inC('record', cut)).toEqual(cut.map(() => 'slow'));
  });

  it('of another version, or of huge size, is left to Node', () => {
    const text = quickRecord(record) as string;
    const others = [text.replace('quick 2', 'quick 1'), `${text}x`, 'x'.repeat(1 << 21), '\0'];
    expect(inC('record', others)).toEqual(others.map(() => 'slow'));
  });
});

/** One to three places of it changed, cut out, doubled or replaced. */
function damaged(
  text: Buffer,
  random: (bound: number) => number,
  pieces: readonly string[],
): Buffer {
  let result = text;
  for (let count = 1 + random(3); count > 0; count -= 1) {
    const at = random(result.length);
    const end = Math.min(result.length, at + 1 + random(4));
    const ways = [
      () => Buffer.from([random(256)]),
      () => Buffer.from([97 + random(26)]),
      () => Buffer.alloc(0),
      () => Buffer.from(pieces[random(pieces.length)] as string),
      () => Buffer.concat([result.subarray(at, end), result.subarray(at, end)]),
    ];
    const piece = (ways[random(ways.length)] as () => Buffer)();
    result = Buffer.concat([result.subarray(0, at), piece, result.subarray(end)]);
  }
  return result;
}

describe('the sandbox that a container joins', () => {
  const ofContainerd = {
    type: 'io.kubernetes.cri.container-type',
    id: 'io.kubernetes.cri.sandbox-id',
  };
  const ofCriO = { type: 'io.kubernetes.cri-o.ContainerType', id: 'io.kubernetes.cri-o.SandboxID' };
  const annotated = (annotations: unknown): string =>
    configOf(JSON.stringify(plain)).replace('{"process":"x"}', JSON.stringify(annotations));
  const names = [ofContainerd, ofCriO];
  const roles = names.flatMap(({ type, id }) => [
    { [type]: 'container', [id]: 'pod-1' },
    { [id]: 'pod-1', other: 'x', [type]: 'container' },
    { [type]: 'sandbox', [id]: 'pod-1' },
    { [type]: 'what', [id]: 'pod-1' },
    { [type]: 'container' },
    { [id]: 'pod-1' },
  ]);

  it('is what Node finds in the annotations', () => {
    const both = { [ofCriO.type]: 'sandbox', [ofContainerd.type]: 'container' };
    const all = [...roles, { ...both, [ofContainerd.id]: 'a', [ofCriO.id]: 'b' }, {}];
    const wanted = all.map((annotations) => {
      try {
        const role = readPodRole('id', annotations as Record<string, string>, () => true);
        return role?.role === 'container' ? role.sandbox : '-';
      } catch {
        return '-';
      }
    });
    expect(wanted.filter((sandbox) => sandbox !== '-')).toEqual([...Array(4).fill('pod-1'), 'a']);
    expect(inC('sandbox', all.map(annotated))).toEqual(wanted);
  });

  it('is none where config.json is odd', () => {
    const good = annotated(roles[0]);
    const texts = [
      '',
      'null',
      `${good}x`,
      good.slice(0, -1),
      good.replace('"container"', '7'),
      good.replace('"pod-1"', 'null'),
      good.replace('"rwm"', '"rwm'),
      annotated(null),
      annotated([roles[0]]),
    ];
    expect(inC('sandbox', texts)).toEqual(texts.map(() => '-'));
  });

  it('is read from damaged texts without harm', () => {
    const random = generator(20_261_130);
    const good = Buffer.from(annotated(roles[0]));
    const texts = Array.from({ length: 500 }, () =>
      damaged(good, random, ['null', '"', '{', '\\u00']),
    );
    for (const line of inC('sandbox', texts)) expect(line).toMatch(/^[^\n]+$/);
  });
});
