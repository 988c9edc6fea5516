// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { type OperationName, operations } from '../../protocol/gofer/operations.ts';
import { rows } from './table.ts';

it.each(Object.keys(operations) as OperationName[])(
  '%s has a handler, found by its number',
  (name) => {
    const operation = operations[name];
    expect(rows[operation.number]?.operation).toBe(operation);
    expect(rows[operation.number]?.handle).toBeTypeOf('function');
  },
);

it('holds nothing else', () => {
  expect(rows.filter((row) => row !== undefined).length).toBe(Object.keys(operations).length);
});
