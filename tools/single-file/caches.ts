// Run by tools/single-file.ts under the flags of the executable, with the folder of the bundles and the one for the
// results: the scripts as they go into the executable, and the code caches that fit them.
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { cacheName } from '../code-cache.ts';

const [bundles = '', results = ''] = process.argv.slice(2);
const roles = ['cli', 'sentry', 'gofer'];

/** What V8 compiles at once instead of at the first call. */
const COMPILE_ALL = '//# allFunctionsCalledOnLoad\n';

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

/** Small enough that all of it is worth having, and no run of its own is needed to learn what. */
function compileAll(role: string): void {
  const source = COMPILE_ALL + readFileSync(join(bundles, `${role}.body.js`), 'latin1');
  writeFileSync(join(results, `${role}.js`), source, 'latin1');
  writeFileSync(join(results, `${role}.cache`), new Script(source).createCachedData());
}

for (const role of roles) {
  if (role === 'gofer') compileAll(role);
  else copyTrained(role);
  keepFitting(role);
}
