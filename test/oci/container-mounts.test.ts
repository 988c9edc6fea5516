// SPDX-License-Identifier: Apache-2.0
// A container's mounts and root from inside, driven directly: what validation.test.ts does not ask.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Box, type BoxCase, boxCases } from './support/box.ts';
import { mount, type Spec, script } from './support/spec.ts';

interface Inside {
  readonly name: string;
  /** May make things in the root and beside it. */
  readonly change?: (spec: Spec, bundle: string) => void;
  readonly text: string;
  readonly says: string;
  readonly after?: (bundle: string) => void;
  readonly only?: 'runts';
}

function inside({ name, change, text, says, after, only }: Inside): BoxCase {
  return {
    name,
    ...(only === undefined ? {} : { only }),
    body: async (box: Box) => {
      const bundle = join(box.dir, 'bundles/a');
      box.bundle((spec) => {
        script(spec, `{ ${text}; } 2>&1`);
        change?.(spec, bundle);
      });
      expect(await box.finish(), box.output()).toBe(0);
      expect(box.output().trim()).toBe(says);
      after?.(bundle);
    },
  };
}

boxCases('container-mounts', [
  inside({
    name: 'mount points are made in a read-only root, through its links',
    change: (spec, bundle) => {
      spec.root.readonly = true;
      mkdirSync(join(bundle, 'rootfs/data'));
      writeFileSync(join(bundle, 'rootfs/data/f'), 'words\n');
      symlinkSync('/deep/er', join(bundle, 'rootfs/link'));
      const source = join(bundle, 'rootfs/data');
      spec.mounts.push(mount('/new/place', 'bind', source, 'rbind,ro'));
      spec.mounts.push(mount('/link/x', 'bind', source, 'rbind'));
      spec.mounts.push(mount('/etc/made', 'bind', join(source, 'f'), 'bind,ro'));
      spec.process.cwd = '/made/too';
    },
    text: 'pwd; cat /new/place/f /deep/er/x/f /etc/made; touch /x; touch /new/place/y; touch /link/x/z && ls /data',
    says: [
      '/made/too',
      'words',
      'words',
      'words',
      'touch: /x: Read-only file system',
      'touch: /new/place/y: Read-only file system',
      'f',
      'z',
    ].join('\n'),
    after: (bundle) => expect(existsSync(join(bundle, 'rootfs/deep/er/x'))).toBe(true),
  }),
  inside({
    name: 'tmpfs copies up, and has its size',
    change: (spec, bundle) => {
      mkdirSync(join(bundle, 'rootfs/opt/d/e'), { recursive: true });
      writeFileSync(join(bundle, 'rootfs/opt/d/e/f'), 'copied\n');
      chmodSync(join(bundle, 'rootfs/opt/d/e'), 0o711);
      spec.mounts.push(mount('/opt/d', 'tmpfs', 'tmpfs', 'tmpcopyup,size=64k,nosuid'));
    },
    text: `cat /opt/d/e/f; stat -c %a /opt/d/e; echo changed >/opt/d/e/f; head -c 100000 /dev/zero >/opt/d/big 2>/dev/null || echo full; cat /opt/d/e/f`,
    says: 'copied\n711\nfull\nchanged',
    after: (bundle) =>
      expect(readFileSync(join(bundle, 'rootfs/opt/d/e/f'), 'utf8')).toBe('copied\n'),
  }),
  inside({
    name: 'flags of a mount hold',
    change: (spec, bundle) => {
      mkdirSync(join(bundle, 'rootfs/m'));
      spec.mounts.push(mount('/m', 'bind', join(bundle, 'rootfs/m'), 'bind,noexec,nodev,nosuid'));
    },
    text: `cp /bin/busybox /m/true; /m/true || echo no; mknod /m/null c 1 3; cat /m/null; grep -o ' /m .*nosuid,nodev,noexec' /proc/mounts | cut -d' ' -f2`,
    says: "/bin/sh: /m/true: Permission denied\nno\ncat: can't open '/m/null': Permission denied\n/m",
  }),
  inside({
    name: 'the root holds files of every kind',
    text: `mkfifo /f; (echo through >/f &); cat /f; chmod 604 /f; mknod /n c 1 3; chmod 640 /n; mv /n /n2; echo x >/n2; ln -s a /l; ln /n2 /n3; stat -c '%F %a %h' /f /n2 /n3; rm /n2 /n3; touch /s; chmod 4755 /s; ls -l /s | cut -c1-10`,
    says: [
      'through',
      'fifo 604 1',
      'character special file 640 2',
      'character special file 640 2',
      '-rwsr-xr-x',
    ].join('\n'),
    after: (bundle) => expect(statSync(join(bundle, 'rootfs/s')).mode & 0o7777).toBe(0o4755),
  }),
  inside({
    name: 'the working directory is entered with the rights of root',
    change: (spec, bundle) => {
      mkdirSync(join(bundle, 'rootfs/closed'), { mode: 0o700 });
      spec.process.cwd = '/closed';
      spec.process.user = { uid: 1000, gid: 1000 };
    },
    text: 'pwd; ls || true',
    says: '/closed\nls: .: Permission denied',
  }),
  inside({
    name: 'HOME comes from passwd',
    change: (spec, bundle) => {
      writeFileSync(join(bundle, 'rootfs/etc/passwd'), 'x:x:1000:5::/home/x:/bin/sh\n');
      spec.process.user = { uid: 1000, gid: 1000 };
    },
    text: 'echo $HOME',
    says: '/home/x',
  }),
  inside({
    name: 'mqueue shows the queues of the container, as files',
    change: (spec) => {
      spec.mounts.push(mount('/dev/mqueue', 'mqueue', 'mqueue', 'nosuid,noexec,nodev'));
      spec.linux['sysctl'] = { 'fs.mqueue.msg_max': '7', 'kernel.sem': '10 20 30 40' };
    },
    text: [
      'grep -o "/dev/mqueue mqueue rw,nosuid,nodev,noexec" /proc/mounts',
      'stat -c "%F %a %s" /dev/mqueue',
      'umask 027; touch /dev/mqueue/q; stat -c "%F %a %s" /dev/mqueue/q',
      'cat /dev/mqueue/q; mkdir /dev/mqueue/d; rm /dev/mqueue/q; ls /dev/mqueue',
      'cat /proc/sys/fs/mqueue/msg_max /proc/sys/kernel/sem',
    ].join('; '),
    says: [
      '/dev/mqueue mqueue rw,nosuid,nodev,noexec',
      'directory 1777 40',
      'regular file 640 80',
      'QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     ',
      "mkdir: can't create directory '/dev/mqueue/d': Operation not permitted",
      '7',
      '10\t20\t30\t40',
    ].join('\n'),
  }),
  {
    name: 'the containers of a pod share its message queues',
    only: 'runts',
    body: async (box) => {
      const inPod = (id: string, role: string, text: string, own = false) =>
        box.bundle((spec) => {
          spec.annotations = {
            'io.kubernetes.cri.container-type': role,
            'io.kubernetes.cri.sandbox-id': 'pause',
          };
          spec.mounts.push(mount('/dev/mqueue', 'mqueue', 'mqueue', 'nosuid'));
          const path = id === 'pause' || own ? {} : { path: `/proc/${box.pid('pause')}/ns/ipc` };
          spec.linux.namespaces = spec.linux.namespaces
            .filter(({ type }) => type !== 'ipc')
            .concat({ type: 'ipc', ...path });
          script(spec, text);
        }, id);
      const look = 'readlink /proc/self/ns/ipc; ls /dev/mqueue; cat /proc/sys/kernel/msgmax';
      inPod('pause', 'sandbox', `touch /dev/mqueue/shared; ${look}; sleep 1000`);
      expect(await box.create('pause'), box.said('pause')).toMatchObject({ code: 0 });
      expect(await box.do('start', ['pause'])).toMatchObject({ code: 0 });
      await box.until(() => box.output('pause').includes('8192'), 'the queue is made');
      inPod('joins', 'container', look);
      expect(await box.finish('joins'), box.said('joins')).toBe(0);
      expect(box.output('joins')).toBe(box.output('pause'));
      inPod('apart', 'container', look, true);
      expect(await box.finish('apart'), box.said('apart')).toBe(0);
      expect(box.output('apart')).toMatch(/^ipc:\[\d+\]\n8192\n$/);
      expect(box.output('apart').split('\n')[0]).not.toBe(box.output('pause').split('\n')[0]);
    },
  },
  {
    name: 'sockets and devices of the host are not reached',
    only: 'runts',
    body: async (box) => {
      const path = join(box.dir, 'bundles/a/rootfs/host.sock');
      let connections = 0;
      const server = createServer(() => {
        connections += 1;
      });
      box.bundle((spec) => {
        spec.mounts.push(mount('/run/host.sock', 'bind', path, 'bind'));
        spec.mounts.push(mount('/dev/tun', 'bind', '/dev/net/tun', 'bind'));
        script(
          spec,
          `nc local:/run/host.sock </dev/null; test -S /run/host.sock && echo a socket; cat /dev/tun 2>&1`,
        );
      });
      await new Promise<void>((resolve) => server.listen(path, resolve));
      try {
        await box.finish();
      } finally {
        server.close();
      }
      expect(box.output().trim()).toBe(
        "a socket\ncat: can't open '/dev/tun': No such device or address",
      );
      expect(connections).toBe(0);
    },
  },
  {
    name: 'overlays are those of the kernel',
    body: async (box) => {
      const made = join(box.dir, 'bundles/a');
      const [low, lower, upper, work] = ['low', 'lower', 'upper', 'work'].map((name) =>
        join(box.dir, name),
      ) as [string, string, string, string];
      for (const path of [low, lower, upper, work]) mkdirSync(path);
      writeFileSync(join(low, 'gone'), 'gone\n');
      writeFileSync(join(lower, 'changed'), 'before\n');
      box.bundle((spec) => {
        const lowerdir = `lowerdir=${low}:${lower}`;
        spec.mounts.push(
          mount('/m', 'overlay', 'overlay', `${lowerdir},upperdir=${upper},workdir=${work}`),
        );
        spec.mounts.push(mount('/ro', 'overlay', 'overlay', `${lowerdir},ro`));
        script(
          spec,
          'ls /m /ro; cd /m; echo new >made; echo after >changed; rm gone; touch /ro/x 2>&1 | sed "s/.*: //"',
        );
      });
      expect(await box.finish(), box.said()).toBe(0);
      expect(box.output()).toBe(
        '/m:\nchanged\ngone\n\n/ro:\nchanged\ngone\nRead-only file system\n',
      );
      expect(readFileSync(join(lower, 'changed'), 'utf8')).toBe('before\n');
      expect(readFileSync(join(upper, 'changed'), 'utf8')).toBe('after\n');
      expect(readFileSync(join(upper, 'made'), 'utf8')).toBe('new\n');
      // A whiteout.
      expect(statSync(join(upper, 'gone'))).toMatchObject({ rdev: 0, size: 0 });
      expect(existsSync(join(made, 'rootfs/m/made'))).toBe(false);
    },
  },
]);
