// SPDX-License-Identifier: Apache-2.0
// An OpenFile over an array, mappable through a FakeAddressSpace's `files`.
import type { Result, SysResult } from '../../abi/errno.ts';
import { BufferSource, type Sink } from '../../sentry/vfs/io.ts';
import { FileIdentity, type Node } from '../../sentry/vfs/node.ts';
import { type Mappable, OpenFile } from '../../sentry/vfs/open-file.ts';

/** No inode: only its identity is looked at (locks, programs that run). */
const nowhere = { identity: new FileIdentity() } as Node;

export class FakeFile extends OpenFile implements Mappable {
  readonly contents: Uint8Array;
  readonly dev = 1;
  readonly ino: number;
  /** Mappings that hold it. */
  mappings = 0;
  closed = false;
  /** What hostFd was last asked for. */
  askedWritable = false;

  constructor(contents: Uint8Array, flags: number, ino: number) {
    super(flags);
    this.contents = contents;
    this.ino = ino;
  }

  get node(): Node {
    return nowhere;
  }

  override pread(sink: Sink, position: number): SysResult {
    const source = new BufferSource(this.contents.subarray(position));
    const bytes = new Uint8Array(Math.min(source.remaining, sink.remaining));
    source.take(bytes);
    return bytes.length === 0 ? 0 : sink.put(bytes);
  }

  override mappable(): Result<Mappable> {
    return this;
  }

  override close(): void {
    this.closed = true;
  }

  /** The descriptor's number is the file's: tests put `contents` into FakeAddressSpace.files under it. */
  hostFd(writable: boolean): SysResult {
    this.askedWritable = writable;
    return this.ino;
  }

  override acquire(): void {
    super.acquire();
    this.mappings += 1;
  }

  override release(): void {
    this.mappings -= 1;
    super.release();
  }
}
