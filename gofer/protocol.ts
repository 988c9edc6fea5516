// Messages between the Sentry and the Gofer: one SEQPACKET message a request, one a reply, little-endian.
// Only directories have ids (made by the Gofer); everything else is named by its directory's id and a name.
// Both sides check every field: see MessageReader.
// A *place* is u32 id, name ('': the directory itself, or what is held), f64 inode number: the file that has that name,
// which must still be the one with that number (0: whichever it is).
//
//   request:  u32 operation, fields
//   reply:    i32 result (0, a count, or -errno), fields; descriptors by SCM_RIGHTS
//
// Names and paths are byte strings, one char per byte: u16 length, bytes.

export const OP = {
  /** u32 index -> u32 id, u32 readOnly, attributes */
  attach: 1,
  /** u32 id, path 'a/b/c' -> u32 watch of id, u32 count, count * entry; result: errno that ended it, 0 if all were found */
  walk: 2,
  /** u32 id, u32 part (0: the first; 1: the one after that of the request before) -> u32 watch, u32 more, u32 count, count * (name, attributes) */
  list: 3,
  /** place, u32 access mode (O_RDONLY, O_RDWR) -> attributes; one descriptor */
  open: 4,
  /** u32 id -> eight f64: type bsize blocks bfree bavail files ffree namelen */
  statfs: 6,
  /** u32 id, name -> attributes */
  getAttributes: 7,
  /** u32 id, name, u32 mode, u32 uid, u32 gid -> entry; one descriptor, O_RDWR */
  create: 8,
  /** u32 id, name, u32 mode, u32 uid, u32 gid -> entry, u32 1: it has a watch and was empty after that was made */
  makeDirectory: 9,
  /** u32 id, name, u32 isDirectory */
  remove: 10,
  /** u32 id, name, u32 new id, new name, u32 flags */
  rename: 11,
  /** place, u32 new id, new name */
  link: 12,
  /** u32 id, name, u32 uid, u32 gid, target -> entry */
  symlink: 13,
  /** u32 id, name, u32 mode (no directory, link or regular file), u32 uid, u32 gid, u32 rdev -> entry */
  makeNode: 14,
  /** place, u32 mask (CHANGE), u32 mode, u32 uid, u32 gid, f64 size, f64 u32 atime, f64 u32 mtime -> attributes */
  setAttributes: 15,
  /** place, attribute name -> u16 length, bytes */
  getXattr: 16,
  /** place -> bytes of listxattr(2) */
  listXattr: 17,
  /** place, attribute name, bytes, u32 flags */
  setXattr: 18,
  /** place, attribute name */
  removeXattr: 19,
  /** u32 id: the Sentry does not use it any more; not answered */
  forget: 20,
  /** u32 index: the attach point is read-only from now on; not answered */
  freeze: 21,
  /** u32 id, name -> u32 held id: the file stays reachable when its name is gone. In a place with name '' a held id stands for it. */
  hold: 22,
  /** u32 id, u32 mode, u32 uid, u32 gid -> attributes, u32 held id; one descriptor, O_RDWR: a file without a name */
  createUnnamed: 23,
  /** u32 held id, u32 new id, new name */
  linkHeld: 24,
  /** u32 1: directories are watched from now on -> a descriptor, inotify(7). 0: no more; not answered. See watches.ts */
  watch: 25,
} as const;

/** Ids from here on are held files, below directories. */
export const FIRST_HELD = 0x8000_0000;

/** Bits of setAttributes' mask. */
export const CHANGE = { mode: 1, owner: 2, size: 4, atime: 8, mtime: 16 } as const;

/** Longest request (a 64 KiB extended attribute and its names) and longest reply. */
export const REQUEST_BYTES: number = 72 * 1024;
export const REPLY_BYTES: number = 128 * 1024;
/** Components of one walk. */
export const WALK_MAX = 64;

/** A host file's attributes on the wire. Device numbers and times as the host has them. */
export interface HostAttributes {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly atimeSec: number;
  readonly atimeNsec: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
  readonly btimeSec: number;
  readonly btimeNsec: number;
  /** 1: something is mounted under this name, so that a watch of the directory does not tell of changes to it. */
  readonly mountRoot: number;
}
export const ATTRIBUTES_BYTES = 9 * 8 + 9 * 4 + 4;

/** One step of a walk: attributes, the id and watch of a directory (else 0), the target of a symbolic link (else ''). */
export interface HostEntry {
  readonly attributes: HostAttributes;
  readonly id: number;
  /** Watch descriptor, from before the attributes were read; 0: none. */
  readonly watch: number;
  readonly target: string;
}

/** Puts fields into one reused buffer. Callers keep below its size (`room`). */
export class MessageWriter {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  length = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  get room(): number {
    return this.bytes.length - this.length;
  }

  reset(): this {
    this.length = 0;
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.length, value, true);
    this.length += 2;
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.length, value, true);
    this.length += 4;
    return this;
  }

  i32(value: number): this {
    this.#view.setInt32(this.length, value, true);
    this.length += 4;
    return this;
  }

  i32At(at: number, value: number): void {
    this.#view.setInt32(at, value, true);
  }

  f64At(at: number, value: number): void {
    this.#view.setFloat64(at, value, true);
  }

  f64(value: number): this {
    this.#view.setFloat64(this.length, value, true);
    this.length += 8;
    return this;
  }

  text(value: string): this {
    this.u16(value.length);
    for (let at = 0; at < value.length; at += 1)
      this.bytes[this.length + at] = value.charCodeAt(at);
    this.length += value.length;
    return this;
  }

  /** u32 length, bytes. */
  blob(value: Uint8Array): this {
    this.u32(value.length);
    this.bytes.set(value, this.length);
    this.length += value.length;
    return this;
  }

  attributes(a: HostAttributes): this {
    this.f64(a.dev)
      .f64(a.ino)
      .f64(a.size)
      .f64(a.blocks)
      .f64(a.atimeSec)
      .f64(a.mtimeSec)
      .f64(a.ctimeSec)
      .f64(a.btimeSec)
      .f64(a.rdev);
    this.u32(a.mode).u32(a.nlink).u32(a.uid).u32(a.gid).u32(a.blockSize);
    this.u32(a.atimeNsec).u32(a.mtimeNsec).u32(a.ctimeNsec).u32(a.btimeNsec);
    return this.u32(a.mountRoot);
  }

  entry(entry: HostEntry): this {
    return this.attributes(entry.attributes).u32(entry.id).u32(entry.watch).text(entry.target);
  }
}

/**
 * Takes fields out of a message. Past its end every field reads as 0 or '' and `bad` is set: check it once,
 * before acting on anything.
 */
export class MessageReader {
  readonly bytes: Buffer;
  readonly #view: DataView;
  #at = 0;
  #length = 0;
  bad = false;

  constructor(size: number) {
    this.bytes = Buffer.alloc(size);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
  }

  /** A message of `length` bytes lies in `bytes`. */
  start(length: number): this {
    this.#at = 0;
    this.#length = length;
    this.bad = false;
    return this;
  }

  /** All of the message was read, and no more. */
  get isComplete(): boolean {
    return !this.bad && this.#at === this.#length;
  }

  u16(): number {
    const at = this.#advance(2);
    return at < 0 ? 0 : this.#view.getUint16(at, true);
  }

  u32(): number {
    const at = this.#advance(4);
    return at < 0 ? 0 : this.#view.getUint32(at, true);
  }

  i32(): number {
    const at = this.#advance(4);
    return at < 0 ? 0 : this.#view.getInt32(at, true);
  }

  f64(): number {
    const at = this.#advance(8);
    const value = at < 0 ? 0 : this.#view.getFloat64(at, true);
    // Sizes, numbers and times are integers; anything else is nonsense.
    if (!Number.isSafeInteger(value)) this.bad = true;
    return value;
  }

  text(): string {
    const length = this.u16();
    const at = this.#advance(length);
    if (at < 0) return '';
    if (length > 64) return this.bytes.toString('latin1', at, at + length);
    let value = '';
    for (let index = 0; index < length; index += 1)
      value += String.fromCharCode(this.bytes[at + index] as number);
    return value;
  }

  /** A copy. */
  blob(limit: number): Uint8Array {
    const length = this.u32();
    if (length > limit) this.bad = true;
    const at = this.bad ? -1 : this.#advance(length);
    return at < 0 ? new Uint8Array(0) : new Uint8Array(this.bytes.subarray(at, at + length));
  }

  attributes(): HostAttributes {
    const [dev, ino, size, blocks] = [this.f64(), this.f64(), this.f64(), this.f64()];
    const [atimeSec, mtimeSec, ctimeSec, btimeSec, rdev] = [
      this.f64(),
      this.f64(),
      this.f64(),
      this.f64(),
      this.f64(),
    ];
    const [mode, nlink, uid, gid, blockSize] = [
      this.u32(),
      this.u32(),
      this.u32(),
      this.u32(),
      this.u32(),
    ];
    const [atimeNsec, mtimeNsec, ctimeNsec, btimeNsec] = [
      this.u32(),
      this.u32(),
      this.u32(),
      this.u32(),
    ];
    const mountRoot = this.u32();
    return {
      dev,
      ino,
      mode,
      nlink,
      uid,
      gid,
      rdev,
      size,
      blockSize,
      blocks,
      atimeSec,
      atimeNsec,
      mtimeSec,
      mtimeNsec,
      ctimeSec,
      ctimeNsec,
      btimeSec,
      btimeNsec,
      mountRoot,
    };
  }

  entry(): HostEntry {
    return {
      attributes: this.attributes(),
      id: this.u32(),
      watch: this.u32(),
      target: this.text(),
    };
  }

  #advance(bytes: number): number {
    const at = this.#at;
    if (this.bad || at + bytes > this.#length) {
      this.bad = true;
      return -1;
    }
    this.#at = at + bytes;
    return at;
  }
}

/** A name as a directory entry may have: no '/', not '.' or '..', 1 to 255 bytes, no NUL. */
export function isEntryName(name: string): boolean {
  return (
    name.length > 0 &&
    name.length <= 255 &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0')
  );
}
