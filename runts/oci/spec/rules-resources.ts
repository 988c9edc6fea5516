// SPDX-License-Identifier: Apache-2.0
// What a schema cannot say of linux.resources.
import type { Document } from './document.ts';
import type { BlockIoResources, MemoryResources, Resources } from './types.ts';

/** The limits of memory as the schema returns them. */
type RawMemory = Omit<MemoryResources, 'swappiness'> & { readonly swappiness?: number | bigint };
export type RawResources = Omit<Resources, 'memory'> & { readonly memory?: RawMemory };

/** `place` is '' where the resources are the whole document, else 'linux.resources.'. */
export function checkResources(raw: RawResources, place: string, document: Document): Resources {
  const { memory, ...rest } = raw;
  if (rest.blockIO !== undefined) checkBlockIo(rest.blockIO, `${place}blockIO`, document);
  if (memory === undefined) return rest;
  return { ...rest, memory: checkMemory(memory, `${place}memory`, document) };
}

/** Docker's "not set", which Go turned from -1 into an unsigned number. */
const UNSET = 2n ** 64n - 1n;

function checkMemory(raw: RawMemory, place: string, document: Document): MemoryResources {
  const { swappiness, ...memory } = raw;
  for (const name of ['limit', 'reservation', 'swap', 'kernel', 'kernelTCP'] as const) {
    if ((memory[name] ?? 0) < -1)
      document.fail(`${place}.${name}`, `expected bytes, or -1 for no limit, got ${memory[name]}`);
  }
  const { limit = 0, swap = 0, reservation = 0 } = memory;
  if (limit > 0 && swap > 0 && swap < limit)
    document.fail(
      `${place}.swap`,
      `memory and swap together, ${swap}, are below memory alone, ${limit}`,
    );
  if (limit > 0 && reservation > limit)
    document.warn(`${place}.reservation`, `${reservation} is above the limit, ${limit}`);
  if (swappiness === undefined || swappiness === UNSET) return memory;
  if (swappiness > 100)
    document.fail(`${place}.swappiness`, `expected an integer from 0 to 100, got ${swappiness}`);
  return { ...memory, swappiness: Number(swappiness) };
}

/** 0 is Docker's "not set". */
function checkBlockIo(blockIo: BlockIoResources, place: string, document: Document): void {
  const check = (value: number | undefined, here: string): void => {
    if (value === undefined || value === 0 || (value >= 10 && value <= 1000)) return;
    document.fail(here, `expected an integer from 10 to 1000, got ${value}`);
  };
  check(blockIo.weight, `${place}.weight`);
  check(blockIo.leafWeight, `${place}.leafWeight`);
  for (const [index, device] of (blockIo.weightDevice ?? []).entries()) {
    check(device.weight, `${place}.weightDevice[${index}].weight`);
    check(device.leafWeight, `${place}.weightDevice[${index}].leafWeight`);
  }
}
