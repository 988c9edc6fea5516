// SPDX-License-Identifier: Apache-2.0
// Programs on the host's network (--network host), to the host and from it.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runInSandbox, runts } from '../support/run.ts';

const onHost = ['--network', 'host'];
const guest = (script: string) => runInSandbox(['sh', '-c', script], {}, onHost);
const content = randomBytes(3_000_000);
const sum = createHash('md5').update(content).digest('hex');

describe('clients', () => {
  let web: Server;
  let port = 0;
  beforeAll(async () => {
    web = createServer((_, answer) => answer.end(content));
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    port = (web.address() as AddressInfo).port;
  });
  afterAll(() => void web.close());

  it.each([
    ['curl', 'curl --noproxy "*" -s'],
    ['wget', 'wget --no-proxy -q -O -'],
  ])('%s', async (_, command) => {
    const { stdout, stderr } = await guest(`${command} http://127.0.0.1:${port}/ | md5sum`);
    expect(stdout, stderr).toBe(`${sum}  -\n`);
  });

  it('many at once', async () => {
    const { stdout } = await guest(
      `for i in $(seq 12); do curl --noproxy '*' -s http://127.0.0.1:${port}/ | md5sum & done; wait`,
    );
    expect(stdout).toBe(`${sum}  -\n`.repeat(12));
  });

  it('are refused, and reset', async () => {
    const server = createTcpServer((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port: resetting } = server.address() as AddressInfo;
    const { stdout } = await guest(
      `curl -s http://127.0.0.1:1/; echo $?; curl --noproxy '*' -s http://127.0.0.1:${resetting}/; echo $?`,
    );
    server.close();
    expect(stdout).toMatch(/^7\n(56|52)\n$/);
  });
});

describe('names', () => {
  let names: Socket;
  beforeAll(async () => {
    names = createSocket('udp4', (query, from) => names.send(answerTo(query), from.port));
    await new Promise<void>((resolve) => names.bind(0, '127.0.0.1', resolve));
  });
  afterAll(() => void names.close());

  it('are asked of a server over UDP', async () => {
    const { stdout, stderr } = await guest(`python3 - <<'EOF'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(90)
q = b'\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4test\\0\\0\\1\\0\\1'
s.sendto(q, ('127.0.0.1', ${names.address().port})); a = s.recv(512)
print(a[:2].hex(), socket.inet_ntoa(a[-4:]))
print(socket.getaddrinfo('localhost', 80, socket.AF_INET, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)[0][4])
EOF`);
    expect(stdout, stderr).toBe("1234 10.1.2.3\n('127.0.0.1', 80)\n");
  });
});

/** 10.1.2.3, whatever is asked. */
function answerTo(query: Buffer): Buffer {
  const answer = Buffer.from('c00c000100010000003c00040a010203', 'hex');
  const head = Buffer.from(query);
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(1, 6);
  return Buffer.concat([head, answer]);
}

describe('servers', () => {
  let child: ChildProcess;
  let port = 0;
  beforeAll(async () => {
    const script = `
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        text = self.path.encode() * 50
        self.send_response(200); self.send_header('Content-Length', str(len(text))); self.end_headers(); self.wfile.write(text)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer.request_queue_size = 128
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Answer); print(server.server_port, flush=True); server.serve_forever()`;
    child = spawn(runts, ['do', ...onHost, '--', 'python3', '-c', script]);
    const line = await new Promise<string>((resolve) => child.stdout?.once('data', resolve));
    port = Number(line);
  });
  afterAll(() => void child.kill('SIGKILL'));

  const get = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, path, agent: false }, (answer) => {
        let body = '';
        answer.on('data', (piece) => {
          body += String(piece);
        });
        answer.on('end', () => resolve(body));
      })
        .on('error', reject)
        .end();
    });

  it('answer the host, many times at once', async () => {
    for (let round = 0; round < 10; round += 1) {
      const paths = Array.from({ length: 20 }, (_, index) => `/${round}/${index}`);
      const bodies = await Promise.all(paths.map(get));
      expect(bodies).toEqual(paths.map((path) => path.repeat(50)));
    }
  });

  it('live through clients that go without a word', async () => {
    for (let index = 0; index < 20; index += 1) {
      const socket = connect(port, '127.0.0.1');
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.write('GET /');
      socket.resetAndDestroy();
    }
    expect(await get('/still')).toBe('/still'.repeat(50));
  });
});

const nginxConfig = (port: number): string => `daemon off; pid /tmp/n/pid; error_log /tmp/n/error;
worker_processes 2; events { worker_connections 64; }
http { access_log off; sendfile on; tcp_nopush on; client_body_temp_path /tmp/n/b; proxy_temp_path /tmp/n/p;
fastcgi_temp_path /tmp/n/f; uwsgi_temp_path /tmp/n/u; scgi_temp_path /tmp/n/s;
server { listen 127.0.0.1:${port} reuseport; root /tmp/n; location /proxied/ { proxy_pass http://127.0.0.1:${port}/; } } }`;

describe('servers that are installed', () => {
  it.runIf(existsSync('/usr/sbin/nginx'))(
    'nginx with workers, sendfile and itself behind',
    async () => {
      const port = await freePort();
      const { stdout, stderr } =
        await guest(`mkdir /tmp/n; cd /tmp/n; echo '${nginxConfig(port)}' >conf
head -c 3000000 /dev/urandom >big; md5sum <big; nginx -c /tmp/n/conf & for i in $(seq 600); do curl -so /dev/null http://127.0.0.1:${port}/conf && break; sleep 0.1; done
for i in 1 2 3 4; do curl --noproxy '*' -s http://127.0.0.1:${port}/big | md5sum; done; curl --noproxy '*' -s http://127.0.0.1:${port}/proxied/big | md5sum
nginx -c /tmp/n/conf -s quit; wait; grep -v forbidden error`);
      const [first = '', ...others] = stdout.split('\n').slice(0, -1);
      expect(first, stderr).toMatch(/^\w{32} {2}-$/);
      expect(others, stderr).toEqual(new Array(5).fill(first));
    },
  );

  it.runIf(existsSync('/usr/bin/redis-server'))('redis', async () => {
    const port = await freePort();
    const { stdout, stderr } =
      await guest(`redis-server --port ${port} --bind 127.0.0.1 --save '' --dir /tmp >/dev/null &
c="redis-cli -p ${port}"; for i in $(seq 600); do $c ping >/dev/null 2>&1 && break; sleep 0.1; done
$c set a 5; $c incr a; seq 2000 | sed 's/.*/set k& &/' | $c --pipe | tail -1; $c dbsize; $c blpop none 1; $c shutdown nosave; wait`);
    expect(stdout, stderr).toBe('OK\n6\nerrors: 0, replies: 2000\n2001\n\n');
  });
});

/** A port that nobody has just now. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createTcpServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

describe('what there is', () => {
  const first = Object.entries(networkInterfaces())
    .flatMap(([name, list]) =>
      (list ?? []).map(({ address, family }) => ({ name, address, family })),
    )
    // Not one of other tests, which may go any time.
    .find(
      ({ name, family }) => !/^(lo$|br-|veth|docker|cni|podman)/.test(name) && family === 'IPv4',
    );

  it.runIf(first !== undefined)('the interfaces of the host', async () => {
    const { name, address } = first as { name: string; address: string };
    const { stdout, stderr } = await guest(
      `ip addr show ${name}; ifconfig ${name}; ip route; cat /proc/net/route`,
    );
    expect(stdout, stderr).toContain(`inet ${address}/`);
    expect(stdout.split(name).length).toBeGreaterThan(3);
  });

  it('the sockets, as ss lists them', async () => {
    const { stdout, stderr } = await guest(`python3 - <<'EOF'
import socket, subprocess
server = socket.create_server(('127.0.0.1', 0)); port = server.getsockname()[1]
client = socket.create_connection(('127.0.0.1', port)); udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('127.0.0.1', port))
def ss(options): return subprocess.run(['ss', *options.split()], capture_output=True, text=True)
print(ss(f'-Htlnp sport = :{port}').stdout.count('python3'), ss(f'-Htni dport = :{port}').stdout.count(' cwnd:'), len(ss(f'-Huan sport = :{port}').stdout.splitlines()), ss('-tan').stderr)
EOF`);
    expect(stdout, stderr).toBe('1 1 1 \n');
  });

  it('no more than without a privilege: low ports, raw sockets', async () => {
    const { stdout } = await guest(`python3 - <<'EOF'
import socket, errno
def tried(make):
    try: make(); print('ok')
    except OSError as error: print(errno.errorcode[error.errno])
tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
tried(lambda: socket.create_server(('127.0.0.1', 0)))
EOF`);
    expect(stdout).toBe('EPERM\nEAFNOSUPPORT\nok\n');
  });
});
