// SPDX-License-Identifier: Apache-2.0
// Documents as engines write them, and everything that can be wrong with one.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FailureCode } from '../../errors.ts';
import { Failure } from '../../failure.ts';
import { defaultSpec } from './default-spec.ts';
import { parseProcess, parseResources, parseSpec } from './parse.ts';

/** An object of JSON, to be changed. */
type Json = Record<string, unknown>;

const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));

function small(): Json {
  return {
    ociVersion: '1.2.0',
    process: { user: { uid: 0, gid: 0 }, args: ['true'], cwd: '/' },
    root: { path: 'rootfs' },
    linux: { namespaces },
  };
}

function parse(document: unknown) {
  return parseSpec(JSON.stringify(document), 'config.json');
}

function failureOf(action: () => unknown, code: FailureCode = 'RUNTS_E_CONFIG_INVALID'): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).code).toBe(code);
    return (error as Failure).message.replace('config.json: ', '');
  }
  return 'no failure';
}

/** A small document with `value` at `place`, 'process.args.1'; undefined takes out what is there. */
function withValue(place: string, value: unknown): Json {
  const document = small();
  const steps = place.split('.');
  const last = steps.pop() as string;
  let inner = document;
  for (const step of steps) {
    inner[step] ??= {};
    inner = inner[step] as Json;
  }
  inner[last] = value;
  return document;
}

const mapping = { containerID: 0, hostID: 1000, size: 1 };

describe('parseSpec', () => {
  it('reads what runts spec writes', () => {
    for (const ids of [undefined, { uid: 1000, gid: 1000 }]) {
      const { spec, warnings } = parse(defaultSpec(ids));
      expect(warnings).toEqual([]);
      expect(spec.process.args).toEqual(['sh']);
      expect(spec.linux?.resources?.devices?.[0]).toEqual(
        ids === undefined ? { allow: false, access: 'rwm' } : undefined,
      );
    }
  });

  const recorded = '/work/shared/engines/configs';
  it.skipIf(!existsSync(recorded))('reads what Docker and ctr wrote', () => {
    for (const name of readdirSync(recorded)) {
      const text = readFileSync(`${recorded}/${name}`, 'utf8');
      const { spec, warnings } = parseSpec(text, name);
      expect(warnings).toEqual([]);
      expect(spec).toMatchObject({ process: JSON.parse(text).process });
    }
  });

  it('takes null as nothing, and fills in a user', () => {
    const { spec } = parse({
      ...small(),
      process: { args: ['true'], cwd: '/', env: null, capabilities: { bounding: null } },
      hooks: null,
    });
    expect(spec.process).toEqual({
      args: ['true'],
      cwd: '/',
      user: { uid: 0, gid: 0 },
      capabilities: {},
    });
    expect(spec).not.toHaveProperty('hooks');
  });

  it('keeps 64-bit integers exact', () => {
    const text = JSON.stringify(
      withValue('process.rlimits', [{ type: 'RLIMIT_CORE', soft: 1, hard: 'MOST' }]),
    ).replace('"MOST"', '18446744073709551615');
    const { spec } = parseSpec(text, 'config.json');
    expect(spec.process.rlimits).toEqual([{ type: 'RLIMIT_CORE', soft: 1, hard: 2n ** 64n - 1n }]);
    expect(
      failureOf(() => parseSpec(text.replace(/1844\d+/, '18446744073709551616'), 'config.json')),
    ).toBe(
      'process.rlimits[0].hard: expected an integer from 0 to 18446744073709551615, got 18446744073709551616',
    );
  });

  it('leaves other platforms alone', () => {
    expect(parse({ ...small(), windows: { layerFolders: 5 }, vm: [], zos: null }).warnings).toEqual(
      [],
    );
  });

  it('takes out empty paths and unset values', () => {
    const document = withValue('linux.resources', {
      memory: { limit: 5, swappiness: 'UNSET' },
      blockIO: { weight: 0 },
    });
    (document['linux'] as Json)['namespaces'] = [{ type: 'ipc', path: '' }];
    const { spec } = parseSpec(
      JSON.stringify(document).replace('"UNSET"', String(2n ** 64n - 1n)),
      'config.json',
    );
    expect(spec.linux).toEqual({
      namespaces: [{ type: 'ipc' }],
      resources: { memory: { limit: 5 }, blockIO: { weight: 0 } },
    });
  });

  it('knows all of the specification', () => {
    const everything = {
      ...small(),
      hostname: 'h',
      domainname: 'd',
      annotations: { 'dev.runts.strace': 'true' },
      mounts: [{ destination: '/a', type: 'tmpfs', source: 't', options: ['ro'], uidMappings: [] }],
      hooks: { poststop: [{ path: '/bin/true', args: ['true'], env: ['A=b'], timeout: 3 }] },
    };
    const process = {
      ...((everything as Json)['process'] as Json),
      terminal: true,
      consoleSize: { height: 24, width: 80 },
      commandLine: '',
      rlimits: [{ type: 'RLIMIT_RTTIME', soft: 1, hard: 2 }],
      noNewPrivileges: true,
      oomScoreAdj: -1000,
      scheduler: { policy: 'SCHED_OTHER', nice: 0, flags: [] },
      user: { uid: 1, gid: 2, umask: 0o77, additionalGids: [3], username: 'x' },
    };
    const linux = {
      namespaces: [...namespaces, { type: 'user' }, { type: 'cgroup' }, { type: 'time' }],
      uidMappings: [mapping],
      gidMappings: [mapping],
      sysctl: { 'net/ipv4/ip_forward': '1', 'kernel.sem': '1', 'fs.mqueue.msg_max': '9' },
      cgroupsPath: '/a',
      devices: [
        { path: '/dev/x', type: 'c', major: 10, minor: 229, fileMode: 8630, uid: 0, gid: 0 },
        { path: '/p', type: 'p' },
      ],
      rootfsPropagation: 'rslave',
      maskedPaths: ['/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
      mountLabel: '',
      personality: { domain: 'LINUX', flags: [] },
      timeOffsets: { monotonic: { secs: 0, nanosecs: 0 }, boottime: {} },
      intelRdt: {},
      seccomp: {
        defaultAction: 'SCMP_ACT_ERRNO',
        defaultErrnoRet: 38,
        architectures: ['SCMP_ARCH_X86_64'],
        flags: ['SECCOMP_FILTER_FLAG_LOG'],
        listenerPath: '',
        syscalls: [
          {
            names: ['read'],
            action: 'SCMP_ACT_ALLOW',
            errnoRet: 1,
            args: [{ index: 5, value: 1, valueTwo: 2, op: 'SCMP_CMP_MASKED_EQ' }],
          },
        ],
      },
      resources: {
        devices: [{ allow: true, type: '', major: -1, minor: 5, access: 'rwm' }],
        memory: {
          limit: 100,
          reservation: 50,
          swap: 200,
          kernel: -1,
          kernelTCP: 0,
          swappiness: 100,
          disableOOMKiller: true,
          useHierarchy: true,
          checkBeforeUpdate: true,
        },
        cpu: {
          shares: 1024,
          quota: -1,
          burst: 0,
          period: 100000,
          realtimeRuntime: 0,
          realtimePeriod: 0,
          cpus: '0-1',
          mems: '0',
          idle: 1,
        },
        pids: { limit: -1 },
        blockIO: {
          weight: 10,
          leafWeight: 1000,
          weightDevice: [{ major: 8, minor: 0, weight: 500 }],
          throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }],
          throttleWriteIOPSDevice: [],
        },
        hugepageLimits: [{ pageSize: '2MB', limit: 0 }],
        network: { classID: 1, priorities: [{ name: 'eth0', priority: 5 }] },
        rdma: { mlx5_0: { hcaHandles: 3 } },
        unified: { 'memory.high': '100' },
      },
    };
    const { spec, warnings } = parse({ ...everything, process, linux });
    expect(warnings).toEqual([]);
    const { intelRdt: _, ...known } = linux;
    expect(spec.linux).toMatchObject({
      ...known,
      devices: [linux.devices[0], { path: '/p', type: 'p', major: 0, minor: 0 }],
      resources: { ...linux.resources, devices: [{ allow: true, type: 'a', major: -1 }] },
    });
  });

  it('warns of what it ignores', () => {
    const process = {
      args: ['true'],
      cwd: '/',
      apparmorProfile: 'docker-default',
      selinuxLabel: 'system_u:system_r:svirt_lxc_net_t:s0',
      ioPriority: { class: 'IOPRIO_CLASS_IDLE', priority: 0 },
      execCPUAffinity: { initial: '0-1' },
      scheduler: { policy: 'SCHED_BATCH', nice: 5 },
      capabilities: { effective: ['CAP_CHOWN', 'CAP_FLY'], permitted: ['CAP_CHOWN', 'chown'] },
    };
    const { spec, warnings } = parse({ ...small(), process, mounts: [{ destination: 'x' }] });
    expect(spec.process.capabilities).toEqual({
      effective: ['CAP_CHOWN'],
      permitted: ['CAP_CHOWN'],
    });
    expect(warnings.map((text) => /^config.json: ([^: ]*)/.exec(text)?.[1])).toEqual([
      'process.scheduler',
      'process.apparmorProfile',
      'process.selinuxLabel',
      'process.ioPriority',
      'process.execCPUAffinity',
      'process.capabilities',
      'mounts[0].destination',
    ]);
    expect(warnings[5]).toContain('"CAP_FLY", "chown"');
  });

  it.each(['1.0.0', '1.2.1', '1.3.0'])(
    'ignores unknown properties at %s, with a warning',
    (ociVersion) => {
      const document: Json = { ...small(), ociVersion, news: 1, more: {} };
      (document['process'] as Json)['nice'] = 1;
      const { spec, warnings } = parse(document);
      expect(warnings).toEqual([
        'config.json: process.nice is an unknown property and ignored',
        'config.json: news is an unknown property and ignored',
        'config.json: more is an unknown property and ignored',
      ]);
      expect(Object.keys(spec)).toEqual(['ociVersion', 'process', 'root', 'linux']);
    },
  );

  it.each([
    ['process.capabilities', { bounds: [] }, 'process.capabilities.bounds'],
    ['root.readOnly', true, 'root.readOnly'],
    ['hooks.preStart', [], 'hooks.preStart'],
    ['linux.timeOffsets', { realtime: {} }, 'linux.timeOffsets.realtime'],
  ])('tells where the unknown property of %s is', (place, value, told) => {
    const document = withValue(place, value);
    (document['linux'] as Json)['namespaces'] = [{ type: 'time' }];
    expect(parse(document).warnings).toEqual([
      `config.json: ${told} is an unknown property and ignored`,
    ]);
  });
});

describe('texts that are no JSON', () => {
  const cases: readonly [text: string, message: string][] = [
    ['', '1:1: not valid JSON: expected a value, but the text ends'],
    ['{\n  "a": 1,\n}', "3:1: not valid JSON: expected a name in double quotes, got '}'"],
    ['{"a" 1}', "1:6: not valid JSON: expected ':', got '1'"],
    ['{"a":[1 2]}', "1:9: not valid JSON: expected ',' or ']', got '2'"],
    ['{"a":"x\ny"}', '1:8: not valid JSON: a string has a line break or another control character'],
    ['{"a":"\\q"}', '1:7: not valid JSON: a string has an unknown escape'],
    ['{"a":"b', '1:8: not valid JSON: a string does not end'],
    ['{"a":tru}', "1:6: not valid JSON: expected a value, got 't'"],
    ['{"a":01}', "1:7: not valid JSON: expected ',' or '}', got '1'"],
    ['{}\n{}', "2:1: not valid JSON: expected the end, got '{'"],
    ["{'a':1}", "1:2: not valid JSON: expected a name in double quotes, got '''"],
    [`${'['.repeat(100_000)}!`, "1:100001: not valid JSON: expected a value, got '!'"],
  ];
  it.each(cases)('%j', (text, message) => {
    expect(failureOf(() => parseSpec(text, 'config.json'), 'RUNTS_E_CONFIG_JSON')).toBe(
      `config.json:${message}`,
    );
  });

  it('takes any depth', () => {
    const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    const text = JSON.stringify(small()).replace('{', `{"annotations":${deep},`);
    expect(failureOf(() => parseSpec(text, 'config.json'))).toBe(
      'annotations.a: expected a string, got object',
    );
  });
});

describe('documents that are wrong', () => {
  const cases: readonly [place: string, value: unknown, message: string][] = [
    ['ociVersion', undefined, 'ociVersion is missing'],
    ['ociVersion', 1.2, 'ociVersion: expected a string, got number'],
    ['ociVersion', 'new', 'ociVersion: expected a version such as 1.2.1, got "new"'],
    ['ociVersion', '2.0.0', 'ociVersion: 2.0.0 is not supported; 1.x is'],
    ['process', undefined, 'process is missing'],
    ['process', [], 'process: expected an object, got array'],
    ['process.args', undefined, 'process.args is missing'],
    ['process.args', [], 'process.args must not be empty'],
    ['process.args', ['true', 5], 'process.args[1]: expected a string, got number'],
    ['process.args', ['a\0b'], 'process.args[0] contains a NUL character'],
    ['process.args', 'true', 'process.args: expected an array, got string'],
    ['process.args', [null], 'process.args[0]: expected a string, got null'],
    ['process.cwd', undefined, 'process.cwd is missing'],
    ['process.cwd', 'tmp', 'process.cwd: expected an absolute path, got "tmp"'],
    ['process.env', ['A=b', 'C'], 'process.env[1]: expected NAME=VALUE, got "C"'],
    ['process.env', ['=c'], 'process.env[0]: expected NAME=VALUE, got "=c"'],
    ['process.terminal', 'yes', 'process.terminal: expected true or false, got string'],
    ['process.user.uid', -1, 'process.user.uid: expected an integer from 0 to 4294967295, got -1'],
    [
      'process.user.umask',
      0o1000,
      'process.user.umask: expected an integer from 0 to 511, got 512',
    ],
    [
      'process.oomScoreAdj',
      1.5,
      'process.oomScoreAdj: expected an integer from -1000 to 1000, got 1.5',
    ],
    [
      'process.rlimits',
      [{ type: 'RLIMIT_FOO', soft: 1, hard: 1 }],
      'process.rlimits[0].type: expected one of RLIMIT_CPU',
    ],
    [
      'process.rlimits',
      [{ type: 'RLIMIT_CPU', soft: 2, hard: 1 }],
      'process.rlimits[0]: the soft limit 2 is above the hard limit 1',
    ],
    [
      'process.rlimits',
      [1, 2].map((hard) => ({ type: 'RLIMIT_CPU', soft: 1, hard })),
      'process.rlimits[1]: RLIMIT_CPU is listed twice',
    ],
    [
      'process.capabilities',
      { effective: ['CAP_KILL'] },
      'process.capabilities.effective: CAP_KILL is not among the permitted ones',
    ],
    [
      'process.scheduler',
      { policy: 'SCHED_ISO' },
      'process.scheduler.policy: SCHED_ISO is not supported',
    ],
    [
      'process.scheduler',
      { policy: 'SCHED_OTHER', priority: 1 },
      'process.scheduler.priority is for SCHED_FIFO and SCHED_RR only',
    ],
    [
      'process.scheduler',
      { policy: 'SCHED_RR', period: 1 },
      'process.scheduler.period is for SCHED_DEADLINE only',
    ],
    [
      'process.ioPriority',
      { class: 'IDLE' },
      'process.ioPriority.class: expected one of IOPRIO_CLASS_RT',
    ],
    [
      'process.execCPUAffinity',
      { final: 'all' },
      'process.execCPUAffinity.final: expected a list of processors',
    ],
    ['root', undefined, 'root is missing'],
    ['root.path', undefined, 'root.path is missing'],
    ['root.path', '', 'root.path must not be empty'],
    ['hostname', 'a'.repeat(65), 'hostname is longer than 64 bytes'],
    ['mounts', [{ type: 'tmpfs' }], 'mounts[0].destination is missing'],
    [
      'mounts',
      [{ destination: '/a', options: { ro: true } }],
      'mounts[0].options: expected an array, got object',
    ],
    [
      'mounts',
      [{ destination: '/a', uidMappings: [{ ...mapping, size: 0 }] }],
      'mounts[0].uidMappings[0].size must not be 0',
    ],
    [
      'hooks.prestart',
      [{ path: 'true' }],
      'hooks.prestart[0].path: expected an absolute path, got "true"',
    ],
    [
      'hooks.poststop',
      [{ path: '/a', timeout: 0 }],
      'hooks.poststop[0].timeout: expected an integer from 1 to',
    ],
    [
      'hooks.poststop',
      [{ path: '/a', timeout: -1 }],
      'hooks.poststop[0].timeout: expected an integer from 1 to',
    ],
    ['annotations', { a: 1 }, 'annotations.a: expected a string, got number'],
    ['annotations', { '': '' }, 'annotations: a key is empty'],
    ['linux', [], 'linux: expected an object, got array'],
    [
      'linux.namespaces',
      [{ type: 'net' }],
      'linux.namespaces[0].type: expected one of cgroup, ipc, mount, network, pid, time, user, uts, got "net"',
    ],
    [
      'linux.namespaces',
      [{ type: 'pid' }, { type: 'pid' }],
      'linux.namespaces[1]: the pid namespace is listed twice',
    ],
    [
      'linux.namespaces',
      [{ type: 'pid', path: 'ns' }],
      'linux.namespaces[0].path: expected an absolute path',
    ],
    [
      'linux.namespaces',
      [{ type: 'mount', path: '/proc/1/ns/mnt' }],
      'linux.namespaces[0].path: runts cannot join a mount namespace',
    ],
    [
      'linux.namespaces',
      [{ type: 'user' }],
      'linux.uidMappings is required for the new user namespace',
    ],
    ['linux.uidMappings', [mapping], 'linux.uidMappings needs a user namespace, and there is none'],
    [
      'linux.sysctl',
      { 'vm.overcommit_memory': '1' },
      'linux.sysctl["vm.overcommit_memory"] is not in a separate kernel namespace',
    ],
    [
      'linux.sysctl',
      { 'kernel.hostname': 'x' },
      'linux.sysctl["kernel.hostname"]: hostname is the field for it',
    ],
    [
      'linux.sysctl',
      { 'kernel.sem': 1 },
      'linux.sysctl["kernel.sem"]: expected a string, got number',
    ],
    [
      'linux.timeOffsets',
      { monotonic: { secs: 1 } },
      'linux.timeOffsets needs a time namespace, and there is none',
    ],
    [
      'linux.personality',
      { domain: 'LINUX32' },
      'linux.personality.domain: LINUX32 is not supported: runts runs 64-bit programs only',
    ],
    ['linux.rootfsPropagation', 'public', 'linux.rootfsPropagation: expected one of '],
    ['linux.intelRdt', { closID: 'a' }, 'linux.intelRdt: runts cannot use Intel RDT'],
    ['linux.netDevices', { eth0: {} }, 'linux.netDevices: runts cannot move network devices'],
    [
      'linux.devices',
      [{ path: 'dev/x', type: 'c' }],
      'linux.devices[0].path: expected an absolute path',
    ],
    [
      'linux.devices',
      [{ path: '/dev/x', type: 'd' }],
      'linux.devices[0].type: expected one of c, b, u, p, got "d"',
    ],
    [
      'linux.devices',
      [{ path: '/dev/x', type: 'c', major: -1 }],
      'linux.devices[0]: major and minor must not be negative',
    ],
    ['linux.seccomp', {}, 'linux.seccomp.defaultAction is missing'],
    [
      'linux.seccomp.defaultAction',
      'ALLOW',
      'linux.seccomp.defaultAction: expected one of SCMP_ACT_ALLOW',
    ],
    [
      'linux.seccomp.defaultAction',
      'SCMP_ACT_NOTIFY',
      'linux.seccomp.defaultAction: runts cannot hand',
    ],
    [
      'linux.resources.memory.limit',
      -2,
      'linux.resources.memory.limit: expected bytes, or -1 for no limit, got -2',
    ],
    [
      'linux.resources.memory.limit',
      '1g',
      'linux.resources.memory.limit: expected an integer from -9223372036854775808 to 9223372036854775807, got string',
    ],
    [
      'linux.resources.memory',
      { limit: 5, swap: 4 },
      'linux.resources.memory.swap: memory and swap together, 4, are below memory alone, 5',
    ],
    [
      'linux.resources.memory.swappiness',
      101,
      'linux.resources.memory.swappiness: expected an integer from 0 to 100, got 101',
    ],
    [
      'linux.resources.cpu.shares',
      -1,
      'linux.resources.cpu.shares: expected an integer from 0 to 18446744073709551615, got -1',
    ],
    [
      'linux.resources.blockIO.weight',
      5,
      'linux.resources.blockIO.weight: expected an integer from 10 to 1000, got 5',
    ],
    [
      'linux.resources.devices',
      [{ allow: true, access: 'rx' }],
      'linux.resources.devices[0].access: only the letters r, w and m are known',
    ],
    ['linux.resources.devices', [{ access: 'r' }], 'linux.resources.devices[0].allow is missing'],
    [
      'linux.resources.hugepageLimits',
      [{ pageSize: '2', limit: 0 }],
      'linux.resources.hugepageLimits[0].pageSize: expected a size of pages',
    ],
    ['linux.resources.pids', {}, 'linux.resources.pids.limit is missing'],
    [
      'linux.resources.unified',
      { 'memory.high': 5 },
      'linux.resources.unified["memory.high"]: expected a string, got number',
    ],
  ];
  it.each(cases)('%s: %j', (place, value, message) => {
    expect(failureOf(() => parse(withValue(place, value))).slice(0, message.length)).toBe(message);
  });

  it.each([
    [null, 'null'],
    [[], 'array'],
    ['x', 'string'],
  ])('%j', (value, kind) => {
    expect(failureOf(() => parse(value))).toBe(`expected an object, got ${kind}`);
  });

  it('wants namespaces for what is of a namespace', () => {
    const without = (field: object, more: object = {}): string =>
      failureOf(() =>
        parse({ ...small(), ...more, linux: { namespaces: [{ type: 'pid' }], ...field } }),
      );
    expect(without({}, { hostname: 'x' })).toBe(
      'hostname cannot be set without a uts namespace of its own',
    );
    expect(without({}, { domainname: 'x' })).toMatch(/^domainname cannot be set/);
    expect(without({ maskedPaths: ['/x'] })).toMatch(/^linux: maskedPaths and readonlyPaths need/);
    for (const key of [
      'net.core.somaxconn',
      'kernel.sem',
      'fs.mqueue.msg_max',
      'kernel.domainname',
    ])
      expect(without({ sysctl: { [key]: '1' } })).toMatch(/^linux.sysctl\["[\w.]+"\] is not /);
  });

  it("does not change the host's network", () => {
    const network = (path: string) => ({
      ...small(),
      linux: { namespaces: [{ type: 'network', path }], sysctl: { 'net.core.somaxconn': '1' } },
    });
    expect(failureOf(() => parse(network('/proc/self/ns/net')))).toMatch(
      /is not allowed in the host's network/,
    );
    expect(parse(network('/run/gone')).warnings).toEqual([]);
  });

  it('refuses SCMP_ACT_NOTIFY and numbers outside of their range', () => {
    const rule = (more: object) =>
      failureOf(() =>
        parse(
          withValue('linux.seccomp', {
            defaultAction: 'SCMP_ACT_ALLOW',
            syscalls: [{ names: ['read'], action: 'SCMP_ACT_ERRNO', ...more }],
          }),
        ),
      );
    expect(rule({ action: 'SCMP_ACT_NOTIFY' })).toMatch(
      /^linux.seccomp.syscalls\[0\].action: runts cannot hand/,
    );
    expect(rule({ args: [{ index: 6, value: 0, op: 'SCMP_CMP_EQ' }] })).toMatch(
      /^linux.seccomp.syscalls\[0\].args\[0\].index: expected an integer from 0 to 5/,
    );
    expect(rule({ args: [{ index: 0, value: 0, op: '==' }] })).toMatch(
      /args\[0\].op: expected one of SCMP_CMP_EQ/,
    );
    expect(rule({ names: 'read' })).toMatch(/names: expected an array, got string/);
  });
});

describe('parseProcess', () => {
  it('reads process.json', () => {
    const process = { user: { uid: 1, gid: 2 }, args: ['a'], cwd: '/', terminal: true };
    expect(parseProcess(JSON.stringify(process), 'process.json').process).toEqual(process);
  });

  it('tells of the place within it', () => {
    const failure = (document: object) =>
      failureOf(() => parseProcess(JSON.stringify(document), 'p.json'));
    expect(failure({ args: ['a', 1], cwd: '/' })).toBe(
      'p.json: args[1]: expected a string, got number',
    );
    expect(failure({ args: ['a'], cwd: '/', env: ['x'] })).toBe(
      'p.json: env[0]: expected NAME=VALUE, got "x"',
    );
    const { warnings } = parseProcess(JSON.stringify({ args: ['a'], cwd: '/', x: 1 }), 'p.json');
    expect(warnings).toEqual(['p.json: x is an unknown property and ignored']);
  });
});

describe('parseResources', () => {
  it('reads what docker update sends', () => {
    const text =
      '{"memory":{"limit":67108864,"reservation":0,"swap":67108864,"kernel":0},"cpu":{"shares":0,"quota":50000,"period":100000},"blockIO":{"weight":0}}';
    expect(parseResources(text, '-').resources).toEqual(JSON.parse(text));
  });

  it('tells of the place within it', () => {
    expect(failureOf(() => parseResources('{"cpu":{"quota":"x"}}', '-'))).toMatch(
      /^-: cpu.quota: expected an integer/,
    );
    expect(failureOf(() => parseResources('{"memory":{"limit":2,"swap":1}}', '-'))).toMatch(
      /^-: memory.swap: /,
    );
  });
});
