// SPDX-License-Identifier: Apache-2.0
// Host names of a pod's containers: a UTS namespace of its own, or another's by path (docs/oci.md, Pods).
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import { startInPod, startPod } from './support/pod.ts';
import type { Spec } from './support/spec.ts';

const rights = ['CAP_SYS_ADMIN'];

function uts(spec: Spec, path?: string, hostname?: string): void {
  const others = spec.linux.namespaces.filter(({ type }) => type !== 'uts');
  spec.linux.namespaces = [...others, { type: 'uts', ...(path === undefined ? {} : { path }) }];
  delete spec.hostname;
  if (hostname !== undefined) spec.hostname = hostname;
  spec.process['capabilities'] = { bounding: rights, effective: rights, permitted: rights };
}

async function inside(box: Box, id: string, text: string): Promise<string> {
  const ran = await box.do('exec', [id, '/bin/sh', '-c', text]);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  return ran.stdout.trim();
}

const names = 'hostname; cat /proc/sys/kernel/domainname';
const link = 'readlink /proc/self/ns/uts';

boxCases('pod names', [
  {
    name: 'are one namespace’s: joined by path, or of its own',
    body: async (box) => {
      await startPod(box, (spec) => {
        uts(spec, undefined, 'the-pod');
        spec.linux['sysctl'] = { 'kernel.domainname': 'the.domain' };
      });
      const path = `/proc/${box.pid('pod')}/ns/uts`;
      await startInPod(box, 'a', (spec) => uts(spec, path));
      await startInPod(box, 'b', (spec) => uts(spec, undefined, 'alone'));
      await startInPod(box, 'c', (spec) => uts(spec, `/proc/${box.pid('b')}/ns/uts`));
      expect(await inside(box, 'pod', names)).toBe('the-pod\nthe.domain');
      expect(await inside(box, 'a', names)).toBe('the-pod\nthe.domain');
      expect(await inside(box, 'b', names)).toBe('alone\n(none)');
      expect(await inside(box, 'c', names)).toBe('alone\n(none)');
      // Changes are seen where the namespace is shared, and nowhere else.
      await inside(box, 'a', 'hostname from-a');
      await inside(box, 'b', 'hostname from-b; echo b.domain >/proc/sys/kernel/domainname');
      expect(await inside(box, 'pod', names)).toBe('from-a\nthe.domain');
      expect(await inside(box, 'c', names)).toBe('from-b\nb.domain');
      const links = await Promise.all(['pod', 'a', 'b', 'c'].map((id) => inside(box, id, link)));
      expect(links[0]).toBe(links[1]);
      expect(links[2]).toBe(links[3]);
      expect(links[0]).not.toBe(links[2]);
    },
  },
  {
    name: 'that a joining container sets are the pod’s',
    body: async (box) => {
      await startPod(box, (spec) => uts(spec, undefined, 'the-pod'));
      await startInPod(box, 'a', (spec) => uts(spec, `/proc/${box.pid('pod')}/ns/uts`, 'renamed'));
      expect(await inside(box, 'pod', 'hostname')).toBe('renamed');
    },
  },
  {
    name: 'of a container without a UTS namespace of its own are the pod’s',
    only: 'runts',
    body: async (box) => {
      await startPod(box, (spec) => uts(spec, undefined, 'the-pod'));
      await startInPod(box, 'a', (spec) => {
        uts(spec);
        spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'uts');
      });
      expect(await inside(box, 'a', 'hostname')).toBe('the-pod');
    },
  },
]);
