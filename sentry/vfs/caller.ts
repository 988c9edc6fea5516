// SPDX-License-Identifier: Apache-2.0
// The little that file operations may know of the task on whose behalf they run. `Task` in
// kernel/ implements it; file systems above kernel/ (proc, devpts) may narrow it to a Task.
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { Credentials } from './credentials.ts';
import type { SpecialFiles } from './special-files.ts';

export interface Caller {
  readonly credentials: Credentials;
  /** Guest memory of the calling process, for ioctl arguments. */
  readonly memory: GuestMemory;
  /** The meaning of FIFOs and devices to the caller, in whatever file system they are. */
  readonly specialFiles: SpecialFiles;
}
