// SPDX-License-Identifier: Apache-2.0
// What `runts start` and `runts kill` tell a container's front (native/launcher/front.c): protocol/orders.ts.
import { isErrno } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import { ORDER_ALL, ORDER_MARK, ORDER_SIGNAL, ORDER_START } from '../../protocol/orders.ts';
import { describeErrno } from './errno-text.ts';

/** Lets a created container run. */
export function orderStart(pid: number): void {
  send(pid, ORDER_MARK | ORDER_START);
}

/** Sends a signal to the container's first process, or to all of them. */
export function orderSignal(pid: number, signal: number, all: boolean): void {
  send(pid, ORDER_MARK | signal | (all ? ORDER_ALL : 0));
}

function send(pid: number, value: number): void {
  const result = native.queueSignal(pid, ORDER_SIGNAL, value);
  if (isErrno(result)) throw describeErrno(`signal to process ${pid}`, result);
}
