// SPDX-License-Identifier: Apache-2.0
// Copies between the Sentry and one guest address space. Every value is copied once into the
// Sentry before it is judged: guest threads go on writing their memory meanwhile.
import type { Result, SysResult } from '../../abi/errno.ts';
import type { Sink, Source } from '../vfs/io.ts';

/** Guest addresses are plain numbers: user addresses lie below 2^47. */
export interface GuestMemory {
  /** Copies dst.length bytes from `addr` into dst. 0, or EFAULT (dst then holds an unknown part). */
  read(addr: number, dst: Uint8Array): SysResult;
  /** Copies src to `addr`. 0, or EFAULT (a part may have been written). */
  write(addr: number, src: Uint8Array): SysResult;
  /**
   * Reads like `read`, but returns how many leading bytes could be copied; EFAULT if none (and dst
   * is not empty).
   */
  readSome(addr: number, dst: Uint8Array): SysResult;
  /**
   * Writes like `write`, but returns how many leading bytes could be copied; EFAULT if none (and
   * src is not empty).
   */
  writeSome(addr: number, src: Uint8Array): SysResult;
  /** A fresh copy of `length` bytes as a DataView (little-endian use), or EFAULT. For structs. */
  view(addr: number, length: number): Result<DataView>;
  /** Zero-fills. 0 or EFAULT. */
  zero(addr: number, length: number): SysResult;
  /**
   * A NUL-terminated byte string of at most `limit` bytes without the NUL, one char per byte (latin1).
   * ENAMETOOLONG where no NUL is found within limit, EFAULT on a bad address.
   */
  string(addr: number, limit: number): Result<string>;
  /** A path argument: string() with limit PATH_MAX - 1 (4095). */
  path(addr: number): Result<string>;
  readU32(addr: number): SysResult;
  writeU32(addr: number, value: number): SysResult;
  /** Unsigned 64-bit little-endian value of two 32-bit halves. 0 or EFAULT. */
  writeU64(addr: number, value: number): SysResult;
  /** A Sink over one guest buffer. Never fails here: bad addresses show when bytes are put. */
  sink(addr: number, length: number): Sink;
  source(addr: number, length: number): Source;
  /** Sink and Source over an iovec array (EINVAL for a bad count or total, EFAULT for a bad array). */
  sinkOfVector(iovAddr: number, count: number): Result<Sink>;
  sourceOfVector(iovAddr: number, count: number): Result<Source>;
}
