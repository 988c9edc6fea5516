// SPDX-License-Identifier: Apache-2.0
// Writes native/build/proxy-filter.h: the seccomp filter of the network proxy, compiled from its list
// (native/proxy/proxy-filter.ts). native/Makefile runs it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { proxyFilter } from '../native/proxy/proxy-filter.ts';
import { compileFilter } from '../native/seccomp/bpf.ts';

const target = join(import.meta.dirname, '../native/build/proxy-filter.h');
const INSTRUCTION_BYTES = 8;

function render(): string {
  const program = compileFilter(proxyFilter);
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const lines: string[] = [];
  for (let at = 0; at < program.byteLength; at += INSTRUCTION_BYTES) {
    const [code, jt, jf] = [view.getUint16(at, true), view.getUint8(at + 2), view.getUint8(at + 3)];
    lines.push(
      `    {0x${code.toString(16)}, ${jt}, ${jf}, 0x${view.getUint32(at + 4, true).toString(16)}},`,
    );
  }
  return [
    '/* Made by tools/gen-proxy-filter.ts of native/proxy/proxy-filter.ts: do not edit. */',
    'static const struct sock_filter proxy_filter[] = {',
    ...lines,
    '};',
    '',
  ].join('\n');
}

mkdirSync(dirname(target), { recursive: true });
writeFileSync(target, render());
