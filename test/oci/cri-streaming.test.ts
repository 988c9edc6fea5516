// SPDX-License-Identifier: Apache-2.0
// What `crictl exec`, `exec -it`, `attach`, `logs` and `checkpoint` ask of containerd, and
// critest's pkg/validate/streaming.go and container.go (volumes, logs), case by case.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Message } from './support/cri.ts';
import {
  call,
  criSuite,
  exec,
  exited,
  one,
  type Pod,
  sh,
  status,
  until,
} from './support/cri-pod.ts';
import { Stream } from './support/cri-stream.ts';

/** ContainerConfig: stdin, and closed with the first client that leaves. */
const withStdin = { 12: true, 13: true } as const;
const withTerminal = { 12: true, 14: true } as const;

async function execStream(id: string, command: readonly string[], more: Message): Promise<Stream> {
  return new Stream((await call('Exec', { 1: id, 2: command, 5: true, ...more })).text(1));
}

async function attach(id: string, more: Message): Promise<Stream> {
  return new Stream((await call('Attach', { 1: id, 4: true, ...more })).text(1));
}

const asleep = (pod: Pod): Promise<string> => pod.container('a', 'exec sleep 1000');

criSuite('cri-streaming', () => {
  one('exec without a terminal', async (pod) => {
    const id = await asleep(pod);
    const script = 'echo out; echo err >&2; exit 3';
    const ran = await (await execStream(id, ['sh', '-c', script], { 6: true })).end();
    expect([ran.out, ran.err]).toEqual(['out\n', 'err\n']);
    expect(JSON.parse(ran.error)).toMatchObject({
      status: 'Failure',
      details: { causes: [{ reason: 'ExitCode', message: '3' }] },
    });
    const good = await (await execStream(id, ['echo', 'hello'], { 6: true })).end();
    expect([good.out, JSON.parse(good.error)]).toMatchObject(['hello\n', { status: 'Success' }]);
  });

  one('exec that reads', async (pod) => {
    const id = await asleep(pod);
    // It ends by itself: this subprotocol cannot close the command's input alone.
    const script = 'read a; echo "got $a"; read b; echo "and $b"';
    const ran = await execStream(id, ['sh', '-c', script], { 4: true, 6: true });
    await ran.write('one\n');
    await ran.until(/got one\n/);
    await ran.write('two\nthree\n');
    await ran.end();
    expect([ran.out, JSON.parse(ran.error)]).toMatchObject([
      'got one\nand two\n',
      { status: 'Success' },
    ]);
  });

  one('much output', async (pod) => {
    const id = await asleep(pod);
    const count = 2_000_000;
    const script = `yes | head -c ${count}`;
    const ran = await (await execStream(id, ['sh', '-c', script], { 6: true })).end();
    expect(ran.out.length).toBe(count);
  });

  one('exec with a terminal: size, job control, its end', async (pod) => {
    const id = await asleep(pod);
    const shell = await execStream(id, ['sh', '-i'], { 3: true, 4: true });
    await shell.resize(101, 33);
    await shell.write('test -t 0 && test -t 1 && echo is-a-"tty"; stty size\n');
    await shell.until(/is-a-tty\r\n/);
    await until(async () => {
      await shell.write('stty size\n');
      return /33 101\r\n/.test(shell.out);
    }, 'the size arrives');
    await shell.resize(77, 11);
    await until(async () => {
      await shell.write('stty size\n');
      return /11 77\r\n/.test(shell.out);
    }, 'the new size arrives');
    // ^C ends what runs in front, not the shell.
    await shell.write('sleep 999\n');
    await until(
      async () => (await exec(id, 'sh', '-c', 'ps -o args | grep -q "^sleep 999"')).code === 0,
      'it sleeps',
    );
    await shell.write('\x03');
    await shell.write('echo st"il"l; exit 9\n');
    await shell.end();
    expect(shell.out).toMatch(/still\r\n/);
    expect(shell.error).toMatch(/"message":"9"/);
    expect((await exec(id, 'sh', '-c', 'ps -o args | grep -q "^sleep 999"')).code).toBe(1);
  });

  one('a client that leaves', async (pod) => {
    const id = await asleep(pod);
    const shell = await execStream(id, ['sh', '-i'], { 3: true, 4: true });
    await shell.write('echo u"p"\n');
    await shell.until(/up\r\n/);
    shell.close();
    await shell.end();
    expect((await exec(id, 'echo', 'alive')).out).toBe('alive\n');
  });

  one('attach to a shell that reads', async (pod) => {
    const id = await pod.create('a', ['/bin/sh'], withStdin);
    await call('StartContainer', { 1: id });
    const client = await attach(id, { 2: true, 5: true });
    await client.write('echo hello; echo wrong >&2\n');
    await client.until(/hello\n/);
    await client.write('exit 4\n');
    await client.end();
    expect([client.out, client.err]).toEqual(['hello\n', 'wrong\n']);
    expect((await exited(id)).number(7)).toBe(4);
    await until(
      () => /^\S+ stderr F wrong$/m.test(readFileSync(join(pod.logs, 'a.log'), 'utf8')),
      'log',
    );
    expect(pod.log('a')).toMatch(/hello\n/);
  });

  one('attach to a terminal, twice', async (pod) => {
    const id = await pod.create('a', ['/bin/sh'], withTerminal);
    await call('StartContainer', { 1: id });
    const first = await attach(id, { 2: true, 3: true });
    await first.resize(99, 22);
    await first.write('X=kept; echo fir"s"t\n');
    await first.until(/first\r\n/);
    await until(async () => {
      await first.write('stty size\n');
      return /22 99\r\n/.test(first.out);
    }, 'the size arrives');
    first.close();
    await first.end();
    expect((await status(id)).number(3)).toBe(1);
    const second = await attach(id, { 2: true, 3: true });
    await second.write('echo $X-on; exit 5\n');
    await second.until(/kept-on\r\n/);
    await second.end();
    expect((await exited(id)).number(7)).toBe(5);
  });

  one('a log that is moved away and opened anew', async (pod) => {
    const id = await pod.container('a', 'while :; do echo line; sleep 0.05; done');
    await pod.logged('a');
    const file = join(pod.logs, 'a.log');
    renameSync(file, `${file}.1`);
    await call('ReopenContainerLog', { 1: id });
    expect(existsSync(file)).toBe(true);
    await pod.logged('a');
    const old = readFileSync(`${file}.1`, 'utf8').length;
    const now = readFileSync(file, 'utf8').length;
    await until(() => readFileSync(file, 'utf8').length > now, 'it grows');
    expect(readFileSync(`${file}.1`, 'utf8').length).toBe(old);
  });

  one('volumes, also by a symbolic link', async (pod) => {
    const volume = join(pod.logs, 'v');
    mkdirSync(volume);
    writeFileSync(join(volume, 'flag'), 'words');
    symlinkSync(volume, `${volume}-link`);
    const mounts = [
      { 1: '/v', 2: volume },
      { 1: '/linked', 2: `${volume}-link`, 3: true },
      { 1: '/file', 2: join(volume, 'flag') },
    ];
    const id = await pod.container('a', 'exec sleep 1000', { 7: mounts });
    expect(await sh(id, 'cat /v/flag /linked/flag /file')).toBe('wordswordswords');
    expect((await exec(id, 'touch', '/linked/x')).err).toMatch(/Read-only file system/);
    await sh(id, 'echo more >/v/more');
    expect(readFileSync(join(volume, 'more'), 'utf8')).toBe('more\n');
  });

  one('environment, working directory, arguments', async (pod) => {
    const envs = [
      { 1: 'A', 2: '1' },
      { 1: 'EMPTY', 2: '' },
    ];
    const id = await pod.create('a', ['/bin/sh'], {
      4: ['-c', 'echo $A-$EMPTY-$PWD "$@"', 'x', 'y z'],
      5: '/made/here',
      6: envs,
    });
    await call('StartContainer', { 1: id });
    expect((await exited(id)).number(7)).toBe(0);
    expect(await pod.logged('a')).toBe('1--/made/here y z\n');
  });

  one('statistics of a container and of the pod', async (pod) => {
    const id = await pod.container('a', 'while :; do :; done');
    await until(async () => {
      const stats = (await call('ContainerStats', { 1: id })).message(1);
      return stats.message(2).message(2).number(1) > 0 && stats.message(3).message(2).number(1) > 0;
    }, 'time and memory');
    const all = await call('ListContainerStats', { 1: { 2: pod.id } });
    expect(all.messages(1)).toHaveLength(1);
    const stats = (await call('PodSandboxStats', { 1: pod.id })).message(1);
    expect(stats.message(2).message(1).message(2).number(1)).toBeGreaterThan(0);
  });

  one(
    'port-forward to a server in the pod’s network',
    async (pod) => {
      const port = 7788;
      const id = await pod.container(
        'a',
        `mkdir /www; echo the page >/www/index.html; exec httpd -f -p ${port} -h /www`,
      );
      await until(async () => {
        const ran = await exec(id, 'wget', '-q', '-O', '-', `http://127.0.0.1:${port}/`);
        return ran.out === 'the page\n';
      }, 'it serves');
      const url = (await call('PortForward', { 1: pod.id, 2: [port] })).text(1);
      const stream = new Stream(`${url}?port=${port}`);
      await stream.write('GET / HTTP/1.0\r\n\r\n');
      await until(() => stream.forwarded.includes('the page\n'), 'it answers');
      stream.close();
      // A second container of the pod has the same network.
      const other = await pod.container('b', 'exec sleep 1000');
      expect(await sh(other, `wget -q -O - http://127.0.0.1:${port}/`)).toBe('the page\n');
    },
    { more: { 7: [{ 1: 'dev.runts.network', 2: 'host' }] } },
  );

  one('a memory limit that kills', async (pod) => {
    // critest's own is 15 MiB and one dd.
    const limit = 64 * 1024 * 1024;
    // containerd may read of the end before it reads of its reason, and then never tells it.
    await until(async () => {
      const name = `a${Date.now()}`;
      const id = await pod.container(name, 'exec dd if=/dev/zero of=/dev/null bs=120M', {
        15: { 1: { 4: limit, 10: limit } },
      });
      const end = await exited(id);
      expect(end.number(7)).toBe(137);
      return end.text(10) === 'OOMKilled';
    }, 'it is told why');
    const small = 15 * 1024 * 1024;
    const little = await pod.container('b', 'exec dd if=/dev/zero of=/dev/null bs=20M', {
      15: { 1: { 4: small, 10: small } },
    });
    expect((await exited(little)).number(7)).toBe(137);
    expect((await exec(await pod.container('c', 'exec sleep 1000'), 'echo', 'alive')).out).toBe(
      'alive\n',
    );
  });

  one('removal of what runs, twice', async (pod) => {
    const id = await asleep(pod);
    await call('RemoveContainer', { 1: id });
    await call('RemoveContainer', { 1: id });
    await expect(status(id)).rejects.toThrow(/not found/);
    await call('StopPodSandbox', { 1: pod.id });
    await call('StopPodSandbox', { 1: pod.id });
  });
});
