// SPDX-License-Identifier: Apache-2.0
// What takes a capability in the container's network namespace: raw sockets, low ports, ping
// sockets for a group. The broker makes them for runts (native/launcher/broker.c); runc's
// containers just may. Both must see the same.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import {
  commandLine,
  descriptors,
  isAlive,
  namespace,
  status,
} from '../lifecycle/sandbox-processes.ts';
import { root } from '../support/run.ts';
import { type Box, boxCases } from './support/box.ts';
import { type Spec, script } from './support/spec.ts';

const CAPABILITY_SETS = ['bounding', 'effective', 'permitted'];

/** A static program of programs/, in the container's root as /NAME. */
function program(bundle: string, name: string): void {
  const source = join(import.meta.dirname, 'programs', `${name}.c`);
  const binary = join(root, 'build/oci-programs', name);
  if (!existsSync(binary) || statSync(binary).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(join(root, 'build/oci-programs'), { recursive: true });
    const made = `${binary}.${process.pid}`;
    execFileSync('gcc', ['-O1', '-D_GNU_SOURCE', '-static', '-Wall', '-o', made, source]);
    execFileSync('mv', [made, binary]);
  }
  copyFileSync(binary, join(bundle, 'rootfs', name));
}

/** With the sockets of the container's namespace, where lo is up. */
function withHostNetwork(spec: Spec): void {
  spec.annotations = { 'dev.runts.network': 'host' };
  spec.linux['sysctl'] = { 'net.ipv4.ping_group_range': '4321 4321' };
}

function keepCapabilities(spec: Spec, names: readonly string[]): void {
  const kept = names.map((name) => `CAP_${name}`);
  spec.process.capabilities = Object.fromEntries(CAPABILITY_SETS.map((set) => [set, kept]));
}

async function output(
  box: Box,
  change: (spec: Spec) => void,
  name = 'raw-sockets',
): Promise<string> {
  const bundle = box.bundle((spec) => {
    withHostNetwork(spec);
    // runc leaves the loopback device down, and what is in this container cannot raise it.
    spec.hooks = { prestart: [{ path: '/bin/sh', args: ['sh', '-c', raiseLoopback] }] };
    spec.process.args = [`/${name}`];
    change(spec);
  });
  program(bundle, name);
  expect(await box.finish(), box.said()).toBe(0);
  return box.output();
}

const raiseLoopback =
  'pid=$(sed -n "s/.*\\"pid\\": *\\([0-9]*\\).*/\\1/p"); nsenter -t "$pid" -n ip link set lo up';

/** What runc's container printed, for runts' to be compared with. */
const said = new Map<string, Promise<string>>();

/** The oracle is tried again where it fails (ORACLE_RETRIES). */
async function oracleSays(name: string): Promise<string | undefined> {
  for (;;) {
    const attempt = said.get(name);
    const text = await attempt?.catch(() => undefined);
    if (attempt === undefined || text !== undefined) return text;
    await sleep(100);
  }
}

function comparison(name: string, capabilities: readonly string[], has: RegExp) {
  return {
    name,
    body: async (box: Box) => {
      const own = output(box, (spec) => keepCapabilities(spec, capabilities));
      if (box.runtime.name === 'runc') said.set(name, own);
      expect(await own).toMatch(has);
      const oracle = await oracleSays(name);
      if (oracle !== undefined) expect(await own).toBe(oracle);
    },
  };
}

boxCases('network-broker', [
  comparison(
    'with both capabilities',
    ['NET_RAW', 'NET_BIND_SERVICE', 'SETUID', 'SETGID'],
    /IPPROTO_ICMP\) = \d+ \n[\s\S]*bind\(tcp, \(void \*\)&name, sizeof name\) = 0/,
  ),
  comparison(
    'raw sockets alone',
    ['NET_RAW', 'SETUID', 'SETGID'],
    /IPPROTO_RAW\) = \d[\s\S]*bind\(tcp, \(void \*\)&name, sizeof name\) = -1 EACCES/,
  ),
  comparison(
    'low ports alone',
    ['NET_BIND_SERVICE', 'SETUID', 'SETGID'],
    /IPPROTO_ICMP\) = -1 EPERM[\s\S]*bind\(tcp, \(void \*\)&name, sizeof name\) = 0/,
  ),
  comparison('neither', ['SETUID', 'SETGID'], /IPPROTO_ICMP\) = -1 EPERM[\s\S]*= -1 EACCES/),
  {
    name: 'raw sockets in bad hands',
    body: async (box) => {
      const limit = { type: 'RLIMIT_NOFILE', soft: 900, hard: 900 };
      const change = (spec: Spec): void => {
        spec.process.rlimits = [limit];
      };
      expect(await output(box, change, 'raw-fuzz')).toBe(
        'made many, stopped at EMFILE, then goes on\n',
      );
    },
  },
  {
    name: 'the broker has two capabilities, one socket and nothing of the host',
    only: 'runts',
    body: async (box) => {
      await box.running((spec) => {
        withHostNetwork(spec);
        script(spec, 'exec sleep 1000');
      });
      const broker = await confinedBroker(box);
      for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
        expect(status(broker, set)).toBe('0000000000002400');
      for (const set of ['CapInh', 'CapAmb']) expect(status(broker, set)).toBe('0000000000000000');
      expect(status(broker, 'NoNewPrivs')).toBe('1');
      expect(status(broker, 'Seccomp')).toBe('2');
      expect(status(broker, 'Uid')).toBe('65534\t65534\t65534\t65534');
      expect(status(broker, 'Groups')).toBe('');
      expect([...descriptors(broker).values()].filter((to) => to !== '/dev/null')).toEqual([
        expect.stringMatching(/^socket:/),
      ]);
      expect(readdirSync(`/proc/${broker}/root/`)).toEqual([]);
      expect(readFileSync(`/proc/${broker}/mountinfo`, 'utf8').trim().split('\n')).toHaveLength(1);
      expect(namespace(broker, 'net')).toBe(namespace(box.pid(), 'net'));
      for (const kind of ['mnt', 'ipc', 'uts'])
        expect(namespace(broker, kind)).not.toBe(readlinkSync(`/proc/self/ns/${kind}`));
    },
  },
  {
    name: 'the end of the broker is not the end of the container',
    only: 'runts',
    body: async (box) => {
      await box.running((spec) => {
        withHostNetwork(spec);
        script(
          spec,
          'while :; do ping -c1 -W1 127.0.0.1 >/dev/null 2>&1 && echo yes || echo no; sleep 0.1; done',
        );
      });
      await box.until(() => box.output().includes('yes'), 'an answer');
      const broker = await confinedBroker(box);
      process.kill(broker, 'SIGKILL');
      await box.until(() => !isAlive(broker), 'its end');
      await box.until(() => box.output().endsWith('no\n'), 'no answer');
      expect((await box.state()).status).toBe('running');
    },
  },
  {
    name: 'there is no broker for who has neither, or has them in another user namespace',
    only: 'runts',
    body: async (box) => {
      const start = async (id: string, change: (spec: Spec) => void): Promise<void> => {
        await box.running((spec) => {
          withHostNetwork(spec);
          script(spec, 'exec sleep 1000');
          keepCapabilities(spec, ['CHOWN']);
          change(spec);
        }, id);
      };
      await start('none', (spec) => delete spec.linux['sysctl']);
      await start('ping', () => undefined);
      const pinging = await confinedBroker(box, 'ping');
      expect(status(pinging, 'CapPrm')).toBe('0000000000000000');
      expect(status(pinging, 'Gid')).toBe('4321\t4321\t4321\t4321');
      await start('users', (spec) => {
        keepCapabilities(spec, ['NET_RAW', 'NET_BIND_SERVICE']);
        const namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'network');
        spec.linux.namespaces = [...namespaces, { type: 'user' }];
        delete spec.linux['sysctl'];
        const ids = [{ containerID: 0, hostID: 0, size: 1000 }];
        Object.assign(spec.linux, { uidMappings: ids, gidMappings: ids });
      });
      // By now there would be one: what serves an exec is later than the broker's start.
      for (const id of ['none', 'users']) {
        expect(await box.do('exec', [id, 'true'])).toMatchObject({ code: 0 });
        expect(brokerOf(box, id), id).toBeUndefined();
      }
    },
  },
  {
    name: "a joined namespace keeps its settings but those of the container's own",
    body: async (box) => {
      const name = `rb-${box.runtime.name}-${process.pid}`;
      const inside = (command: string): string =>
        execFileSync('ip', ['netns', 'exec', name, 'sh', '-c', command], { encoding: 'utf8' });
      execFileSync('ip', ['netns', 'add', name]);
      try {
        inside('echo 2000 >/proc/sys/net/ipv4/ip_unprivileged_port_start');
        const settings =
          'cd /proc/sys/net; cat ipv4/ip_unprivileged_port_start ipv4/ping_group_range core/somaxconn ipv4/conf/lo/rp_filter';
        const before = inside(settings);
        box.bundle((spec) => {
          spec.annotations = { 'dev.runts.network': 'host' };
          const namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'network');
          spec.linux.namespaces = [
            ...namespaces,
            { type: 'network', path: `/var/run/netns/${name}` },
          ];
          spec.linux['sysctl'] = { 'net/core/somaxconn': '77', 'net.ipv4.conf.lo.rp_filter': '2' };
          script(spec, settings);
        });
        expect(await box.finish(), box.said()).toBe(0);
        const [ports, first] = before.split('\n') as [string, string];
        expect(box.output()).toBe(`${ports}\n${first}\n77\n2\n`);
        expect(inside(settings)).toBe(`${ports}\n${first}\n77\n2\n`);
      } finally {
        execFileSync('ip', ['netns', 'del', name]);
      }
    },
  },
  {
    name: 'settings that the host refuses',
    body: async (box) => {
      const start = async (id: string, sysctl: Record<string, string>): Promise<void> => {
        box.bundle((spec) => {
          withHostNetwork(spec);
          spec.linux['sysctl'] = sysctl;
        }, id);
        expect((await box.create(id)).code).toBe(1);
      };
      await start('a', { 'net.core.nothing': '1' });
      expect(box.log()).toMatch(/net\/core\/nothing: no such file or directory/);
      await start('b', { 'net.core.somaxconn': 'many' });
      expect(box.log()).toMatch(/net\/core\/somaxconn: invalid argument/i);
    },
  },
]);

/** The container may be running before its broker does (native/launcher/supervise.c). */
async function confinedBroker(box: Box, id = 'a'): Promise<number> {
  let found: number | undefined;
  await box.until(() => {
    found = brokerOf(box, id);
    return found !== undefined && status(found, 'Seccomp') === '2';
  }, `a broker for ${id}, confined`);
  return found as number;
}

/** Among the processes in the cgroup of the container. */
function brokerOf(box: Box, id = 'a'): number | undefined {
  const pids = readFileSync(`/proc/${box.pid(id)}/cgroup`, 'utf8');
  expect(pids).toContain(box.cgroup);
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && commandLine(pid) !== '' && inCgroup(pid, `${box.cgroup}/${id}`))
    .find((pid) => commandName(pid) === 'runts-broker');
}

function inCgroup(pid: number, cgroup: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`:${cgroup}\n`);
  } catch {
    return false;
  }
}

/** Empty for one that has just ended. */
function commandName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}
