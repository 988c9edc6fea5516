// SPDX-License-Identifier: Apache-2.0
// The cgroups of one container: one directory in each of the host's hierarchies, made, limited,
// looked at and removed as one thing. config-linux.md "Control groups"; runc's cgroupfs manager is
// the model for what is not written down.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../failure.ts';
import type { Resources } from '../spec/types.ts';
import type { ControlFiles } from './control-files.ts';
import { removeTree } from './directories.ts';
import { findController, findUnified, freezerOf, hugepageSizes } from './find.ts';
import type { Freezer } from './freezer.ts';
import { type CgroupKind, type CgroupLayout, discoverLayout } from './layout.ts';
import { type Limits, limitsOf, mergeLimits } from './limits.ts';
import { isUnderOomV1, type OomWatch, oomCountV1, oomCountV2, watchOom } from './oom.ts';
import { killAll, killWhole, pidsOf } from './processes.ts';
import { writeResourcesV1 } from './resources-v1.ts';
import { writeResourcesV2 } from './resources-v2.ts';
import { revertible, type UndoLog } from './revertible.ts';
import type { CgroupStats } from './stats.ts';
import { statsV1 } from './stats-v1.ts';
import { statsV2 } from './stats-v2.ts';
import { endKeeper, type SystemdUnit, stopScope, updateScope } from './systemd.ts';

export interface CgroupDirectory {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  readonly path: string;
  /** Processes of others were there before: they are not killed, and their cgroup is not removed. */
  readonly isShared: boolean;
}

/** The part of a container's record that describes its cgroup. */
export interface CgroupState {
  readonly kind: CgroupKind;
  /** None: the caller could not make any, and did not have to. */
  readonly directories: readonly CgroupDirectory[];
  /** The limits that an update of others of them needs to know. */
  readonly limits: Limits;
  readonly unit?: SystemdUnit;
}

const KILL_PATIENCE_MS = 20_000;

export class Cgroup {
  /** Problems that the user should know of, and that stopped nothing. */
  readonly warnings: readonly string[];
  readonly #layout: CgroupLayout | undefined;
  #state: CgroupState;
  #keeper: number | undefined;

  constructor(
    state: CgroupState,
    {
      layout,
      warnings = [],
      keeper,
    }: {
      readonly layout?: CgroupLayout | undefined;
      readonly warnings?: readonly string[];
      readonly keeper?: number | undefined;
    } = {},
  ) {
    this.#state = state;
    this.#layout = layout;
    this.warnings = warnings;
    this.#keeper = keeper;
  }

  toJSON(): CgroupState {
    return this.#state;
  }

  /**
   * Returns the files of the cgroups' processes: a process that writes "0" to each of them has
   * joined.
   */
  procsFiles(): string[] {
    return this.#state.directories.map(({ path }) => join(path, 'cgroup.procs'));
  }

  exists(): boolean {
    return this.#state.directories.some(({ path }) => existsSync(path));
  }

  /** The container's processes have joined: nothing else needs to keep a scope of systemd any more. */
  joined(): void {
    if (this.#keeper !== undefined) endKeeper(this.#keeper);
    this.#keeper = undefined;
  }

  /** Host pids; `recursive` has those in cgroups below too. All processes are in all hierarchies. */
  pids(recursive: boolean): number[] {
    for (const { path } of this.#owned()) {
      const pids = pidsOf(path, recursive);
      if (pids.length > 0) return pids;
    }
    return [];
  }

  /**
   * SIGKILL for all that are the container's, and waits for them to be gone. Answers whether nobody
   * is left.
   */
  kill(): boolean {
    this.joined();
    const owned = this.#owned();
    const unified = findUnified(owned);
    if (unified !== undefined) killWhole(unified.path);
    const paths = owned.map(({ path }) => path);
    // What v1 has frozen dies when it thaws.
    if (!killAll(paths, 0)) this.thaw();
    return killAll(paths, KILL_PATIENCE_MS);
  }

  /** Without a freezer nothing can be frozen, and that is an error. */
  freeze(): void {
    const freezer = this.#freezer();
    if (freezer === undefined)
      throw new Failure(
        'RUNTS_E_CGROUP_NONE',
        'cannot freeze the container: it has no cgroup with a freezer',
      );
    freezer.freeze();
  }

  thaw(): void {
    this.#freezer()?.thaw();
  }

  isFrozen(): boolean {
    return this.#freezer()?.isFrozen() ?? false;
  }

  /** Only what is given changes. A failure leaves the old limits, as far as the kernel takes them back. */
  update(resources: Resources): void {
    const merged = mergeLimits(this.#state.limits, resources);
    const undo: UndoLog = [];
    try {
      if (this.#state.unit !== undefined) updateScope(this.#state.unit, this.#state.kind, merged);
      this.#write(merged, undo);
    } catch (error) {
      for (const revert of undo.reverse()) revert();
      throw error;
    }
    this.#state = { ...this.#state, limits: limitsOf(merged, this.#state.limits) };
  }

  stats(): CgroupStats {
    const unified = this.#unified();
    const sizes = hugepageSizes();
    if (this.#state.kind === 'v2' && unified !== undefined) return statsV2(unified, sizes);
    return statsV1((controller) => this.#find(controller), sizes);
  }

  /** Kills for lack of memory since the cgroup was made. */
  oomKills(): number {
    const memory = this.#find('memory');
    if (memory !== undefined) return oomCountV1(memory);
    const unified = this.#unified();
    return unified === undefined ? 0 : oomCountV2(unified);
  }

  /** Looks every `intervalMs` and calls back once for each kill. */
  oomEvents(intervalMs: number, onOom: () => void): OomWatch {
    const memory = this.#find('memory');
    const source = {
      count: () => this.oomKills(),
      isUnder: () => memory !== undefined && isUnderOomV1(memory),
    };
    return watchOom(source, intervalMs, onOom);
  }

  /**
   * Once nobody is left in them. Directories that are gone are fine; those above stay, as others
   * may use them.
   */
  async remove(): Promise<void> {
    this.joined();
    if (this.#state.unit !== undefined) stopScope(this.#state.unit);
    const { hierarchies } = this.#layout ?? discoverLayout();
    for (const { path } of this.#owned()) {
      // The state file's word alone is not enough to remove a directory: it must be a cgroup, and not a root.
      const isCgroup = hierarchies.some(({ mountPoint }) => path.startsWith(`${mountPoint}/`));
      if (isCgroup && !path.split('/').includes('..')) await removeTree(path);
    }
  }

  #owned(): readonly CgroupDirectory[] {
    return this.#state.directories.filter(({ isShared }) => !isShared);
  }

  #write(resources: Resources, undo: UndoLog): void {
    const unified = this.#unified();
    if (this.#state.kind === 'v2') {
      if (unified !== undefined) writeResourcesV2(revertible(unified, undo), resources);
      return;
    }
    writeResourcesV1((controller) => {
      const files = this.#find(controller);
      return files === undefined ? undefined : revertible(files, undo);
    }, resources);
  }

  #find(controller: string): ControlFiles | undefined {
    return findController(this.#state.directories, controller);
  }

  #unified(): ControlFiles | undefined {
    return findUnified(this.#state.directories);
  }

  #freezer(): Freezer | undefined {
    return freezerOf(this.#state.directories);
  }
}

/** `value` comes from this container's state file. */
export function restoreCgroup(value: CgroupState, layout?: CgroupLayout): Cgroup {
  return new Cgroup(value, { layout });
}
