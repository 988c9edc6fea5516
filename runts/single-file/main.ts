// Main script of the one-file build: dist/runts is Node with this script, the bundles, their code caches and the native
// parts in it (tools/single-file.ts). The same executable is the command line, the Sentry and the Gofer: the name that
// it is started under says which.
import { getAssetKeys, getRawAsset } from 'node:sea';
import { Script } from 'node:vm';
import type { SingleFile } from '../../native/single-file.ts';
import { loadInheritedAddon, loadOwnAddon } from './load-addon.ts';

type Bundle = (
  exports: object,
  require: NodeJS.Require,
  module: { exports: object },
  filename: string,
  directory: string,
) => void;

/** native/launcher/children.c gives the names. */
const roles: Readonly<Record<string, string>> = {
  'runts-sentry': 'sentry',
  'runts-gofer': 'gofer',
};

const part = (name: string): Buffer => Buffer.from(getRawAsset(name) as ArrayBuffer);

function start(role: string): void {
  const single: SingleFile = {
    part,
    loadAddon: (module) =>
      role === 'cli' ? loadOwnAddon(module, part('addon.node')) : loadInheritedAddon(module),
  };
  Object.assign(globalThis, { runtsSingleFile: single });
  const filename = `/runts/${role}.js`;
  const cache = `${role}.cache`;
  const script = new Script(part(`${role}.js`).toString('latin1'), {
    filename,
    ...(getAssetKeys().includes(cache) ? { cachedData: part(cache) } : {}),
  });
  const own = { exports: {} };
  (script.runInThisContext() as Bundle)(own.exports, require, own, filename, '/runts');
}

start(roles[process.argv[1] ?? ''] ?? 'cli');
