// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInThisContext } from 'node:vm';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mapStack } from './map-stack.ts';

const dir = mkdtempSync(join(tmpdir(), 'runts-map-'));
const folder = join(dir, 'build');
let stack = '';

/**
 * A bundle as tools/build.ts makes one, and the stack of what it throws, as from a process that saw
 * it in /app.
 */
beforeAll(async () => {
  mkdirSync(join(dir, 'sentry'));
  writeFileSync(
    join(dir, 'sentry/fault.ts'),
    'const reason: string = "no";\n\nexport function fault(): never {\n  throw new Error(reason);\n}\n',
  );
  writeFileSync(
    join(dir, 'sentry/main.ts'),
    "import { fault } from './fault.ts';\n\nif (Date.now() > 0) fault();\n",
  );
  await build({
    entryPoints: [join(dir, 'sentry/main.ts')],
    outfile: join(folder, 'sentry.body.js'),
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'cjs',
    sourcemap: 'linked',
    banner: { js: '(function(exports){const first = 1;' },
    footer: { js: '})' },
  });
  const body = readFileSync(join(folder, 'sentry.body.js'), 'utf8');
  const run = runInThisContext(body, { filename: '/app/build/sentry.body.js' }) as (
    o: object,
  ) => void;
  try {
    run({});
  } catch (error) {
    stack = String((error as Error).stack);
  }
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('translates each place in a bundle', () => {
  expect(stack).toMatch(/\/app\/build\/sentry\.body\.js:\d+:\d+/);
  const mapped = mapStack(stack, folder);
  expect(mapped).toMatch(/^Error: no\n {4}at .*sentry\/fault\.ts:4:9\)?\n/);
  expect(mapped).toMatch(/sentry\/main\.ts:3:\d+/);
  expect(mapped).not.toContain('body.js');
});

it('does so in a line of a JSON log', () => {
  const line = JSON.stringify({ level: 50, msg: stack });
  const { msg } = JSON.parse(mapStack(line, folder)) as { msg: string };
  expect(msg).toContain('sentry/fault.ts:4:9');
});

it('leaves alone what it has no map for', () => {
  const other = '    at x (/app/build/gofer.body.js:1:20)\n    at y (node:fs:3:4)\n';
  expect(mapStack(other, folder)).toBe(other);
  expect(mapStack(stack, join(dir, 'nowhere'))).toBe(stack);
  expect(mapStack('build/sentry.body.js:1:1', folder)).toBe('build/sentry.body.js:1:1');
});
