// SPDX-License-Identifier: Apache-2.0
// An interface of the host behind a packet socket that the launcher opened (native/launcher/link.c).
// One read(2) is a frame, one write(2) sends one; of TCP each may be 64 KiB, cut and put together by
// the host's kernel or not at all.
import { isErrno, type SysResult } from '../../../abi/errno.ts';
import { POLLIN } from '../../../abi/poll.ts';
import { native } from '../../../native/addon.ts';
import type { HostFdWatcher, Platform } from '../../platform/platform.ts';
import { FRAME_BYTES, type FrameReceiver, type Link, NETWORK_AT } from './frame.ts';

/** Frames that are taken in one turn; with 64 KiB each they take some milliseconds. */
const FRAMES_A_TURN = 64;
/** A turn ends after so many bytes, too. */
const BYTES_A_TURN = 1 << 20;

/** Lent to the receiver of each frame in turn. */
const buffer = new Uint8Array(FRAME_BYTES);

export interface LinkDescription {
  readonly index: number;
  readonly name: string;
  readonly address: Uint8Array;
  readonly mtu: number;
}

export class PacketLink implements Link, HostFdWatcher {
  readonly index: number;
  readonly name: string;
  readonly address: Uint8Array;
  readonly mtu: number;
  receivedFrames = 0;
  receivedBytes = 0;
  sentFrames = 0;
  sentBytes = 0;
  /** Frames that the host would not take. */
  droppedFrames = 0;
  readonly #hostFd: number;
  readonly #receiver: FrameReceiver;

  constructor(description: LinkDescription, hostFd: number, receiver: FrameReceiver) {
    this.index = description.index;
    this.name = description.name;
    this.address = description.address;
    this.mtu = description.mtu;
    this.#hostFd = hostFd;
    this.#receiver = receiver;
  }

  start(platform: Platform): SysResult {
    return platform.watch(this.#hostFd, POLLIN, this);
  }

  /** HostFdWatcher. What is left over makes the descriptor ready again. */
  ready(_events: number): void {
    let total = 0;
    for (let frames = 0; frames < FRAMES_A_TURN && total < BYTES_A_TURN; frames += 1) {
      const length = native.read(this.#hostFd, buffer, 0, buffer.length);
      // ENETDOWN is told once when the interface goes; frames come again when it is back.
      if (length <= 0) break;
      total += length;
      this.receivedFrames += 1;
      this.receivedBytes += length;
      if (length > NETWORK_AT) this.#receiver.receiveFrame(this, buffer, length);
    }
    this.#receiver.endBatch();
  }

  transmit(bytes: Uint8Array, length: number): boolean {
    const sent = native.write(this.#hostFd, bytes, 0, length);
    if (isErrno(sent)) {
      this.droppedFrames += 1;
      return false;
    }
    this.sentFrames += 1;
    this.sentBytes += sent;
    return true;
  }
}
