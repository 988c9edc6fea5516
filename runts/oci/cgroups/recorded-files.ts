// SPDX-License-Identifier: Apache-2.0
// For tests: a cgroup that is a table of values and remembers what was written, in order.
import { ControlFailure, type ControlFiles } from './control-files.ts';

export interface RecordedFiles extends ControlFiles {
  /** 'file = value' */
  readonly writes: string[];
  readonly values: Map<string, string>;
}

/**
 * `refuse` answers the errno of a write that the kernel would not take. Files that are not in
 * `values` do not exist.
 */
export function recordedFiles(
  values: Readonly<Record<string, string>>,
  refuse: (file: string, value: string) => string | undefined = () => undefined,
): RecordedFiles {
  const table = new Map(Object.entries(values));
  const writes: string[] = [];
  return {
    path: '/fake',
    writes,
    values: table,
    has: (file) => table.has(file),
    read: (file) => table.get(file),
    write: (file, value) => {
      const code = table.has(file) ? refuse(file, value) : 'ENOENT';
      if (code !== undefined)
        throw new ControlFailure(`/fake/${file}`, value, Object.assign(new Error(code), { code }));
      writes.push(`${file} = ${value}`);
      table.set(file, value);
    },
  };
}
