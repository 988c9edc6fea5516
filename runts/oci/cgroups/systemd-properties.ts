// SPDX-License-Identifier: Apache-2.0
// Limits as properties of a scope of systemd. systemd.resource-control(5), org.freedesktop.systemd1(5)
import type { Resources } from '../spec/types.ts';
import { isAsked, isNumberAsked } from './asked.ts';
import type { CgroupKind } from './layout.ts';
import { ioWeightOf, swapLimit, weightOfShares } from './resources-v2.ts';
import { parseList } from './stats.ts';

/**
 * The limits in systemd's words, for what it knows: it writes its own values again whenever it is
 * reloaded. The exact ones are written to the files afterwards.
 */
export function unitProperties(kind: CgroupKind, resources: Resources): string[][] {
  const { memory = {}, cpu = {}, pids, blockIO = {} } = resources;
  const properties: string[][] = [];
  const add = (name: string, signature: string, ...values: string[]): void => {
    properties.push([name, signature, ...values]);
  };
  if (isNumberAsked(memory.limit))
    add(kind === 'v2' ? 'MemoryMax' : 'MemoryLimit', 't', orInfinity(memory.limit));
  if (kind === 'v2') {
    if (isNumberAsked(memory.reservation)) add('MemoryLow', 't', orInfinity(memory.reservation));
    const swap = swapLimit(memory);
    if (swap !== '') add('MemorySwapMax', 't', swap === 'max' ? INFINITE : swap);
  }
  if (kind === 'v2' && isNumberAsked(blockIO.weight))
    add('IOWeight', 't', String(ioWeightOf(Number(blockIO.weight))));
  if (isNumberAsked(cpu.shares))
    add(
      kind === 'v2' ? 'CPUWeight' : 'CPUShares',
      't',
      String(kind === 'v2' ? weightOfShares(Number(cpu.shares)) : cpu.shares),
    );
  if (isNumberAsked(cpu.period)) add('CPUQuotaPeriodUSec', 't', String(cpu.period));
  if (isNumberAsked(cpu.quota)) add('CPUQuotaPerSecUSec', 't', quotaPerSecond(cpu));
  if (isNumberAsked(pids?.limit)) add('TasksMax', 't', orInfinity(pids.limit));
  if (kind === 'v2' && isAsked(cpu.cpus)) add('AllowedCPUs', 'ay', ...bits(cpu.cpus));
  if (kind === 'v2' && isAsked(cpu.mems)) add('AllowedMemoryNodes', 'ay', ...bits(cpu.mems));
  if (kind === 'v2') properties.push(...literalProperties(resources));
  return properties;
}

const literals: readonly (readonly [file: string, property: string])[] = [
  ['memory.min', 'MemoryMin'],
  ['memory.high', 'MemoryHigh'],
  ['memory.swap.max', 'MemorySwapMax'],
];

/**
 * Returns the properties for entries of `unified` that fold-unified.ts has left there. The kernel
 * will refuse a value that is not a number.
 */
function literalProperties({ unified = {} }: Resources): string[][] {
  return literals.flatMap(([file, property]) => {
    const value = unified[file]?.trim() ?? '';
    if (value === 'max') return [[property, 't', INFINITE]];
    return /^\d{1,19}$/.test(value) ? [[property, 't', value]] : [];
  });
}

const INFINITE = '18446744073709551615';

function orInfinity(value: number | bigint): string {
  return Number(value) < 0 ? INFINITE : String(value);
}

/**
 * systemd rounds to whole percents, 10 ms of a second: upwards, as a container must not get less
 * than it was given.
 */
function quotaPerSecond({ quota = 0, period = 0 }: NonNullable<Resources['cpu']>): string {
  if (Number(quota) < 0) return INFINITE;
  const micros = (Number(quota) * 1_000_000) / (Number(period) || 100_000);
  return String(Math.ceil(micros / 10_000) * 10_000);
}

/** '0,9' → number of bytes, and the bytes of the mask */
function bits(list: string): string[] {
  const numbers = parseList(list);
  const bytes = new Array<number>(Math.floor(Math.max(0, ...numbers) / 8) + 1).fill(0);
  for (const number of numbers) {
    const at = Math.floor(number / 8);
    bytes[at] = (bytes[at] ?? 0) | (1 << (number % 8));
  }
  return [String(bytes.length), ...bytes.map(String)];
}
