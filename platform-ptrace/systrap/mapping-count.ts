// How many mappings the host keeps for a stub process: memory of its kernel, which a guest that took over its stub could have
// 30 MiB of in each process, behind the back of the Sentry's own list of them.
import { native } from '../../native/addon.ts';

/** What the host's kernel keeps of one: vm_area_struct, anon_vma and its chain, a share of the tree. Measured: 471. */
export const MAPPING_BYTES = 480;
/** Counting so many takes 6 ms, and nobody is kept waiting longer: who has more is charged with the most there can be. */
const MOST_COUNTED = 16384;
/** vm.max_map_count, as Linux sets it. */
const MOST = 65530;
/** Processor time in which a process makes 5000 mappings at the most. */
const LEAST_NS = 10e6;
/** A hundred times what counting one takes: no process is looked at for more than a hundredth of its own time. */
const NS_PER_MAPPING = 40_000;

export class MappingCount {
  #count = 0;
  #nextCpuNs = 0;

  /** Returns the memory that the mappings of `pid` take, which has used so much processor time. */
  bytes(pid: number, cpuNs: number): number {
    if (cpuNs >= this.#nextCpuNs) {
      const counted = native.countMappings(pid, MOST_COUNTED);
      this.#count = counted < MOST_COUNTED ? Math.max(counted, 0) : MOST;
      this.#nextCpuNs = cpuNs + LEAST_NS + Math.min(this.#count, MOST_COUNTED) * NS_PER_MAPPING;
    }
    return this.#count * MAPPING_BYTES;
  }
}
