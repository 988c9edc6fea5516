// SPDX-License-Identifier: Apache-2.0
// `--network sandbox`: the sandbox's own stack on an interface of a network namespace, and the
// host's stack at the other end.
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run, runts } from '../support/run.ts';
import { canMakeLabs, connected, Lab, spoil } from './lab.ts';

const PING = `
import socket, struct, sys
def checksum(b):
    s = sum(struct.unpack('!%dH' % (len(b) // 2), b)); s = (s >> 16) + (s & 0xffff); s += s >> 16
    return ~s & 0xffff
for destination in sys.argv[1:]:
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); s.settimeout(30)
    head = struct.pack('!BBHHH', 8, 0, 0, 77, 1); data = b'sixteen bytes ..'
    s.sendto(struct.pack('!BBHHH', 8, 0, checksum(head + data), 77, 1) + data, (destination, 0))
    while True:
        reply, _ = s.recvfrom(2000)
        if reply[20] == 0: break
    print(destination == socket.inet_ntoa(reply[12:16]), reply[28:].decode())
`;

/** Sends SIZE bytes to each of COUNT connections and gets as many back; says whether they are right. */
const EXCHANGE = `
import hashlib, socket, sys, threading
host, port, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
right = []
def exchange(number):
    out = hashlib.shake_256(b'%d' % number).digest(size)
    s = socket.create_connection((host, port))
    def send():
        s.sendall(out); s.shutdown(socket.SHUT_WR)
    sender = threading.Thread(target=send); sender.start()
    hashed, got = hashlib.sha256(), 0
    while True:
        part = s.recv(65536)
        if not part: break
        hashed.update(part); got += len(part)
    sender.join()
    right.append(got == size and hashed.hexdigest() == hashlib.sha256(out).hexdigest())
threads = [threading.Thread(target=exchange, args=(n,)) for n in range(count)]
for t in threads: t.start()
for t in threads: t.join()
print(len(right), all(right))
`;

function listening(server: Server, host: string): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, host, () => resolve((server.address() as AddressInfo).port));
  });
}

describe.skipIf(!canMakeLabs)('network sandbox', () => {
  let lab: Lab;
  const servers: { close(): unknown }[] = [];

  beforeEach(() => {
    lab = new Lab();
  });

  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    lab.end();
  });

  const echoServer = async (): Promise<number> => {
    const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
      socket.on('error', () => undefined);
      socket.pipe(socket);
    });
    servers.push(server);
    return listening(server, lab.hostIp);
  };

  it('answers and is answered by ping', async () => {
    const { stdout, stderr } = await lab.python(PING, lab.hostIp, lab.guestIp, '127.0.0.1');
    expect(stderr).toBe('');
    expect(stdout).toBe('True sixteen bytes ..\n'.repeat(3));
  });

  it('has the addresses, routes and name of the interface', async () => {
    const { stdout } = await lab.python(`
import socket, fcntl, struct
print([name for _, name in socket.if_nameindex()])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ask = lambda request: socket.inet_ntoa(fcntl.ioctl(s, request, struct.pack('40s', b'eth0'))[20:24])
print(ask(0x8915), ask(0x891b))
print([line.split()[:3] for line in open('/proc/net/route').readlines()[1:]])
print(sorted(__import__('os').listdir('/sys/class/net')))
`);
    const word = (ip4: string): string =>
      ip4
        .split('.')
        .map((byte) => Number(byte).toString(16).padStart(2, '0').toUpperCase())
        .reverse()
        .join('');
    const network = lab.hostIp.replace(/\.1$/, '.0');
    expect(stdout).toBe(
      `['lo', 'eth0']\n${lab.guestIp} 255.255.255.0\n` +
        `[['eth0', '${word(network)}', '00000000'], ['eth0', '00000000', '${word(lab.hostIp)}']]\n` +
        `['eth0', 'lo']\n`,
    );
  });

  it('carries datagrams both ways, whole, also in fragments', async () => {
    const peer = createSocket('udp4', (message, from) =>
      peer.send(message, from.port, from.address),
    );
    servers.push(peer);
    const port = await new Promise<number>((resolve) => {
      peer.bind(0, lab.hostIp, () => resolve(peer.address().port));
    });
    const { stdout } = await lab.python(
      `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(60)
s.connect((sys.argv[1], int(sys.argv[2])))
for size in (0, 1, 1472, 1473, 9000, 60000):
    out = bytes(i * 7 % 251 for i in range(size))
    s.send(out); print(size, s.recv(70000) == out)
print(s.getsockname()[0] == sys.argv[3])
`,
      lab.hostIp,
      String(port),
      lab.guestIp,
    );
    expect(stdout).toBe(
      `${[0, 1, 1472, 1473, 9000, 60_000].map((size) => `${size} True\n`).join('')}True\n`,
    );
  });

  it('is told what nobody listens for', async () => {
    const { stdout } = await lab.python(
      `
import errno, socket, sys
s = socket.socket()
try: s.connect((sys.argv[1], 9))
except OSError as e: print(errno.errorcode[e.errno])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(60); s.connect((sys.argv[1], 9)); s.send(b'x')
try: s.recv(1)
except OSError as e: print(errno.errorcode[e.errno])
s = socket.socket()
try: s.connect((sys.argv[2], 9))
except OSError as e: print(errno.errorcode[e.errno])
`,
      lab.hostIp,
      lab.hostIp.replace(/\.1$/, '.77'),
    );
    expect(stdout).toBe('ECONNREFUSED\nECONNREFUSED\nEHOSTUNREACH\n');
  });

  it('fetches from a web server by curl and wget, IPv4 and IPv6', async () => {
    const body = randomBytes(3_000_000);
    const sum = createHash('sha256').update(body).digest('hex');
    for (const host of [lab.hostIp, lab.hostIp6]) {
      const server = createHttpServer((_request, response) => response.end(body));
      servers.push(server);
      const port = await listening(server, host);
      const url = host.includes(':') ? `http://[${host}]:${port}/` : `http://${host}:${port}/`;
      const { stdout } = await lab.inSandbox([
        'sh',
        '-c',
        `curl -sf --noproxy '*' ${url} | sha256sum; wget -qO- --no-proxy ${url} | sha256sum`,
      ]);
      expect(stdout).toBe(`${sum}  -\n`.repeat(2));
    }
  });

  it('carries connections both ways at once', async () => {
    const port = await echoServer();
    const { stdout } = await lab.python(EXCHANGE, lab.hostIp, String(port), '8', '3000000');
    expect(stdout).toBe('8 True\n');
  });

  it('serves whoever connects from outside', async () => {
    const served = lab.python(
      `
import socket, sys
s = socket.create_server(('', 7000))
for _ in range(3):
    c, peer = s.accept()
    data = b''
    while True:
        part = c.recv(65536)
        if not part: break
        data += part
    c.sendall(data[::-1]); c.close()
    print(peer[0], len(data))
`,
    );
    const out = randomBytes(500_000);
    for (let count = 0; count < 3; count += 1) {
      const socket = await Promise.race([connected(7000, lab.guestIp), served]);
      if ('stderr' in socket) throw new Error(`the server ended: ${socket.stderr}`);
      const parts: Buffer[] = [];
      socket.on('data', (part) => parts.push(part as Buffer));
      socket.end(out);
      await new Promise((resolve) => {
        socket.once('close', resolve);
      });
      expect(Buffer.concat(parts).equals(Buffer.from(out).reverse())).toBe(true);
    }
    expect((await served).stdout).toBe(`${lab.hostIp} 500000\n`.repeat(3));
  });

  it('loses nothing over a link that loses, repeats and reorders', async () => {
    const restore = await spoil(lab, ['2', '1', '3', '1', '7']);
    try {
      const port = await echoServer();
      const { stdout } = await lab.python(EXCHANGE, lab.hostIp, String(port), '4', '400000');
      expect(stdout).toBe('4 True\n');
    } finally {
      restore();
    }
  });

  it('refuses a namespace that another sandbox has, and takes one that it had', async () => {
    const port = await echoServer();
    const held = lab.python(
      `
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2]))); s.sendall(b'here')
print(s.recv(4).decode()); s.recv(1)
`,
      lab.hostIp,
      String(port),
    );
    const other = createServer();
    servers.push(other);
    // The second comes when the first is connected for sure.
    await connectionOf(servers[0] as Server);
    const second = await lab.inSandbox(['true']);
    expect(second.code).toBe(125);
    expect(second.stderr).toMatch(/another sandbox has this network namespace/);
    for (const socket of openSockets.splice(0)) socket.destroy();
    expect((await held).stdout).toBe('here\n');
    expect((await lab.inSandbox(['true'])).code).toBe(0);
  });

  it('leaves the network of the host alone', async () => {
    const { stdout, code } = await run([
      runts,
      'do',
      '--network',
      'sandbox',
      '--',
      'ls',
      '/sys/class/net',
    ]);
    expect([code, stdout]).toEqual([0, 'lo\n']);
  });
});

const openSockets: Socket[] = [];

function connectionOf(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.on('connection', (socket: Socket) => {
      openSockets.push(socket);
      resolve();
    });
  });
}
