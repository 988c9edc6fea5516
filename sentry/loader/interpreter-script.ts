// SPDX-License-Identifier: Apache-2.0
// The first line of a script (execve(2), "Interpreter scripts"; fs/binfmt_script.c): the interpreter's
// path and at most one argument, which is the rest of the line.
import { ENOEXEC, type Result } from '../../abi/errno.ts';

/** BINPRM_BUF_SIZE: how much of a file the kernel looks at. */
export const HEAD_BYTES = 256;

export interface InterpreterLine {
  readonly path: string;
  readonly argument: string | undefined;
}

export function isScript(head: Uint8Array): boolean {
  return head[0] === 0x23 && head[1] === 0x21;
}

/** `head`: the first HEAD_BYTES of the file, or all of a shorter one. It starts with "#!". */
export function parseInterpreterLine(head: Uint8Array): Result<InterpreterLine> {
  const text = Buffer.from(
    head.buffer,
    head.byteOffset,
    Math.min(head.length, HEAD_BYTES),
  ).toString('latin1');
  // The kernel's buffer is padded with NULs: a file's end ends the line, and so does a NUL in it.
  const newline = text.indexOf('\n');
  const fits = newline >= 0 || text.length < HEAD_BYTES;
  let line = newline >= 0 ? text.slice(2, newline) : text.slice(2);
  // A line cut off by the buffer's end is taken only if the path itself is surely whole.
  if (!fits && !/^[ \t]*[^ \t\0]+[ \t\0]/.test(line)) return ENOEXEC;
  line = line.replace(/^[ \t]+|[ \t]+$/g, '');
  const nul = line.indexOf('\0');
  if (nul >= 0) line = line.slice(0, nul);
  if (line === '') return ENOEXEC;
  const path = /^[^ \t]+/.exec(line)?.[0] ?? '';
  const rest = line.slice(path.length).replace(/^[ \t]+/, '');
  return { path, argument: rest === '' ? undefined : rest };
}
