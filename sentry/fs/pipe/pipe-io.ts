// SPDX-License-Identifier: Apache-2.0
// A pipe as Sink and Source of other files' reads and writes: splice(2), tee(2), sendfile(2).
import type { SysResult } from '../../../abi/errno.ts';
import { BufferSink, type Sink, type Source } from '../../vfs/io.ts';
import type { Pipe } from './pipe.ts';

/** Room of a pipe that is not full: bytes put go into it. */
export class PipeSink implements Sink {
  readonly #pipe: Pipe;
  #left: number;

  constructor(pipe: Pipe, limit: number) {
    this.#pipe = pipe;
    this.#left = Math.min(limit, pipe.capacity - pipe.ring.length);
  }

  get remaining(): number {
    return this.#left;
  }

  put(src: Uint8Array): SysResult {
    let at = 0;
    const source: Source = {
      get remaining() {
        return src.length - at;
      },
      take(dst) {
        dst.set(src.subarray(at, at + dst.length));
        at += dst.length;
        return dst.length;
      },
      giveBack(bytes) {
        at -= bytes;
      },
    };
    const count = this.#pipe.write(source, src.length);
    if (count > 0) this.#left -= count;
    return count;
  }
}

/**
 * The content of a pipe as a Source, which leaves it in the pipe. The taker's result says how much
 * it really took, and the caller discards that much.
 */
export class PipeSource implements Source {
  readonly #pipe: Pipe;
  #left: number;
  #taken = 0;

  constructor(pipe: Pipe, limit: number) {
    this.#pipe = pipe;
    this.#left = Math.min(limit, pipe.ring.length);
  }

  get remaining(): number {
    return this.#left;
  }

  take(dst: Uint8Array): SysResult {
    const count = this.#pipe.ring.peek(
      new BufferSink(dst),
      Math.min(dst.length, this.#left),
      this.#taken,
    );
    if (count > 0) {
      this.#taken += count;
      this.#left -= count;
    }
    return count;
  }

  giveBack(count: number): void {
    this.#taken -= count;
    this.#left += count;
  }
}
