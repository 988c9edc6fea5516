// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { findModuleState } from './module-state.ts';

const found = (text: string): string[] =>
  findModuleState('sample.ts', text).map(({ what, line }) => `${line} ${what}`);

test('variables of a module', () => {
  expect(found('let count = 0;\nexport let hook: () => void, other = 1;')).toEqual([
    '1 let count',
    '2 let hook',
    '2 let other',
  ]);
  expect(found('const table = [1];\nfunction f() { let i = 0; i += 1; return i; }')).toEqual([]);
});

test('functions by which others set a state', () => {
  const hooks = `
    let open = () => -6;
    const cache = { limit: 1 };
    export function setOpener(opener) { open = opener; }
    export function useLimit(limit) { if (limit > 0) { cache.limit = limit; } }
  `;
  expect(found(hooks)).toEqual(['2 let open', '4 hook setOpener', '5 hook useLimit']);
  const others = `
    const size = 8;
    export function setSize(terminal, rows) { terminal.rows = rows * size; }
    function setOwn() { size.x = 1; }
  `;
  expect(found(others)).toEqual([]);
});

test('state by weak key', () => {
  const tables = `
    const policies = new WeakMap<Task, Policy>();
    class Table { readonly #seen = new WeakSet<object>(); readonly #all = new Map(); }
    function f() { nodes = new WeakMap(); }
  `;
  expect(found(tables)).toEqual(['2 weak policies', '3 weak #seen', '4 weak nodes']);
});
