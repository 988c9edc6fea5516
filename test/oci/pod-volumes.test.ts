// SPDX-License-Identifier: Apache-2.0
// Directories of the host that two containers of a pod have mounted: sockets, FIFOs, locks, watches
// and memory in them are one file's, whoever asks, and what either container may do is not
// (docs/oci.md, Pods).
import {
  chmodSync,
  copyFileSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { type Box, type BoxCase, boxCases } from './support/box.ts';
import { compiled, ended, startInPod, startPod } from './support/pod.ts';
import { mount, type Spec } from './support/spec.ts';

const PLACES = { a: '/shared', b: '/other/place' } as const;
type Side = keyof typeof PLACES;

/** One side of a case of support/pod-volume.c in a container of that name. */
function side(box: Box, which: Side, name: string, options = 'rbind,rw', source?: string) {
  return (spec: Spec): void => {
    const shared = source ?? join(box.dir, 'shared');
    mkdirSync(shared, { recursive: true });
    chmodSync(shared, 0o777);
    const program = join(box.dir, 'bundles', which, 'rootfs/bin/pod-volume');
    copyFileSync(compiled('pod-volume'), program);
    spec.mounts.push(mount(PLACES[which], 'bind', shared, options));
    spec.process.args = ['pod-volume', name, which, PLACES[which]];
  };
}

async function startBoth(box: Box, name: string): Promise<void> {
  await startPod(box);
  await startInPod(box, 'a', side(box, 'a', name));
  await startInPod(box, 'b', side(box, 'b', name));
}

function both(name: string, program: string, a: string[], b: string[]): BoxCase {
  return {
    name,
    body: async (box) => {
      await startBoth(box, program);
      await bothSay(box, a, b);
    },
  };
}

/**
 * In directories that the Gofers watch, each for its container: those that do not follow the host's
 * mounts.
 */
function watched(name: string, program: string, a: string[], b: string[]): BoxCase {
  return {
    name: `watched: ${name}`,
    body: async (box) => {
      await startPod(box);
      for (const which of ['a', 'b'] as const)
        await startInPod(box, which, (spec) => {
          side(box, which, program, 'rbind,rprivate,rw')(spec);
          spec.process.args.push('watched');
        });
      await bothSay(box, a, b);
    },
  };
}

function twice(...told: Parameters<typeof both>): BoxCase[] {
  return [both(...told), watched(...told)];
}

async function bothSay(box: Box, a: string[], b: string[]): Promise<void> {
  expect((await ended(box, 'b')).split('\n'), box.said('a')).toEqual(b);
  expect((await ended(box, 'a')).split('\n')).toEqual(a);
}

/** As a user namespace of other ids on the host, its root given to them. */
function mapIds(box: Box, which: Side) {
  return (spec: Spec): void => {
    spec.linux.namespaces.push({ type: 'user' });
    const range = [{ containerID: 0, hostID: 100_000, size: 1000 }];
    spec.linux['uidMappings'] = range;
    spec.linux['gidMappings'] = range;
    chmodSync(box.dir, 0o755);
    chmodSync(dirname(join(box.dir, 'bundles', which)), 0o755);
    giveAway(join(box.dir, 'bundles', which, 'rootfs'));
  };
}

function giveAway(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) giveAway(join(path, entry.name));
    else lchownSync(join(path, entry.name), 100_000, 100_000);
  lchownSync(path, 100_000, 100_000);
}

boxCases('pod volumes', [
  both(
    'a socket, and a file that goes over it',
    'socket',
    ['a: ping from pid 0 uid 0', 'a: file says thanks'],
    ['b: Connection refused'],
  ),
  ...twice(
    'datagrams, also to a socket that was bound anew',
    'datagram',
    ['a: there from dgram-b', 'a: the second got anew'],
    ['b: back'],
  ),
  ...twice(
    'a FIFO, and a new one in its place',
    'fifo',
    ['a: read through the pipe'],
    ['b: the new one says Resource temporarily unavailable'],
  ),
  both(
    'locks of all kinds',
    'lock',
    [''],
    [
      'b: flock: Resource temporarily unavailable',
      'b: F_GETLK: type 1, 0+10, pid 0',
      'b: F_SETLK: Resource temporarily unavailable',
      'b: F_OFD_SETLK beside it: taken',
      'b: both taken',
    ],
  ),
  both(
    'memory, and futexes in it',
    'memory',
    ['a: woken, word 7', 'a: counter 4000'],
    ['b: woke 1', 'b: counter 4000', 'b: maps written'],
  ),
  ...twice(
    'watches see what the other does',
    'watch',
    ['a: 1 100 new', 'a: 1 2 new', 'a: 1 8 new', 'a: 1 40 new', 'a: 1 80 other', 'a: 1 200 other'],
    [''],
  ),
  ...twice('changes are there at once', 'fresh', ['a: 0 late'], ['b: 0 late']),
  ...twice(
    'names that the other removes and changes',
    'names',
    [
      'a: gone: 0 links, mode 600',
      'a: moved: 1 links, mode 640',
      'a: replaced: 0 links, mode 604',
      'a: another: mode 644, 0 bytes',
      'a: in its place: next',
    ],
    ['b: elsewhere: mode 640', 'b: another: mode 644, 0 bytes'],
  ),
  {
    name: 'a directory of the volume in the other (subPath), and a single file',
    body: async (box) => {
      const source = join(box.dir, 'shared/sub');
      mkdirSync(source, { recursive: true });
      chmodSync(source, 0o777);
      writeFileSync(join(source, 'locked'), '', { mode: 0o666 });
      await startPod(box);
      await startInPod(box, 'a', (spec) => {
        side(box, 'a', 'lock')(spec);
        spec.process.args[3] = `${PLACES.a}/sub`;
      });
      await startInPod(box, 'b', (spec) => {
        side(box, 'b', 'lock', 'rbind,rw', source)(spec);
        // Over itself: the lock is taken on the file by way of a mount of its own.
        const file = join(source, 'locked');
        spec.mounts.push(mount(`${PLACES.b}/locked`, 'bind', file, 'bind,rw'));
      });
      const seen = (await ended(box, 'b')).split('\n');
      expect(seen[0], box.said('a')).toBe('b: flock: Resource temporarily unavailable');
      expect(seen.at(-1)).toBe('b: both taken');
      await ended(box, 'a');
    },
  },
  {
    name: 'read-only in one, writable in the other',
    body: async (box) => {
      await startPod(box);
      await startInPod(box, 'a', side(box, 'a', 'rights'));
      await startInPod(box, 'b', side(box, 'b', 'rights', 'rbind,ro'));
      expect((await ended(box, 'b')).split('\n')).toEqual([
        'b: to write: Read-only file system',
        'b: new: Read-only file system',
        'b: unlink: Read-only file system',
        'b: flock: taken',
        'b: map: Permission denied',
        'b: mprotect: Permission denied',
        'b: connect: done',
        "b: by a's file: written",
        'b: its own again: Read-only file system',
        'b: fifo: opened',
      ]);
      expect(await ended(box, 'a')).toBe('a: into');
    },
  },
  {
    name: "a container's end gives up its locks and sockets, and no others",
    body: async (box) => {
      await startBoth(box, 'hold');
      const waiting = (): boolean => readdirSync(join(box.dir, 'shared')).includes('at-waiting');
      await box.until(waiting, 'b waits');
      expect(box.output('b')).toBe('');
      await box.do('kill', ['a', 'KILL']);
      expect(await ended(box, 'a', 137)).toBe('a: holds');
      expect(await ended(box, 'b')).toBe('b: got it, the server hung up\nb: Connection refused');
    },
  },
  {
    name: "the loss of one container's Gofer is not the other's",
    only: 'runts',
    body: async (box) => {
      await startBoth(box, 'hold');
      const waiting = (): boolean => readdirSync(join(box.dir, 'shared')).includes('at-waiting');
      await box.until(waiting, 'b waits');
      process.kill(goferOf(box.pid('a')), 'SIGKILL');
      await box.wait('a');
      expect(await ended(box, 'b')).toBe('b: got it, the server hung up\nb: Connection refused');
      expect((await box.state('pod')).status).toBe('running');
    },
  },
  {
    name: "the loss of one container's front is not the other's",
    only: 'runts',
    body: async (box) => {
      await startBoth(box, 'hold');
      const waiting = (): boolean => readdirSync(join(box.dir, 'shared')).includes('at-waiting');
      await box.until(waiting, 'b waits');
      process.kill(box.pid('a'), 'SIGKILL');
      expect(await ended(box, 'b')).toBe('b: got it, the server hung up\nb: Connection refused');
      expect((await box.state('pod')).status).toBe('running');
      expect((await box.state('a')).status).toBe('stopped');
    },
  },
  {
    name: 'ids that differ on the host',
    body: async (box) => {
      await startPod(box);
      await startInPod(box, 'a', side(box, 'a', 'ids'));
      await startInPod(box, 'b', (spec) => {
        side(box, 'b', 'ids')(spec);
        mapIds(box, 'b')(spec);
      });
      expect((await ended(box, 'b')).split('\n')).toEqual([
        'b: own: Permission denied',
        'b: own fifo: Permission denied',
        'b: own file: Permission denied',
        'b: all: connected',
        'b: peer 65534',
      ]);
      expect(await ended(box, 'a')).toBe('a: peer 100000');
    },
  },
]);

/** The Gofer below a front. */
function goferOf(front: number): number {
  const below = [front];
  for (const pid of below) {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
    below.push(...children.split(' ').filter(Boolean).map(Number));
    if (/gofer/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'))) return pid;
  }
  throw new Error('no gofer');
}
