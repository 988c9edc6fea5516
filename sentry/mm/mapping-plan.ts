// SPDX-License-Identifier: Apache-2.0
// What a mapping of mmap(2) shows and with which rights: the second half of Linux's do_mmap().
import {
  EACCES,
  EINVAL,
  ENOMEM,
  EOPNOTSUPP,
  EOVERFLOW,
  EPERM,
  isErrno,
  type Result,
} from '../../abi/errno.ts';
import { O_ACCMODE, O_RDWR, O_WRONLY } from '../../abi/fcntl.ts';
import { MS_NOEXEC } from '../../abi/fs.ts';
import {
  MAP_GROWSDOWN,
  MAP_HUGETLB,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_SYNC,
  MAP_TYPE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../abi/mman.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SharedMemorySource } from './memory-manager.ts';
import {
  type Backing,
  FULL_PROT,
  VMA_COUNTS_AS_WRITER,
  VMA_GROWSDOWN,
  VMA_NORESERVE,
  VMA_SHARED,
} from './vma.ts';

/** MAX_LFS_FILESIZE: no mapping of a file reaches past it. */
const LARGEST_OFFSET = 2 ** 63 - 1;

export interface MappingPlan {
  readonly backing: Backing | undefined;
  readonly offset: number;
  /** VMA_*. */
  readonly flags: number;
  readonly maxProt: number;
  /** To be called when the mapping is made or given up. */
  readonly done?: () => void;
}

/** `file` undefined: MAP_ANONYMOUS. `length` is whole pages. */
export function planMapping(
  source: SharedMemorySource,
  length: number,
  prot: number,
  flags: number,
  file: OpenFile | undefined,
  offset: number,
): Result<MappingPlan> {
  const common = (flags & MAP_NORESERVE) !== 0 ? VMA_NORESERVE : 0;
  if (file === undefined) return planAnonymous(source, length, flags, common);
  if ((flags & MAP_HUGETLB) !== 0) return EINVAL;
  const type = flags & MAP_TYPE;
  if (type !== MAP_SHARED && type !== MAP_SHARED_VALIDATE && type !== MAP_PRIVATE) return EINVAL;
  // MAP_SYNC needs persistent memory, which only MAP_SHARED_VALIDATE callers want to hear.
  if (type === MAP_SHARED_VALIDATE && (flags & MAP_SYNC) !== 0) return EOPNOTSUPP;
  const access = file.flags & O_ACCMODE;
  const shared = type !== MAP_PRIVATE;
  if (shared && (prot & PROT_WRITE) !== 0 && access !== O_WRONLY && access !== O_RDWR)
    return EACCES;
  if (access === O_WRONLY) return EACCES;
  if ((flags & MAP_GROWSDOWN) !== 0) return EINVAL;
  if (offset + length > LARGEST_OFFSET) return EOVERFLOW;
  // path_noexec: not even mprotect(2) makes code of a file of a noexec mount.
  const isNoexec = ((file.path?.mount?.flags ?? 0) & MS_NOEXEC) !== 0;
  if (isNoexec && (prot & PROT_EXEC) !== 0) return EPERM;
  const plan = planOpened(source, length, prot, flags, file, offset);
  return isErrno(plan) || !isNoexec ? plan : { ...plan, maxProt: plan.maxProt & ~PROT_EXEC };
}

/** Plans a mapping of `file` after the checks of its rights. */
function planOpened(
  source: SharedMemorySource,
  length: number,
  prot: number,
  flags: number,
  file: OpenFile,
  offset: number,
): Result<MappingPlan> {
  const common = (flags & MAP_NORESERVE) !== 0 ? VMA_NORESERVE : 0;
  const shared = (flags & MAP_TYPE) !== MAP_PRIVATE;
  const access = file.flags & O_ACCMODE;
  if (file.mapsAsAnonymous) return planAnonymous(source, length, flags, common);
  return planFile(file, offset, prot, shared && access === O_RDWR, shared, common);
}

function planFile(
  file: OpenFile,
  offset: number,
  prot: number,
  mayWriteShared: boolean,
  shared: boolean,
  common: number,
): Result<MappingPlan> {
  const mappable = file.mappable();
  if (isErrno(mappable)) return mappable;
  const backing: Backing = { mappable, file, label: '' };
  if (!shared) return { backing, offset, flags: common, maxProt: FULL_PROT };
  const sealed = mappable.isWriteSealed?.() === true;
  if (sealed && (prot & PROT_WRITE) !== 0) return EPERM;
  // A shared mapping of a file that was opened for reading only can never be made writable.
  const writable = mayWriteShared && !sealed;
  return {
    backing,
    offset,
    flags: common | VMA_SHARED | (writable ? VMA_COUNTS_AS_WRITER : 0),
    maxProt: writable ? FULL_PROT : PROT_READ | PROT_EXEC,
  };
}

function planAnonymous(
  source: SharedMemorySource,
  length: number,
  flags: number,
  common: number,
): Result<MappingPlan> {
  // No huge pages are set aside, and none ever will be.
  if ((flags & MAP_HUGETLB) !== 0) return ENOMEM;
  switch (flags & MAP_TYPE) {
    case MAP_PRIVATE: {
      const grows = (flags & MAP_GROWSDOWN) !== 0 ? VMA_GROWSDOWN : 0;
      return { backing: undefined, offset: 0, flags: common | grows, maxProt: FULL_PROT };
    }
    case MAP_SHARED: {
      if ((flags & MAP_GROWSDOWN) !== 0) return EINVAL;
      const mappable = source.newSharedMemory(length);
      if (isErrno(mappable)) return mappable;
      const backing = { mappable, file: undefined, label: '/dev/zero (deleted)' };
      return {
        backing,
        offset: 0,
        flags: common | VMA_SHARED,
        maxProt: FULL_PROT,
        done: () => mappable.release(),
      };
    }
    default:
      return (flags & MAP_TYPE) === MAP_SHARED_VALIDATE && (flags & MAP_SYNC) !== 0
        ? EOPNOTSUPP
        : EINVAL;
  }
}
