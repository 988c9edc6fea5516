// SPDX-License-Identifier: Apache-2.0
// /proc/cpuinfo: the little of the host that /proc shows because programs choose code by it: the
// model and the features of its CPUs. Read once, before the Sentry is confined (host/machine.ts),
// or handed in.

export interface CpuFacts {
  /** /proc/cpuinfo of the host; '' where it could not be read. */
  readonly cpuinfo: string;
}

/** The host's cpuinfo cut or repeated to `count` CPUs that are numbered from 0. */
export function cpuinfoFor(facts: CpuFacts, count: number): string {
  const blocks = facts.cpuinfo.split('\n\n').filter((block) => block.startsWith('processor'));
  const model = blocks[0] ?? genericCpu;
  let text = '';
  for (let cpu = 0; cpu < count; cpu += 1) {
    const block = blocks[cpu] ?? model;
    text += `${renumber(block, cpu, count).trimEnd()}\n\n`;
  }
  return text;
}

const genericCpu = [
  'processor\t: 0',
  'vendor_id\t: unknown',
  'cpu family\t: 6',
  'model\t\t: 0',
  'model name\t: x86-64 processor',
  'fpu\t\t: yes',
  'wp\t\t: yes',
  'flags\t\t: fpu tsc cx8 cmov mmx fxsr sse sse2 syscall nx lm',
  'clflush size\t: 64',
  'cache_alignment\t: 64',
  'address sizes\t: 46 bits physical, 48 bits virtual',
].join('\n');

/** The topology is the guest's: one socket with `count` cores. */
function renumber(block: string, cpu: number, count: number): string {
  const values: Readonly<Record<string, number>> = {
    processor: cpu,
    'physical id': 0,
    siblings: count,
    'core id': cpu,
    'cpu cores': count,
    apicid: cpu,
    'initial apicid': cpu,
  };
  return block
    .split('\n')
    .map((line) => {
      const [label = '', ...rest] = line.split(':');
      const value = values[label.trim()];
      return value === undefined || rest.length === 0 ? line : `${label}: ${value}`;
    })
    .join('\n');
}
