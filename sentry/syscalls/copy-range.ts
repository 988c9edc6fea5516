// copy_file_range(2).
import {
  EBADF,
  EINVAL,
  EISDIR,
  EOVERFLOW,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { canRead, canWrite, O_APPEND } from '../../abi/fcntl.ts';
import { S_IFDIR, S_IFREG } from '../../abi/stat.ts';
import { getI64 } from '../../abi/time.ts';
import { isPieceOver } from '../base/turn.ts';
import { type Blocking, begin, KILLABLE_PAUSE, type MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import { BufferSink, BufferSource } from '../vfs/io.ts';
import { notifyRead, notifyWritten } from '../vfs/notify.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { beforeWrite } from '../vfs/permission.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import { limitedWrite, maxTransferBytes } from './transfer.ts';

/** From here on a copy waits for its turn before it begins. */
const LONG_BYTES = 1_048_576;
const buffer = new Uint8Array(256 * 1024);

function sysCopyFileRange(task: Task, args: SyscallArgs): MaybeBlocking {
  const from = task.files.get(args.i32(0));
  if (isErrno(from)) return from;
  const to = task.files.get(args.i32(2));
  if (isErrno(to)) return to;
  const inPosition = positionArgument(task, args.addr(1), from);
  if (isErrno(inPosition)) return inPosition;
  const outPosition = positionArgument(task, args.addr(3), to);
  if (isErrno(outPosition)) return outPosition;
  const checked = check(from, to, args.u32(5));
  if (isErrno(checked)) return checked;
  const length = Math.min(args.len(4), maxTransferBytes);
  if (
    from.node === to.node &&
    inPosition < outPosition + length &&
    outPosition < inPosition + length
  )
    return EINVAL;
  return begin(copyAndAdvance(task, args, from, to, { inPosition, outPosition, length }));
}

interface Ranges {
  readonly inPosition: number;
  readonly outPosition: number;
  readonly length: number;
}

function* copyAndAdvance(
  task: Task,
  args: SyscallArgs,
  from: OpenFile,
  to: OpenFile,
  ranges: Ranges,
): Blocking<SysResult> {
  from.acquire();
  to.acquire();
  try {
    const copied = yield* copy(task, from, to, ranges);
    if (copied <= 0) return copied;
    notifyRead(from);
    notifyWritten(to);
    const advancedIn = advance(task, args.addr(1), from, ranges.inPosition + copied);
    if (isErrno(advancedIn)) return advancedIn;
    const advancedOut = advance(task, args.addr(3), to, ranges.outPosition + copied);
    return isErrno(advancedOut) ? advancedOut : copied;
  } finally {
    from.release();
    to.release();
  }
}

function check(from: OpenFile, to: OpenFile, flags: number): SysResult {
  if (flags !== 0) return EINVAL;
  if (from.node.kind === S_IFDIR || to.node.kind === S_IFDIR) return EISDIR;
  if (from.node.kind !== S_IFREG || to.node.kind !== S_IFREG) return EINVAL;
  if (!canRead(from.flags) || !canWrite(to.flags) || (to.flags & O_APPEND) !== 0) return EBADF;
  return 0;
}

function* copy(
  task: Task,
  from: OpenFile,
  to: OpenFile,
  { inPosition, outPosition, length }: Ranges,
): Blocking<SysResult> {
  beforeWrite(to, task.credentials);
  if (length > LONG_BYTES) yield KILLABLE_PAUSE;
  let done = 0;
  while (done < length) {
    const sink = new BufferSink(buffer.subarray(0, Math.min(buffer.length, length - done)));
    const count = from.pread(sink, inPosition + done);
    if (count <= 0) return done > 0 ? done : count;
    const source = limitedWrite(
      task,
      to,
      new BufferSource(buffer.subarray(0, count)),
      outPosition + done,
    );
    if (isErrno(source)) return done > 0 ? done : source;
    const written = to.pwrite(source, outPosition + done);
    if (written <= 0) return done > 0 ? done : written;
    done += written;
    if (written < count) break;
    if (length > LONG_BYTES && isPieceOver(task.kernel.clock)) yield KILLABLE_PAUSE;
  }
  return done;
}

function positionArgument(task: Task, addr: number, file: OpenFile): SysResult {
  if (addr === 0) return file.offset;
  const view: Result<DataView> = task.memory.view(addr, 8);
  if (isErrno(view)) return view;
  const position = getI64(view, 0);
  return position < 0 ? EINVAL : position > Number.MAX_SAFE_INTEGER ? EOVERFLOW : position;
}

function advance(task: Task, addr: number, file: OpenFile, position: number): SysResult {
  if (addr !== 0) return task.memory.writeU64(addr, position);
  file.offset = position;
  return 0;
}

export const copyRangeRows: readonly Row[] = [
  sleeps(326, 'copy_file_range', ['fd', 'addr', 'fd', 'addr', 'len', 'hex'], sysCopyFileRange),
];
