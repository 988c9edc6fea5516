// How much memory a file system (or all of the sandbox) may fill with file data.
/** Bytes handed out against a limit. `parent`: a wider limit that holds as well. */
export class ByteBudget {
  readonly limit: number;
  readonly #parent: ByteBudget | undefined;
  used = 0;

  constructor(limit: number, parent?: ByteBudget) {
    this.limit = limit;
    this.#parent = parent;
  }

  /** False where the limit is reached: nothing is taken then. */
  take(bytes: number): boolean {
    if (this.used + bytes > this.limit) return false;
    if (this.#parent !== undefined && !this.#parent.take(bytes)) return false;
    this.used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.used -= bytes;
    this.#parent?.give(bytes);
  }
}

export const unlimitedBudget = new ByteBudget(Number.POSITIVE_INFINITY);
