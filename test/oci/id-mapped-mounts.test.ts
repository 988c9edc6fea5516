// SPDX-License-Identifier: Apache-2.0
// mounts[].uidMappings and gidMappings, options idmap and ridmap: mount_setattr(2) "ID-mapped
// mounts". What is expected here was seen on Linux 6.18 with a tmpfs mapped by mount_setattr, in
// and outside of a user namespace: runc 1.1 has no such mounts.
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import { type Mount, type Spec, script } from './support/spec.ts';

const UID = 100_000;
const GID = 200_000;
const uids = [{ containerID: 0, hostID: UID, size: 1000 }];
const gids = [{ containerID: 0, hostID: GID, size: 1000 }];

/** Files of the host's 0 and 7:8, which are mapped, and of 5000, which is not. */
function volume(box: Box): string {
  chmodSync(box.dir, 0o755);
  const dir = join(box.dir, 'volume');
  mkdirSync(dir);
  chmodSync(dir, 0o777);
  const file = (name: string, uid: number, gid: number): void => {
    writeFileSync(join(dir, name), `${name}\n`);
    chownSync(join(dir, name), uid, gid);
    chmodSync(join(dir, name), 0o666);
  };
  file('root', 0, 0);
  file('mapped', 7, 8);
  for (const name of ['stranger', 'stranger2', 'stranger3']) file(name, 5000, 5000);
  mkdirSync(join(dir, 'strangers'));
  chownSync(join(dir, 'strangers'), 5000, 5000);
  chmodSync(join(dir, 'strangers'), 0o777);
  return dir;
}

function inUserNamespace(spec: Spec): void {
  spec.linux.namespaces.push({ type: 'user' });
  Object.assign(spec.linux, { uidMappings: uids, gidMappings: gids });
}

function mapped(source: string, more: object, options = 'rbind'): Mount {
  return { destination: '/v', type: 'bind', source, options: options.split(','), ...more };
}

/** A root in which the container's root can make the mount point. */
function give(bundle: string): void {
  chownSync(join(bundle, 'rootfs'), UID, GID);
}

/** Each command's last words, or 0. */
const saying = (commands: readonly string[]): string =>
  [
    'say() { m=$(cd /v; sh -c "$1" 2>&1 >/dev/null) && echo "0: $1" || echo "${m##*: }: $1"; }',
    ...commands.map((command) => `say '${command}'`),
  ].join('\n');

const OVERFLOW = 'Value too large for defined data type';
const DENIED = 'Permission denied';

async function said(box: Box): Promise<string[]> {
  expect(await box.finish(), box.said()).toBe(0);
  return box.output().trimEnd().split('\n');
}

const strangersRefuse: readonly (readonly [string, string])[] = [
  ['cat stranger', '0'],
  ['ls strangers', '0'],
  ['echo x >>stranger', DENIED],
  [': >stranger', DENIED],
  ['chmod 600 stranger', OVERFLOW],
  ['touch -c -d 2001-01-01 stranger', OVERFLOW],
  ['rm stranger', OVERFLOW],
  ['mv stranger2 renamed', OVERFLOW],
  ['ln stranger3 linked', OVERFLOW],
];

const lines = (cases: readonly (readonly [string, string])[]): string[] =>
  cases.map(([command, error]) => `${error}: ${command}`);

boxCases('id-mapped mounts', [
  {
    name: 'in a user namespace with the same mapping: owners as in the volume, and so on the host',
    only: 'runts',
    body: async (box) => {
      const source = volume(box);
      const bundle = box.bundle((spec) => {
        inUserNamespace(spec);
        spec.mounts.push(mapped(source, { uidMappings: uids, gidMappings: gids }));
        script(
          spec,
          'cd /v; touch new; mkdir dir; ln -s a link; mkfifo fifo; touch owned; chown 5:6 owned; stat -c %n:%u:%g root mapped stranger strangers new dir link fifo owned; chown 5000 new 2>/dev/null; echo $?; grep -o " /v .*idmapped" /proc/self/mountinfo',
        );
      });
      give(bundle);
      expect(await said(box)).toEqual([
        ...['root:0:0', 'mapped:7:8', 'stranger:65534:65534', 'strangers:65534:65534'],
        ...['new:0:0', 'dir:0:0', 'link:0:0', 'fifo:0:0', 'owned:5:6', '1'],
        ' /v rw,relatime,idmapped',
      ]);
      expect(statSync(join(source, 'new'))).toMatchObject({ uid: 0, gid: 0 });
      expect(statSync(join(source, 'owned'))).toMatchObject({ uid: 5, gid: 6 });
    },
  },
  {
    name: 'in a user namespace: nobody may change what has no id on the mount',
    only: 'runts',
    body: async (box) => {
      const source = volume(box);
      const cases = [
        ...strangersRefuse,
        ['touch strangers/new', DENIED],
        ['chown 1:1 stranger', 'Operation not permitted'],
        ['chown 5000 root', 'Invalid argument'],
        // busybox names the group that it sees, 65534.
        ['chown 1 stranger', 'Invalid argument'],
      ] as const;
      const bundle = box.bundle((spec) => {
        inUserNamespace(spec);
        // Option alone: the mapping of the user namespace.
        spec.mounts.push(mapped(source, {}, 'rbind,idmap'));
        script(spec, saying(cases.map(([command]) => command)));
      });
      give(bundle);
      expect(await said(box)).toEqual(lines(cases));
      expect(readdirSync(source).sort()).toEqual(
        ['mapped', 'root', 'stranger', 'stranger2', 'stranger3', 'strangers'].sort(),
      );
    },
  },
  {
    name: 'without a user namespace: owners are the mapped ones, and root has no id there',
    only: 'runts',
    body: async (box) => {
      const source = volume(box);
      const cases = [
        ...strangersRefuse,
        ['touch new', OVERFLOW],
        ['mkdir new', OVERFLOW],
        ['ln -s x new', OVERFLOW],
        ['touch strangers/new', OVERFLOW],
        ['chown 1:1 stranger', OVERFLOW],
        ['chown 1 stranger', OVERFLOW],
        ['chown 5000 root', OVERFLOW],
        [`chown ${UID + 3}:${GID + 4} mapped`, '0'],
        ['chmod 640 root', '0'],
      ] as const;
      box.bundle((spec) => {
        spec.mounts.push(mapped(source, { uidMappings: uids, gidMappings: gids }, 'rbind,ridmap'));
        const owners = 'cd /v; stat -c %n:%u:%g root mapped stranger';
        script(spec, `${owners}; cd /; ${saying(cases.map(([command]) => command))}`);
      });
      expect(await said(box)).toEqual([
        ...[`root:${UID}:${GID}`, `mapped:${UID + 7}:${GID + 8}`, 'stranger:65534:65534'],
        ...lines(cases),
      ]);
      expect(statSync(join(source, 'mapped'))).toMatchObject({ uid: 3, gid: 4 });
    },
  },
  {
    name: 'one map alone, none to take, and other mounts than of the host are refused',
    only: 'runts',
    body: async (box) => {
      const source = volume(box);
      const refused: readonly (readonly [Mount, string])[] = [
        [mapped(source, { uidMappings: uids }), 'must have both uid and gid mappings'],
        [mapped(source, {}, 'bind,idmap'), 'must have both uid and gid mappings'],
        [
          { ...mapped('', { uidMappings: uids, gidMappings: gids }, 'ro'), type: 'tmpfs' },
          'only supported for bind-mounts',
        ],
      ];
      for (const [index, [mount, text]] of refused.entries()) {
        box.bundle((spec) => spec.mounts.push(mount), `r${index}`);
        expect((await box.create(`r${index}`)).code).not.toBe(0);
        expect(box.log()).toContain(text);
      }
    },
  },
]);
