// SPDX-License-Identifier: Apache-2.0
// Writes that can be taken back.
import type { ControlFiles } from './control-files.ts';

/** In the order of the writes; to be run from the end. */
export type UndoLog = (() => void)[];

export function revertible(files: ControlFiles, undo: UndoLog): ControlFiles {
  return {
    ...files,
    write: (file, value) => {
      const before = files.read(file);
      files.write(file, value);
      // A list of devices has a line each and no way back.
      if (before === undefined || before === '' || before.includes('\n')) return;
      undo.push(() => {
        try {
          files.write(file, before);
        } catch {
          // The failure that led here is the one to tell of.
        }
      });
    },
  };
}
