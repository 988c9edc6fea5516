// SPDX-License-Identifier: Apache-2.0
// One entry of an epoll instance: a waker on the watched file's queue.
import { kernelDevice } from '../../../abi/dev.ts';
import { EPOLLERR, EPOLLHUP } from '../../../abi/epoll.ts';
import { isErrno } from '../../../abi/errno.ts';
import { hexadecimal } from '../../base/hexadecimal.ts';
import type { Waker } from '../../base/wait.ts';
import type { OpenFile } from '../../vfs/open-file.ts';

/** Bits of `events` that say how to report, not what. */
const privateBits = 0xf000_0000;

export interface ReadyList {
  becameReady(item: EpollItem): void;
}

export class EpollItem implements Waker {
  readonly list: ReadyList;
  readonly fd: number;
  readonly file: OpenFile;
  /** EPOLL* as the guest gave them, with ERR and HUP; unsigned. */
  events: number;
  dataLow: number;
  dataHigh: number;
  /** Links of the ready list. */
  next: EpollItem | undefined = undefined;
  previous: EpollItem | undefined = undefined;
  isListed = false;

  constructor(
    list: ReadyList,
    fd: number,
    file: OpenFile,
    events: number,
    dataLow: number,
    dataHigh: number,
  ) {
    this.list = list;
    this.fd = fd;
    this.file = file;
    this.events = (events | EPOLLERR | EPOLLHUP) >>> 0;
    this.dataLow = dataLow;
    this.dataHigh = dataHigh;
  }

  /** POLL* bits that this entry waits for; 0 once a one-shot entry has fired. */
  get mask(): number {
    return this.events & ~privateBits;
  }

  /** EPOLLONESHOT has fired: nothing is reported until EPOLL_CTL_MOD. */
  disarm(): void {
    this.events = (this.events & privateBits) >>> 0;
  }

  /** Its line of the instance's /proc/PID/fdinfo. */
  information(): string {
    const { file } = this;
    const attributes = file.node.attributes();
    const { ino, dev } = isErrno(attributes) ? { ino: 0, dev: 0 } : attributes;
    const fd = String(this.fd).padStart(8);
    const events = this.events.toString(16).padStart(8);
    const data = hexadecimal(this.dataHigh >>> 0, this.dataLow >>> 0).padStart(16);
    const inode = `pos:${file.offset} ino:${ino.toString(16)} sdev:${kernelDevice(dev).toString(16)}`;
    return `tfd: ${fd} events: ${events} data: ${data}  ${inode}\n`;
  }

  ready(): number {
    // A file that very many instances watch may be closed before this one is told.
    return this.file.references === 0 ? 0 : this.file.poll() & this.mask;
  }

  wake(_events: number): void {
    this.list.becameReady(this);
  }
}
