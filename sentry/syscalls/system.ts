// SPDX-License-Identifier: Apache-2.0
// uname(2), sysinfo(2), sethostname(2), getrandom(2), getcpu(2), reboot and other calls
// about the machine as a whole.

import { EFAULT, EINVAL, EPERM, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { fromNs, setI64 } from '../../abi/time.ts';
import { isPieceOver } from '../base/turn.ts';
import { type Blocking, begin, KILLABLE_PAUSE, type MaybeBlocking, PAUSE } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import { addTimes } from '../kernel/time-offsets.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';

/** Length of each field of struct new_utsname. */
const UTS_FIELD_BYTES = 65;
const HOST_NAME_MAX = 64;
const SYSINFO_BYTES = 112;
const GRND_KNOWN = 7;

function sysUname(task: Task, args: SyscallArgs): SysResult {
  const { kernel, uts } = task;
  const bytes = Buffer.alloc(6 * UTS_FIELD_BYTES);
  const fields = [
    kernel.sysname,
    uts.hostname,
    kernel.release,
    kernel.version,
    kernel.machine,
    uts.domainname,
  ];
  for (const [index, field] of fields.entries())
    bytes.write(field.slice(0, HOST_NAME_MAX), index * UTS_FIELD_BYTES, 'latin1');
  return task.memory.write(args.addr(0), bytes);
}

function readName(task: Task, args: SyscallArgs): Result<string> {
  if (!task.uts.isRuledBy(task)) return EPERM;
  const length = args.i32(1);
  if (length < 0 || length > HOST_NAME_MAX) return EINVAL;
  const bytes = new Uint8Array(length);
  return isErrno(task.memory.read(args.addr(0), bytes))
    ? EFAULT
    : Buffer.from(bytes).toString('latin1');
}

function sysSethostname(task: Task, args: SyscallArgs): SysResult {
  const name = readName(task, args);
  if (isErrno(name)) return name;
  task.uts.hostname = name;
  return 0;
}

function sysSetdomainname(task: Task, args: SyscallArgs): SysResult {
  const name = readName(task, args);
  if (isErrno(name)) return name;
  task.uts.domainname = name;
  return 0;
}

function sysSysinfo(task: Task, args: SyscallArgs): SysResult {
  const { kernel } = task;
  const { allowance } = task.group.container;
  const view = new DataView(new ArrayBuffer(SYSINFO_BYTES));
  const uptime = addTimes(
    fromNs(kernel.clock.monotonicNs()),
    task.group.container.timeOffsets.boottime,
  );
  setI64(view, 0, uptime.sec);
  setI64(view, 32, allowance.memoryBytes);
  setI64(view, 40, allowance.freeMemoryBytes);
  view.setUint16(80, Math.min(0xffff, task.pids.tasks.size), true);
  view.setUint32(104, 1, true); // mem_unit
  return task.memory.write(args.addr(0), new Uint8Array(view.buffer));
}

const randomBytes = new Uint8Array(65_536);
/** From here on getrandom(2) lets others run in between. */
const LONG_RANDOM_BYTES = 262_144;

function sysGetrandom(task: Task, args: SyscallArgs): MaybeBlocking {
  const length = Math.min(args.len(1), 0x1ffffff);
  if ((args.u32(2) & ~GRND_KNOWN) !== 0 || (args.u32(2) & 6) === 6) return EINVAL;
  return begin(giveRandom(task, args.addr(0), length));
}

/** A signal ends it, but not before some bytes are there, as in Linux. */
function* giveRandom(task: Task, addr: number, length: number): Blocking<SysResult> {
  let done = 0;
  if (length > LONG_RANDOM_BYTES) yield KILLABLE_PAUSE;
  while (done < length) {
    const part = randomBytes.subarray(0, Math.min(randomBytes.length, length - done));
    task.kernel.randomFill(part);
    if (isErrno(task.memory.write(addr + done, part))) return done === 0 ? EFAULT : done;
    done += part.length;
    if (length > LONG_RANDOM_BYTES && isPieceOver(task.kernel.clock))
      if ((yield PAUSE) === 'signal') return done;
  }
  return done;
}

function sysGetcpu(task: Task, args: SyscallArgs): SysResult {
  for (const index of [0, 1]) {
    const addr = args.addr(index);
    if (addr !== 0 && isErrno(task.memory.writeU32(addr, 0))) return EFAULT;
  }
  return 0;
}

export const systemRows: readonly Row[] = [
  direct(63, 'uname', ['addr'], sysUname),
  direct(99, 'sysinfo', ['addr'], sysSysinfo),
  direct(170, 'sethostname', ['string', 'int'], sysSethostname),
  direct(171, 'setdomainname', ['string', 'int'], sysSetdomainname),
  direct(309, 'getcpu', ['addr', 'addr', 'addr'], sysGetcpu, { partial: 'always CPU 0' }),
  sleeps(318, 'getrandom', ['addr', 'len', 'hex'], sysGetrandom),
];
