// SPDX-License-Identifier: Apache-2.0
// `runts do --stats`: how often each system call was asked for, how long it took, and what it
// copied and asked the Gofer for. Where nobody asked, the kernel's dispatch is another function
// that knows nothing of this.
import { isErrno, type SysResult } from '../../abi/errno.ts';
import type { Blocking, MaybeBlocking, Sleep, Wake } from '../base/wait.ts';
import type { WorkCounters } from '../base/work-counters.ts';
import { isPlain } from '../kernel/result.ts';
import type { Task } from '../kernel/task.ts';

/** The counts of one system call. Times in ns. */
export interface CallCount {
  readonly name: string;
  readonly count: number;
  readonly errors: number;
  /** In the handler: without sleeps, with the waits for the Gofer. */
  readonly handlerNs: number;
  /** From the stop that the Sentry saw to the answer, sleeps included. */
  readonly totalNs: number;
  readonly copiesIn: number;
  readonly bytesIn: number;
  readonly copiesOut: number;
  readonly bytesOut: number;
  readonly goferRequests: number;
  readonly goferNs: number;
}

const NO_SUCH_CALL = -1;

type Counted = { -readonly [Field in keyof CallCount]: CallCount[Field] };

export class CallStats {
  readonly #work: WorkCounters;
  readonly #names: readonly (string | undefined)[];
  readonly #calls = new Map<number, Counted>();
  // The counters as they were when the handler began.
  #beganNs = 0;
  #copiesIn = 0;
  #bytesIn = 0;
  #copiesOut = 0;
  #bytesOut = 0;
  #goferRequests = 0;
  #goferNs = 0;
  /** In all handlers, ns. */
  handlersNs = 0;

  /** `names`: by the numbers of the calls. What a guest asks for beyond them is counted as one. */
  constructor(work: WorkCounters, names: readonly (string | undefined)[]) {
    this.#work = work;
    this.#names = names;
  }

  /** The same dispatch, counted. */
  counting(dispatch: (task: Task) => MaybeBlocking): (task: Task) => MaybeBlocking {
    return (task) => {
      const call = this.#callOf(task.args.number);
      call.count += 1;
      this.#begin();
      const askedNs = this.#beganNs;
      const answer = dispatch(task);
      this.#end(call);
      if (typeof answer !== 'number') return this.#followed(call, answer, askedNs);
      this.#left(call, answer, askedNs);
      return answer;
    };
  }

  /** Everything counted so far, what took the Sentry longest first. */
  counts(): CallCount[] {
    return [...this.#calls.values()].sort((a, b) => b.handlerNs - a.handlerNs);
  }

  /** Runs a call that may sleep, step by step: only its steps are the handler's time. */
  *#followed(
    call: Counted,
    blocking: Blocking<SysResult>,
    askedNs: number,
  ): Generator<Sleep, SysResult, Wake> {
    let isOver = false;
    try {
      let step = this.#step(call, () => blocking.next());
      while (step.done !== true) {
        const wake = yield step.value;
        step = this.#step(call, () => blocking.next(wake));
      }
      isOver = true;
      this.#left(call, step.value, askedNs);
      return step.value;
    } finally {
      // The task died in its sleep: the finally blocks of the handler have to run.
      if (!isOver) {
        this.#step(call, () => blocking.return(0));
        this.#left(call, 0, askedNs);
      }
    }
  }

  #step<T>(call: Counted, body: () => T): T {
    this.#begin();
    try {
      return body();
    } finally {
      this.#end(call);
    }
  }

  #callOf(number: number): Counted {
    const name = this.#names[number];
    const key = name === undefined ? NO_SUCH_CALL : number;
    const known = this.#calls.get(key);
    if (known !== undefined) return known;
    const call = {
      name: name ?? 'no such call',
      count: 0,
      errors: 0,
      handlerNs: 0,
      totalNs: 0,
      copiesIn: 0,
      bytesIn: 0,
      copiesOut: 0,
      bytesOut: 0,
      goferRequests: 0,
      goferNs: 0,
    };
    this.#calls.set(key, call);
    return call;
  }

  #begin(): void {
    const work = this.#work;
    this.#copiesIn = work.copiesIn;
    this.#bytesIn = work.bytesIn;
    this.#copiesOut = work.copiesOut;
    this.#bytesOut = work.bytesOut;
    this.#goferRequests = work.goferRequests;
    this.#goferNs = work.goferNs;
    this.#beganNs = work.nowNs();
  }

  #end(call: Counted): void {
    const work = this.#work;
    const spentNs = work.nowNs() - this.#beganNs;
    this.handlersNs += spentNs;
    call.handlerNs += spentNs;
    call.copiesIn += work.copiesIn - this.#copiesIn;
    call.bytesIn += work.bytesIn - this.#bytesIn;
    call.copiesOut += work.copiesOut - this.#copiesOut;
    call.bytesOut += work.bytesOut - this.#bytesOut;
    call.goferRequests += work.goferRequests - this.#goferRequests;
    call.goferNs += work.goferNs - this.#goferNs;
  }

  /** A restart is no error: the call is made again, or answers EINTR. */
  #left(call: Counted, answer: SysResult, askedNs: number): void {
    call.totalNs += this.#work.nowNs() - askedNs;
    if (isErrno(answer) && isPlain(answer)) call.errors += 1;
  }
}
