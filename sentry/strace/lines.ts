// SPDX-License-Identifier: Apache-2.0
// The lines of a trace: which task has the line that is open, where it is cut because another task has
// something to tell, and the times beside it.
import type { SysResult } from '../../abi/errno.ts';
import type { SignalInfo } from '../kernel/signal-info.ts';
import type { SyscallArgs } from '../kernel/syscall-args.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { Row } from '../syscalls/entry.ts';
import type { TraceFilter } from './filter.ts';
import {
  abandonCall,
  type Call,
  enterCall,
  formatExit,
  formatResult,
  leaveCall,
} from './format.ts';
import { signalText } from './meanings.ts';
import { sigset } from './printers.ts';
import { pointer, quoteString } from './quote.ts';

/** The times that are asked for beside the calls: strace(1) -r, -t (here with microseconds, -tt) and -T. */
export interface TraceTimes {
  readonly relative: boolean;
  readonly absolute: boolean;
  readonly spent: boolean;
}

/** The part of a task that its lines need. */
export interface Traced {
  readonly tid: number;
  readonly args: SyscallArgs;
  readonly memory: GuestMemory;
  readonly signalMask: { readonly lo: number; readonly hi: number };
}

interface OpenCall {
  readonly call: Call;
  readonly enteredNs: number;
  /** Its first part is a line of its own: `<unfinished ...>`. */
  isCut: boolean;
}

/** Words of a program's arguments beyond are not shown. */
const MAX_WORDS = 32;

/** Results begin in this column, or behind what is longer. */
const RESULT_COLUMN = 40;

const senders: ReadonlySet<string> = new Set(['kill', 'tkill', 'tgkill']);

export class TraceLines<Task extends Traced> {
  readonly #write: (text: string) => void;
  readonly #nowNs: () => number;
  readonly #filter: TraceFilter;
  readonly #times: TraceTimes;
  readonly #open: Map<Task, OpenCall> = new Map();
  /** The task whose call has the end of what was written, and how long that line is. */
  #writer: Task | undefined = undefined;
  #column = 0;
  #lastNs: number;
  /** Signals that are told once the call that they came in is left. */
  readonly #signals: Map<Task, SignalInfo[]> = new Map();

  constructor(
    write: (text: string) => void,
    nowNs: () => number,
    { filter, times }: { readonly filter: TraceFilter; readonly times: TraceTimes },
  ) {
    this.#write = write;
    this.#nowNs = nowNs;
    this.#filter = filter;
    this.#times = times;
    this.#lastNs = nowNs();
  }

  /** A process made from outside begins with the execve that strace(1) would have made for it. */
  started(
    task: Task,
    path: string,
    argv: readonly string[],
    { address, count }: { readonly address: number; readonly count: number },
  ): void {
    if (!this.#filter.wants('execve')) return;
    const words = argv.slice(0, MAX_WORDS).map((word) => quoteString(word));
    const more = argv.length > MAX_WORDS ? ', ...' : '';
    const vars = `${count} var${count === 1 ? '' : 's'}`;
    const call = `execve(${quoteString(path)}, [${words.join(', ')}${more}], ${pointer(address)} /* ${vars} */)`;
    this.#begin(task, call);
    this.#append(`${' '.repeat(Math.max(1, RESULT_COLUMN - this.#column))}= 0\n`);
  }

  entered(task: Task, row: Row | undefined): void {
    if (!this.#filter.wants(row?.name ?? '')) return;
    const call = enterCall(row, task.args, task.memory);
    this.#open.set(task, { call, enteredNs: this.#nowNs(), isCut: false });
    this.#begin(task, call.head);
    this.#writer = task;
  }

  /** Nothing for a call that was told to its end, as that of a task that is no more. */
  left(task: Task, answer: SysResult): void {
    const open = this.#open.get(task);
    if (open !== undefined) this.#end(task, open, answer);
    const signals = this.#signals.get(task);
    this.#signals.delete(task);
    for (const info of signals ?? []) this.#line(task, `--- ${signalText(info)} ---`);
  }

  /** A signal that a task takes, or that is lost on it because nobody wants to know. */
  signal(task: Task, info: SignalInfo): void {
    if (!this.#filter.signals) return;
    if (!this.#open.has(task)) {
      this.#line(task, `--- ${signalText(info)} ---`);
      return;
    }
    const waiting = this.#signals.get(task) ?? [];
    this.#signals.set(task, [...waiting, info]);
  }

  exited(task: Task, status: number): void {
    // A task that dies of what it sent itself has sent it.
    const isSender = this.#signals.has(task) && senders.has(this.#open.get(task)?.call.name ?? '');
    this.left(task, isSender ? 0 : Number.NaN);
    this.#line(task, formatExit(status));
  }

  #end(task: Task, open: OpenCall, answer: SysResult): void {
    const { call } = open;
    this.#open.delete(task);
    const tail = this.#tail(task, call, answer);
    if (open.isCut || this.#writer !== task) this.#begin(task, `<... ${call.name} resumed>${tail}`);
    else this.#append(tail);
    const spentS = ((this.#nowNs() - open.enteredNs) / 1e9).toFixed(6);
    const spent = this.#times.spent && !Number.isNaN(answer) ? ` <${spentS}>` : '';
    const text = formatResult(call, task.args, task.memory, answer);
    this.#append(`${' '.repeat(Math.max(1, RESULT_COLUMN - this.#column))}${text}${spent}\n`);
    this.#writer = undefined;
  }

  #tail(task: Task, call: Call, answer: SysResult): string {
    if (Number.isNaN(answer)) return abandonCall(call);
    const rest = leaveCall(call, task.args, task.memory, answer);
    if (call.name !== 'rt_sigreturn') return rest;
    return `{mask=${sigset(task.signalMask.lo, task.signalMask.hi)}}${rest}`;
  }

  #line(task: Task, text: string): void {
    this.#begin(task, `${text}\n`);
  }

  /** Starts a line, after what another task left open. */
  #begin(task: Task, text: string): void {
    if (this.#writer !== undefined) {
      const open = this.#open.get(this.#writer);
      if (open !== undefined) open.isCut = true;
      this.#append(' <unfinished ...>\n');
      this.#writer = undefined;
    }
    this.#column = 0;
    this.#append(`${String(task.tid).padEnd(5)} ${this.#stamp()}${text}`);
  }

  #stamp(): string {
    const nowNs = this.#nowNs();
    let text = '';
    if (this.#times.absolute) text += `${clockText(nowNs)} `;
    if (this.#times.relative) text += `${((nowNs - this.#lastNs) / 1e9).toFixed(6).padStart(12)} `;
    this.#lastNs = nowNs;
    return text;
  }

  #append(text: string): void {
    this.#column += text.length;
    this.#write(text);
  }
}

/** The time of day, in UTC. */
function clockText(ns: number): string {
  const micros = String(Math.floor(ns / 1000) % 1_000_000).padStart(6, '0');
  return `${new Date(ns / 1e6).toISOString().slice(11, 19)}.${micros}`;
}
