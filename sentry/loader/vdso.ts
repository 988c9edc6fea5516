// SPDX-License-Identifier: Apache-2.0
// Maps the platform's vDSO: a page of clock parameters ([vvar]) and right behind it the code ([vdso]).

import { isErrno, type SysResult } from '../../abi/errno.ts';
import { PROT_EXEC, PROT_READ } from '../../abi/mman.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import type { MemoryCaller, MemoryManager } from '../mm/memory-manager.ts';
import { pageCeil } from '../mm/page.ts';
import { choosePlace } from '../mm/placement.ts';
import { type Backing, FULL_PROT, VMA_SHARED, VMA_SPECIAL } from '../mm/vma.ts';

/**
 * The vDSO that the platform gives: host descriptors that stay open as long as the sandbox lives.
 */
export interface VdsoImage {
  /** One page of clock parameters, which the Sentry keeps up to date. Read-only. */
  readonly paramsFd: number;
  /** An ELF shared object. Read-only. */
  readonly codeFd: number;
  readonly codeBytes: number;
}

/** Maps it. Address of the code (AT_SYSINFO_EHDR), or an errno. */
export function mapVdso(mm: MemoryManager, caller: MemoryCaller, image: VdsoImage): SysResult {
  const codeBytes = pageCeil(image.codeBytes);
  const request = { addr: 0, length: PAGE_SIZE + codeBytes, flags: 0, hugePages: false };
  const start = choosePlace(mm.map, mm.bounds, request, caller.thread);
  if (isErrno(start)) return start;
  const params = mm.install(caller, {
    start,
    length: PAGE_SIZE,
    prot: PROT_READ,
    maxProt: PROT_READ,
    flags: VMA_SPECIAL | VMA_SHARED,
    backing: unnamed(image.paramsFd),
    offset: 0,
    populate: false,
    name: '[vvar]',
  });
  if (isErrno(params)) return params;
  const code = mm.install(caller, {
    start: start + PAGE_SIZE,
    length: codeBytes,
    prot: PROT_READ | PROT_EXEC,
    maxProt: FULL_PROT,
    flags: VMA_SPECIAL,
    backing: unnamed(image.codeFd),
    offset: 0,
    populate: false,
    name: '[vdso]',
  });
  return isErrno(code) ? code : start + PAGE_SIZE;
}

function unnamed(hostFd: number): Backing {
  const nothing = (): void => undefined;
  const mappable = { hostFd: () => hostFd, dev: 0, ino: 0, acquire: nothing, release: nothing };
  return { mappable, file: undefined, label: '' };
}
