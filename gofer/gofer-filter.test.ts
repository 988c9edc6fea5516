// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { IN_CLOEXEC, IN_DONT_FOLLOW, IN_NONBLOCK, IN_OPEN } from '../abi/inotify.ts';
import { actionValue, compileFilter } from '../native/seccomp/bpf.ts';
import { runFilter } from '../test/support/run-filter.ts';
import { goferFilter } from './gofer-filter.ts';
import { WATCH_MASK } from './watches.ts';

const FCHDIR = 81;
const CHDIR = 80;
const ADD_WATCH = 254;
const INIT = 253;
const INIT1 = 294;
const allowed = actionValue('allow');
const killed = actionValue('killProcess');

describe('a Gofer that watches', () => {
  const program = compileFilter(goferFilter({ writable: true, watches: true }));
  const ask = (nr: number, ...args: number[]): number => runFilter(program, { nr, args });

  it('may ask for what the Sentry needs to know, and nothing else', () => {
    expect(ask(INIT1, IN_NONBLOCK | IN_CLOEXEC)).toBe(allowed);
    expect(ask(INIT1, 0)).toBe(killed);
    expect(ask(INIT)).toBe(killed);
    expect(ask(ADD_WATCH, 9, 0x1000, WATCH_MASK)).toBe(allowed);
    for (const mask of [WATCH_MASK | IN_OPEN, WATCH_MASK | IN_DONT_FOLLOW, 0, 0xfff])
      expect(ask(ADD_WATCH, 9, 0x1000, mask)).toBe(killed);
  });

  it('may not leave the directory where names are those of its descriptors', () => {
    expect(ask(FCHDIR, 5)).toBe(killed);
    expect(ask(CHDIR, 0x1000)).toBe(killed);
  });
});

it('watches only what others change too', () => {
  const program = compileFilter(goferFilter({ writable: true, watches: false }));
  expect(runFilter(program, { nr: INIT1, args: [IN_NONBLOCK | IN_CLOEXEC] })).toBe(killed);
  expect(runFilter(program, { nr: ADD_WATCH, args: [9, 0x1000, WATCH_MASK] })).toBe(killed);
});
