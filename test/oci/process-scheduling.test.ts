// SPDX-License-Identifier: Apache-2.0
// process.scheduler and process.ioPriority of config.json. runc 1.1 knows neither.
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import { type Spec, script } from './support/spec.ts';

const shows = 'cut -d" " -f18,19,40,41 /proc/self/stat; ionice';

interface Shown {
  readonly name: string;
  readonly scheduler?: object;
  readonly ioPriority?: object;
  readonly says: string;
}

const set = (spec: Spec, { scheduler, ioPriority }: Omit<Shown, 'name' | 'says'>): void => {
  Object.assign(spec.process, { scheduler, ioPriority });
};

const shown: readonly Shown[] = [
  {
    name: 'real time, and children are ordinary again',
    scheduler: { policy: 'SCHED_FIFO', priority: 7, flags: ['SCHED_FLAG_RESET_ON_FORK'] },
    says: '20 0 0 0\nnone: prio 0',
  },
  {
    name: 'real time, and children are so too',
    scheduler: { policy: 'SCHED_RR', priority: 7 },
    ioPriority: { class: 'IOPRIO_CLASS_RT', priority: 2 },
    says: '-8 0 7 2\nrealtime: prio 2',
  },
  {
    name: 'niceness and an idle class',
    scheduler: { policy: 'SCHED_BATCH', nice: 5 },
    ioPriority: { class: 'IOPRIO_CLASS_IDLE' },
    says: '25 5 0 3\nidle',
  },
];

boxCases('process scheduling', [
  ...shown.map(({ name, says, ...rest }) => ({
    name,
    only: 'runts' as const,
    body: async (box: Box) => {
      box.bundle((spec) => {
        set(spec, rest);
        script(spec, shows);
      });
      expect(await box.finish(), box.said()).toBe(0);
      expect(box.output().trim()).toBe(says);
    },
  })),
  {
    name: 'exec has its own, and what is impossible is refused',
    only: 'runts',
    body: async (box) => {
      await box.running((spec) => set(spec, { scheduler: { policy: 'SCHED_IDLE' } }));
      const process = (scheduler: object): string =>
        JSON.stringify({ args: ['sh', '-c', shows], cwd: '/', env: ['PATH=/bin'], scheduler });
      const file = `${box.dir}/process.json`;
      writeFileSync(file, process({ policy: 'SCHED_FIFO', priority: 3 }));
      const ran = await box.do('exec', ['--process', file, 'a']);
      expect(ran, ran.stderr).toMatchObject({ code: 0 });
      expect(ran.stdout.trim()).toBe('-4 0 3 1\nnone: prio 0');
      writeFileSync(file, process({ policy: 'SCHED_DEADLINE', runtime: 5, deadline: 4 }));
      const failed = await box.do('exec', ['--process', file, 'a']);
      expect(failed.code).not.toBe(0);
      expect(failed.stderr + failed.stdout + box.log()).toContain('error setting scheduler');
      await box.do('kill', ['a', 'KILL']);
      await box.wait();
    },
  },
]);
