// SPDX-License-Identifier: Apache-2.0
// The table of README.md, played: what may be believed after which event. Time passes where a test says so.
import { beforeEach, describe, expect, it } from 'vitest';
import { S_IFDIR, S_IFREG } from '../../../abi/stat.ts';
import type { Attributes } from '../../vfs/node.ts';
import { AttributeCache } from './attribute-cache.ts';

const zero = { sec: 0, nsec: 0 };

function attributesOf(mode: number, nlink = 1): Attributes {
  return {
    dev: 1,
    ino: 2,
    mode,
    nlink,
    uid: 0,
    gid: 0,
    rdev: 0,
    sizeBytes: 0,
    blockSize: 4096,
    blocks: 0,
    atime: zero,
    mtime: zero,
    ctime: zero,
    btime: zero,
  };
}

const START_NS = 5_000_000_000;
const MS = 1_000_000;
const SECOND = 1_000_000_000;

let now = START_NS;
let turnBeganNs = Number.POSITIVE_INFINITY;
let isReported = false;
let client = { foreignChanges: 0 };

function cacheOf(kind: number, exclusive = false): AttributeCache {
  const tree = {
    exclusive,
    nowNs: () => now,
    get turnBeganNs() {
      return turnBeganNs;
    },
    get client() {
      return client;
    },
  };
  return new AttributeCache(
    tree,
    { kind, isReported: () => isReported },
    attributesOf(kind | 0o644),
  );
}

/** [attributes, owner]: which of them may be believed. */
function belief(cache: AttributeCache): [boolean, boolean] {
  return [cache.believed() !== undefined, cache.believedOwner() !== undefined];
}

const ALL = [true, true];
const OWNER = [false, true];
const NONE = [false, false];

beforeEach(() => {
  now = START_NS;
  turnBeganNs = Number.POSITIVE_INFINITY;
  isReported = false;
  client = { foreignChanges: 3 };
});

const kinds = [
  ['a file', S_IFREG],
  ['a directory', S_IFDIR],
] as const;

describe.each(kinds)('%s that nobody tells of', (_, kind) => {
  it('is believed for a millisecond', () => {
    const cache = cacheOf(kind);
    expect(belief(cache)).toEqual(ALL);
    now += MS;
    expect(belief(cache)).toEqual(ALL);
    now += 1;
    expect(belief(cache)).toEqual(NONE);
    cache.learned(attributesOf(kind | 0o600), now);
    expect(belief(cache)).toEqual(ALL);
    expect(cache.believed()?.mode).toBe(kind | 0o600);
  });

  it('is believed to the end of the turn in which the host told of it', () => {
    turnBeganNs = now;
    const cache = cacheOf(kind);
    now += SECOND;
    expect(belief(cache)).toEqual(ALL);
    cache.changed();
    expect(belief(cache)).toEqual(OWNER);
    cache.changedByOthers();
    expect(belief(cache)).toEqual(NONE);
    cache.learned(attributesOf(kind), now);
    client.foreignChanges += 1;
    expect(belief(cache)).toEqual(NONE);
    cache.learned(attributesOf(kind), now);
    now += MS + 1;
    turnBeganNs = now;
    expect(belief(cache)).toEqual(NONE);
  });

  it('is not believed after a change through another Gofer, until it is learned again', () => {
    const cache = cacheOf(kind);
    client.foreignChanges += 1;
    expect(belief(cache)).toEqual(NONE);
    cache.learned(attributesOf(kind), now);
    expect(belief(cache)).toEqual(ALL);
  });

  it('has the owner that it had when something in it changed', () => {
    const cache = cacheOf(kind);
    cache.changed();
    expect(belief(cache)).toEqual(OWNER);
    expect(cache.isOwnerKnown).toBe(true);
    now += MS + 1;
    expect(belief(cache)).toEqual(NONE);
    expect(cache.isOwnerKnown).toBe(true);
  });

  it('has any owner after others may have changed it', () => {
    const cache = cacheOf(kind);
    cache.changedByOthers();
    expect(belief(cache)).toEqual(NONE);
    expect(cache.isOwnerKnown).toBe(false);
    // What is known stays to be had, for what need not be believed.
    expect(cache.last.mode).toBe(kind | 0o644);
    cache.learned(attributesOf(kind), now);
    expect(belief(cache)).toEqual(ALL);
    expect(cache.isOwnerKnown).toBe(true);
  });
});

describe('what the host tells of', () => {
  beforeEach(() => {
    isReported = true;
  });

  it('is believed for a second, through changes by other Gofers, of which the host tells too', () => {
    const cache = cacheOf(S_IFREG);
    now += SECOND;
    client.foreignChanges += 1;
    expect(belief(cache)).toEqual(ALL);
    now += 1;
    expect(belief(cache)).toEqual(NONE);
  });

  it('is believed no longer than the host goes on telling', () => {
    const cache = cacheOf(S_IFREG);
    now += SECOND / 2;
    expect(belief(cache)).toEqual(ALL);
    isReported = false;
    expect(belief(cache)).toEqual(NONE);
  });

  it('of a directory has its owner without end', () => {
    const cache = cacheOf(S_IFDIR);
    now += 3600 * SECOND;
    expect(belief(cache)).toEqual(OWNER);
    cache.changed();
    expect(belief(cache)).toEqual(OWNER);
    cache.changedByOthers();
    expect(belief(cache)).toEqual(NONE);
  });

  it('of a file has its owner for a second after its contents changed', () => {
    const cache = cacheOf(S_IFREG);
    now += SECOND;
    cache.changed();
    expect(belief(cache)).toEqual(OWNER);
    now += 1;
    expect(belief(cache)).toEqual(NONE);
  });
});

describe('an answer that came late', () => {
  it('is no news', () => {
    const cache = cacheOf(S_IFREG);
    cache.seen(attributesOf(S_IFREG | 0o600), START_NS - 1);
    expect(cache.last.mode).toBe(S_IFREG | 0o644);
    cache.seen(attributesOf(S_IFREG | 0o600), START_NS);
    expect(cache.last.mode).toBe(S_IFREG | 0o600);
  });

  it('is better than nothing, and as old as it is', () => {
    const cache = cacheOf(S_IFREG);
    cache.changedByOthers();
    cache.seen(attributesOf(S_IFREG | 0o600), START_NS - MS - 1);
    expect(cache.last.mode).toBe(S_IFREG | 0o600);
    expect(belief(cache)).toEqual(NONE);
    isReported = true;
    expect(belief(cache)).toEqual(ALL);
  });

  it('counts as learned where nothing was known', () => {
    const cache = cacheOf(S_IFREG);
    cache.learned(attributesOf(S_IFREG), START_NS - SECOND);
    expect(cache.learnedNs).toBe(START_NS - SECOND);
    expect(belief(cache)).toEqual(NONE);
  });
});

describe('a name', () => {
  it('tells of the file where it is the only one, and nothing is mounted on it', () => {
    const cache = cacheOf(S_IFREG);
    expect(cache.isToldByName).toBe(true);
    cache.placed(true);
    expect(cache.isToldByName).toBe(false);
    cache.placed(false);
    cache.learned(attributesOf(S_IFREG, 2), now);
    expect(cache.isToldByName).toBe(false);
  });

  it('that we removed leaves the others, whose changes are asked for', () => {
    const cache = cacheOf(S_IFREG);
    cache.learned(attributesOf(S_IFREG, 3), now);
    expect(cache.nameRemoved()).toBe(2);
    expect(cache.last.nlink).toBe(2);
    expect(belief(cache)).toEqual(OWNER);
  });

  it.each(kinds)('that was the last of %s leaves what is known', (_, kind) => {
    const cache = cacheOf(kind);
    if (kind === S_IFDIR) cache.learned(attributesOf(kind, 2), now);
    expect(cache.nameRemoved()).toBe(0);
    expect(cache.last.nlink).toBe(0);
    expect(belief(cache)).toEqual(ALL);
    // Attributes of what was removed twice do not become negative.
    expect(cache.nameRemoved()).toBe(0);
  });
});

it('an exclusive tree is believed, whatever happens', () => {
  const cache = cacheOf(S_IFREG, true);
  now += 3600 * SECOND;
  client.foreignChanges += 1;
  cache.changed();
  cache.changedByOthers();
  expect(belief(cache)).toEqual(ALL);
});
