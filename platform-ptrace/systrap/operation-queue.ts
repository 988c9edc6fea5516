// SPDX-License-Identifier: Apache-2.0
// The memory operations that a thread's next answer orders: in its slot as far as that has room, the
// rest in later turns.
import {
  OP_ADVISE,
  OP_LOAD_FP,
  OP_SAVE_FP,
  OPERATION,
  OPERATION_WORDS,
  SLOT,
  SLOT_OPERATIONS,
} from '../../protocol/mailbox.ts';

const TWO_32 = 0x100000000;

/** FP states are copied, and MADV_POPULATE_READ touches pages, some of which a file may not have. */
function touchesMemory(operationKind: number): boolean {
  return [OP_SAVE_FP, OP_LOAD_FP, OP_ADVISE].includes(operationKind);
}

/** One memory operation with the fields of the slot's struct operation. */
export interface RawOperation {
  readonly kind: number;
  readonly prot?: number;
  readonly addr: number;
  readonly length?: number;
  readonly extra0?: number;
  readonly extra1?: number;
  readonly flags?: number;
  readonly messageId?: number;
  /** 16 bytes in the place of extra0 and extra1. */
  readonly name?: Buffer;
}

export class OperationQueue {
  readonly #words: Int32Array;
  /** Word index of the slot. */
  readonly #base: number;
  readonly #addrs: number[] = [];
  readonly #mayFault: boolean[] = [];
  #count = 0;
  readonly #overflow: RawOperation[] = [];

  constructor(words: Int32Array, base: number) {
    this.#words = words;
    this.#base = base;
  }

  /** Those in the slot. */
  get count(): number {
    return this.#count;
  }

  get hasOverflow(): boolean {
    return this.#overflow.length > 0;
  }

  /** `isBusy`: the slot is the stub's at the moment. */
  add(operation: RawOperation, isBusy: boolean): void {
    if (isBusy || this.#count === SLOT_OPERATIONS) this.#overflow.push(operation);
    else this.#put(operation);
  }

  /** Fills the slot, which is empty, with what it had no room for. False where there is none. */
  loadMore(): boolean {
    for (const operation of this.#overflow.splice(0, SLOT_OPERATIONS)) this.#put(operation);
    return this.#count !== 0;
  }

  drop(): void {
    this.#count = 0;
    this.#overflow.length = 0;
  }

  /** Tells the stub how many there are in the slot, which is about to be its. False: none. */
  handOver(): boolean {
    if (this.#count === 0) return false;
    this.#words[this.#base + SLOT.opCount] = this.#count;
    this.#count = 0;
    return true;
  }

  /** The address of the operation at `index` of those that were handed over last. */
  addrOf(index: number): number {
    return this.#addrs[index] ?? 0;
  }

  /** EFAULT of that operation is the guest's own doing. */
  mayFault(index: number): boolean {
    return this.#mayFault[index] === true;
  }

  #put(operation: RawOperation): void {
    const at = this.#base + SLOT.ops + this.#count * OPERATION_WORDS;
    const words = this.#words;
    words[at + OPERATION.kind] = operation.kind;
    words[at + OPERATION.prot] = operation.prot ?? 0;
    this.#put64(at + OPERATION.addr, operation.addr);
    this.#put64(at + OPERATION.length, operation.length ?? 0);
    this.#put64(at + OPERATION.extra0, operation.extra0 ?? 0);
    this.#put64(at + OPERATION.extra1, operation.extra1 ?? 0);
    words[at + OPERATION.flags] = operation.flags ?? 0;
    words[at + OPERATION.messageId] = operation.messageId ?? 0;
    const { name } = operation;
    if (name !== undefined)
      for (let i = 0; i < 4; i++) words[at + OPERATION.extra0 + i] = name.readInt32LE(4 * i);
    this.#addrs[this.#count] = operation.addr;
    this.#mayFault[this.#count] = touchesMemory(operation.kind);
    this.#count++;
  }

  #put64(at: number, value: number): void {
    const words = this.#words;
    words[at] = value;
    words[at + 1] = Math.floor(value / TWO_32);
  }
}
