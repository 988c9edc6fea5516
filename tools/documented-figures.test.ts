// SPDX-License-Identifier: Apache-2.0
// Figures of docs/security.md, and the variables of docs/debugging.md, against what the code has.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { goferFilter } from '../gofer/gofer-filter.ts';
import { proxyFilter } from '../native/proxy/proxy-filter.ts';
import { describeFilter, type FilterSpec } from '../native/seccomp/bpf.ts';
import { traceeFilter } from '../platform-ptrace/ptrace/tracee-filter.ts';
import { tracerFilter } from '../platform-ptrace/ptrace/tracer-filter.ts';
import { stubFilter } from '../platform-ptrace/systrap/stub-filter.ts';
import { OBJECT_COST } from '../sentry/base/object-cost.ts';
import { sentryFilter } from '../sentry/host/sentry-filter.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** The number of calls, counted in the way of `runts debug seccomp`. */
function calls(filter: FilterSpec): number {
  return Number(/: (\d+) system calls/.exec(describeFilter(filter))?.[1]);
}

const sentry = calls(sentryFilter(30, 'none'));
const gofer = (writable: boolean, watches: boolean): number =>
  calls(goferFilter({ writable, watches }));

describe('docs/security.md', () => {
  const page = read('docs/security.md');
  const row = (process: string): string =>
    page.split('\n').find((line) => line.startsWith(`| ${process}`)) ?? '';

  it('has the number of calls of a stub', () => {
    expect(row('stub')).toContain(`| ${calls(stubFilter(0x7f0000000000))} calls from`);
  });

  it('has those of the tracer and of guest processes under ptrace', () => {
    expect(page).toContain(`a filter of ${calls(traceeFilter(0x7f0000000000))} calls for guest`);
    expect(page).toContain(`The tracer (${calls(tracerFilter)} calls;`);
    const text = read('native/tracer/README.md');
    expect(text).toContain(
      `${calls(tracerFilter)} calls, and ${calls(traceeFilter(0x7f0000000000))} for`,
    );
  });

  it('has those of the Sentry, in both places', () => {
    expect(row('Sentry')).toContain(`| ${sentry} calls;`);
    expect(page).toContain(`code execution in the Sentry gives ${sentry} calls`);
  });

  it('has what the network of the host adds', () => {
    expect(page).toContain(`- ${calls(sentryFilter(30, 'host')) - sentry} further calls: socket`);
  });

  it('has what a profile adds', () => {
    const more = calls(sentryFilter(30, 'none', 'profile')) - sentry;
    expect(page).toContain(`${more} further calls with \`--profile\``);
  });

  it('has those of the Gofer, and what is added for writing and for watching', () => {
    const few = gofer(false, false);
    const [writing, watching] = [gofer(true, false) - few, gofer(false, true) - few];
    expect(row('Gofer')).toContain(
      `| ${few} calls; ${writing} more where a volume is writable, ${watching} (inotify)`,
    );
  });

  it('has those of the network proxy', () => {
    expect(row('network proxy')).toContain(`| ${calls(proxyFilter)} calls: `);
  });

  it('has those of the network broker', () => {
    const [confine = ''] =
      /^static void confine[\s\S]*?^}/m.exec(read('native/launcher/broker.c')) ?? [];
    const names = new Set(confine.match(/\bSYS_\w+/g));
    names.delete('SYS_prctl');
    names.delete('SYS_seccomp');
    expect(row('network broker')).toContain(`| ${names.size} calls: messages`);
  });
});

describe('docs/debugging.md', () => {
  /** Variables of everybody's, which are not explained there. */
  const common = new Set(['PATH', 'HOME', 'CI', 'LD_LIBRARY_PATH']);

  function usedVariables(): Set<string> {
    const files = globSync(
      '{bin,.ci,protocol,runts,native,sentry,gofer,platform-ptrace,tools,bench,test/{support,lifecycle,oci,programs,vm}}/**/*',
      { cwd: root, withFileTypes: true },
    ).filter(({ name, parentPath }) => {
      const isBuilt = parentPath.startsWith(join(root, 'native/build'));
      return (
        !isBuilt &&
        /(\.(ts|c|h|S|sh|mk)|^(runts|run))$/.test(name) &&
        name !== 'documented-figures.test.ts'
      );
    });
    const found = new Set<string>();
    for (const file of files) {
      if (!file.isFile()) continue;
      const text = readFileSync(join(file.parentPath, file.name), 'utf8');
      for (const pattern of [
        /process\.env(?:\.|\[')([A-Z][A-Z_]+)/g,
        /\bgetenv\("([A-Z_]+)"\)/g,
        /\b((?:RUNTS_(?!E_)|BENCH_)[A-Z_]+(?<!_H|_))\b/g,
      ]) {
        for (const [, name = ''] of text.matchAll(pattern)) if (!common.has(name)) found.add(name);
      }
    }
    return found;
  }

  it('explains each environment variable that the code knows, and no other', () => {
    const table = [...read('docs/debugging.md').matchAll(/^\| `([A-Z_]+)(?:=[^`]*)?` \|/gm)];
    const explained = table.map(([, name = '']) => name);
    expect(explained.length).toBeGreaterThan(20);
    expect([...usedVariables()].sort()).toEqual([...explained].sort());
  });
});

describe('docs/memory.md', () => {
  const page = read('docs/memory.md');

  it('has the price of each object, and no other', () => {
    const rows = [...page.matchAll(/^\| (\w+) \| (\d+) \|/gm)];
    const documented = Object.fromEntries(rows.map(([, name, bytes]) => [name, Number(bytes)]));
    expect(documented).toEqual(OBJECT_COST);
  });
});
