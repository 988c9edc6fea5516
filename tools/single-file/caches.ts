// SPDX-License-Identifier: Apache-2.0
// Run by tools/single-file.ts under the flags of the executable, with the folder of the bundles and
// the one for the results: the scripts as they go into the executable, and the code caches that fit
// them.
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { cacheName } from '../code-cache.ts';

const [bundles = '', results = ''] = process.argv.slice(2);
const roles = ['cli', 'sentry', 'gofer'];

function keepFitting(role: string): void {
  const cache = join(results, `${role}.cache`);
  if (!existsSync(cache)) return;
  const source = readFileSync(join(results, `${role}.js`), 'latin1');
  const script = new Script(source, { cachedData: readFileSync(cache) });
  if (script.cachedDataRejected === true) rmSync(cache);
}

function copyTrained(role: string): void {
  copyFileSync(join(bundles, `${role}.body.js`), join(results, `${role}.js`));
  const trained = join(bundles, cacheName(join(bundles, `${role}.body.js`)));
  const cache = join(results, `${role}.cache`);
  if (existsSync(trained)) copyFileSync(trained, cache);
  else rmSync(cache, { force: true });
}

for (const role of roles) {
  copyTrained(role);
  keepFitting(role);
}
