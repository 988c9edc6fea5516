// SPDX-License-Identifier: Apache-2.0
// A further container of a pod costs less than the first: no Sentry is started for it, and no
// Sentry's program is loaded (native/launcher/quick/pod.c).
import { expect } from 'vitest';
import { commandLine } from '../lifecycle/sandbox-processes.ts';
import { hasInMemory } from '../support/memory-of.ts';
import { processesIn } from './engines/daemons.ts';
import { type Box, boxCases } from './support/box.ts';
import { ended, sandboxId, startInPod, startPod } from './support/pod.ts';
import { type Spec, script } from './support/spec.ts';

/** Words of the Sentry's program that no other has. */
const OF_THE_SENTRY = 'the stub zygote did not start';

function named(box: Box, name: string): number[] {
  return processesIn(`${box.cgroup}/${sandboxId}`).filter((pid) =>
    commandLine(pid).startsWith(name),
  );
}

function inPod(spec: Spec, args: readonly string[]): void {
  spec.annotations = {
    'io.kubernetes.cri.container-type': 'container',
    'io.kubernetes.cri.sandbox-id': sandboxId,
  };
  spec.process.args = [...args];
}

boxCases('pod create', [
  {
    name: 'a further container loads no Sentry, its sandbox does',
    only: 'runts',
    body: async (box) => {
      await startPod(box);
      const [sentry = 0] = named(box, 'runts-sentry');
      const [first = 0] = named(box, 'runts-gofer');
      expect(hasInMemory(sentry, OF_THE_SENTRY), 'what is there is found').toBe(true);
      await startInPod(box, 'b', () => undefined);
      expect(named(box, 'runts-sentry')).toEqual([sentry]);
      const [second = 0, ...more] = named(box, 'runts-gofer').filter((pid) => pid !== first);
      expect(more).toEqual([]);
      expect(hasInMemory(second, 'runts-gofer'), 'it is read').toBe(true);
      expect(hasInMemory(second, OF_THE_SENTRY)).toBe(false);
    },
  },
  {
    name: 'a container of a sandbox that has ended is refused, and leaves nothing',
    only: 'runts',
    body: async (box) => {
      await startPod(box);
      expect(await box.do('kill', [sandboxId, 'KILL'])).toMatchObject({ code: 0 });
      await box.wait(sandboxId);
      box.bundle((spec) => inPod(spec, ['true']), 'b');
      expect(await box.create('b')).toMatchObject({ code: 1 });
      expect(box.log()).toMatch(/sandbox pod of container b is stopped/);
      expect(await box.do('state', ['b'])).toMatchObject({ code: 1 });
    },
  },
  {
    name: 'a container without its program is refused, and the pod goes on',
    only: 'runts',
    body: async (box) => {
      await startPod(box);
      const gofers = named(box, 'runts-gofer');
      box.bundle((spec) => inPod(spec, ['/no/such/program']), 'b');
      expect(await box.create('b')).toMatchObject({ code: 1 });
      await box.until(() => named(box, 'runts-gofer').length === 1, 'its Gofer is gone');
      expect(named(box, 'runts-gofer')).toEqual(gofers);
      await startInPod(box, 'c', (spec) => script(spec, 'echo well'));
      expect(await ended(box, 'c')).toBe('well');
    },
  },
]);
