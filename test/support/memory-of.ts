// SPDX-License-Identifier: Apache-2.0
// What another process has in its memory.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Whether what process `pid` has in memory has `text` in it. */
export function hasInMemory(pid: number, text: string): boolean {
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
      const range = /^([0-9a-f]+)-([0-9a-f]+) r.*$/.exec(line);
      if (range === null || line.includes('[v')) continue;
      const start = Number.parseInt(range[1] as string, 16);
      const bytes = Buffer.alloc(Number.parseInt(range[2] as string, 16) - start);
      try {
        readSync(fd, bytes, 0, bytes.length, start);
      } catch {
        continue; // not there
      }
      if (bytes.includes(text, 0, 'latin1') || bytes.includes(text, 0, 'utf16le')) return true;
    }
    return false;
  } finally {
    closeSync(fd);
  }
}
