// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { lacksLicence, withLicence } from './spdx.ts';

const LINE = 'SPDX-License-Identifier: Apache-2.0';

it.each([
  ['a/b.ts', `// ${LINE}`],
  ['b.test.ts', `// ${LINE}`],
  ['.dependency-cruiser.cjs', `// ${LINE}`],
  ['b.c', `// ${LINE}`],
  ['b.h', `/* ${LINE} */`],
  ['entry.S', `/* ${LINE} */`],
  ['stub.lds', `/* ${LINE} */`],
  ['boot.sh', `# ${LINE}`],
  ['driver.py', `# ${LINE}`],
  ['launcher.mk', `# ${LINE}`],
  ['native/Makefile', `# ${LINE}`],
])('%s begins with the line', (path, line) => {
  expect(lacksLicence(path, 'first\n')).toBe(true);
  const text = withLicence(path, 'first\nsecond\n');
  expect(text).toBe(`${line}\nfirst\nsecond\n`);
  expect(lacksLicence(path, text)).toBe(false);
  expect(withLicence(path, text)).toBe(text);
});

it.each(['bin/runts', '.ci/run', 'x.sh', 'x.py'])('%s keeps its #! first', (path) => {
  const text = withLicence(path, '#!/usr/bin/env bash\necho\n');
  expect(text).toBe(`#!/usr/bin/env bash\n# ${LINE}\necho\n`);
  expect(lacksLicence(path, text)).toBe(false);
});

it.each(['README.md', 'package.json', 'LICENSE', 'compile_flags.txt'])(
  '%s is no source',
  (path) => {
    expect(lacksLicence(path, 'text\n')).toBe(false);
    expect(withLicence(path, 'text\n')).toBe('text\n');
  },
);

it('wants the line whole, and in its place', () => {
  expect(lacksLicence('a.ts', '// SPDX-License-Identifier: MIT\n')).toBe(true);
  expect(lacksLicence('a.ts', `// Head.\n// ${LINE}\n`)).toBe(true);
  expect(lacksLicence('a.ts', '')).toBe(true);
});
