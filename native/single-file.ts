// SPDX-License-Identifier: Apache-2.0
import { globals, type SingleFile } from '../protocol/globals.ts';

/** The parts of the one-file build; undefined where every part is a file. */
export const singleFile: SingleFile | undefined = globals.runtsSingleFile;
