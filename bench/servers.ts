// SPDX-License-Identifier: Apache-2.0
// Servers and their client (bench/load.c) in one sandbox, over its loopback or a Unix socket.
// Microseconds a request, and latencies. A server that is not installed is left out, with a line
// that says so.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProgram, work } from './build.ts';
import { capture, type Engine, isShort } from './engines.ts';
import { inTurn, Samples } from './samples.ts';

const SECONDS = isShort ? 0.05 : 2;
const CLIENTS = isShort ? 2 : 20;
const input = join(work, 'servers');
const search = `${process.env['PATH']}:/usr/local/sbin:/usr/sbin:/sbin`;

interface Server {
  readonly name: string;
  readonly program: string;
  /** Run by bash before the server, in a directory of the sandbox's own. */
  readonly setup?: string;
  /** Runs in the foreground; `$PROGRAM` is the program's path. */
  readonly command: string;
  readonly loads: readonly Load[];
}

interface Load {
  readonly name: string;
  /** A port, or the path of a Unix socket. */
  readonly address: string;
  /** In the words of load.c. */
  readonly request: string;
}

const get = (path: string): string => `GET ${path} HTTP/1.1\\r\\nHost: bench\\r\\n\\r\\n`;

const servers: readonly Server[] = [
  {
    name: 'nginx',
    program: 'nginx',
    setup: 'mkdir www; head -c 600 /dev/zero >www/small; head -c 1000000 /dev/zero >www/large',
    command: `"$PROGRAM" -p /tmp/bench-server -c ${input}/nginx.conf`,
    loads: [
      { name: '600 B', address: '18099', request: get('/small') },
      { name: '1 MB', address: '18099', request: get('/large') },
    ],
  },
  {
    name: 'redis',
    program: 'redis-server',
    command:
      '"$PROGRAM" --port 18098 --unixsocket /tmp/bench-server/socket --save "" --appendonly no',
    loads: [
      { name: 'GET', address: '18098', request: 'GET key\\r\\n' },
      { name: 'SET', address: '18098', request: 'SET key value\\r\\n' },
      { name: 'GET, Unix', address: '/tmp/bench-server/socket', request: 'GET key\\r\\n' },
    ],
  },
  {
    name: 'memcached',
    program: 'memcached',
    command: '"$PROGRAM" -u root -l 127.0.0.1 -p 18097 -t 2',
    loads: [
      { name: 'set', address: '18097', request: 'set key 0 0 5\\r\\nvalue\\r\\n' },
      { name: 'get', address: '18097', request: 'get key\\r\\n' },
    ],
  },
];

const nginxConf = `
daemon off;
user root;
worker_processes 2;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 256; }
http {
  access_log off;
  sendfile on;
  keepalive_requests 100000000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server { listen 127.0.0.1:18099; root www; }
}
`;

function find(program: string): string | undefined {
  const found = spawnSync('sh', ['-c', `command -v ${program}`], {
    encoding: 'utf8',
    env: { ...process.env, PATH: search },
  });
  return found.status === 0 ? found.stdout.trim() : undefined;
}

/**
 * What bash does in the sandbox: a server for all of its loads, each of which prints its lines
 * after its name.
 */
function scriptFor(server: Server, program: string, client: string): string {
  return [
    'rm -rf /tmp/bench-server; mkdir /tmp/bench-server; cd /tmp/bench-server',
    server.setup ?? ':',
    `export PROGRAM=${program}`,
    `${server.command} >/tmp/bench-server/log 2>&1 & pid=$!`,
    ...server.loads.map(
      ({ name, address, request }) =>
        `${client} ${address} ${CLIENTS} ${SECONDS} '${request}' | sed 's/^/${name}: /' || exit 1`,
    ),
    'kill $pid; wait $pid; rm -rf /tmp/bench-server',
    'exit 0',
  ].join('\n');
}

/** `names`: only these servers; none for all. */
export function serverBenchmarks(engines: readonly Engine[], names: readonly string[]): Samples {
  mkdirSync(input, { recursive: true });
  writeFileSync(join(input, 'nginx.conf'), nginxConf);
  const client = buildProgram('load');
  const samples = new Samples();
  for (const server of servers) {
    if (names.length > 0 && !names.includes(server.name)) continue;
    const program = find(server.program);
    if (program === undefined) {
      console.log(`${server.name}: not installed`);
      continue;
    }
    const script = `set -o pipefail\n${scriptFor(server, program, client)}`;
    inTurn(engines, server.name, (engine) => {
      for (const line of capture(engine, ['/bin/bash', '-c', script], 120).trim().split('\n')) {
        const [name = '', us] = line.split('\t');
        samples.add(`${server.name} ${name}`, engine.name, Number(us));
      }
    });
  }
  return samples;
}
