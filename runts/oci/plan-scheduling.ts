// SPDX-License-Identifier: Apache-2.0
// process.scheduler and process.ioPriority as the Sentry takes them: sched_setattr(2), ioprio_set(2).
import * as ioprio from '../../abi/ioprio.ts';
import * as sched from '../../abi/sched.ts';
import type { ProcessConfig } from '../../protocol/boot-config.ts';
import { schedulerFlags } from './spec/names.ts';
import type { Process, Scheduler } from './spec/types.ts';

const policies: ReadonlyMap<string, number> = new Map([
  ['SCHED_OTHER', sched.SCHED_OTHER],
  ['SCHED_FIFO', sched.SCHED_FIFO],
  ['SCHED_RR', sched.SCHED_RR],
  ['SCHED_BATCH', sched.SCHED_BATCH],
  ['SCHED_IDLE', sched.SCHED_IDLE],
  ['SCHED_DEADLINE', sched.SCHED_DEADLINE],
]);

const ioClasses = {
  IOPRIO_CLASS_RT: ioprio.IOPRIO_CLASS_RT,
  IOPRIO_CLASS_BE: ioprio.IOPRIO_CLASS_BE,
  IOPRIO_CLASS_IDLE: ioprio.IOPRIO_CLASS_IDLE,
} as const;

export function planScheduling({
  scheduler,
  ioPriority,
}: Process): Pick<ProcessConfig, 'scheduling' | 'ioPriority'> {
  const io =
    ioPriority === undefined
      ? {}
      : { ioPriority: ioprio.ioPriority(ioClasses[ioPriority.class], ioPriority.priority) };
  return scheduler === undefined ? io : { ...io, scheduling: planScheduler(scheduler) };
}

function planScheduler(scheduler: Scheduler) {
  const { policy: name, nice = 0, priority = 0, flags = [] } = scheduler;
  const { runtime = 0, deadline = 0, period = 0 } = scheduler;
  return {
    policy: policies.get(name) ?? -1,
    flags: flags.reduce(
      (bits, flag) => bits | (1 << (schedulerFlags as readonly string[]).indexOf(flag)),
      0,
    ),
    niceness: nice,
    priority: priority >>> 0,
    runtimeNs: Number(runtime),
    deadlineNs: Number(deadline),
    periodNs: Number(period),
  };
}
