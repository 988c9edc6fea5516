// SPDX-License-Identifier: Apache-2.0
// What the host tells of changes: nothing is asked twice, and nothing that was done on the host
// before a turn is missed.
import { strict as assert } from 'node:assert';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest';
import { ENOENT, type Errno, isErrno } from '../../../abi/errno.ts';
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR } from '../../../abi/fcntl.ts';
import { native } from '../../../native/addon.ts';
import { FakeCaller, FakeClock } from '../../../test/support/fake-caller.ts';
import { startWatchingGofer, type TestGofer } from '../../../test/support/start-gofer.ts';
import { nextTurn } from '../../base/turn.ts';
import {
  makeDirectory,
  makeLink,
  removeDirectory,
  removeFile,
} from '../../vfs/directory-operations.ts';
import { BufferSource } from '../../vfs/io.ts';
import type { Attributes } from '../../vfs/node.ts';
import { openNow } from '../../vfs/open.ts';
import { walkPath } from '../../vfs/path-walk.ts';
import { renamePath } from '../../vfs/rename.ts';
import { GoferFileSystem } from './filesystem.ts';
import { GoferDied } from './gofer-died.ts';
import { HostWatches, type WatchedDirectory } from './host-watches.ts';

const LIMIT = 20;

/** Time passes only where a test says so: by itself, what was just learned is believed for 1 ms. */
class SlowClock extends FakeClock {
  #ns = 0;

  override monotonicNs(): number {
    this.#ns += 1;
    return this.#ns;
  }

  pass(ns: number): void {
    this.#ns += ns;
  }
}

let directory = '';
let gofer: TestGofer;
let caller: FakeCaller;
const clock = new SlowClock();

const host = (name: string): string => join(directory, name);

/** A new system call, long enough after the last that nothing is believed for being new. */
function turn(): void {
  clock.pass(2_000_000);
  nextTurn();
}

function stat(path: string): Attributes | Errno {
  turn();
  const found = walkPath(caller, AT_FDCWD, path, 0);
  return isErrno(found) ? found : (found.node.attributes() as Attributes);
}

function size(path: string): number {
  const attributes = stat(path);
  return isErrno(attributes) ? attributes : attributes.sizeBytes;
}

function list(path: string): string[] {
  turn();
  const flags = O_RDONLY | O_DIRECTORY;
  const file = openNow(caller, AT_FDCWD, path, { flags, mode: 0, resolve: 0 });
  assert.ok(!isErrno(file));
  file.acquire();
  const names: string[] = [];
  file.readDirectory((name) => names.push(name) > 0, caller);
  file.release();
  return names.filter((name) => !name.startsWith('.')).sort();
}

function write(path: string, text: string): void {
  turn();
  const flags = O_RDWR | O_CREAT;
  const file = openNow(caller, AT_FDCWD, path, { flags, mode: 0o644, resolve: 0 });
  assert.ok(!isErrno(file), `${path}: ${file}`);
  file.acquire();
  file.write(new BufferSource(Buffer.from(text)));
  file.release();
}

/** How many requests it takes. */
function cost(action: () => unknown): number {
  const before = gofer.client.requests;
  action();
  return gofer.client.requests - before;
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'runts-watches-'));
  gofer = startWatchingGofer(LIMIT, `rw:${directory}`);
  const { client } = gofer;
  const filesystem = GoferFileSystem.attach({ client, attachPoint: 0, exclusive: false, clock });
  assert.ok(!isErrno(filesystem));
  caller = new FakeCaller(filesystem);
  for (let count = 0; count < 250; count += 1) client.statfs(filesystem.root.id());
  stat('/x');
  assert.ok(client.watches.isOn);
});

afterAll(() => {
  gofer.stop();
  rmSync(directory, { recursive: true });
});

beforeEach(() => {
  for (const name of readdirSync(directory)) rmSync(host(name), { recursive: true });
  mkdirSync(host('d/e'), { recursive: true });
  writeFileSync(host('d/e/f'), 'one');
  assert.equal(size('/d/e/f'), 3);
});

describe('names and attributes', () => {
  it('are asked for once', () => {
    assert.equal(
      cost(() => assert.equal(size('/d/e/f'), 3)),
      0,
    );
    assert.equal(stat('/d/e/g'), ENOENT);
    assert.equal(
      cost(() => assert.equal(stat('/d/e/g'), ENOENT)),
      0,
    );
    list('/d/e');
    assert.equal(
      cost(() => assert.deepEqual(list('/d/e'), ['f'])),
      0,
    );
    assert.equal(
      cost(() => assert.equal(stat('/d/e/never-asked-for'), ENOENT)),
      0,
    );
  });

  it('follow what others make, write, change and remove', () => {
    assert.equal(stat('/d/e/g'), ENOENT);
    writeFileSync(host('d/e/g'), 'four');
    assert.equal(size('/d/e/g'), 4);
    writeFileSync(host('d/e/g'), 'fifth');
    assert.equal(size('/d/e/g'), 5);
    assert.deepEqual(list('/d/e'), ['f', 'g']);
    chmodSync(host('d/e/f'), 0o4711);
    assert.equal((stat('/d/e/f') as Attributes).mode & 0o7777, 0o4711);
    unlinkSync(host('d/e/f'));
    assert.equal(stat('/d/e/f'), ENOENT);
    assert.deepEqual(list('/d/e'), ['g']);
    symlinkSync('g', host('d/e/f'));
    assert.equal(size('/d/e/f'), 1);
  });

  it('of an open file follow without its name being looked up', () => {
    turn();
    const found = walkPath(caller, AT_FDCWD, '/d/e/f', 0);
    assert.ok(!isErrno(found));
    const flags = O_RDONLY;
    const file = openNow(caller, AT_FDCWD, '/d/e/f', { flags, mode: 0, resolve: 0 });
    assert.ok(!isErrno(file));
    file.acquire();
    assert.equal((found.node.attributes() as Attributes).sizeBytes, 3);
    writeFileSync(host('d/e/f'), 'four');
    chmodSync(host('d/e/f'), 0o610);
    turn();
    assert.equal((found.node.attributes() as Attributes).sizeBytes, 4);
    chmodSync(host('d/e/f'), 0o611);
    turn();
    assert.equal((found.node.ownership() as Attributes).mode & 0o777, 0o611);
    file.release();
  });

  it('follow what another Gofer of the sandbox did in the same system call', () => {
    assert.equal(size('/d/e/f'), 3);
    writeFileSync(host('d/e/f'), 'four');
    // As that one's client says after a change.
    gofer.client.identities.changes += 1;
    const again = walkPath(caller, AT_FDCWD, '/d/e/f', 0);
    assert.ok(!isErrno(again));
    assert.equal((again.node.attributes() as Attributes).sizeBytes, 4);
  });

  it('follow what others move', () => {
    mkdirSync(host('other'));
    renameSync(host('d/e'), host('other/e'));
    assert.equal(stat('/d/e/f'), ENOENT);
    assert.equal(size('/other/e/f'), 3);
    writeFileSync(host('new'), 'a new one');
    renameSync(host('new'), host('other/e/f'));
    assert.equal(size('/other/e/f'), 9);
    renameSync(host('other'), host('d/e'));
    assert.equal(size('/d/e/e/f'), 9);
  });

  it('follow directories that are made anew', () => {
    rmSync(host('d'), { recursive: true });
    assert.equal(stat('/d/e/f'), ENOENT);
    mkdirSync(host('d/e'), { recursive: true });
    assert.deepEqual(list('/d/e'), []);
    writeFileSync(host('d/e/f'), 'again');
    assert.equal(size('/d/e/f'), 5);
    chmodSync(host('d'), 0o700);
    assert.equal((stat('/d') as Attributes).mode & 0o777, 0o700);
    const { nlink } = stat('/d') as Attributes;
    mkdirSync(host('d/more'));
    assert.equal((stat('/d') as Attributes).nlink, nlink + 1);
    rmdirSync(host('d/more'));
    assert.equal((stat('/d') as Attributes).nlink, nlink);
  });

  it('are asked for by name where a file has more than one', () => {
    linkSync(host('d/e/f'), host('second'));
    clock.pass(2e9);
    assert.equal((stat('/d/e/f') as Attributes).nlink, 2);
    // The watch of d/e does not tell of this.
    writeFileSync(host('second'), 'twelve bytes');
    assert.equal(size('/d/e/f'), 12);
  });
});

describe('changes of our own', () => {
  it('cost nothing more', () => {
    turn();
    assert.equal(makeDirectory(caller, AT_FDCWD, '/made', 0o755), 0);
    const first = cost(() => write('/made/a', 'x'));
    const next = cost(() => write('/made/b', 'x'));
    // It was empty when its watch was made: no name has to be looked for.
    assert.equal(next, 1);
    assert.ok(first <= 2);
    assert.deepEqual(list('/made'), ['a', 'b']);
    turn();
    assert.equal(
      cost(() => assert.equal(removeFile(caller, AT_FDCWD, '/made/a'), 0)),
      1,
    );
    turn();
    assert.equal(
      cost(() => assert.equal(removeFile(caller, AT_FDCWD, '/made/b'), 0)),
      1,
    );
    assert.equal(
      cost(() => assert.equal(stat('/made/a'), ENOENT)),
      0,
    );
    turn();
    assert.ok(cost(() => assert.equal(removeDirectory(caller, AT_FDCWD, '/made'), 0)) <= 2);
    assert.equal(stat('/made'), ENOENT);
  });

  it('are not mixed up with those of others', () => {
    write('/d/e/g', 'mine');
    unlinkSync(host('d/e/g'));
    writeFileSync(host('d/e/g'), 'not mine');
    assert.equal(size('/d/e/g'), 8);
    turn();
    assert.equal(removeFile(caller, AT_FDCWD, '/d/e/g'), 0);
    writeFileSync(host('d/e/g'), 'theirs again');
    assert.equal(size('/d/e/g'), 12);
    unlinkSync(host('d/e/g'));
    write('/d/e/g', 'mine');
    assert.equal(size('/d/e/g'), 4);
    turn();
    assert.equal(renamePath(caller, AT_FDCWD, '/d/e/g', AT_FDCWD, '/d/e/h', 0), 0);
    writeFileSync(host('new'), 'a new one');
    renameSync(host('new'), host('d/e/h'));
    assert.equal(size('/d/e/h'), 9);
    assert.equal(stat('/d/e/g'), ENOENT);
    writeFileSync(host('d/e/g'), 'z');
    assert.equal(size('/d/e/g'), 1);
  });

  it('show in the other names of a file', () => {
    turn();
    assert.equal(makeLink(caller, AT_FDCWD, '/d/e/f', AT_FDCWD, '/d/g', 0), 0);
    assert.equal((stat('/d/e/f') as Attributes).nlink, 2);
    write('/d/g', 'longer than that');
    assert.equal(size('/d/e/f'), 16);
    turn();
    assert.equal(removeFile(caller, AT_FDCWD, '/d/g'), 0);
    assert.equal((stat('/d/e/f') as Attributes).nlink, 1);
    assert.equal(statSync(host('d/e/f')).nlink, 1);
  });
});

describe('limits', () => {
  it('of watches: the oldest directories are asked again', () => {
    for (let count = 0; count < 3 * LIMIT; count += 1) {
      mkdirSync(host(`many/${count}`), { recursive: true });
      writeFileSync(host(`many/${count}/f`), 'one');
      assert.equal(size(`/many/${count}/f`), 3);
    }
    for (let count = 0; count < 3 * LIMIT; count += 1) {
      writeFileSync(host(`many/${count}/f`), 'longer');
      assert.equal(size(`/many/${count}/f`), 6, `${count}`);
    }
  });

  it('of the queue: an overflow forgets everything', () => {
    // 16384 events (fs.inotify.max_queued_events).
    for (let count = 0; count < 9000; count += 1) {
      writeFileSync(host('d/e/g'), '');
      unlinkSync(host('d/e/g'));
    }
    writeFileSync(host('d/e/f'), 'after it');
    assert.equal(size('/d/e/f'), 8);
    writeFileSync(host('d/e/f'), 'and again');
    assert.equal(size('/d/e/f'), 9);
  });

  it('of time: what is not told of shows after a second', () => {
    clock.pass(2e9);
    assert.equal(
      cost(() => size('/d/e/f')),
      1,
    );
    assert.equal(
      cost(() => size('/d/e/f')),
      0,
    );
  });

  it('of use: watches that are given up are made again when they pay', () => {
    const { client } = gofer;
    client.stopWatches();
    writeFileSync(host('d/e/f'), 'while nobody watches');
    assert.equal(size('/d/e/f'), 20);
    for (let count = 0; count < 250; count += 1) stat('/d/e/f');
    assert.ok(client.watches.isOn);
    size('/d/e/f');
    assert.equal(
      cost(() => size('/d/e/f')),
      0,
    );
    writeFileSync(host('d/e/f'), 'watched');
    assert.equal(size('/d/e/f'), 7);
  });
});

describe('nonsense', () => {
  it('from the Gofer ends the sandbox', () => {
    const nobody: WatchedDirectory = {
      hostChanged: () => undefined,
      unwatched: () => undefined,
    };
    const one = Buffer.alloc(16);
    one.writeInt32LE(5, 0);
    const endless = Buffer.from(one);
    endless.writeUInt32LE(0xffff_fff0, 12);
    const overlong = Buffer.from(one);
    overlong.writeUInt32LE(32, 12);
    for (const bytes of [one.subarray(0, 7), endless, overlong, Buffer.concat([one, overlong])]) {
      const ends = new Int32Array(2);
      assert.ok(!isErrno(native.pipe(ends)));
      native.write(ends[1] as number, bytes, 0, bytes.length);
      const watches = new HostWatches();
      watches.start(ends[0] as number);
      watches.add(5, nobody);
      nextTurn();
      assert.throws(() => watches.look(0), GoferDied);
      watches.stop();
      native.close(ends[1] as number);
    }
  });
});
