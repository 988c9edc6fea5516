// SPDX-License-Identifier: Apache-2.0
// Programs of the one-file build that another program is to start: memfd_create(2), sealed, so that
// nobody who gets at the descriptor can change what others run.
import { isErrno } from '../../abi/errno.ts';
import { F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE } from '../../abi/fcntl.ts';
import { MFD_ALLOW_SEALING, MFD_EXEC } from '../../abi/mman.ts';
import { native } from '../../native/addon.ts';
import { singleFile } from '../../native/single-file.ts';
import { Failure } from '../failure.ts';

/** A path to start it by; with `flags` 0 also for what is started, for the descriptor survives execve. */
export function memoryProgram(name: string, flags: number): string {
  const bytes = singleFile?.part(name);
  if (bytes === undefined) throw new Failure('RUNTS_E_INSTALLATION', `no part ${name}`);
  // Hosts where memory is not to be run (vm.memfd_noexec) want to be told; Linux before 6.3 does
  // not know the flag.
  let fd = native.memfdCreate(`runts-${name}`, flags | MFD_ALLOW_SEALING | MFD_EXEC);
  if (isErrno(fd)) fd = native.memfdCreate(`runts-${name}`, flags | MFD_ALLOW_SEALING);
  for (let at = 0; !isErrno(fd) && at < bytes.length; ) {
    const wrote = native.pwrite(fd, bytes, at, bytes.length - at, at);
    if (wrote <= 0) throw new Failure('RUNTS_E_HOST_RESOURCES', `no memory for the ${name}`);
    at += wrote;
  }
  const seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (isErrno(fd) || isErrno(native.addSeals(fd, seals)))
    throw new Failure('RUNTS_E_HOST_RESOURCES', `no memory file for the ${name}`);
  return `/proc/self/fd/${fd}`;
}
