// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { failures } from '../runts/errors.ts';
import { findFailureSites, sitesIn } from './failure-sites.ts';

const root = join(import.meta.dirname, '..');
const sites = findFailureSites(root);

describe('the catalogue of failures', () => {
  it('is found in use at all', () => {
    expect(sites.length).toBeGreaterThan(150);
  });

  it('has each code that the command line uses', () => {
    expect(sites.filter(({ code }) => !Object.hasOwn(failures, code))).toEqual([]);
  });

  it('has no code that nothing uses', () => {
    const used = new Set(sites.map(({ code }) => code));
    expect(Object.keys(failures).filter((code) => !used.has(code))).toEqual([]);
  });

  it('tells of each family what it is and what to do, in sentences', () => {
    for (const { about, remedy } of Object.values(failures)) {
      expect(about).toMatch(/^[`A-Z].*\.$|^runts.*\.$|^systemd.*\.$|^ps.*\.$/);
      expect(remedy).toMatch(/\.$/);
    }
  });

  it('has a heading of each code on its page, and no other', () => {
    const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
    const headings = [...page.matchAll(/^## (.*)$/gm)].map((match) => match[1]);
    expect(headings).toEqual(Object.keys(failures));
  });
});

describe('sitesIn', () => {
  const messages = (argument: string): readonly string[] | undefined =>
    sitesIn('x.ts', `throw new Failure('RUNTS_E_X', ${argument});`)[0]?.messages;

  it('reads the message of each way to write one', () => {
    expect(messages("'gone'")).toEqual(['gone']);
    expect(messages('`a ${b} c ${d}`')).toEqual(['a … c …']);
    expect(messages("`a ${b}` + 'c'")).toEqual(['a …c']);
    expect(messages("a ? 'b' : `c ${d}`")).toEqual(['b', 'c …']);
    expect(messages('text')).toEqual([]);
  });

  it('counts a code that is no argument of a failure, too', () => {
    const [site] = sitesIn('x.ts', "const x = () => 'RUNTS_E_X';");
    expect(site).toEqual({ file: 'x.ts', code: 'RUNTS_E_X', messages: [] });
  });
});
