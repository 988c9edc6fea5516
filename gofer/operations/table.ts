// SPDX-License-Identifier: Apache-2.0
// What the Gofer does for each operation of protocol/gofer/operations.ts: the one table that the
// server loop dispatches by. The compiler asks for a handler of every operation.
import {
  type OperationName,
  operations,
  type RequestOf,
  type Unanswered,
} from '../../protocol/gofer/operations.ts';
import { link, remove, rename } from './changes.ts';
import type { Answer, GoferContext } from './context.ts';
import { createUnnamed, hold, linkHeld } from './held.ts';
import { list } from './list.ts';
import { getAttributes, statfs, walk } from './look.ts';
import { create, makeDirectory, makeNode, symlink } from './make.ts';
import { open, openMany } from './open.ts';
import { attach, forget, freeze, startWatching, stopWatching } from './session.ts';
import { setAttributes } from './set-attributes.ts';
import { listTree } from './tree.ts';
import { getXattr, listXattr, removeXattr, setXattr } from './xattr.ts';

type Operations = typeof operations;

type Handler<Name extends OperationName> = (
  context: GoferContext,
  request: RequestOf<Operations[Name]>,
) => Operations[Name] extends Unanswered<infer _Q> ? void : Answer<Name>;

const handlers: { readonly [Name in OperationName]: Handler<Name> } = {
  attach,
  walk,
  list,
  open,
  statfs,
  getAttributes,
  create,
  makeDirectory,
  remove,
  rename,
  link,
  symlink,
  makeNode,
  setAttributes,
  getXattr,
  listXattr,
  setXattr,
  removeXattr,
  forget,
  freeze,
  hold,
  createUnnamed,
  linkHeld,
  startWatching,
  stopWatching,
  listTree,
  openMany,
};

export interface Row {
  readonly operation: Operations[OperationName];
  /**
   * `request` is what `operation` decoded, and the answer is what it encodes: Handler ties the
   * three by their name.
   */
  readonly handle: (context: GoferContext, request: unknown) => object | number | undefined;
}

/** By the operation's number. */
export const rows: readonly (Row | undefined)[] = rowsByNumber();

function rowsByNumber(): (Row | undefined)[] {
  const made: (Row | undefined)[] = [];
  for (const name of Object.keys(handlers) as OperationName[]) {
    const operation = operations[name];
    made[operation.number] = { operation, handle: handlers[name] as Row['handle'] };
  }
  return made;
}
