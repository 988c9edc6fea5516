// SPDX-License-Identifier: Apache-2.0
// --network user with real programs: out by the network proxy, in by published ports, names.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { firstOutput, runts } from '../lifecycle/command.ts';
import { FAR, FAR_TOO, NEAR, World } from './world.ts';

const asRoot = process.geteuid?.() === 0;
const world = new World();
const python = (...lines: string[]): string[] => ['python3', '-c', lines.join('\n')];

describe.runIf(asRoot)('--network user', () => {
  beforeAll(() => world.begin());
  afterAll(() => world.end());

  it('carries curl, wget and urllib, with names of the host', async () => {
    const script = [
      'curl -sS http://www.example.test/a',
      'wget -qO- http://www/b',
      `python3 -c "import urllib.request; print(urllib.request.urlopen('http://${FAR}/c').read().decode(), end='')"`,
      'curl -sSk https://www.example.test/',
      'cat /etc/resolv.conf',
    ].join('; ');
    const { stdout, stderr } = await world.run([], 'sh', '-c', script);
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual([
      'page of www.example.test',
      'page of www',
      `page of ${FAR}`,
      'secure page of www.example.test',
      'nameserver 10.0.2.3',
      'search example.test',
      '',
    ]);
  });

  it('asks for long answers over TCP, and tells of names that do not exist', async () => {
    const { stdout } = await world.run(
      [],
      ...python(
        'import socket',
        "print(socket.gethostbyname('long.example.test'))",
        'try: socket.getaddrinfo("none.test", 80)',
        'except socket.gaierror as error: print(error.errno == socket.EAI_NONAME)',
      ),
    );
    expect(stdout).toBe(`${FAR}\nTrue\n`);
  });

  it('moves much in both directions', async () => {
    const script = `curl -sS http://${FAR}/big | wc -c; head -c 20000000 /dev/zero | curl -sS --data-binary @- http://${FAR}/`;
    const { stdout } = await world.run([], 'sh', '-c', script);
    expect(stdout).toBe('8388608\nreceived 20000000\n');
  });

  it('keeps half-closed connections, names of both ends, and non-blocking connects', async () => {
    const { stdout, stderr } = await world.run(
      [],
      ...python(
        'import errno, select, socket',
        's = socket.socket(); s.setblocking(False)',
        `print(s.connect_ex(("${FAR}", 7)) == errno.EINPROGRESS)`,
        'e = select.epoll(); e.register(s, select.EPOLLOUT); print(e.poll(60) == [(s.fileno(), select.EPOLLOUT)])',
        'print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.getpeername(), s.getsockname()[0])',
        's.setblocking(True); s.sendall(b"abc" * 100000); s.shutdown(socket.SHUT_WR)',
        'got = b"".join(iter(lambda: s.recv(65536), b"")); print(len(got), got[:8], s.recv(1))',
      ),
    );
    expect(stderr).toBe('');
    expect(stdout).toBe(`True\nTrue\n0 ('${FAR}', 7) 10.0.2.15\n300005 b'echo:abc' b''\n`);
  });

  it('tells of refused, unreachable and broken connections', async () => {
    const { stdout } = await world.run(
      [],
      ...python(
        'import errno, select, socket',
        'def told(at):',
        '  s = socket.socket()',
        '  return errno.errorcode.get(s.connect_ex(at))',
        `print(told(("${FAR}", 1)), told(("192.0.2.77", 1)))`,
        `s = socket.create_connection(("${FAR}", 9)); s.send(b"?"); select.select([s], [], [])`,
        'got = b""',
        'try:',
        '  while True: got += s.recv(10) or exit("an end")',
        'except OSError as error: print(got, errno.errorcode[error.errno])',
        'try: s.send(b"x"); s.send(b"x")',
        'except OSError as error: print(errno.errorcode[error.errno])',
      ),
    );
    expect(stdout).toBe("ECONNREFUSED EHOSTUNREACH\nb'some' ECONNRESET\nEPIPE\n");
  });

  it('resets a connection that is closed with unread bytes or by SO_LINGER, and ends others', async () => {
    const { stdout } = await world.run(
      [],
      ...python(
        'import select, socket, struct, time',
        'def how():',
        '  for _ in range(3000):',
        `    s = socket.create_connection(("${FAR}", 11)); s.recv(6); s.sendall(b"how?"); said = s.recv(9)`,
        '    if said != b"end" or last == "end": return said.decode()',
        '    time.sleep(.01)',
        'def one(kind):',
        `  s = socket.create_connection(("${FAR}", 11)); select.select([s], [], [])`,
        '  if kind != "unread": s.recv(6)',
        '  if kind == "linger": s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))',
        '  s.close()',
        'for last in ("unread", "linger"): one(last); print(how())',
      ),
    );
    expect(stdout).toBe('reset\nreset\n');
  });

  it('carries datagrams to several places, of connected sockets and others', async () => {
    const { stdout } = await world.run(
      [],
      ...python(
        'import errno, socket',
        's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)',
        `for at in ("${FAR}", "${FAR_TOO}"): s.sendto(b"a" + at[-1].encode(), (at, 7)); print(s.recvfrom(99))`,
        `s.connect(("${FAR}", 7)); s.send(b"b"); print(s.recv(99), s.getpeername())`,
        's.send(b"c" * 30000); print(len(s.recv(65535)))',
        `r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r.connect(("${FAR}", 8)); r.send(b"x")`,
        'try: r.recv(9)',
        'except OSError as error: print(errno.errorcode[error.errno])',
      ),
    );
    expect(stdout).toBe(
      [
        `(b'echo:a2', ('${FAR}', 7))`,
        `(b'echo:a3', ('${FAR_TOO}', 7))`,
        `b'echo:b' ('${FAR}', 7)`,
        '30005',
        'ECONNREFUSED',
        '',
      ].join('\n'),
    );
  });

  it('shows eth0 with its address and routes', async () => {
    const { stdout } = await world.run([], 'sh', '-c', 'ip -4 -o addr show eth0; ip route');
    expect(stdout).toMatch(/inet 10\.0\.2\.15\/24 /);
    expect(stdout).toMatch(/default via 10\.0\.2\.2 dev eth0/);
  });

  it('leads published ports to listeners inside, over TCP and UDP', async () => {
    const server = python(
      'import socket, threading',
      'u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", 5300))',
      'l = socket.create_server(("", 8000)); print("ready", flush=True)',
      'def answer():',
      '  while True: got, who = u.recvfrom(99); u.sendto(b"udp:" + got, who)',
      'threading.Thread(target=answer, daemon=True).start()',
      'while True: s, who = l.accept(); s.sendall(b"from " + who[0].encode() + b" " + s.recv(99)); s.close()',
    );
    const flags = ['-p', '0.0.0.0:8080:8000', '-p', '5301:5300/udp', '-p', '8081:81'];
    const running = world.start(flags, ...server);
    await firstOutput(running);
    const client = python(
      'import errno, socket',
      `s = socket.create_connection(("${NEAR}", 8080)); s.sendall(b"hi"); print(s.recv(99))`,
      's = socket.create_connection(("127.0.0.1", 8080)); s.sendall(b"ho"); print(s.recv(99))',
      'u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(b"x", ("127.0.0.1", 5301)); print(u.recv(99))',
      's = socket.create_connection(("127.0.0.1", 8081))',
      'try: print(s.recv(99))',
      'except OSError as error: print(errno.errorcode[error.errno])',
    );
    const { stdout } = await world.outside(...client);
    expect(stdout).toBe(`b'from ${NEAR} hi'\nb'from 10.0.2.2 ho'\nb'udp:x'\nECONNRESET\n`);
    running.child.kill('SIGTERM');
    await running.finished;
  });

  it('tells of a published port that is taken, and starts nothing', async () => {
    const running = world.start(['-p', '8090:80'], 'sh', '-c', 'echo ready; sleep 1000');
    await firstOutput(running);
    const { code, stderr } = await world.run(['-p', '8090:80'], 'true');
    expect(code).toBe(125);
    expect(stderr).toMatch(/^runts: --publish 8090:80: address already in use/);
    running.child.kill('SIGTERM');
    await running.finished;
  });

  it('goes on without a network where the proxy is killed', async () => {
    const running = world.start(
      [],
      ...python(
        'import errno, socket, sys',
        `s = socket.create_connection(("${FAR}", 7)); print("ready", flush=True)`,
        'try: print(s.recv(9))',
        'except OSError as error: print(errno.errorcode[error.errno])',
        `print(errno.errorcode[socket.socket().connect_ex(("${FAR}", 7))])`,
        'l = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(l.getsockname()); print("loopback")',
      ),
    );
    await firstOutput(running);
    await world.outside(
      'sh',
      '-c',
      'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = runts-proxy ] && [ "$(readlink $p/ns/net)" = "$(readlink /proc/self/ns/net)" ] && kill -9 ${p#/proc/}; done; :',
    );
    const { code, stdout } = await running.finished;
    expect(stdout).toBe('ready\nENETDOWN\nENETDOWN\nloopback\n');
    expect(code).toBe(0);
  });

  it('shapes what is carried to --net-rate', async () => {
    const { stdout } = await world.run(
      ['--net-rate', '4M'],
      'sh',
      '-c',
      `curl -sS -o /dev/null -w '%{size_download} %{speed_download}' http://${FAR}/big`,
    );
    const [size, speed] = stdout.split(' ').map(Number);
    expect(size).toBe(8_388_608);
    expect(speed).toBeLessThan(5_500_000);
  });
});

describe('options', () => {
  it('of --network user want it', async () => {
    const { code, stderr } = await runts('do', '--allow-net', 'example.org', '--', 'true');
    expect(code).toBe(125);
    expect(stderr).toMatch(/--allow-net wants --network user/);
  });

  it('that cannot be parsed are told of', async () => {
    for (const rule of ['exa mple', 'a:0', '10.0.0.0/33', '[::1', 'a:2-1', '', '1.2.3']) {
      const { code, stderr } = await runts('do', '--network', 'user', '--allow-net', rule, 'true');
      expect(code, rule).toBe(125);
      expect(stderr, rule).toMatch(/--allow-net: '.*' is not NAME/);
    }
    const { stderr } = await runts('do', '--network', 'user', '-p', '80', 'true');
    expect(stderr).toMatch(/--publish: '80' is not \[ADDRESS:\]PORT:PORT/);
  });

  it('say once how a sandbox without a network gets one', async () => {
    const script = 'curl -s http://192.0.2.9/; curl -s http://192.0.2.9/; :';
    const { stderr } = await runts('do', '--', 'sh', '-c', script);
    expect(stderr).toBe(
      'runts: network: 192.0.2.9:80 cannot be reached, the sandbox has no network; --network user gives it one\n',
    );
  });
});
