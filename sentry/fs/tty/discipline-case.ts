// SPDX-License-Identifier: Apache-2.0
// Runs one recorded case of terminal behaviour (see line-discipline.test.ts) on a Terminal without
// a kernel around it: the other half of the recorder, which ran the same steps on a Linux pty.
import { EAGAIN, isErrno, type SysResult } from '../../../abi/errno.ts';
import { O_NOCTTY, O_NONBLOCK, O_RDWR } from '../../../abi/fcntl.ts';
import { TCIFLUSH, TCIOFLUSH, TCOFLUSH, VSTART, VSTOP } from '../../../abi/termios.ts';
import { TimerQueue } from '../../base/timer-queue.ts';
import type { Caller } from '../../vfs/caller.ts';
import { BufferSink, BufferSource } from '../../vfs/io.ts';
import type { Node } from '../../vfs/node.ts';
import { PtyMaster } from './pty-master.ts';
import type { PtySlave } from './pty-slave.ts';
import { Terminal } from './terminal.ts';

export interface Settings {
  readonly iflag: number;
  readonly oflag: number;
  readonly lflag: number;
  /** Control characters that differ from the usual ones, by index. */
  readonly cc?: Readonly<Record<string, number>>;
}

export interface TerminalCase extends Settings {
  readonly steps: readonly (readonly [string, string | number | Settings])[];
}

/** A terminal outside any session, with both sides open and non-blocking. */
export function openPair(): { readonly master: PtyMaster; readonly slave: PtySlave } {
  const kernel = {
    clock: { monotonicNs: () => 0, realtime: () => ({ sec: 0, nsec: 0 }) },
    timers: new TimerQueue(),
    scheduler: { current: undefined },
  };
  const owner = { slaveNode: () => undefined, masterClosed: () => undefined };
  const node = {} as Node;
  const terminal = new Terminal(kernel, 0);
  const master = new PtyMaster(terminal, owner, node, O_RDWR | O_NONBLOCK);
  terminal.locked = false;
  const slave = terminal.openSlave(node, O_RDWR | O_NONBLOCK | O_NOCTTY, {} as Caller);
  if (isErrno(slave)) throw new Error('the slave did not open');
  return { master, slave };
}

/** Runs a case. Returns the result of each step, in the recorder's form. */
export function runCase(recorded: TerminalCase): unknown[] {
  const { master, slave } = openPair();
  applySettings(slave.terminal, recorded);
  return recorded.steps.map(([operation, argument]) => {
    switch (operation) {
      case 'in':
        writeText(master, argument as string);
        return drain(master);
      case 'minput':
        writeText(master, argument as string);
        return null;
      case 'read':
        return readText(slave, argument as number);
      case 'mread':
        return readText(master, argument as number);
      case 'write':
        return [writeText(slave, argument as string), drain(master)];
      case 'set':
        applySettings(slave.terminal, argument as Settings);
        return drain(master);
      case 'inq':
        return slave.terminal.discipline.inputBytes();
      case 'pkt':
        slave.terminal.packetMode = argument === 1;
        return null;
      case 'flow':
        flow(slave.terminal, argument as number);
        return drain(master);
      case 'flush':
        if (argument === TCIFLUSH || argument === TCIOFLUSH) slave.terminal.flushInput();
        if (argument === TCOFLUSH || argument === TCIOFLUSH) slave.terminal.flushOutput();
        return drain(master);
      default:
        throw new Error(`unknown step ${operation}`);
    }
  });
}

function applySettings(terminal: Terminal, settings: Settings): void {
  const cc = terminal.termios.cc.slice();
  for (const [index, value] of Object.entries(settings.cc ?? {})) cc[Number(index)] = value;
  const { iflag, oflag, lflag } = settings;
  terminal.setTermios({ ...terminal.termios, iflag, oflag, lflag, cc });
}

function flow(terminal: Terminal, action: number): void {
  if (action === 0) terminal.discipline.stopByCall();
  else if (action === 1) terminal.discipline.startByCall();
  else terminal.sendFlowCharacter(terminal.termios.cc[action === 2 ? VSTOP : VSTART] as number);
}

function writeText(file: PtyMaster | PtySlave, text: string): SysResult {
  return file.write(new BufferSource(Buffer.from(text, 'latin1')));
}

function readText(file: PtyMaster | PtySlave, limit: number): string | null {
  const buffer = new Uint8Array(limit);
  const target = new BufferSink(buffer);
  const result = file.read(target);
  if (result === EAGAIN) return null;
  if (isErrno(result)) return `E${-result}`;
  return Buffer.from(buffer.subarray(0, target.filled)).toString('latin1');
}

function drain(master: PtyMaster): string {
  let text = '';
  for (let piece = readText(master, 65536); piece !== null; piece = readText(master, 65536))
    text += piece;
  return text;
}
