// Nodes that stand for something outside their file system: FIFOs and devices. Their owners
// (fs/pipe, fs/dev) register here at boot, because the vfs lies below them.
import { ENXIO, type Result } from '../../abi/errno.ts';
import type { Blocking } from '../base/wait.ts';
import type { Caller } from './caller.ts';
import type { Node } from './node.ts';
import type { OpenFile } from './open-file.ts';

/** An open that may have to wait: a generator where it does. */
export type Opening = Result<OpenFile> | Blocking<Result<OpenFile>>;

/** Opens a FIFO by node: `flags` as open(2) got them. Both ends of one Node share one pipe (fifo(7)). */
export type FifoOpener = (node: Node, flags: number, caller: Caller) => Opening;

/**
 * Opens device `rdev` (makedev number) of `kind` S_IFCHR or S_IFBLK; `node` is its inode. ENXIO: no
 * such device.
 */
export type DeviceOpener = (
  rdev: number,
  kind: number,
  node: Node,
  flags: number,
  caller: Caller,
) => Result<OpenFile>;

let openFifoHook: FifoOpener = () => ENXIO;
let openDeviceHook: DeviceOpener = () => ENXIO;

export function setFifoOpener(opener: FifoOpener): void {
  openFifoHook = opener;
}

export function setDeviceOpener(opener: DeviceOpener): void {
  openDeviceHook = opener;
}

export function openFifo(node: Node, flags: number, caller: Caller): Opening {
  return openFifoHook(node, flags, caller);
}

/** For file systems that can hold device nodes. */
export function openDevice(
  rdev: number,
  kind: number,
  node: Node,
  flags: number,
  caller: Caller,
): Result<OpenFile> {
  return openDeviceHook(rdev, kind, node, flags, caller);
}
