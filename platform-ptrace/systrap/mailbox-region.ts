// SPDX-License-Identifier: Apache-2.0
// The region is the Sentry's view of all mailboxes: one reserved range of addresses, seen as one
// Int32Array and cut into blocks of 32 slots. A block maps 32 slots of one guest process's mailbox
// memfd.

import { ENOMEM, isErrno, type SysResult } from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import { native } from '../../native/addon.ts';
import { SLOT_BYTES, SLOT_WORDS } from '../../protocol/mailbox.ts';

export const SLOTS_PER_BLOCK = 32;
const BLOCK_BYTES = SLOTS_PER_BLOCK * SLOT_BYTES;
/**
 * The region has room for 4096 blocks, and so for as many processes. It is address space only, but
 * a host without overcommit counts it at first.
 */
const REGION_BYTES = 2 ** 30;

export class MailboxRegion {
  /** Every slot of every mailbox. Words outside mapped blocks must not be touched: they fault. */
  readonly words: Int32Array;
  /** The address of the first block. */
  readonly #start: number;
  readonly #free: number[] = [];
  #unused = 0;

  constructor() {
    this.words = new Int32Array(new SharedArrayBuffer(REGION_BYTES + PAGE_SIZE));
    this.#start = native.adoptRegion(this.words);
    if (this.#start < 0) throw new Error(`cannot reserve mailboxes: errno ${-this.#start}`);
  }

  /**
   * Maps block `fileBlock` of a mailbox memfd. Returns the index of the region's block, or an
   * errno.
   */
  attach(mailboxFd: number, fileBlock: number): SysResult {
    const block = this.#free.pop() ?? this.#unused++;
    if ((block + 1) * BLOCK_BYTES > REGION_BYTES) return ENOMEM;
    const mapped = native.mapBlock(
      mailboxFd,
      fileBlock * BLOCK_BYTES,
      this.#start + block * BLOCK_BYTES,
      BLOCK_BYTES,
    );
    if (isErrno(mapped)) {
      this.#free.push(block);
      return mapped;
    }
    return block;
  }

  /**
   * Gives a block back. Nobody may look at its words any more: the next owner's mapping replaces
   * this one, and a memfd is never used for a second process.
   */
  release(block: number): void {
    native.unmapBlock(this.#start + block * BLOCK_BYTES, BLOCK_BYTES);
    this.#free.push(block);
  }

  /** Returns the word index of a slot of a mapped block. */
  slotWord(block: number, slotInBlock: number): number {
    return this.#start / 4 + (block * SLOTS_PER_BLOCK + slotInBlock) * SLOT_WORDS;
  }
}
