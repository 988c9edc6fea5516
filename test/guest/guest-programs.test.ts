// Every guest program of this folder. Those whose behaviour hangs on how they are linked run statically
// linked too.
import { readdirSync } from 'node:fs';
import { testGuestProgram } from '../support/guest-program.ts';

const alsoStatic = new Set(['process', 'exec', 'signals', 'threads', 'memory']);

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.c'))
  .map((file) => file.slice(0, -2));

for (const name of names) {
  testGuestProgram(name);
  if (alsoStatic.has(name)) testGuestProgram(name, 'static');
}
