// What `runts start` and `runts kill` tell a container's front (native/launcher/front.c): a real-time signal with a
// number in it. It reaches the front without a connection, and can ask for signals that no process can catch.
import { isErrno } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import { describeErrno } from './errno-text.ts';

const SIGNAL = 63;
const MARK = 0x52_00_00_00;
const START = 0x1_00_00;
const ALL = 0x2_00_00;

/** Lets a created container run. */
export function orderStart(pid: number): void {
  send(pid, MARK | START);
}

/** Sends a signal to the container's first process, or to all of them. */
export function orderSignal(pid: number, signal: number, all: boolean): void {
  send(pid, MARK | signal | (all ? ALL : 0));
}

function send(pid: number, value: number): void {
  const result = native.queueSignal(pid, SIGNAL, value);
  if (isErrno(result)) throw describeErrno(`signal to process ${pid}`, result);
}
