// SPDX-License-Identifier: Apache-2.0
// `runts spec` and `runts features`.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseMountOptions } from '../oci/mount-options.ts';
import { parseSpec } from '../oci/spec/parse.ts';
import { features } from './features.ts';
import { writeSpec } from './spec.ts';

it('writes a config.json that runts takes, but not over another one', () => {
  const bundle = mkdtempSync(join(tmpdir(), 'runts-spec-'));
  try {
    writeSpec({ bundle, rootless: true });
    const path = join(bundle, 'config.json');
    const text = readFileSync(path, 'utf8');
    expect(parseSpec(text, path).spec.linux?.uidMappings).toEqual([
      { containerID: 0, hostID: process.geteuid?.(), size: 1 },
    ]);
    expect(() => writeSpec({ bundle })).toThrow(`${path} exists already`);
    expect(readFileSync(path, 'utf8')).toBe(text);
    expect(() => writeSpec({ bundle: join(bundle, 'none') })).toThrow('No such file or directory');
  } finally {
    rmSync(bundle, { recursive: true });
  }
});

it('prints features that are true', () => {
  const document = features() as {
    readonly mountOptions: readonly string[];
    readonly ociVersionMin: string;
    readonly ociVersionMax: string;
  };
  expect(document.mountOptions.filter((name) => parseMountOptions([name]).data.length > 0)).toEqual(
    [],
  );
  expect(document.mountOptions).toEqual([...new Set(document.mountOptions)]);
  expect(document.mountOptions).toEqual(expect.arrayContaining(['rro', 'rbind', 'rprivate', 'ro']));
  for (const ociVersion of [document.ociVersionMin, document.ociVersionMax]) {
    const spec = { ociVersion, process: { args: ['true'], cwd: '/' }, root: { path: 'r' } };
    expect(parseSpec(JSON.stringify(spec), 'c').warnings).toEqual([]);
  }
});
