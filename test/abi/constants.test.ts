// SPDX-License-Identifier: Apache-2.0
// Every number in abi/ that is a macro in the host's kernel headers has the macro's value; and offsets
// and sizes of structs are those that gcc gives.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** abi module → the UAPI headers that define its constants. */
const headersOf: Readonly<Record<string, readonly string[]>> = {
  capability: ['linux/capability.h'],
  elf: ['linux/elf.h'],
  auxv: ['linux/auxvec.h'],
  epoll: ['linux/eventpoll.h'],
  errno: ['asm/errno.h'],
  eventfd: ['sys/eventfd.h'],
  fcntl: [
    'linux/fcntl.h',
    'linux/openat2.h',
    'linux/falloc.h',
    'linux/close_range.h',
    'linux/fadvise.h',
  ],
  fs: ['linux/fs.h', 'linux/mount.h', 'linux/magic.h', 'linux/limits.h'],
  inotify: ['linux/inotify.h'],
  ioctl: ['asm/ioctls.h', 'linux/fs.h', 'linux/sockios.h'],
  ipc: ['limits.h', 'linux/shm.h', 'linux/sem.h', 'linux/msg.h'],
  mempolicy: ['linux/mempolicy.h'],
  mman: ['linux/mman.h'],
  mqueue: ['linux/mqueue.h'],
  poll: ['asm/poll.h'],
  resource: ['linux/resource.h'],
  sched: ['linux/sched.h'],
  signal: ['asm/signal.h', 'asm/siginfo.h'],
  signalfd: ['linux/signalfd.h'],
  socket: ['sys/socket.h', 'linux/un.h', 'linux/in.h', 'linux/in6.h', 'linux/tcp.h'],
  stat: ['linux/stat.h'],
  termios: ['asm/termbits.h', 'asm/ioctls.h', 'linux/tty.h'],
  time: ['linux/time.h'],
  timerfd: ['linux/timerfd.h'],
  uio: ['linux/uio.h'],
  wait: ['linux/wait.h'],
  xattr: ['linux/xattr.h', 'linux/limits.h'],
};

/** Names whose values differ on purpose, each with the reason. */
const exceptions: ReadonlyMap<string, string> = new Map([
  ['RLIM_INFINITY', 'Infinity stands in for 2^64-1'],
  ['SHMMAX', '2^64 - 2^24 - 1 as a double'],
  ['SIGRTMAX', 'the header leaves _NSIG out'],
  ['O_LARGEFILE', 'the C library defines it as 0'],
]);

/** What a C program of these headers prints, as words a line. */
function printed(headers: readonly string[], body: string): string[][] {
  const dir = mkdtempSync(join(tmpdir(), 'runts-abi-'));
  try {
    const includes = ['stdio.h', 'stddef.h', ...headers]
      .map((name) => `#include <${name}>\n`)
      .join('');
    writeFileSync(join(dir, 'a.c'), `${includes}int main(void) {\n${body}return 0;\n}\n`);
    execFileSync('gcc', ['-w', '-o', join(dir, 'a'), join(dir, 'a.c')], { encoding: 'utf8' });
    const text = execFileSync(join(dir, 'a'), { encoding: 'utf8' });
    return text
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

describe('constants', () => {
  for (const [name, headers] of Object.entries(headersOf)) {
    it(`abi/${name}.ts agrees with ${headers.join(', ')}`, async () => {
      const constants = (await import(`../../abi/${name}.ts`)) as Record<string, unknown>;
      const numbers = Object.entries(constants).filter(
        ([key, value]) => typeof value === 'number' && /^_*[A-Z]/.test(key) && !exceptions.has(key),
      ) as [string, number][];
      const body = numbers
        .map(([key]) => `#ifdef ${key}\nprintf("${key} %lld\\n", (long long)(${key}));\n#endif\n`)
        .join('');
      const values = new Map(printed(headers, body).map(([key = '', text]) => [key, Number(text)]));
      const wrong = numbers.filter(([key, value]) => {
        const want = values.get(key);
        if (want === undefined) return false;
        return want >>> 0 !== (name === 'errno' ? -value : value) >>> 0;
      });
      expect(wrong.map(([key, value]) => `${key} is ${values.get(key)}, not ${value}`)).toEqual([]);
      expect(values.size, 'the headers define none of these').toBeGreaterThan(0);
    });
  }
});

interface Probe {
  readonly module: string;
  readonly layout: string;
  readonly type: string;
  readonly headers: readonly string[];
  /** Our field name → the C member. */
  readonly fields: Readonly<Record<string, string>>;
}

const same = (prefix: string, ...names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, prefix + name]));

const probes: readonly Probe[] = [
  {
    module: 'stat',
    layout: 'statLayout',
    type: 'struct stat',
    headers: ['asm/stat.h'],
    fields: same(
      'st_',
      'dev',
      'ino',
      'nlink',
      'mode',
      'uid',
      'gid',
      'rdev',
      'size',
      'blksize',
      'blocks',
      'atime',
      'mtime',
      'ctime',
    ),
  },
  {
    module: 'stat',
    layout: 'statxLayout',
    type: 'struct statx',
    headers: ['linux/stat.h'],
    fields: same(
      'stx_',
      'mask',
      'blksize',
      'attributes',
      'nlink',
      'uid',
      'gid',
      'mode',
      'ino',
      'size',
      'blocks',
      'atime',
      'btime',
      'ctime',
      'mtime',
    ),
  },
  {
    module: 'fs',
    layout: 'statfsLayout',
    type: 'struct statfs',
    headers: ['asm/statfs.h'],
    fields: same(
      'f_',
      'type',
      'bsize',
      'blocks',
      'bfree',
      'bavail',
      'files',
      'ffree',
      'fsid',
      'namelen',
      'frsize',
      'flags',
    ),
  },
  {
    module: 'fcntl',
    layout: 'flockLayout',
    type: 'struct flock',
    headers: ['linux/fcntl.h'],
    fields: same('l_', 'type', 'whence', 'start', 'len', 'pid'),
  },
  {
    module: 'fcntl',
    layout: 'openHowLayout',
    type: 'struct open_how',
    headers: ['linux/openat2.h'],
    fields: same('', 'flags', 'mode', 'resolve'),
  },
  {
    module: 'epoll',
    layout: 'epollEvent',
    type: 'struct epoll_event',
    headers: ['linux/eventpoll.h'],
    fields: { events: 'events', dataLow: 'data' },
  },
  {
    module: 'socket',
    layout: 'msghdr',
    type: 'struct msghdr',
    headers: ['sys/socket.h'],
    fields: {
      name: 'msg_name',
      nameLength: 'msg_namelen',
      iov: 'msg_iov',
      iovLength: 'msg_iovlen',
      control: 'msg_control',
      controlLength: 'msg_controllen',
      flags: 'msg_flags',
    },
  },
  {
    module: 'sched',
    layout: 'cloneArgs',
    type: 'struct clone_args',
    headers: ['linux/types.h', 'linux/sched.h'],
    fields: {
      flags: 'flags',
      pidfd: 'pidfd',
      childTid: 'child_tid',
      parentTid: 'parent_tid',
      exitSignal: 'exit_signal',
      stack: 'stack',
      stackSize: 'stack_size',
      tls: 'tls',
      setTid: 'set_tid',
      setTidSize: 'set_tid_size',
      cgroup: 'cgroup',
    },
  },
  {
    module: 'termios',
    layout: 'termiosLayout',
    type: 'struct termios',
    headers: ['asm/termbits.h'],
    fields: same('c_', 'iflag', 'oflag', 'cflag', 'lflag', 'line', 'cc'),
  },
  {
    module: 'termios',
    layout: 'winsizeLayout',
    type: 'struct winsize',
    headers: ['asm/termios.h'],
    fields: { rows: 'ws_row', columns: 'ws_col', xPixels: 'ws_xpixel', yPixels: 'ws_ypixel' },
  },
  {
    module: 'inotify',
    layout: 'inotifyEvent',
    type: 'struct inotify_event',
    headers: ['linux/inotify.h'],
    fields: { wd: 'wd', mask: 'mask', cookie: 'cookie', length: 'len', name: 'name' },
  },
  {
    module: 'signalfd',
    layout: 'signalfdSiginfo',
    type: 'struct signalfd_siginfo',
    headers: ['linux/signalfd.h'],
    fields: same('ssi_', 'signo', 'errno', 'code', 'pid', 'uid', 'fd', 'tid', 'band'),
  },
  {
    module: 'ipc',
    layout: 'ipcPerm',
    type: 'struct ipc64_perm',
    headers: ['linux/ipc.h', 'asm/ipcbuf.h'],
    fields: same('', 'key', 'uid', 'gid', 'cuid', 'cgid', 'mode', 'seq'),
  },
  {
    module: 'ipc',
    layout: 'sembuf',
    type: 'struct sembuf',
    headers: ['linux/sem.h'],
    fields: same('sem_', 'num', 'op', 'flg'),
  },
  {
    module: 'ipc',
    layout: 'semidDs',
    type: 'struct semid64_ds',
    headers: ['linux/sem.h', 'asm/sembuf.h'],
    fields: same('sem_', 'otime', 'ctime', 'nsems'),
  },
  {
    module: 'ipc',
    layout: 'seminfo',
    type: 'struct seminfo',
    headers: ['linux/sem.h'],
    fields: same('sem', 'map', 'mni', 'mns', 'mnu', 'msl', 'opm', 'ume', 'usz', 'vmx', 'aem'),
  },
  {
    module: 'ipc',
    layout: 'msqidDs',
    type: 'struct msqid64_ds',
    headers: ['linux/msg.h', 'asm/msgbuf.h'],
    fields: same('msg_', 'stime', 'rtime', 'ctime', 'cbytes', 'qnum', 'qbytes', 'lspid', 'lrpid'),
  },
  {
    module: 'ipc',
    layout: 'msginfo',
    type: 'struct msginfo',
    headers: ['linux/msg.h'],
    fields: same('msg', 'pool', 'map', 'max', 'mnb', 'mni', 'ssz', 'tql', 'seg'),
  },
  {
    module: 'mqueue',
    layout: 'mqAttr',
    type: 'struct mq_attr',
    headers: ['linux/types.h', 'linux/mqueue.h'],
    fields: same('mq_', 'flags', 'maxmsg', 'msgsize', 'curmsgs'),
  },
  {
    module: 'mqueue',
    layout: 'sigevent',
    type: 'struct sigevent',
    headers: ['asm/siginfo.h'],
    fields: same('sigev_', 'value', 'signo', 'notify'),
  },
  {
    module: 'elf',
    layout: 'elfHeader',
    type: 'Elf64_Ehdr',
    headers: ['elf.h'],
    fields: same('e_', 'type', 'machine', 'version', 'entry', 'phoff', 'phentsize', 'phnum'),
  },
  {
    module: 'elf',
    layout: 'programHeader',
    type: 'Elf64_Phdr',
    headers: ['elf.h'],
    fields: same('p_', 'type', 'flags', 'offset', 'vaddr', 'paddr', 'filesz', 'memsz'),
  },
];

describe('struct layouts', () => {
  for (const { module, layout, type, headers, fields } of probes) {
    it(`${layout} is ${type}`, async () => {
      const loaded = (await import(`../../abi/${module}.ts`)) as Record<string, unknown>;
      const ours = loaded[layout] as Record<string, unknown>;
      const offsets = (ours['at'] ?? ours) as Record<string, number>;
      const body = Object.entries(fields)
        .map(([name, member]) => `printf("${name} %zu\\n", offsetof(${type}, ${member}));\n`)
        .join('');
      const values = new Map(
        printed(headers, `${body}printf("(sizeof) %zu\\n", sizeof(${type}));\n`).map(
          ([key = '', text]) => [key, Number(text)],
        ),
      );
      for (const name of Object.keys(fields)) expect(offsets[name], name).toBe(values.get(name));
      if (typeof ours['size'] === 'number') expect(ours['size']).toBe(values.get('(sizeof)'));
    });
  }
});
