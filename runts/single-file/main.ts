// SPDX-License-Identifier: Apache-2.0
// Main script of the one-file build: dist/runts is Node with this script, the bundles, their code
// caches and the native parts in it (tools/single-file.ts). The same executable is the command
// line, the Sentry and the Gofer: the name that it is started under says which.
import { getAssetKeys, getRawAsset } from 'node:sea';
import { Script } from 'node:vm';
import { globals, type PrebootAddon, type SingleFile } from '../../protocol/globals.ts';
import { GOFER_NAME, PREBOOT_VARIABLE, SENTRY_NAME } from '../../protocol/processes.ts';
import { forkPreboot } from '../preboot/fork.ts';
import { startNursery } from '../preboot/nursery.ts';
import { loadInheritedAddon, loadOwnAddon } from './load-addon.ts';

type Bundle = (
  exports: object,
  require: NodeJS.Require,
  module: { exports: object },
  filename: string,
  directory: string,
) => void;

const roles: Readonly<Record<string, string>> = {
  [SENTRY_NAME]: 'sentry',
  [GOFER_NAME]: 'gofer',
};

const part = (name: string): Buffer => Buffer.from(getRawAsset(name) as ArrayBuffer);

/** The addon of the command line, and of the preboot that is forked from it. */
let ownAddon: { exports: object } | undefined;

function ownExports(): object {
  if (ownAddon === undefined) {
    ownAddon = { exports: {} };
    loadOwnAddon(ownAddon, part('addon.node'));
  }
  return ownAddon.exports;
}

function provideParts(role: string): void {
  const single: SingleFile = {
    part,
    loadAddon: (module) => {
      if (role === 'cli') module.exports = ownExports();
      else loadInheritedAddon(module);
    },
  };
  globals.runtsSingleFile = single;
}

function start(role: string): void {
  const filename = `/runts/${role}.js`;
  const cache = `${role}.cache`;
  const script = new Script(part(`${role}.js`).toString('latin1'), {
    filename,
    ...(getAssetKeys().includes(cache) ? { cachedData: part(cache) } : {}),
  });
  const module = { exports: {} };
  (script.runInThisContext() as Bundle)(module.exports, require, module, filename, '/runts');
}

/** True where all is done: in what a preboot has become. */
function forkedPreboot(): boolean {
  if (process.env[PREBOOT_VARIABLE]?.startsWith('/') !== true) return false;
  const addon = { exports: {} };
  loadOwnAddon(addon, part('preboot.node'));
  ownExports();
  const exports = addon.exports as PrebootAddon;
  return startNursery(exports, start) || forkPreboot(exports, start);
}

const ownRole = roles[process.argv[1] ?? ''] ?? 'cli';
provideParts(ownRole);
if (ownRole !== 'cli' || !forkedPreboot()) start(ownRole);
