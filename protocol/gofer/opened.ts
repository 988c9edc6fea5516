// SPDX-License-Identifier: Apache-2.0
// One of several files that were opened for one request.
import type { Field } from './fields.ts';

/** Files of one request, at the most: the kernel passes 253 descriptors with a message. */
export const OPENED_MAX = 32;

export interface OpenedFile {
  /** Index in the request's list of names. */
  readonly index: number;
  readonly ino: number;
}

export const openedFile: Field<OpenedFile> = {
  put: (writer, { index, ino }) => void writer.u32(index).f64(ino),
  take: (reader) => ({ index: reader.u32(), ino: reader.f64() }),
};
