// SPDX-License-Identifier: Apache-2.0
// Every guest program of this folder. Those whose behaviour hangs on how they are linked run statically
// linked too.
import { readdirSync } from 'node:fs';
import { testGuestProgram } from '../support/guest-program.ts';

const hostNetwork = ['--network', 'host'];
/** Programs about the host's network, and about both. */
const onlyOnHost = new Set(['host-inet', 'host-messages']);
const alsoOnHost = new Set(['inet', 'inet-corners']);
const alsoStatic = new Set(['process', 'exec', 'signals', 'threads', 'memory']);

/** Programs about what can be turned off run without it too. */
const without: Readonly<Record<string, readonly string[]>> = {
  'patched-calls': ['--no-patching'],
  futexes: ['--no-host-futexes', '--no-patching'],
  windows: ['--no-windows', '--no-patching'],
};

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.c'))
  .map((file) => file.slice(0, -2));

for (const name of names) {
  if (!onlyOnHost.has(name)) testGuestProgram(name);
  if (onlyOnHost.has(name) || alsoOnHost.has(name)) testGuestProgram(name, 'dynamic', hostNetwork);
  if (alsoStatic.has(name)) testGuestProgram(name, 'static');
  for (const flag of without[name] ?? []) testGuestProgram(name, 'dynamic', [flag]);
}
