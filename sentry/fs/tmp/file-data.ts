// SPDX-License-Identifier: Apache-2.0
// The bytes of a file that lives in the Sentry: tmpfs, overlay copies, memfd, shared anonymous
// memory. Two forms behind one class. Small files that nobody maps are chunks of JavaScript memory,
// which a read copies straight to the guest. A file that is mapped, executed or large becomes a
// host memfd (once, for good), which guests map themselves.

import {
  EFBIG,
  EINVAL,
  EIO,
  EMFILE,
  ENOSPC,
  ENXIO,
  isErrno,
  type SysResult,
} from '../../../abi/errno.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_RDONLY,
  SEEK_DATA,
  SEEK_HOLE,
} from '../../../abi/fcntl.ts';
import { MFD_CLOEXEC } from '../../../abi/mman.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { native } from '../../../native/addon.ts';
import { memoryFileBytes } from '../../../native/memory-file.ts';
import { finishLater } from '../../base/leftovers.ts';
import {
  type MemoryAccount,
  type UnseenMemory,
  unlimitedAccount,
} from '../../base/memory-account.ts';
import { pageCeil, pageFloor } from '../../mm/page.ts';
import { BufferSource, type Sink, type Source } from '../../vfs/io.ts';
import type { Mappable } from '../../vfs/open-file.ts';
import { FREED_AT_ONCE, UnwrittenMemory } from './unwritten.ts';

const chunkBytes = 65_536;
/** Larger files are memfds: thousands of chunks weigh on the garbage collector. */
const largestChunked = 4 * 1024 * 1024;
/** Linux's MAX_LFS_FILESIZE is 2^63-1; numbers here are exact to 2^53. */
export const maxFileBytes = 2 ** 53 - chunkBytes;

interface Chunk {
  /** A multiple of a page long, up to chunkBytes; what is past it reads as zeros. */
  bytes: Uint8Array;
  /** Bit n: page n was written. */
  pages: number;
}

const staging = new Uint8Array(256 * 1024);
const zeros = new Uint8Array(chunkBytes);

export class FileData implements Mappable, UnseenMemory {
  readonly dev: number;
  readonly ino: number;
  readonly #account: MemoryAccount;
  #chunks = new Map<number, Chunk>();
  /** Bytes charged to the account. */
  #charged = 0;
  /** Guests were given the memfd to map: they may fill pages that no call of theirs tells of. */
  #isUnseen = false;
  #memfd = -1;
  #readOnlyFd = -1;
  /** Up to here the memfd has no holes, and its pages are charged. */
  #denseEnd = 0;
  /** Undefined where nothing was allocated without being written. */
  #unwritten: UnwrittenMemory | undefined = undefined;
  #size = 0;
  /** The file (1, until `release`) and its mappings. */
  #holders = 1;

  constructor(dev: number, ino: number, account: MemoryAccount = unlimitedAccount) {
    this.dev = dev;
    this.ino = ino;
    this.#account = account;
  }

  get sizeBytes(): number {
    return this.#size;
  }

  /** 512-byte blocks in use: st_blocks. */
  get blocks(): number {
    if (this.#memfd >= 0) return memoryFileBytes(this.#memfd) / 512;
    let pages = 0;
    for (const chunk of this.#chunks.values()) pages += bitCount(chunk.pages);
    return pages * (PAGE_SIZE / 512);
  }

  get residentBytes(): number {
    return this.blocks * 512;
  }

  acquire(): void {
    this.#holders += 1;
  }

  /** The last holder frees the memory. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders !== 0) return;
    this.#chunks.clear();
    this.#uncharge(this.#charged);
    if (this.#isUnseen) this.#account.unwatch(this);
    this.#isUnseen = false;
    if (this.#readOnlyFd >= 0) native.close(this.#readOnlyFd);
    if (this.#memfd >= 0) {
      const closing = closeInPieces(this.#memfd, this.#unwritten);
      if (closing.next().done !== true) finishLater(closing);
    }
    this.#readOnlyFd = -1;
    this.#memfd = -1;
  }

  hasRoomFor(bytes: number): boolean {
    return this.#account.hasRoomForPages(bytes);
  }

  /**
   * Frees a piece of what a cut to `sizeBytes` frees. False where there is no more than one turn has
   * time for: then `truncate` does the rest.
   */
  freePieceBeyond(sizeBytes: number): boolean {
    if (this.#memfd < 0) return false;
    const from = pageCeil(sizeBytes);
    const isMuch =
      this.#size - sizeBytes > FREED_AT_ONCE || this.#unwritten?.isBeyond(from) === true;
    if (!isMuch) return false;
    const isFreed = freePiece(this.#memfd, from, this.#unwritten);
    if (isFreed) {
      this.#denseEnd = Math.min(this.#denseEnd, from);
      this.settle();
    }
    return isFreed;
  }

  /** The memfd, made now if there is none. A read-only one where the guest may not write. */
  hostFd(writable: boolean): SysResult {
    const made = this.#becomeMemfd();
    if (isErrno(made)) return made;
    if (!this.#isUnseen) {
      // A read through a shared mapping fills holes as well, so the right to write makes no difference.
      this.#isUnseen = true;
      this.#account.watch(this);
    }
    if (writable) return this.#memfd;
    if (this.#readOnlyFd < 0) {
      const fd = native.reopen(this.#memfd, O_RDONLY);
      if (isErrno(fd)) return fd;
      this.#readOnlyFd = fd;
    }
    return this.#readOnlyFd;
  }

  /** Bytes read from `position`; 0 at or past the end. */
  read(sink: Sink, position: number): SysResult {
    let left = Math.min(sink.remaining, this.#size - position);
    let at = position;
    while (left > 0) {
      const piece = this.#memfd >= 0 ? this.#stagedPiece(at, left) : this.#chunkPiece(at, left);
      if (piece === undefined) return at === position ? EIO : at - position;
      const put = sink.put(piece);
      if (isErrno(put)) return at === position ? put : at - position;
      at += put;
      left -= put;
      if (put < piece.length) break;
    }
    return at - position;
  }

  /** Bytes written at `position`; grows the file. A short count where memory or the source ends. */
  write(source: Source, position: number): SysResult {
    if (position + source.remaining > maxFileBytes) return EFBIG;
    if (this.#memfd < 0 && position + source.remaining > largestChunked) {
      const made = this.#becomeMemfd();
      if (isErrno(made) && made !== EMFILE) return made;
    }
    let at = position;
    while (source.remaining > 0) {
      const done = this.#memfd >= 0 ? this.#writeHost(source, at) : this.#writeChunk(source, at);
      if (done <= 0) {
        if (at === position) return done;
        break;
      }
      at += done;
      if (at > this.#size) this.#size = at;
    }
    return at - position;
  }

  /** Sets the size; what is cut off reads as zeros if the file grows again. */
  truncate(sizeBytes: number): SysResult {
    if (sizeBytes < 0) return EINVAL;
    if (sizeBytes > maxFileBytes) return EFBIG;
    if (this.#memfd >= 0) {
      const done = native.ftruncate(this.#memfd, sizeBytes);
      if (isErrno(done)) return done;
      if (sizeBytes < this.#size) {
        this.#denseEnd = Math.min(this.#denseEnd, sizeBytes);
        this.settle();
      }
      this.#unwritten?.freed(sizeBytes, Number.POSITIVE_INFINITY);
    } else if (sizeBytes < this.#size) {
      this.#dropChunks(sizeBytes, Number.POSITIVE_INFINITY);
    }
    this.#size = sizeBytes;
    return 0;
  }

  /** fallocate(2): mode 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE; zeroing is punching here. */
  allocate(offset: number, length: number, keepSize: boolean): SysResult {
    const end = offset + length;
    if (end > maxFileBytes) return EFBIG;
    if (end > largestChunked || this.#memfd >= 0)
      return this.#allocateHost(offset, length, keepSize);
    for (let at = offset; at < end; ) {
      const index = Math.floor(at / chunkBytes);
      const inside = at - index * chunkBytes;
      const span = Math.min(end - at, chunkBytes - inside);
      const chunk = this.#reserve(index, inside, span);
      if (chunk === undefined) return ENOSPC;
      at += span;
    }
    if (!keepSize && end > this.#size) this.#size = end;
    return 0;
  }

  /** Makes a range read as zeros and gives its whole pages back. */
  punch(offset: number, length: number): SysResult {
    if (this.#memfd >= 0) {
      const done = native.fallocate(
        this.#memfd,
        FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
        offset,
        length,
      );
      if (!isErrno(done)) {
        this.#denseEnd = Math.min(this.#denseEnd, offset);
        this.#unwritten?.freed(offset, offset + length);
        this.settle();
      }
      return done;
    }
    this.#dropChunks(offset, offset + length);
    return 0;
  }

  /** SEEK_DATA and SEEK_HOLE: the next offset from `position` on, or ENXIO. */
  seek(position: number, whence: number): SysResult {
    if (position < 0 || position >= this.#size) return ENXIO;
    if (this.#memfd >= 0) return native.lseek(this.#memfd, position, whence);
    if (whence === SEEK_HOLE) return this.#nextHole(position);
    return whence === SEEK_DATA ? this.#nextData(position) : EINVAL;
  }

  /** All bytes are copied from another file's data (copy-up, FICLONE). */
  replaceWith(read: (into: Uint8Array, position: number) => SysResult): SysResult {
    const buffer = new Uint8Array(staging.length);
    for (let at = 0; ; ) {
      const count = read(buffer, at);
      if (count <= 0) return count;
      const written = this.write(new BufferSource(buffer.subarray(0, count)), at);
      if (written < count) return isErrno(written) ? written : ENOSPC;
      at += count;
    }
  }

  #chunkPiece(at: number, left: number): Uint8Array {
    const index = Math.floor(at / chunkBytes);
    const inside = at - index * chunkBytes;
    const span = Math.min(left, chunkBytes - inside);
    const bytes = this.#chunks.get(index)?.bytes;
    if (bytes === undefined || inside >= bytes.length) return zeros.subarray(0, span);
    return bytes.subarray(inside, Math.min(inside + span, bytes.length));
  }

  #stagedPiece(at: number, left: number): Uint8Array | undefined {
    const count = native.pread(this.#memfd, staging, 0, Math.min(left, staging.length), at);
    return count <= 0 ? undefined : staging.subarray(0, count);
  }

  #writeChunk(source: Source, at: number): SysResult {
    const index = Math.floor(at / chunkBytes);
    const inside = at - index * chunkBytes;
    const span = Math.min(source.remaining, chunkBytes - inside);
    const chunk = this.#reserve(index, inside, span);
    return chunk === undefined ? ENOSPC : source.take(chunk.bytes.subarray(inside, inside + span));
  }

  #writeHost(source: Source, at: number): SysResult {
    const span = Math.min(source.remaining, staging.length);
    const end = at + span;
    // A file that is written from front to back has no holes up to #denseEnd: what to charge is
    // known without asking the host.
    const isAppended = at <= this.#denseEnd;
    const first = isAppended ? Math.max(at, this.#denseEnd) : at;
    const charge = Math.max(0, pageCeil(end) - (isAppended ? pageCeil(first) : pageFloor(first)));
    if (!this.#charge(charge)) return ENOSPC;
    const taken = source.take(staging.subarray(0, span));
    const done = taken <= 0 ? taken : native.pwrite(this.#memfd, staging, 0, taken, at);
    if (isAppended && done === span) this.#denseEnd = Math.max(this.#denseEnd, end);
    else this.settle();
    return done;
  }

  #allocateHost(offset: number, length: number, keepSize: boolean): SysResult {
    const made = this.#becomeMemfd();
    if (isErrno(made)) return made;
    if (!this.#charge(length)) return ENOSPC;
    const done = native.fallocate(this.#memfd, keepSize ? FALLOC_FL_KEEP_SIZE : 0, offset, length);
    this.settle();
    this.#unwritten ??= new UnwrittenMemory(this.#account);
    if (!isErrno(done)) this.#unwritten.add(offset, length);
    if (!isErrno(done) && !keepSize && offset + length > this.#size) this.#size = offset + length;
    return done;
  }

  /** The chunk with room for [inside, inside + span), its pages marked; undefined: no memory left. */
  #reserve(index: number, inside: number, span: number): Chunk | undefined {
    const needed = inside + span;
    let chunk = this.#chunks.get(index);
    const have = chunk?.bytes.length ?? 0;
    if (needed > have) {
      let length = Math.max(have, PAGE_SIZE);
      while (length < needed) length *= 2;
      if (!this.#charge(length - have)) return undefined;
      const bytes = new Uint8Array(length);
      if (chunk === undefined) {
        chunk = { bytes, pages: 0 };
        this.#chunks.set(index, chunk);
      } else {
        bytes.set(chunk.bytes);
        chunk.bytes = bytes;
      }
    }
    const found = chunk as Chunk;
    const first = Math.floor(inside / PAGE_SIZE);
    const last = Math.floor((needed - 1) / PAGE_SIZE);
    for (let page = first; page <= last; page += 1) found.pages |= 1 << page;
    return found;
  }

  #dropChunks(start: number, end: number): void {
    for (const [index, chunk] of this.#chunks) {
      const base = index * chunkBytes;
      const from = Math.max(start - base, 0);
      const to = Math.min(end - base, chunkBytes);
      if (from >= to) continue;
      if (from === 0 && to === chunkBytes) {
        this.#chunks.delete(index);
        this.#uncharge(chunk.bytes.length);
        continue;
      }
      if (from < chunk.bytes.length) chunk.bytes.fill(0, from, Math.min(to, chunk.bytes.length));
      for (let page = Math.ceil(from / PAGE_SIZE); page < Math.floor(to / PAGE_SIZE); page += 1)
        chunk.pages &= ~(1 << page);
    }
  }

  #nextHole(position: number): number {
    let at = position;
    while (at < this.#size && this.#isData(at)) at = (Math.floor(at / PAGE_SIZE) + 1) * PAGE_SIZE;
    return Math.min(at, this.#size);
  }

  #nextData(position: number): SysResult {
    const index = Math.floor(position / chunkBytes);
    let best = Number.POSITIVE_INFINITY;
    for (const [candidate, chunk] of this.#chunks) {
      if (candidate < index) continue;
      for (let page = 0; page < 16; page += 1) {
        const start = candidate * chunkBytes + page * PAGE_SIZE;
        if (((chunk.pages >> page) & 1) === 0 || start + PAGE_SIZE <= position) continue;
        best = Math.min(best, Math.max(start, position));
        break;
      }
    }
    return best < this.#size ? best : ENXIO;
  }

  #isData(at: number): boolean {
    const index = Math.floor(at / chunkBytes);
    const page = Math.floor((at - index * chunkBytes) / PAGE_SIZE);
    return (((this.#chunks.get(index)?.pages ?? 0) >> page) & 1) === 1;
  }

  #becomeMemfd(): SysResult {
    if (this.#memfd >= 0) return 0;
    const fd = native.memfdCreate('runts', MFD_CLOEXEC);
    if (isErrno(fd)) return fd;
    let done = native.ftruncate(fd, this.#size);
    for (const [index, chunk] of this.#chunks) {
      if (isErrno(done)) break;
      done = copyChunk(fd, index * chunkBytes, chunk, this.#size);
    }
    if (isErrno(done)) {
      native.close(fd);
      return done;
    }
    this.#chunks.clear();
    this.#uncharge(this.#charged);
    this.#memfd = fd;
    this.settle();
    if (this.#charged === pageCeil(this.#size)) this.#denseEnd = this.#size;
    return 0;
  }

  /** Charges what the memfd really holds: also more than the account allows, for the pages are there. */
  settle(): void {
    if (this.#memfd < 0) return;
    this.#uncharge(this.#charged - memoryFileBytes(this.#memfd));
  }

  #charge(bytes: number): boolean {
    // Chunks are memory of the Sentry; pages of a memfd are memory of the host's kernel.
    const isCharged =
      this.#memfd >= 0 ? this.#account.chargePages(bytes) : this.#account.charge(bytes);
    if (!isCharged) return false;
    this.#charged += bytes;
    return true;
  }

  #uncharge(bytes: number): void {
    if (bytes === 0) return;
    if (this.#memfd >= 0) this.#account.unchargePages(bytes);
    else this.#account.uncharge(bytes);
    this.#charged -= bytes;
  }
}

/** Frees FREED_AT_ONCE bytes of what lies from `from` on. False where nothing is found there. */
function freePiece(fd: number, from: number, unwritten: UnwrittenMemory | undefined): boolean {
  const data = native.lseek(fd, from, SEEK_DATA);
  const at = isErrno(data) ? (unwritten?.take(from) ?? -1) : data;
  if (at < 0) return false;
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  return !isErrno(native.fallocate(fd, mode, at, FREED_AT_ONCE));
}

/** Closes a memfd that nobody maps. The host takes 100 ms and more to free a gigabyte. */
function* closeInPieces(fd: number, unwritten: UnwrittenMemory | undefined): Iterator<undefined> {
  if (memoryFileBytes(fd) > FREED_AT_ONCE) while (freePiece(fd, 0, unwritten)) yield undefined;
  unwritten?.clear();
  native.close(fd);
}

/** Only the pages that were written, so that holes stay holes. */
function copyChunk(fd: number, base: number, chunk: Chunk, size: number): SysResult {
  for (let page = 0; page < 16; page += 1) {
    if (((chunk.pages >> page) & 1) === 0) continue;
    const start = page * PAGE_SIZE;
    const length = Math.min(PAGE_SIZE, chunk.bytes.length - start, size - base - start);
    if (length <= 0) continue;
    const done = native.pwrite(fd, chunk.bytes, start, length, base + start);
    if (done < length) return isErrno(done) ? done : ENOSPC;
  }
  return 0;
}

function bitCount(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count += 1;
  return count;
}
