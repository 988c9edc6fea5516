// SPDX-License-Identifier: Apache-2.0
// memfd_create(2).
import { EFAULT, EINVAL, ENAMETOOLONG, ENOSYS, isErrno, type SysResult } from '../../abi/errno.ts';
import { F_SEAL_EXEC, F_SEAL_SEAL } from '../../abi/fcntl.ts';
import {
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  MFD_HUGETLB,
  MFD_NOEXEC_SEAL,
} from '../../abi/mman.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

const KNOWN_FLAGS = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_EXEC | MFD_NOEXEC_SEAL;
/** Size of the huge pages, in the top bits. */
const HUGE_SIZE_BITS = 0xfc00_0000;
/** NAME_MAX without 'memfd:'. */
const NAME_LIMIT = 249;

function sysMemfdCreate(task: Task, args: SyscallArgs): SysResult {
  const flags = args.u32(1);
  const huge = (flags & MFD_HUGETLB) !== 0;
  if ((flags & ~(KNOWN_FLAGS | (huge ? HUGE_SIZE_BITS : 0))) !== 0) return EINVAL;
  if ((flags & MFD_EXEC) !== 0 && (flags & MFD_NOEXEC_SEAL) !== 0) return EINVAL;
  const name = task.memory.string(args.addr(0), NAME_LIMIT);
  if (isErrno(name)) return name === ENAMETOOLONG ? EINVAL : EFAULT;
  if (huge) return ENOSYS; // As a kernel without hugetlbfs.

  const noExec = (flags & MFD_NOEXEC_SEAL) !== 0;
  const sealable = noExec || (flags & MFD_ALLOW_SEALING) !== 0;
  const seals = (sealable ? 0 : F_SEAL_SEAL) | (noExec ? F_SEAL_EXEC : 0);
  const file = task.kernel.program.sharedMemory.newMemfd(
    name,
    seals,
    noExec ? 0o666 : 0o777,
    task.credentials,
  );
  return isErrno(file) ? file : task.files.add(file, (flags & MFD_CLOEXEC) !== 0);
}

export const memfdRows: readonly Row[] = [
  direct(319, 'memfd_create', ['string', 'hex'], sysMemfdCreate, { partial: 'no huge pages' }),
];
