// SPDX-License-Identifier: Apache-2.0
// --allow-net and --deny-net: what is refused, how programs and the user hear of it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAR, FAR_TOO, NEAR, World } from './world.ts';

const asRoot = process.geteuid?.() === 0;
const world = new World();
const connect = [
  'import errno, socket, sys',
  'for at in sys.argv[1:]:',
  '  host, port = at.rsplit(":", 1)',
  '  try: s = socket.create_connection((host, int(port))); print(at, "ok")',
  '  except socket.gaierror: print(at, "no name")',
  '  except OSError as error: print(at, errno.errorcode[error.errno])',
].join('\n');

async function reach(options: readonly string[], ...places: string[]): Promise<string[]> {
  const { stdout, stderr } = await world.run(options, 'python3', '-c', connect, ...places);
  return [...stdout.trim().split('\n'), ...stderr.trim().split('\n')].filter((line) => line !== '');
}

describe.runIf(asRoot)('the policy of --network user', () => {
  beforeAll(() => world.begin());
  afterAll(() => world.end());

  it("closes the host's own addresses and cloud metadata, also by name", async () => {
    const said = await reach(
      [],
      `${NEAR}:80`,
      '10.0.2.2:80',
      '169.254.169.254:80',
      'inside.example.test:80',
      'metadata.example.test:80',
      `${FAR}:80`,
    );
    expect(said).toEqual([
      `${NEAR}:80 EACCES`,
      '10.0.2.2:80 EACCES',
      '169.254.169.254:80 EACCES',
      // 127.0.0.1 is the sandbox's own.
      'inside.example.test:80 ECONNREFUSED',
      'metadata.example.test:80 EACCES',
      `${FAR}:80 ok`,
      `runts: network: refused tcp ${NEAR}:80 (an address of the host)`,
      'runts: network: refused tcp 10.0.2.2:80 (an address of the host)',
      'runts: network: refused tcp 169.254.169.254:80 (a link-local address: cloud metadata), 2 times',
    ]);
  });

  it('opens them where they are named, whole addresses only', async () => {
    expect(await reach(['--allow-net', `${NEAR}:81`], `${NEAR}:81`)).toEqual([
      `${NEAR}:81 ECONNREFUSED`,
    ]);
    expect(await reach(['--allow-net', 'host:81'], '10.0.2.2:81')).toEqual([
      '10.0.2.2:81 ECONNREFUSED',
    ]);
    expect(await reach(['--allow-net', '0.0.0.0/0'], `${NEAR}:81`, `${FAR}:80`)).toEqual([
      `${NEAR}:81 EACCES`,
      `${FAR}:80 ok`,
      `runts: network: refused tcp ${NEAR}:81 (an address of the host)`,
    ]);
  });

  it('lets names in by the answers that the guest got, and no address alone', async () => {
    const rules = ['--allow-net', 'www.example.test:80'];
    const said = await reach(
      rules,
      `${FAR}:80`,
      'mirror.example.test:80',
      'evil.test:80',
      'www.example.test:80',
      'www.example.test:7',
      `${FAR_TOO}:80`,
    );
    expect(said).toEqual([
      `${FAR}:80 EACCES`,
      'mirror.example.test:80 no name',
      'evil.test:80 no name',
      'www.example.test:80 ok',
      'www.example.test:7 EACCES',
      `${FAR_TOO}:80 EACCES`,
      `runts: network: refused tcp ${FAR}:80 (not in --allow-net)`,
      expect.stringMatching(/refused the name mirror\.example\.test \(not in --allow-net\)/),
      expect.stringMatching(/refused the name mirror\.example\.test\.example\.test /),
      expect.stringMatching(/refused the name evil\.test \(not in --allow-net\)/),
      expect.stringMatching(/refused the name evil\.test\.example\.test /),
      `runts: network: refused tcp ${FAR}:7 (not in --allow-net)`,
      `runts: network: refused tcp ${FAR_TOO}:80 (not in --allow-net)`,
    ]);
  });

  it('knows wildcards, ranges of addresses and of ports', async () => {
    const rules = ['--allow-net', `*.example.test:80-99,${FAR_TOO}/31:7`];
    const said = await reach(rules, 'mirror.example.test:80', `${FAR}:7`, `${FAR}:80`);
    expect(said.slice(0, 3)).toEqual([
      'mirror.example.test:80 ok',
      `${FAR}:7 ok`,
      `${FAR}:80 EACCES`,
    ]);
  });

  it('puts what is denied before what is allowed', async () => {
    const rules = ['--deny-net', `${FAR}:7,evil.test`];
    const said = await reach(rules, `${FAR}:7`, `${FAR}:80`, 'evil.test:80', 'www.example.test:80');
    expect(said.slice(0, 4)).toEqual([
      `${FAR}:7 EACCES`,
      `${FAR}:80 ok`,
      'evil.test:80 no name',
      'www.example.test:80 ok',
    ]);
  });

  it('holds TLS to the name that it was let in by', async () => {
    const script = [
      'curl -sSk https://www.example.test/',
      'curl -sk --connect-to evil.test:443:www.example.test:443 https://evil.test/; echo $?',
    ].join('; ');
    const { stdout, stderr } = await world.run(
      ['--allow-net', 'www.example.test'],
      'sh',
      '-c',
      script,
    );
    expect(stdout).toBe('secure page of www.example.test\n35\n');
    expect(stderr).toMatch(new RegExp(`refused tcp ${FAR}:443 \\(evil\\.test\\)`));
  });

  it('refuses datagrams with EACCES', async () => {
    const { stdout } = await world.run(
      ['--allow-net', `${FAR}:80`],
      'python3',
      '-c',
      [
        'import errno, socket',
        `s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"x", ("${FAR}", 7))`,
        'try: s.recv(9)',
        'except OSError as error: print(errno.errorcode[error.errno])',
      ].join('\n'),
    );
    expect(stdout).toBe('EACCES\n');
  });
});
