// SPDX-License-Identifier: Apache-2.0
// The Sentry's end of the Gofer's inotify instance (gofer/watches.ts): what is cached of a watched
// directory is true until an event says otherwise, and the events are read before the cache is
// believed. Changes of our own make events too; those of which just one can be in the queue are
// told apart, so that they do not cost the cache.
import { EAGAIN, EINTR, errnoName, isErrno } from '../../../abi/errno.ts';
import { IN_IGNORED, IN_Q_OVERFLOW, inotifyEvent } from '../../../abi/inotify.ts';
import { native } from '../../../native/addon.ts';
import { currentTurn } from '../../base/turn.ts';
import { GoferDied } from './gofer-died.ts';

export interface WatchedDirectory {
  /** IN_* about the entry `name`; '': about the directory itself. */
  hostChanged(mask: number, name: string): void;
  /** Events were lost, or those to come will be. */
  unwatched(): void;
}

interface OwnChange {
  readonly watch: number;
  readonly mask: number;
  readonly name: string;
  readonly by: WatchedDirectory;
}

/** More than a read of this size at once are too many for one turn. */
const maxReads = 16;
const events = Buffer.alloc(64 * 1024);
const view = new DataView(events.buffer, events.byteOffset, events.length);

function die(reason: string): never {
  throw new GoferDied(reason);
}

export class HostWatches {
  #fd = -1;
  /** Where attach points overlap, several directories share a watch. */
  readonly #directories = new Map<number, WatchedDirectory[]>();
  /** In the order in which their events come. */
  readonly #own: OwnChange[] = [];
  #matched = 0;
  #turn = -1;
  #foreignChanges = 0;
  /** How often the cache was to be believed: shows whether anybody needs it. */
  looks = 0;
  readonly #lost: (reason: string) => void;

  /** `lost` is called where the Gofer's end is not what it should be. */
  constructor(lost: (reason: string) => void = die) {
    this.#lost = lost;
  }

  get isOn(): boolean {
    return this.#fd >= 0;
  }

  /** Takes over an inotify descriptor, or what a Gofer passes for one: reading it must not wait. */
  start(fd: number): void {
    this.stop();
    this.#fd = fd;
    if (isErrno(native.setNonblocking(fd))) this.#lost('its watches cannot be read');
  }

  stop(): void {
    if (this.#fd < 0) return;
    native.close(this.#fd);
    this.#fd = -1;
    this.#loseAll();
  }

  add(watch: number, directory: WatchedDirectory): void {
    const sharing = this.#directories.get(watch);
    if (sharing === undefined) this.#directories.set(watch, [directory]);
    else if (!sharing.includes(directory)) sharing.push(directory);
  }

  remove(watch: number, directory: WatchedDirectory): void {
    const sharing = this.#directories.get(watch);
    const place = sharing?.indexOf(directory) ?? -1;
    if (sharing === undefined || place < 0) return;
    sharing.splice(place, 1);
    if (sharing.length === 0) this.#directories.delete(watch);
  }

  /**
   * We made this change through `by`, which knows. For IN_CREATE, IN_DELETE and IN_MOVED_FROM only:
   * the kernel drops an event that equals the one before it, and of all others the same may be
   * somebody else's change right after ours.
   */
  expect(watch: number, mask: number, name: string, by: WatchedDirectory): void {
    this.#own.push({ watch, mask, name, by });
  }

  /**
   * After this, all that was done on the host before this turn began is known, and what the
   * sandbox's other Gofers did up to now.
   */
  look(foreignChanges: number): void {
    if (this.#fd < 0) return;
    this.looks += 1;
    const turn = currentTurn();
    if (turn === this.#turn && foreignChanges === this.#foreignChanges) return;
    this.#turn = turn;
    this.#foreignChanges = foreignChanges;
    for (let reads = 0; ; reads += 1) {
      const length = native.read(this.#fd, events, 0, events.length);
      if (length === EAGAIN) break;
      if (length === EINTR) continue;
      if (length <= 0) {
        this.#lost(`its watches: ${errnoName(length)}`);
        return;
      }
      if (reads === maxReads) {
        // Somebody makes changes faster than we read of them.
        this.#forgetAll();
        return;
      }
      this.#take(length);
      if (this.#fd < 0) return;
    }
    this.#own.length = 0;
    this.#matched = 0;
  }

  #take(length: number): void {
    let at = 0;
    while (at + inotifyEvent.name <= length) {
      const watch = view.getInt32(at + inotifyEvent.wd, true);
      const mask = view.getUint32(at + inotifyEvent.mask, true);
      const size = view.getUint32(at + inotifyEvent.length, true);
      const start = at + inotifyEvent.name;
      at = start + size;
      if (at > length) break;
      if ((mask & IN_Q_OVERFLOW) !== 0) this.#forgetAll();
      else if (this.#directories.has(watch)) this.#tell(watch, mask, nameAt(start, size));
      else this.#matchOwn(watch, mask, start, size);
    }
    if (at !== length) this.#lost('a malformed event');
  }

  #tell(watch: number, mask: number, name: string): void {
    const by = this.#takeOwn(watch, mask, name);
    // A copy: who is told that its watch is gone takes itself off.
    for (const directory of [...(this.#directories.get(watch) ?? [])]) {
      if ((mask & IN_IGNORED) !== 0) directory.unwatched();
      else if (directory !== by) directory.hostChanged(mask, name);
    }
  }

  /** A directory that nobody has any more. */
  #matchOwn(watch: number, mask: number, start: number, size: number): void {
    if (this.#own[this.#matched]?.watch === watch) this.#takeOwn(watch, mask, nameAt(start, size));
  }

  /** Through whom we made this change; undefined: it was somebody else. */
  #takeOwn(watch: number, mask: number, name: string): WatchedDirectory | undefined {
    const own = this.#own[this.#matched];
    if (own === undefined || own.watch !== watch || own.mask !== mask || own.name !== name)
      return undefined;
    this.#matched += 1;
    return own.by;
  }

  #forgetAll(): void {
    // They keep their watches, but know nothing: what is learned from now on is newer than what was lost.
    const all = [...this.#directories];
    this.#directories.clear();
    for (const [, sharing] of all) for (const directory of sharing) directory.unwatched();
  }

  #loseAll(): void {
    this.#own.length = 0;
    this.#matched = 0;
    this.#forgetAll();
  }
}

/** NUL-padded. */
function nameAt(start: number, size: number): string {
  if (size === 0) return '';
  const end = events.indexOf(0, start);
  return events.toString('latin1', start, Math.min(end < 0 ? start + size : end, start + size));
}
