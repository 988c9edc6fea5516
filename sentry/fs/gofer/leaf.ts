// SPDX-License-Identifier: Apache-2.0
// Links, FIFOs, sockets and device nodes of a Gofer tree. The last three are the sandbox's own
// behind the host's name: a FIFO is a pipe of the Sentry, a device is what fs/dev has under that
// number, and no host object is opened.
import { ENXIO, isErrno, type Result } from '../../../abi/errno.ts';
import { S_IFBLK, S_IFCHR } from '../../../abi/stat.ts';
import type { HostEntry } from '../../../protocol/gofer/host-attributes.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Attributes } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { GoferDirectory } from './directory.ts';
import type { GoferFileSystem } from './filesystem.ts';
import { GoferNode } from './node.ts';

export class GoferSymlink extends GoferNode {
  /** '': not known yet (listings do not tell). */
  #target: string;

  constructor(
    filesystem: GoferFileSystem,
    parent: GoferDirectory,
    name: string,
    attributes: Attributes,
    target: string,
  ) {
    super(filesystem, parent, name, attributes);
    this.#target = target;
  }

  override placed(
    parent: GoferDirectory,
    name: string,
    attributes: Attributes,
    entry: HostEntry,
    sinceNs: number,
  ): void {
    const { ctime } = this.lastKnown;
    super.placed(parent, name, attributes, entry, sinceNs);
    // The number of a removed link may come back as another's, and listings do not tell targets.
    const isSame = ctime.sec === attributes.ctime.sec && ctime.nsec === attributes.ctime.nsec;
    if (entry.target !== '' || !isSame) this.#target = entry.target;
  }

  override readlink(_caller: Caller): Result<string> {
    if (this.#target !== '') return this.#target;
    const { entries, errno } = this.filesystem.client.walk(this.directoryId(), this.name);
    const found = entries[0];
    if (found === undefined) return isErrno(errno) ? errno : ENXIO;
    this.#target = found.target;
    return this.#target;
  }

  override open(): Result<OpenFile> {
    return ENXIO;
  }
}

export class GoferSpecial extends GoferNode {
  override open(flags: number, caller: Caller): Result<OpenFile> {
    if (this.kind !== S_IFCHR && this.kind !== S_IFBLK) return ENXIO;
    const attributes = this.attributes();
    if (isErrno(attributes)) return attributes;
    return caller.specialFiles.openDevice(attributes.rdev, this.kind, this, flags, caller);
  }
}
