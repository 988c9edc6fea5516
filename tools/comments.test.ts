// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { badOpenings } from './comment-openings.ts';
import { findComments, longLines, reflow } from './comments.ts';

const word = 'because';
const long = Array.from({ length: 20 }, () => word).join(' ');
const lengths = (text: string): number[] => text.split('\n').map((line) => line.length);

describe('findComments', () => {
  it('takes no string, template or regular expression for a comment', () => {
    const text =
      "const a = '// no'; const b = `/* ${c /* yes */} no */`; const d = /\\/\\/no/; // yes too";
    const found = findComments('a.ts', text).map(({ start, end }) => text.slice(start, end));
    expect(found).toEqual(['/* yes */', '// yes too']);
  });

  it('takes no C string or character for a comment', () => {
    const text = 'char *a = "/* no \\" // */"; char b = \'"\'; /* yes */';
    const found = findComments('a.c', text).map(({ start, end }) => text.slice(start, end));
    expect(found).toEqual(['/* yes */']);
  });
});

describe('longLines', () => {
  it('tells comment lines over 110 columns, also behind code, and no others', () => {
    const fits = `// ${'x '.repeat(53)}x`;
    expect([fits.length, longLines('a.ts', fits)]).toEqual([110, []]);
    expect(longLines('a.ts', `const a = '${long}';\n// ${long}\nf(); // ${long}`)).toEqual([2, 3]);
    expect(longLines('a.c', `/*\n * ${long}\n */`)).toEqual([2]);
  });

  it('lets directives and words that cannot be broken be', () => {
    expect(longLines('a.ts', `// biome-ignore lint/a/b: ${long}`)).toEqual([]);
    expect(longLines('a.ts', `// see https://example.org/${'x'.repeat(120)}`)).toEqual([]);
  });
});

describe('reflow', () => {
  it('fills lines to 100 columns and keeps every word', () => {
    const filled = reflow('a.ts', `  // ${long}\n  // end.\n  f();`);
    expect(Math.max(...lengths(filled))).toBeLessThanOrEqual(100);
    expect(filled.split('\n').at(-1)).toBe('  f();');
    expect(filled.match(/because/g)?.length).toBe(20);
    expect(filled).toContain('because end.');
  });

  it('makes several lines of a doc comment of one', () => {
    const [first, second, ...others] = reflow('a.ts', `  /** ${long} */\n  f();`).split('\n');
    expect([first, second?.startsWith('   * because'), others.at(-2)]).toEqual([
      '  /**',
      true,
      '   */',
    ]);
  });

  it('leaves other paragraphs, lists of files and tables as they are', () => {
    const kept = [
      '// SPDX-License-Identifier: X',
      '// One.',
      '//   ROOT/ID/file   what it holds',
      '//',
      '// Two,',
      '// three.',
    ];
    const filled = reflow('a.ts', [...kept, '//', `// ${long}`].join('\n')).split('\n');
    expect(filled.slice(0, kept.length)).toEqual(kept);
  });

  it('indents the later lines of a list item', () => {
    const filled = reflow('a.c', `/*\n * - ${long}\n * - short\n */`).split('\n');
    expect(filled.map((line) => line.slice(0, 5))).toEqual([
      '/*',
      ' * - ',
      ' *   ',
      ' * - ',
      ' */',
    ]);
  });

  it('keeps the mark of a deviation whole, and at the start of its line', () => {
    const filled = reflow(
      'a.ts',
      `// ${long}\n// Differs from Linux: ${'x'.repeat(70)} Differs from runc: y`,
    );
    expect(filled.split('\n').slice(-2)).toEqual([
      `// Differs from Linux: ${'x'.repeat(70)}`,
      '// Differs from runc: y',
    ]);
  });

  it('changes nothing where every line is short enough', () => {
    const text = '// a\n// b\n/* c */ f();\n';
    expect(reflow('a.ts', text)).toBe(text);
  });
});

describe('badOpenings', () => {
  it('tells doc comments without subject and verb, in the product only', () => {
    const text =
      '/** What is left. */\n/** The rest that is left. */\n/**\n * As runc.\n */\n// What\n';
    expect(badOpenings('sentry/a.ts', text)).toEqual([
      { line: 1, word: 'What' },
      { line: 3, word: 'As' },
    ]);
    expect(badOpenings('test/a.ts', text)).toEqual([]);
    expect(badOpenings('sentry/a.test.ts', text)).toEqual([]);
  });
});
