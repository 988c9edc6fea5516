// SPDX-License-Identifier: Apache-2.0
// What boot needs to know of the machine, read once before the Sentry is confined. The launcher opened the
// files of the host's /proc: the Sentry sees none of it.
import { readFileSync } from 'node:fs';
import { AT_HWCAP, AT_HWCAP2 } from '../../abi/auxv.ts';
import { native } from '../../native/addon.ts';
import { SENTRY_CPUINFO, SENTRY_MEMINFO } from '../../protocol/descriptors.ts';
import type { CpuFacts } from '../fs/proc/cpuinfo.ts';

/** The soft limit that Linux starts with. */
const fewDescriptors = 1024;

export interface Machine {
  readonly facts: CpuFacts;
  readonly memoryBytes: number;
  readonly cpuCount: number;
  /** AT_HWCAP and AT_HWCAP2. */
  readonly hwcap: number;
  readonly hwcap2: number;
  /** How many descriptors this process may have. */
  readonly descriptors: number;
}

export function readMachine(): Machine {
  const cpuinfo = readFileSync(SENTRY_CPUINFO, 'latin1');
  const meminfo = readFileSync(SENTRY_MEMINFO, 'latin1');
  native.close(SENTRY_CPUINFO);
  native.close(SENTRY_MEMINFO);
  const totalKib = /^MemTotal:\s+(\d+) kB/m.exec(meminfo)?.[1];
  const vector = auxiliaryVector();
  return {
    facts: { cpuinfo },
    memoryBytes: Number(totalKib ?? 1 << 20) * 1024,
    cpuCount: Math.max(1, native.cpuCount()),
    hwcap: vector.get(AT_HWCAP) ?? 0,
    hwcap2: vector.get(AT_HWCAP2) ?? 0,
    descriptors: descriptorLimit(),
  };
}

/** Node has raised the soft limit to the hard one. */
function descriptorLimit(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? fewDescriptors);
}

function auxiliaryVector(): Map<number, number> {
  const bytes = readFileSync('/proc/self/auxv');
  const entries = new Map<number, number>();
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    entries.set(Number(bytes.readBigUInt64LE(at)), Number(bytes.readBigUInt64LE(at + 8)));
  }
  return entries;
}
