// SPDX-License-Identifier: Apache-2.0
// Real programs under `strace -f`: after it has installed its filter, no process makes a host call
// outside its list.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { goferFilter as goferFilterFor } from '../../gofer/gofer-filter.ts';
import { proxyFilter } from '../../native/proxy/proxy-filter.ts';
import { countCalls, type FilterSpec } from '../../native/seccomp/bpf.ts';
import { stubFilter as stubFilterAt } from '../../platform-ptrace/systrap/stub-filter.ts';
import { sentryFilter as sentryFilterFor } from '../../sentry/host/sentry-filter.ts';
import { runtsPath } from '../lifecycle/command.ts';
import { callsByProcess, callsOfEndedThread, type Role } from './strace-log.ts';

const goferFilter = goferFilterFor({ writable: true, watches: true });
const sentryFilter = sentryFilterFor(30, 'none');
const networkFilter = sentryFilterFor(30, 'host');
const profileFilter = sentryFilterFor(30, 'none', 'profile');
const stubFilter = stubFilterAt(0x7fc000000000);

const programs: Readonly<Record<string, string>> = {
  'a shell pipeline':
    'ls -lR /usr/lib/python3 | sort | head -100 | wc -l; find /etc | xargs -n 20 echo | md5sum',
  files:
    'cd /tmp; mkdir d; for i in 1 2 3; do echo $i > d/$i; mv d/$i d/x$i; done; chmod 600 d/*; ln -s d e; rm -r d; dd if=/dev/zero of=big bs=64k count=64; sync',
  Python: `python3 -c "
import threading, subprocess, mmap, os, socket, tempfile, time
t=[threading.Thread(target=lambda: sum(range(100000))) for _ in range(4)]
[x.start() for x in t]; [x.join() for x in t]
print(subprocess.run(['echo','hi'],capture_output=True).stdout)
f=tempfile.TemporaryFile(); f.write(b'x'*10000); f.flush(); m=mmap.mmap(f.fileno(),0); m[0]=65
a,b=socket.socketpair(); a.send(b'x'); b.recv(1); time.sleep(0.05); os.fork() or os._exit(0); os.wait()
"`,
};

/** With the network of the host. */
const networkPrograms: Readonly<Record<string, string>> = {
  sockets: `python3 -c "
import socket, select, threading
s=socket.create_server(('127.0.0.1',0)); c=socket.create_connection(s.getsockname()); p,_=s.accept()
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); p.getpeername(); threading.Timer(.1, lambda: c.send(b'x')).start()
p.recv(1); p.shutdown(socket.SHUT_RDWR); p.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
u=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1',0)); u.sendto(b'x',u.getsockname()); u.recvfrom(9)
print(socket.getaddrinfo('localhost',80), socket.if_nameindex())
"; ip addr; ip route; cat /proc/net/tcp /sys/class/net/lo/mtu; curl -s http://127.0.0.1:1/; :`,
};

/**
 * With --network user and 18071 of the host published to 8000, 18072 to 5300 over UDP: what leaves comes
 * back there.
 */
const userPrograms: Readonly<Record<string, string>> = {
  'a way out': `python3 -c "
import socket
l=socket.create_server(('',8000)); u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); u.bind(('',5300))
c=socket.create_connection(('10.0.2.2',18071)); p,_=l.accept(); c.sendall(b'x'*300000); c.shutdown(socket.SHUT_WR)
while p.recv(65536): pass
p.close(); print(c.recv(1))
d=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); d.sendto(b'x',('10.0.2.2',18072)); m,a=u.recvfrom(9); u.sendto(m,a); print(d.recv(9))
r=socket.create_connection(('10.0.2.2',18071)); q,_=l.accept(); r.send(b'x'); q.close()
n=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); n.sendto(b'ab'+bytes([1,0,0,1,0,0,0,0,0,0,1,97,4,116,101,115,116,0,0,1,0,1]),('10.0.2.3',53))
i=socket.socket(socket.AF_INET,socket.SOCK_DGRAM,socket.IPPROTO_ICMP); i.sendto(bytes([8,0,0,0,0,0,0,1]),('10.0.2.2',0))
print(socket.socket().connect_ex(('169.254.169.254',80)), socket.socket().connect_ex(('10.0.2.2',1)))
"; sleep 0.2`,
};

/** With a directory of the host at /v: looked at often enough that it is watched, and changed. */
const volumePrograms: Readonly<Record<string, string>> = {
  'files of a volume':
    'cd /v; for i in $(seq 400); do [ -e none$i ]; done; for d in a b; do mkdir -p $d/c; for i in 1 2 3; do echo x >$d/c/$i; mv $d/c/$i $d/$i; done; done; ls -lR; chmod 700 a; rm -r a b; sleep 1; ls',
};

/** With `--profile`: V8's sampling thread at work, and its end. */
const profilePrograms: Readonly<Record<string, string>> = {
  'a profile': 'ls -l /usr/include | md5sum; sleep 0.1',
};

const cases = [
  ...Object.entries(programs).map(([name, script]) => ({ name, script, more: 'none' })),
  ...Object.entries(networkPrograms).map(([name, script]) => ({ name, script, more: 'network' })),
  ...Object.entries(userPrograms).map(([name, script]) => ({ name, script, more: 'user' })),
  ...Object.entries(volumePrograms).map(([name, script]) => ({ name, script, more: 'volume' })),
  ...Object.entries(profilePrograms).map(([name, script]) => ({ name, script, more: 'profile' })),
];

const lists: Readonly<Record<Role, FilterSpec | undefined>> = {
  sentry: sentryFilter,
  gofer: goferFilterFor({ writable: false, watches: false }),
  proxy: proxyFilter,
  stub: stubFilter,
  other: undefined,
};

function listFor(role: Role, more: string): FilterSpec | undefined {
  if (role === 'sentry' && more === 'network') return networkFilter;
  if (role === 'sentry' && more === 'profile') return profileFilter;
  return role === 'gofer' && more === 'volume' ? goferFilter : lists[role];
}

describe('lists', () => {
  it('are short', () => {
    expect(countCalls(sentryFilter)).toBeLessThanOrEqual(50);
    expect(countCalls(networkFilter)).toBe(countCalls(sentryFilter) + 5);
    expect(countCalls(goferFilter)).toBeLessThanOrEqual(49);
    expect(countCalls(stubFilter)).toBeLessThanOrEqual(14);
    expect(countCalls(proxyFilter)).toBeLessThanOrEqual(30);
    expect(sentryFilterFor(30, 'user').rows).toEqual(sentryFilter.rows);
  });

  it('have more for a profile only: the end of a thread, and the action of SIGPROF alone', () => {
    const more = profileFilter.rows.slice(sentryFilter.rows.length);
    expect(profileFilter.rows.slice(0, sentryFilter.rows.length)).toEqual(sentryFilter.rows);
    expect(more.map(({ name, args }) => [name, args])).toEqual([
      ['rt_sigaction', [{ arg: 0, width: 32, eq: 27 }]],
      ['exit', undefined],
    ]);
  });

  it('give a reason for each entry, and name it once', () => {
    for (const { rows } of [networkFilter, profileFilter, goferFilter, proxyFilter, stubFilter]) {
      for (const row of rows) expect(row.why.length, row.name).toBeGreaterThan(3);
    }
  });
});

describe('strace sees nothing outside the lists', () => {
  for (const { name, script, more } of cases) {
    it(name, () => {
      const folder = mkdtempSync(join(tmpdir(), 'runts-strace-'));
      const file = join(folder, 'log');
      const network = { network: 'host', user: 'user' }[more] ?? 'none';
      const options = ['--network', network];
      if (more === 'user')
        options.push('--allow-net', 'host,a.test', '-p', '18071:8000', '-p', '18072:5300/udp');
      if (more === 'volume') {
        mkdirSync(join(folder, 'v'));
        options.push('--volume', `${join(folder, 'v')}:/v`);
      }
      if (more === 'profile')
        options.push('--profile', join(folder, 'profile'), '--stats=/dev/null');
      const run = spawnSync(
        'strace',
        ['-f', '-i', '-o', file, runtsPath, 'do', ...options, '--', 'sh', '-c', script],
        {
          encoding: 'utf8',
          timeout: 280_000,
        },
      );
      const log = readFileSync(file, 'latin1');
      const calls = callsByProcess(log);
      rmSync(folder, { recursive: true });
      const said = run.stderr.replaceAll(/^runts: network: refused .*\n/gm, '');
      expect(said).toBe(said.replace(/^runts:.*$/m, ''));
      const roles = ['sentry', 'gofer', 'stub', ...(more === 'user' ? ['proxy'] : [])] as Role[];
      for (const role of roles) {
        const list = listFor(role, more);
        const allowed = new Set(list?.rows.map((row) => row.name));
        const outside = [...(calls.get(role) ?? [])].filter((call) => !allowed.has(call));
        expect(calls.get(role)?.size ?? 0, role).toBeGreaterThan(0);
        expect(outside, role).toEqual([]);
      }
      if (more === 'profile') {
        expect([...(calls.get('sentry') ?? [])]).toContain('rt_sigaction');
        const names = new Set(profileFilter.rows.map((row) => row.name));
        const ofThread = [...callsOfEndedThread(log)];
        expect(ofThread).toEqual(expect.arrayContaining(['tgkill', 'exit']));
        expect(ofThread.filter((call) => !names.has(call))).toEqual([]);
      }
      if (more === 'volume') expect([...(calls.get('gofer') ?? [])]).toContain('inotify_add_watch');
    });
  }
});
