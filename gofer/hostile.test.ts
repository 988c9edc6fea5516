// SPDX-License-Identifier: Apache-2.0
// The Gofer against nonsense: a Sentry that was taken over must not get beyond the attach points,
// nor write where it may only read.
import { strict as assert } from 'node:assert';
import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { isErrno } from '../abi/errno.ts';
import { native } from '../native/addon.ts';
import {
  type OperationName,
  operations,
  REPLY_BYTES,
  REQUEST_BYTES,
} from '../protocol/gofer/operations.ts';
import { MessageWriter } from '../protocol/gofer/wire.ts';
import { names } from '../test/support/nonsense.ts';
import { generator } from '../test/support/random.ts';
import { startWatchingGofer, type TestGofer } from '../test/support/start-gofer.ts';

const ROUNDS = 4000;
const READ_ONLY = 0;

let directory = '';
let gofer: TestGofer;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'runts-gofer-'));
  for (const path of ['ro/a/b', 'rw/a/b', 'outside'])
    mkdirSync(join(directory, path), { recursive: true });
  for (const tree of ['ro', 'rw']) {
    writeFileSync(join(directory, tree, 'file'), 'hello');
    symlinkSync('../outside', join(directory, tree, 'out'));
    symlinkSync('../../outside/secret', join(directory, tree, 'a/out'));
    symlinkSync('/proc/self/root', join(directory, tree, 'root'));
  }
  writeFileSync(join(directory, 'outside/secret'), 'secret');
  gofer = startWatchingGofer(8, join(directory, 'ro'), `rw:${join(directory, 'rw')}`);
});

afterAll(() => {
  gofer.stop();
  rmSync(directory, { recursive: true });
});

/** All that is below, with what tells of changes. */
function snapshot(path: string): string[] {
  const { mode, uid, nlink, mtimeMs, ctimeMs } = lstatSync(path);
  const own = [path, mode, uid, nlink, mtimeMs, ctimeMs].join(' ');
  if (!lstatSync(path).isDirectory()) return [own];
  return [
    own,
    ...readdirSync(path)
      .sort()
      .flatMap((name) => snapshot(join(path, name))),
  ];
}

/** The fields of each request that is answered: u32, text, f64, blob. */
const shapes: Readonly<Partial<Record<OperationName, string>>> = {
  attach: 'u',
  walk: 'ut',
  list: 'uu',
  open: 'utfu',
  statfs: 'u',
  getAttributes: 'ut',
  create: 'utuuu',
  makeDirectory: 'utuuu',
  remove: 'utu',
  rename: 'ututu',
  link: 'utfut',
  symlink: 'utuut',
  makeNode: 'utuuuu',
  setAttributes: 'utfuuuuffufu',
  getXattr: 'utft',
  listXattr: 'utf',
  setXattr: 'utftbu',
  removeXattr: 'utft',
  hold: 'ut',
  createUnnamed: 'uuuu',
  linkHeld: 'uut',
  startWatching: '',
  listTree: 'uutuuu',
  openMany: 'utut',
};
const unanswered: Readonly<Partial<Record<OperationName, string>>> = {
  forget: 'u',
  stopWatching: '',
};

const numbers = [0, 1, 2, 1, 2, 3, 4, 5, 6, 0o644, 0o10644, 0o20666, 0o4755, 65534, 0xffff_ffff];
const floats = [5, 1e9, -1, 1e300, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53];

/** Mostly of the operation's shape. */
function writeNonsense(
  request: MessageWriter,
  own: string | undefined,
  any: (below: number) => number,
): void {
  const number = (): number =>
    any(8) === 0 ? 0x8000_0001 + any(20) : (numbers[any(numbers.length)] as number);
  const fields = {
    u: () => request.u32(number()),
    t: () => request.text(names[any(any(4) > 0 ? 8 : names.length)] as string),
    f: () => request.f64(any(5) === 0 ? (floats[any(floats.length)] as number) : 0),
    b: () => request.blob(Buffer.alloc(any(100), any(256))),
  };
  const other = Object.values(shapes)[any(Object.keys(shapes).length)] as string;
  for (const field of (any(10) > 0 ? own : undefined) ?? other)
    fields[field as keyof typeof fields]();
}

/** A descriptor that came: a file below an attach point, or the instance of inotify. */
function checkDescriptor(fd: number): void {
  const target = readlinkSync(`/proc/self/fd/${fd}`);
  if (target !== 'anon_inode:inotify') {
    assert.match(target, new RegExp(`^${directory}/r[ow]/`));
    assert.ok(fstatSync(fd).isFile(), target);
    const flags = /^flags:\t(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    const mayWrite = (Number.parseInt(flags as string, 8) & 3) !== 0;
    assert.ok(!mayWrite || target.startsWith(`${directory}/rw/`), target);
  }
  closeSync(fd);
}

describe('a hostile Sentry', () => {
  it('gets and changes nothing but what it may', () => {
    const any = generator(20_261_122);
    const request = new MessageWriter(REQUEST_BYTES);
    const reply = new Uint8Array(REPLY_BYTES);
    const fds = new Int32Array(40);
    const before = ['ro', 'outside'].flatMap((tree) => snapshot(join(directory, tree)));
    const known = { ...shapes, ...unanswered };
    const asked = (Object.keys(operations) as OperationName[]).filter((name) => name !== 'freeze');
    assert.deepEqual(Object.keys(known).sort(), [...asked].sort());
    const none = [0, 5, 27, 0xffff_ffff];
    for (const index of [READ_ONLY, 1]) assert.ok(gofer.client.attach(index));
    for (let round = 0; round < ROUNDS; round += 1) {
      const name = asked[any(asked.length + none.length)];
      const number = name === undefined ? none[any(none.length)] : operations[name].number;
      request.reset().u32(number as number);
      writeNonsense(request, name && known[name], any);
      const length = any(20) === 0 ? 4 + any(request.length - 3) : request.length;
      assert.ok(!isErrno(native.sendMessage(gofer.socketFd, request.bytes, length, fds, 0, 0)));
      if (name !== undefined && name in unanswered) continue;
      const got = native.recvMessage(gofer.socketFd, reply, fds, 0);
      assert.ok(got >= 4, `round ${round}, operation ${number}`);
      for (const fd of fds.subarray(1, 1 + (fds[0] as number))) checkDescriptor(fd);
    }
    const after = ['ro', 'outside'].flatMap((tree) => snapshot(join(directory, tree)));
    assert.deepEqual(after, before);
    assert.equal(gofer.process.exitCode, null);
  });
});
