// SPDX-License-Identifier: Apache-2.0
// Containers whose ids are others on the host: linux.uidMappings and gidMappings (user_namespaces(7)).
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import { type Spec, script } from './support/spec.ts';

const UID = 100_000;
const GID = 200_000;
const allCapabilities = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_SETUID',
  'CAP_SETGID',
];

function giveTo(path: string): void {
  lchownSync(path, UID, GID);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  for (const name of readdirSync(path)) giveTo(join(path, name));
}

function map(spec: Spec): void {
  spec.linux.namespaces.push({ type: 'user' });
  spec.linux['uidMappings'] = [{ containerID: 0, hostID: UID, size: 1000 }];
  spec.linux['gidMappings'] = [{ containerID: 0, hostID: GID, size: 1000 }];
  const sets = ['bounding', 'effective', 'permitted'];
  spec.process['capabilities'] = Object.fromEntries(sets.map((set) => [set, allCapabilities]));
}

/** A root that is the container's own, but for /stranger, which is the host's root's. */
function bundle(box: Box, text: string): string {
  const path = box.bundle((spec) => {
    map(spec);
    script(spec, text);
  });
  // runc's own root in there is no longer the host's.
  chmodSync(box.dir, 0o755);
  const root = join(path, 'rootfs');
  giveTo(root);
  mkdirSync(join(root, 'stranger'), { mode: 0o755 });
  writeFileSync(join(root, 'stranger/secret'), 'secret\n', { mode: 0o600 });
  chownSync(join(root, 'stranger'), 0, 0);
  return root;
}

boxCases('user namespace', [
  {
    name: 'files of the container are its root on the inside, and another on the host',
    body: async (box) => {
      const root = bundle(
        box,
        'cat /proc/self/uid_map /proc/self/gid_map | tr -s " "; echo x >/made; mkdir /dir; chown 5:6 /dir; ln -s a /link; stat -c %u:%g /made /dir /link /stranger',
      );
      expect(await box.finish(), box.said()).toBe(0);
      expect(box.output()).toBe(` 0 ${UID} 1000\n 0 ${GID} 1000\n0:0\n5:6\n0:0\n65534:65534\n`);
      expect(statSync(join(root, 'made'))).toMatchObject({ uid: UID, gid: GID });
      expect(statSync(join(root, 'dir'))).toMatchObject({ uid: UID + 5, gid: GID + 6 });
    },
  },
  {
    name: 'capabilities do not count over strangers',
    body: async (box) => {
      const root = bundle(
        box,
        'try() { "$@" 2>/dev/null; echo $?; }; try cat /stranger/secret; try touch /stranger/new; try chmod 777 /stranger; try chown 0 /stranger/secret; try rm /stranger/secret; try chown 5000 /tmp',
      );
      expect(await box.finish(), box.said()).toBe(0);
      expect(box.output()).toBe('1\n'.repeat(6));
      expect(readdirSync(join(root, 'stranger'))).toEqual(['secret']);
    },
  },
]);
