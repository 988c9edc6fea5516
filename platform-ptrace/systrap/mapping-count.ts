// SPDX-License-Identifier: Apache-2.0
// Counts the mappings that the host kernel keeps for a stub process. A guest that took over its stub
// can make mappings of which the Sentry's own list knows nothing: up to 30 MiB of kernel memory a process.
import { native } from '../../native/addon.ts';

/**
 * Kernel memory of one mapping: vm_area_struct, anon_vma and its chain, a share of the tree (471
 * measured).
 */
export const MAPPING_BYTES = 480;
/**
 * The count stops here, after 6 ms, because the Sentry's thread does nothing else meanwhile. A process
 * with more mappings is charged with MOST.
 */
const MOST_COUNTED = 16384;
/** Linux's default of vm.max_map_count. */
const MOST = 65530;
/** Processor time between two counts: a process makes at most 5000 mappings in it. */
const LEAST_NS = 10e6;
/** A hundred times the time that counting one mapping takes, so that counting costs 1 % at most. */
const NS_PER_MAPPING = 40_000;
/** The same for a process that has come to rest, whose last mappings nobody would ever count else. */
const NS_PER_MAPPING_AT_REST = 4_000;

export class MappingCount {
  #count = 0;
  #countedCpuNs = 0;
  #nextCpuNs = 0;
  #seenCpuNs = 0;

  /**
   * Returns the kernel memory of the mappings of `pid`, a process that has used `cpuNs` of
   * processor time.
   */
  bytes(pid: number, cpuNs: number): number {
    const isAtRest = cpuNs === this.#seenCpuNs;
    this.#seenCpuNs = cpuNs;
    const counted = Math.min(this.#count, MOST_COUNTED);
    const restNs = this.#countedCpuNs + LEAST_NS + counted * NS_PER_MAPPING_AT_REST;
    if (cpuNs >= this.#nextCpuNs || (isAtRest && cpuNs >= restNs)) this.#recount(pid, cpuNs);
    return this.#count * MAPPING_BYTES;
  }

  #recount(pid: number, cpuNs: number): void {
    const counted = native.countMappings(pid, MOST_COUNTED);
    this.#count = counted < MOST_COUNTED ? Math.max(counted, 0) : MOST;
    this.#countedCpuNs = cpuNs;
    this.#nextCpuNs = cpuNs + LEAST_NS + Math.min(this.#count, MOST_COUNTED) * NS_PER_MAPPING;
  }
}
