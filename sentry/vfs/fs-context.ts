// SPDX-License-Identifier: Apache-2.0
// Root, working directory and umask of a process (chroot(2), chdir(2), umask(2)); shared with CLONE_FS.
import type { Caller } from './caller.ts';
import type { FdTable } from './fd-table.ts';
import type { Path } from './path.ts';

export class FsContext {
  #root: Path;
  #cwd: Path;
  umask: number;
  #holders = 1;

  constructor(root: Path, cwd: Path, umask: number) {
    this.#root = root;
    this.#cwd = cwd;
    this.umask = umask;
    root.pin();
    cwd.pin();
  }

  get root(): Path {
    return this.#root;
  }

  set root(path: Path) {
    path.pin();
    this.#root.unpin();
    this.#root = path;
  }

  get cwd(): Path {
    return this.#cwd;
  }

  set cwd(path: Path) {
    path.pin();
    this.#cwd.unpin();
    this.#cwd = path;
  }

  /** More than one task uses it (CLONE_FS). */
  get isShared(): boolean {
    return this.#holders > 1;
  }

  /** The number of tasks that use the context. */
  get holders(): number {
    return this.#holders;
  }

  /** A copy for a child or for unshare(CLONE_FS). */
  fork(): FsContext {
    return new FsContext(this.#root, this.#cwd, this.umask);
  }

  acquire(): this {
    this.#holders += 1;
    return this;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders !== 0) return;
    this.#root.unpin();
    this.#cwd.unpin();
  }
}

/** The parts of a task that path walks and opens use. Task implements it. */
export interface FsCaller extends Caller {
  readonly fs: FsContext;
  readonly files: FdTable;
}
