// Each side of the Gofer's protocol against nonsense from the other: a Sentry that was taken over must not get beyond the
// attach points, nor write where it may only read; answers of a Gofer that was must be refused, or be errnos.
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
import { isErrno } from '../../../abi/errno.ts';
import { SOCK_SEQPACKET } from '../../../abi/socket.ts';
import { MessageWriter, OP, REPLY_BYTES, REQUEST_BYTES } from '../../../gofer/protocol.ts';
import { native } from '../../../native/addon.ts';
import { startWatchingGofer, type TestGofer } from '../../../test/support/start-gofer.ts';
import { GoferClient } from './client.ts';

const ROUNDS = 4000;
const READ_ONLY = 0;

/** Repeatable: mulberry32. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

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

const names = [
  ['file', 'a', 'b', 'out', 'root', 'new', 'x', 'y'],
  ['', '.', '..', '/', 'a/b', '../outside', 'out/secret', 'a/../../outside', '/etc/passwd'],
  ['\0', 'file\0', 'user.x', 'security.capability', 'user.runts.node', 'n'.repeat(300)],
].flat();

/** The fields of each request: u32, text, f64, blob. */
const shapes: Readonly<Record<number, string>> = {
  [OP.attach]: 'u',
  [OP.walk]: 'ut',
  [OP.list]: 'uu',
  [OP.open]: 'utfu',
  [OP.statfs]: 'u',
  [OP.getAttributes]: 'ut',
  [OP.create]: 'utuuu',
  [OP.makeDirectory]: 'utuuu',
  [OP.remove]: 'utu',
  [OP.rename]: 'ututu',
  [OP.link]: 'utfut',
  [OP.symlink]: 'utuut',
  [OP.makeNode]: 'utuuuu',
  [OP.setAttributes]: 'utfuuuuffufu',
  [OP.getXattr]: 'utft',
  [OP.listXattr]: 'utf',
  [OP.setXattr]: 'utftbu',
  [OP.removeXattr]: 'utft',
  [OP.hold]: 'ut',
  [OP.createUnnamed]: 'uuuu',
  [OP.linkHeld]: 'uut',
};

const numbers = [0, 1, 2, 1, 2, 3, 4, 5, 6, 0o644, 0o10644, 0o20666, 0o4755, 65534, 0xffff_ffff];
const floats = [5, 1e9, -1, 1e300, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53];

/** Mostly of the operation's shape. */
function writeNonsense(
  request: MessageWriter,
  operation: number,
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
  const shape = (any(10) > 0 && shapes[operation]) || Object.values(shapes)[any(21)];
  for (const field of shape as string) fields[field as keyof typeof fields]();
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
    const fds = new Int32Array(4);
    const before = ['ro', 'outside'].flatMap((tree) => snapshot(join(directory, tree)));
    const operations = [...Object.values(OP), 0, 5, 26, 0xffff_ffff];
    for (const index of [READ_ONLY, 1]) assert.ok(gofer.client.attach(index));
    for (let round = 0; round < ROUNDS; round += 1) {
      const operation = operations[any(operations.length)] as number;
      request.reset().u32(operation);
      if (operation === OP.freeze) continue;
      // What is not answered.
      if (operation === OP.forget) request.u32(3 + any(60));
      else if (operation === OP.watch) request.u32(1);
      else writeNonsense(request, operation, any);
      const length = any(20) === 0 ? 4 + any(request.length - 3) : request.length;
      if (operation === OP.watch && length < 8) continue;
      assert.ok(!isErrno(native.sendMessage(gofer.socketFd, request.bytes, length, fds, 0, 0)));
      if (operation === OP.forget) continue;
      const got = native.recvMessage(gofer.socketFd, reply, fds, 0);
      assert.ok(got >= 4, `round ${round}, operation ${operation}`);
      for (const fd of fds.subarray(1, 1 + (fds[0] as number))) checkDescriptor(fd);
    }
    const after = ['ro', 'outside'].flatMap((tree) => snapshot(join(directory, tree)));
    assert.deepEqual(after, before);
    assert.equal(gofer.process.exitCode, null);
  });
});

describe('a hostile Gofer', () => {
  it('is refused, or answers errnos', () => {
    const any = generator(3);
    const pair = new Int32Array(2);
    for (let round = 0; round < ROUNDS; round += 1) {
      assert.equal(native.socketpair(SOCK_SEQPACKET, pair), 0);
      const [own, other] = pair as unknown as [number, number];
      const client = new GoferClient(own);
      let deaths = 0;
      client.died = () => {
        deaths += 1;
      };
      const answer = new MessageWriter(REPLY_BYTES);
      answer.i32(any(3) === 0 ? -any(5000) : any(2) * any(2 ** 31));
      for (let field = any(40); field > 0; field -= 1) {
        const kind = any(4);
        if (kind === 0) answer.f64([0, -1, Number.NaN, 2 ** 60, 7][any(5)] as number);
        else if (kind === 1) answer.text(names[any(names.length)] as string);
        else answer.u32([0, 1, 2, 0xffff_ffff, 0o40755][any(5)] as number);
      }
      const sent = new Int32Array([other]);
      native.sendMessage(other, answer.bytes, answer.length, sent, any(2), 0);
      const calls = [
        () => client.attach(0),
        () => client.walk(1, 'a/b'),
        () => client.list(1, false),
        () => client.open([1, 'a', 0], 0),
        () => client.statfs(1),
        () => client.getAttributes(1, 'a'),
        () => client.create(1, 'a', 0o644, 0, 0),
        () => client.makeDirectory(1, 'a', 0o755, 0, 0),
        () => client.symlink(1, 'a', 0, 0, 'b'),
      ];
      const result = (calls[any(calls.length)] as () => unknown)();
      if (typeof result === 'number') assert.ok(result > -4096 && result < 0);
      assert.ok(deaths <= 1);
      client.close();
      native.close(other);
      const { fd } = result as { readonly fd?: number };
      if (fd !== undefined) native.close(fd);
    }
  });
});
