// SPDX-License-Identifier: Apache-2.0
// What a container with ids of its own may do with the host's files, at the most. The Sentry judges
// each process; but it could be taken over, and what is here holds then as well: nobody in there
// has other rights over a file than some process of the container could have (user_namespaces(7),
// "Interaction of user namespaces and other types of namespaces"; capable_wrt_inode_uidgid(),
// setattr_prepare() and may_delete() of the kernel).
import { EACCES, EINVAL, EOVERFLOW, EPERM, isErrno, type SysResult } from '../abi/errno.ts';
import { S_ISGID, S_ISVTX } from '../abi/stat.ts';
import type { OwnersConfig } from '../protocol/attach-config.ts';
import type { HostAttributes } from '../protocol/gofer/host-attributes.ts';
import { CHANGE, UNCHANGED_ID } from '../protocol/gofer/operations.ts';
import type { IdRange, IdRanges } from '../protocol/id-ranges.ts';
import type { HostDirectory, HostTree } from './host-tree.ts';

export const MAY_EXECUTE = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;
/** Its owner is the container's: mode and times can be changed. */
export const MAY_OWN = 8;
/** Its owner and group are: what takes a capability can be done. */
export const MAY_RULE = 16;
/** Its group is the container's, or nobody is to care. */
const HAS_GROUP = 32;
const EVERYTHING = 63;

/** (uid_t) -1: what statx(2) shows where there is no id. */
const NO_ID = 0xffff_ffff;

type Whose = 'own' | 'foreign' | 'unknown';

class Owners {
  readonly #container: IdRanges;
  readonly #mount: IdRanges;

  constructor(container: IdRanges, mount: IdRanges) {
    this.#container = container;
    this.#mount = mount;
  }

  rightsTo({ mode, uid, gid }: Pick<HostAttributes, 'mode' | 'uid' | 'gid'>): number {
    const user = whose(this.#container.uids, this.#mount.uids, uid);
    const group = whose(this.#container.gids, this.#mount.gids, gid);
    if (user === 'own' && group === 'own') return EVERYTHING;
    let rights = mode & 7;
    if (group === 'own') rights |= ((mode >> 3) & 7) | HAS_GROUP;
    // It could give itself the rest.
    if (user === 'own') rights |= MAY_OWN | 7;
    // What the mount has no id for is not written.
    return user === 'unknown' || group === 'unknown' ? rights & ~(MAY_WRITE | MAY_OWN) : rights;
  }

  /** Nothing is done to a file that the mount has no ids for. */
  knows({ uid, gid }: Pick<HostAttributes, 'uid' | 'gid'>): boolean {
    const user = whose(this.#container.uids, this.#mount.uids, uid);
    return user !== 'unknown' && whose(this.#container.gids, this.#mount.gids, gid) !== 'unknown';
  }

  hasUser(uid: number): boolean {
    return whose(this.#container.uids, this.#mount.uids, uid) === 'own';
  }

  hasGroup(gid: number): boolean {
    return whose(this.#container.gids, this.#mount.gids, gid) === 'own';
  }

  /** The id of the container's root on this file system; undefined where it has none. */
  get root(): number | undefined {
    for (const [inside, outside] of this.#container.uids)
      if (inside === 0) return translate(this.#mount.uids, outside, 1);
    return undefined;
  }
}

/** `to` 1: from what is outside to what is inside; 0: the other way. */
function translate(ranges: readonly IdRange[], id: number, to: 0 | 1): number | undefined {
  if (ranges.length === 0) return id;
  for (const [inside, outside, count] of ranges) {
    const [from, other] = to === 1 ? [outside, inside] : [inside, outside];
    if (id >= from && id - from < count) return id - from + other;
  }
  return undefined;
}

function whose(container: readonly IdRange[], mount: readonly IdRange[], id: number): Whose {
  const seen = id === NO_ID ? undefined : translate(mount, id, 0);
  if (seen === undefined) return 'unknown';
  return translate(container, seen, 1) === undefined ? 'foreign' : 'own';
}

const noRanges: IdRanges = { uids: [], gids: [] };

/** Those of the file systems below one attach point. */
export class OwnerRules {
  readonly #dev: number;
  readonly #at: Owners;
  readonly #below: Owners;

  /** `dev`: of the attach point itself. */
  constructor(config: OwnersConfig, dev: number) {
    const { container, mount = noRanges } = config;
    this.#dev = dev;
    this.#at = new Owners(container, mount);
    this.#below = config.mapsBelow === true ? this.#at : new Owners(container, noRanges);
  }

  on(dev: number): Owners {
    return dev === this.#dev ? this.#at : this.#below;
  }
}

/** Something below an attach point; without rules the Sentry's judgement is all there is. */
interface Ruled {
  readonly owners: OwnerRules | undefined;
}

/** Returns the most that may be done with a file (MAY_...). */
export function rightsTo({ owners }: Ruled, attributes: HostAttributes): number {
  return owners === undefined ? EVERYTHING : owners.on(attributes.dev).rightsTo(attributes);
}

/** 0, or EACCES where the directory as it is now does not give all of `mask`. */
export function mayUse(tree: HostTree, directory: HostDirectory, mask: number): SysResult {
  if (directory.owners === undefined) return 0;
  const attributes = tree.statFd(tree.fdOf(directory));
  if (isErrno(attributes)) return attributes;
  return (mask & ~rightsTo(directory, attributes)) === 0 ? 0 : EACCES;
}

/** May they have something new in `directory`? */
export function mayMake(
  tree: HostTree,
  directory: HostDirectory,
  uid: number,
  gid: number,
): SysResult {
  const owners = directory.owners?.on(directory.dev);
  if (owners === undefined) return 0;
  if (!owners.hasUser(uid) || !owners.hasGroup(gid)) return EOVERFLOW;
  return mayUse(tree, directory, MAY_WRITE | MAY_EXECUTE);
}

/**
 * For removing or renaming away an entry of a directory that may be written: sticky ones guard what
 * is another's.
 */
export function mayTake(tree: HostTree, directory: HostDirectory, name: string): SysResult {
  if (directory.owners === undefined) return 0;
  const around = tree.statFd(tree.fdOf(directory));
  if (isErrno(around)) return around;
  const victim = tree.stat(directory, name);
  if (isErrno(victim)) return victim;
  const { owners } = directory;
  if (!owners.on(victim.dev).knows(victim)) return EOVERFLOW;
  if ((around.mode & S_ISVTX) === 0) return 0;
  return ((rightsTo(directory, around) | rightsTo(directory, victim)) & MAY_OWN) === 0 ? EPERM : 0;
}

/**
 * A second name for a file that is another's is a way around who may remove it: hardlinks of
 * proc_sys_fs(5).
 */
export function mayLink(place: Ruled, attributes: HostAttributes): SysResult {
  const rights = rightsTo(place, attributes);
  const readsAndWrites = (rights & (MAY_READ | MAY_WRITE)) === (MAY_READ | MAY_WRITE);
  return (rights & MAY_OWN) !== 0 || readsAndWrites ? 0 : EPERM;
}

/** The changes that a request asks for: a mask of CHANGE and the values. */
export interface Change {
  readonly mask: number;
  readonly mode: number;
  /** UNCHANGED_ID: as it is. */
  readonly uid: number;
  readonly gid: number;
}

export function mayChange(place: Ruled, attributes: HostAttributes, change: Change): SysResult {
  if (place.owners === undefined) return 0;
  const { mask } = change;
  const rights = rightsTo(place, attributes);
  const given = (mask & CHANGE.owner) === 0 ? 0 : mayGive(place.owners, attributes, change);
  if (isErrno(given)) return given;
  if ((mask & CHANGE.mode) !== 0 && (rights & MAY_OWN) === 0) return EPERM;
  if ((mask & CHANGE.size) !== 0 && (rights & MAY_WRITE) === 0) return EACCES;
  const setsTimes = (mask & (CHANGE.atime | CHANGE.mtime)) !== 0;
  return setsTimes && (rights & (MAY_OWN | MAY_WRITE)) === 0 ? EPERM : 0;
}

/** chown(2): an own file's group to one of the container's, all else where both ids are its. */
function mayGive(rules: OwnerRules, attributes: HostAttributes, { uid, gid }: Change): SysResult {
  const owners = rules.on(attributes.dev);
  const takesUser = uid === UNCHANGED_ID || owners.hasUser(uid);
  if (!takesUser || !(gid === UNCHANGED_ID || owners.hasGroup(gid))) return EINVAL;
  const keepsUser = uid === UNCHANGED_ID || uid === attributes.uid;
  return (owners.rightsTo(attributes) & (keepsUser ? MAY_OWN : MAY_RULE)) === 0 ? EPERM : 0;
}

/** The mode that a file gets: its owner alone cannot have it run with a group that is another's. */
export function givenMode(place: Ruled, attributes: HostAttributes, change: Change): number {
  const gid = change.gid === UNCHANGED_ID ? attributes.gid : change.gid;
  const hasGroup = (rightsTo(place, { ...attributes, gid }) & HAS_GROUP) !== 0;
  return hasGroup ? change.mode : change.mode & ~S_ISGID;
}

/** The user id that capabilities of a file are bound to; undefined: to nobody. */
export function capabilityRoot({ owners }: Ruled, { dev }: HostAttributes): number | undefined {
  return owners?.on(dev).root;
}
