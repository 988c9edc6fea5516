// SPDX-License-Identifier: Apache-2.0
// Why the main program could not be started, as a shell says it: 127 for what is not there, 126 for the rest.
import {
  E2BIG,
  EACCES,
  EFAULT,
  EINVAL,
  EIO,
  EISDIR,
  ELIBBAD,
  ELOOP,
  ENOENT,
  ENOEXEC,
  ENOMEM,
  ENOSPC,
  ENOTDIR,
  EPERM,
  errnoName,
  type SysResult,
} from '../../abi/errno.ts';
import { BootFailure } from './boot-failure.ts';

const texts: ReadonlyMap<SysResult, string> = new Map([
  [ENOENT, 'No such file or directory'],
  [ENOTDIR, 'Not a directory'],
  [ENOSPC, 'No space left on device'],
  [EACCES, 'Permission denied'],
  [EPERM, 'Operation not permitted'],
  [EISDIR, 'Is a directory'],
  [ENOEXEC, 'Exec format error'],
  [ENOMEM, 'Cannot allocate memory'],
  [ELOOP, 'Too many levels of symbolic links'],
  [E2BIG, 'Argument list too long'],
  [EFAULT, 'Bad address'],
  [EINVAL, 'Invalid argument'],
  [EIO, 'Input/output error'],
]);

/** The meaning of these errnos where a program was to be loaded (loader/elf.ts, loader/load.ts). */
const programTexts: ReadonlyMap<SysResult, string> = new Map([
  // Linux notices this one only after the old program has gone, and kills with SIGSEGV.
  [EFAULT, 'Damaged program (or interpreter): a segment reaches past the end of the file'],
  [EINVAL, 'Damaged program (or interpreter): bad ELF headers'],
  [EIO, 'Damaged program (or interpreter): cannot be read in full'],
  [ELIBBAD, 'Damaged interpreter'],
]);

/** Why the main program does not run. */
export function programFailure(command: string, error: SysResult): BootFailure {
  const text = programTexts.get(error);
  return text === undefined
    ? failureOf(command, error)
    : new BootFailure(`${command}: ${text}`, 126);
}

/**
 * The same in the words of runc (Go's os/exec), by which Docker tells 127, "executable file not
 * found" and "no such file or directory", from 126, "permission denied".
 */
export function containerProgramFailure(command: string, error: SysResult): BootFailure {
  const prefix = `unable to start container process: exec: "${command}": `;
  if (error === ENOENT || error === ENOTDIR) {
    const text = command.includes('/')
      ? `stat ${command}: no such file or directory`
      : 'executable file not found in $PATH';
    return new BootFailure(prefix + text, 127);
  }
  if (error === EISDIR) return new BootFailure(`${prefix}is a directory`, 126);
  const { message, code } = programFailure('', error);
  return new BootFailure(prefix + message.replace(/^: /, '').toLowerCase(), code);
}

/** The same for anything else that boot does with a path. */
export function failureOf(command: string, error: SysResult): BootFailure {
  const text = texts.get(error) ?? errnoName(error);
  if (error === ENOENT && command !== '' && !command.includes('/'))
    return new BootFailure(`${command}: command not found`, 127);
  return new BootFailure(
    command === '' ? text : `${command}: ${text}`,
    error === ENOENT || error === ENOTDIR ? 127 : 126,
  );
}
