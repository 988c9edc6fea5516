// SPDX-License-Identifier: Apache-2.0
// `runts do --strace`: what the guest asks for and what becomes of it, as lines.
import { isErrno, type SysResult } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import type { StraceOptions } from '../../protocol/boot-config.ts';
import { HANDED_OVER, REGISTERS_SET } from '../kernel/result.ts';
import type { Task } from '../kernel/task.ts';
import { REG } from '../platform/guest-thread.ts';
import { parseFilter, type TraceFilter } from '../strace/filter.ts';
import { TraceLines } from '../strace/lines.ts';
import type { SyscallTracer } from '../syscalls/dispatch.ts';
import { table } from '../syscalls/table-x86-64.ts';
import { BootFailure } from './boot-failure.ts';

/** `failed` is told once, with the errno, when lines are lost. Throws BootFailure for a wrong filter. */
export function newTracer(
  fd: number,
  nowNs: () => number,
  options: StraceOptions,
  failed: (errno: SysResult) => void,
): SyscallTracer {
  let isLosing = false;
  const write = (text: string): void => {
    const bytes = Buffer.from(text, 'latin1');
    const wrote = native.write(fd, bytes, 0, bytes.length);
    if (isErrno(wrote) && !isLosing) {
      isLosing = true;
      failed(wrote);
    }
  };
  const { relative = false, absolute = false, spent = false } = options;
  const times = { relative, absolute, spent };
  const lines = new TraceLines<Task>(write, nowNs, { filter: filterOf(options), times });
  return {
    started: (task, path, argv, envp) =>
      lines.started(task, path, argv, { address: environmentOf(task, argv), count: envp.length }),
    entered: (task, row) => lines.entered(task, row),
    left: (task, result) => lines.left(task, answerOf(task, result)),
    signal: (task, info) => lines.signal(task, info),
    exited: (task, status) => lines.exited(task, status),
  };
}

function filterOf({ filter }: StraceOptions): TraceFilter {
  if (filter === undefined) return { wants: () => true, signals: true };
  const names = new Set(table.map((row) => row?.name));
  const parsed = parseFilter(filter, (name) => names.has(name));
  if (!('unknown' in parsed)) return parsed;
  throw new BootFailure(
    `--strace-filter: '${parsed.unknown}' is no system call and no class of them`,
  );
}

/** A call that sets the registers itself (execve, arch_prctl, rt_sigreturn) has its answer there. */
function answerOf(task: Task, result: SysResult): SysResult {
  if (result === HANDED_OVER) return Number.NaN;
  if (result !== REGISTERS_SET) return result;
  const registers = task.thread.registers();
  const low = registers[2 * REG.rax] as number;
  const high = (registers[2 * REG.rax + 1] as number) | 0;
  return high * 0x1_0000_0000 + low;
}

/** The address of envp on the stack of a new program: behind argc, argv and a null pointer. */
function environmentOf(task: Task, argv: readonly string[]): number {
  const registers = task.thread.registers();
  const low = registers[2 * REG.rsp] as number;
  const high = registers[2 * REG.rsp + 1] as number;
  return high * 0x1_0000_0000 + low + 8 * (argv.length + 2);
}
