// SPDX-License-Identifier: Apache-2.0
// What FIFOs and device numbers mean inside a container: opens nodes of any file system (/dev, and
// nodes that mknod(2) made elsewhere).

import {
  MEM_MAJOR,
  MEM_MINOR_FULL,
  MEM_MINOR_NULL,
  MEM_MINOR_RANDOM,
  MEM_MINOR_URANDOM,
  MEM_MINOR_ZERO,
  TTYAUX_MAJOR,
  TTYAUX_MINOR_CONSOLE,
  TTYAUX_MINOR_PTMX,
  TTYAUX_MINOR_TTY,
  UNIX98_PTY_SLAVE_MAJOR,
} from '../../../abi/dev.ts';
import { ENXIO, type Result } from '../../../abi/errno.ts';
import { O_NOCTTY } from '../../../abi/fcntl.ts';
import { deviceMajor, deviceMinor, makeDevice, S_IFCHR } from '../../../abi/stat.ts';
import type { Task } from '../../kernel/task.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Node } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { Opening, SpecialFiles } from '../../vfs/special-files.ts';
import type { DevptsFileSystem } from '../devpts/devpts-filesystem.ts';
import { openFifo } from '../pipe/fifo.ts';
import { controllingTerminalOf } from '../tty/job-control.ts';
import { Terminal } from '../tty/terminal.ts';
import { FullFile, NullFile, RandomFile, ZeroFile } from './memory-devices.ts';

type CharacterDevice = (node: Node, flags: number, caller: Caller) => Result<OpenFile>;

/** The parts of the kernel and of their container that devices use. */
export interface DeviceParts {
  readonly randomFill: (bytes: Uint8Array) => void;
  /** The instance that /dev/ptmx nodes outside any devpts mean. */
  readonly devpts: () => DevptsFileSystem;
  /** Behind /dev/console; ENXIO without one. */
  readonly console?: Terminal;
}

/** The special files of one container: terminals are its own. */
export class ContainerSpecialFiles implements SpecialFiles {
  readonly #parts: DeviceParts;
  readonly #byNumber: ReadonlyMap<number, CharacterDevice>;

  constructor(parts: DeviceParts) {
    this.#parts = parts;
    this.#byNumber = characterDevices(parts);
  }

  openFifo(node: Node, flags: number, caller: Caller): Opening {
    return openFifo(node, flags, caller);
  }

  openDevice(
    rdev: number,
    kind: number,
    node: Node,
    flags: number,
    caller: Caller,
  ): Result<OpenFile> {
    if (kind !== S_IFCHR) return ENXIO;
    if (deviceMajor(rdev) === UNIX98_PTY_SLAVE_MAJOR)
      return this.#parts.devpts().openSlave(deviceMinor(rdev), node, flags, caller);
    return this.#byNumber.get(rdev)?.(node, flags, caller) ?? ENXIO;
  }
}

function characterDevices(parts: DeviceParts): Map<number, CharacterDevice> {
  const random =
    (pollable: boolean): CharacterDevice =>
    (node, flags) =>
      new RandomFile(node, flags, parts.randomFill, { pollable });
  return new Map<number, CharacterDevice>([
    [makeDevice(MEM_MAJOR, MEM_MINOR_NULL), (node, flags) => new NullFile(node, flags)],
    [makeDevice(MEM_MAJOR, MEM_MINOR_ZERO), (node, flags) => new ZeroFile(node, flags)],
    [makeDevice(MEM_MAJOR, MEM_MINOR_FULL), (node, flags) => new FullFile(node, flags)],
    [makeDevice(MEM_MAJOR, MEM_MINOR_RANDOM), random(true)],
    [makeDevice(MEM_MAJOR, MEM_MINOR_URANDOM), random(false)],
    [makeDevice(TTYAUX_MAJOR, TTYAUX_MINOR_TTY), openControllingTerminal],
    [
      makeDevice(TTYAUX_MAJOR, TTYAUX_MINOR_CONSOLE),
      (node, flags, caller) => parts.console?.openSlave(node, flags | O_NOCTTY, caller) ?? ENXIO,
    ],
    [
      makeDevice(TTYAUX_MAJOR, TTYAUX_MINOR_PTMX),
      (node, flags, caller) => parts.devpts().openMaster(node, flags, caller),
    ],
  ]);
}

/** /dev/tty: the terminal of the caller's session. */
function openControllingTerminal(node: Node, flags: number, caller: Caller): Result<OpenFile> {
  const terminal = controllingTerminalOf(caller as Task);
  if (!(terminal instanceof Terminal)) return ENXIO;
  return terminal.openSlave(node, flags | O_NOCTTY, caller);
}
