// SPDX-License-Identifier: Apache-2.0
// NUMA policy calls (numa(7)) as a machine with one memory node answers them: mm/mempolicy.c.
import { EFAULT, EINVAL, EPERM, ESRCH, isErrno, type SysResult } from '../../abi/errno.ts';
import * as policy from '../../abi/mempolicy.ts';
import { type Blocking, begin, type MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { MemoryMap } from '../mm/memory-map.ts';
import { defaultMemoryPolicy, type MemoryPolicy } from '../mm/memory-policy.ts';
import { isPageAligned, wrappedPageCeil } from '../mm/page.ts';
import type { SyscallArgs } from './args.ts';
import { absent, direct, type Row, sleeps } from './entry.ts';

/** Bits of a node mask that Linux looks at on any machine. */
const MAX_MASK_BITS = 32_768;
/** The one node there is. */
const ONLY_NODE = 1;

/**
 * The low 32 nodes of a mask; EINVAL where a node is named that does not exist. Linux's `maxnode`
 * counts one more than the bits.
 */
function readNodeMask(task: Task, addr: number, maxNode: number): SysResult {
  const bits = maxNode - 1;
  if (addr === 0 || bits <= 0) return 0;
  if (bits > MAX_MASK_BITS) return EINVAL;
  const bytes = new Uint8Array(Math.ceil(bits / 64) * 8);
  if (isErrno(task.memory.read(addr, bytes))) return EFAULT;
  const named = (node: number): boolean => (((bytes[node >> 3] as number) >> (node & 7)) & 1) === 1;
  for (let node = 1; node < bits; node += 1) if (named(node)) return EINVAL;
  return named(0) ? ONLY_NODE : 0;
}

/** Checks mode and mask together (mpol_new). 0, or an errno. */
function checkPolicy(modeWord: number, nodes: number): SysResult {
  const mode = modeWord & ~policy.MPOL_MODE_FLAGS;
  const flags = modeWord & policy.MPOL_MODE_FLAGS;
  if (mode > policy.MPOL_MAX) return EINVAL;
  const bothKinds = policy.MPOL_F_STATIC_NODES | policy.MPOL_F_RELATIVE_NODES;
  if ((flags & bothKinds) === bothKinds) return EINVAL;
  switch (mode) {
    case policy.MPOL_DEFAULT:
      return nodes === 0 && flags === 0 ? 0 : EINVAL;
    case policy.MPOL_PREFERRED:
      return nodes === 0 && flags !== 0 ? EINVAL : 0;
    case policy.MPOL_LOCAL:
      return nodes === 0 && flags === 0 ? 0 : EINVAL;
    default:
      return nodes === 0 ? EINVAL : 0;
  }
}

/**
 * The policy as it is kept: none for MPOL_DEFAULT, and preferring no node is preferring the local
 * one (mpol_new).
 */
function keptPolicy(modeWord: number, nodes: number): MemoryPolicy | undefined {
  const mode = modeWord & ~policy.MPOL_MODE_FLAGS;
  if (mode === policy.MPOL_DEFAULT) return undefined;
  if (mode === policy.MPOL_PREFERRED && nodes === 0) return { mode: policy.MPOL_LOCAL, nodes: 0 };
  return { mode: modeWord, nodes };
}

function sysSetMempolicy(task: Task, args: SyscallArgs): SysResult {
  const nodes = readNodeMask(task, args.addr(1), args.u64(2));
  if (isErrno(nodes)) return nodes;
  const error = checkPolicy(args.u32(0), nodes);
  if (isErrno(error)) return error;
  task.memoryPolicy = keptPolicy(args.u32(0), nodes) ?? defaultMemoryPolicy;
  return 0;
}

function sysGetMempolicy(task: Task, args: SyscallArgs): SysResult {
  const [modeAddr, maskAddr, addr, flags] = [args.addr(0), args.addr(1), args.addr(3), args.u32(4)];
  const known = policy.MPOL_F_NODE | policy.MPOL_F_ADDR | policy.MPOL_F_MEMS_ALLOWED;
  if ((flags & ~known) !== 0) return EINVAL;
  if (maskAddr !== 0 && args.u64(2) < 2) return EINVAL;
  let answer = task.memoryPolicy;
  if ((flags & policy.MPOL_F_MEMS_ALLOWED) !== 0) {
    if ((flags & (policy.MPOL_F_NODE | policy.MPOL_F_ADDR)) !== 0) return EINVAL;
    answer = { mode: 0, nodes: ONLY_NODE };
  } else if ((flags & policy.MPOL_F_ADDR) !== 0) {
    const vma = task.mm.vmaAt(addr);
    if (vma === undefined) return EFAULT;
    answer = vma.policy ?? answer;
    if ((flags & policy.MPOL_F_NODE) !== 0) answer = { mode: 0, nodes: answer.nodes };
  } else if (addr !== 0 || (flags & policy.MPOL_F_NODE) !== 0) {
    return EINVAL;
  }
  if (modeAddr !== 0 && isErrno(task.memory.writeU32(modeAddr, answer.mode))) return EFAULT;
  if (maskAddr === 0) return 0;
  const bytes = new Uint8Array(Math.ceil(Math.min(args.u64(2) - 1, MAX_MASK_BITS) / 64) * 8);
  bytes[0] = answer.nodes;
  return task.memory.write(maskAddr, bytes);
}

function sysMbind(task: Task, args: SyscallArgs): MaybeBlocking {
  const [addr, flags] = [args.addr(0), args.u32(5)];
  const known = policy.MPOL_MF_STRICT | policy.MPOL_MF_MOVE | policy.MPOL_MF_MOVE_ALL;
  if ((flags & ~known) !== 0) return EINVAL;
  if ((flags & policy.MPOL_MF_MOVE_ALL) !== 0) return EPERM;
  if (!isPageAligned(addr)) return EINVAL;
  const nodes = readNodeMask(task, args.addr(3), args.u64(4));
  if (isErrno(nodes)) return nodes;
  const error = checkPolicy(args.u32(2), nodes);
  if (isErrno(error)) return error;
  const end = addr + wrappedPageCeil(args.len(1));
  if (end >= 2 ** 64) return EINVAL;
  if (end === addr) return 0;
  const { map } = task.mm;
  const wanted = keptPolicy(args.u32(2), nodes);
  // Only the default policy may be set across holes.
  const isThere =
    wanted === undefined ? map.vmas.overlapping(addr, end).length > 0 : map.isMapped(addr, end);
  if (!isThere) return EFAULT;
  return begin(setPolicy(map, addr, end, wanted));
}

function* setPolicy(
  map: MemoryMap,
  start: number,
  end: number,
  wanted: MemoryPolicy | undefined,
): Blocking<SysResult> {
  yield* map.changeInPieces(start, end, (vma) => {
    vma.policy = wanted;
  });
  return 0;
}

function sysMigratePages(task: Task, args: SyscallArgs): SysResult {
  const pid = args.i32(0);
  if (pid !== 0 && !task.pids.groups.has(pid)) return ESRCH;
  const from = readNodeMask(task, args.addr(2), args.u64(1));
  if (isErrno(from)) return from;
  const to = readNodeMask(task, args.addr(3), args.u64(1));
  if (isErrno(to)) return to;
  return to === 0 ? EINVAL : 0;
}

export const memoryPolicyRows: readonly Row[] = [
  sleeps(237, 'mbind', ['addr', 'len', 'int', 'addr', 'len', 'hex'], sysMbind),
  direct(238, 'set_mempolicy', ['int', 'addr', 'len'], sysSetMempolicy),
  direct(239, 'get_mempolicy', ['addr', 'addr', 'len', 'addr', 'hex'], sysGetMempolicy),
  direct(256, 'migrate_pages', ['pid', 'len', 'addr', 'addr'], sysMigratePages),
  absent(279, 'move_pages', ['pid', 'len', 'addr', 'addr', 'addr', 'hex']),
  absent(450, 'set_mempolicy_home_node', ['addr', 'len', 'hex', 'hex']),
];
