// SPDX-License-Identifier: Apache-2.0
// Writes docs/errors.md from the catalogue of failures and the places that throw them; with
// --check, fails where the file differs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { failures } from '../runts/errors.ts';
import { type FailureSite, findFailureSites } from './failure-sites.ts';

const root = join(import.meta.dirname, '..');
const target = join(root, 'docs/errors.md');

const head = `# Errors of the command line

Generated from \`runts/errors.ts\` and the code by \`npm run errors\`: do not edit.

A failure of \`runts\` is one line on standard error. Each belongs to a family with a code that stays the same from version
to version: match on it, and not on the text. The code is shown

- in the file of \`--log\`: \`"code"\` of the JSON line, \`code=\` of the text line;
- on standard error with \`RUNTS_TRACE=1\`, with the place in runts that it came from.

The exit code follows one rule, for mistakes in the use as for everything else that fails before a program runs:

- 125 from runts' own verbs: \`do\`, \`install\`, \`uninstall\`, \`debug\`, \`help\`, and without a verb (as env(1), timeout(1) and docker(1) have it);
- 1 from the verbs of an OCI runtime, and 3 for a verb that is unknown, which may be an engine's (both as runc has it);
- 255 from \`exec\` where the command line was understood and the process could not be made (as runc has it).

Once a guest's program runs the exit code is the program's; what fails in the sandbox before that ends \`runts do\` and
\`runts exec\` with 126 or 127 where a shell would (the program cannot be run, is not there), and else as above.

In the messages below … stands for what is put in.
`;

function render(sites: readonly FailureSite[]): string {
  const families = Object.entries(failures).map(([code, { about, remedy }]) => {
    const ours = sites.filter((site) => site.code === code);
    const messages = [...new Set(ours.flatMap((site) => site.messages))].filter((line) =>
      /\p{L}/u.test(line),
    );
    return [
      `## ${code}`,
      '',
      about,
      '',
      `*What to do:* ${remedy}`,
      '',
      ...messages.map((line) => `- \`\` ${line} \`\``),
      ...(messages.length > 0 ? [''] : []),
    ].join('\n');
  });
  return [head, ...families].join('\n');
}

const text = render(findFailureSites(root));
if (process.argv.includes('--check')) {
  const have = existsSync(target) ? readFileSync(target, 'utf8') : '';
  if (have !== text) {
    console.log('docs/errors.md differs from the failures in runts/: run npm run errors');
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
