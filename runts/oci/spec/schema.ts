// SPDX-License-Identifier: Apache-2.0
// config.json 1.2 for Linux as a valibot schema: names, types and ranges. What contradicts
// something else is found by rules.ts.
// https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md and config-linux.md
import * as v from 'valibot';
import {
  namespaceTypes,
  seccompActions,
  seccompArchitectures,
  seccompFlags,
  seccompOperators,
} from './names.ts';
import { processSchema } from './schema-process.ts';
import { resourcesSchema } from './schema-resources.ts';
import {
  absolutePath,
  flag,
  int64,
  integer,
  list,
  mapOf,
  name,
  oneOf,
  shape,
  text,
  texts,
  uint32,
  uint64,
} from './shapes.ts';

const optional = v.exactOptional;

const idMapping = shape({ containerID: uint32, hostID: uint32, size: uint32 });
const mappings = list(idMapping);

const mount = shape({
  destination: name,
  type: optional(text),
  source: optional(text),
  options: optional(texts),
  uidMappings: optional(mappings),
  gidMappings: optional(mappings),
});

const hooks = list(
  shape({
    path: absolutePath,
    args: optional(texts),
    env: optional(texts),
    timeout: optional(integer(1, 2 ** 31 - 1)),
  }),
);

const namespace = shape({
  type: oneOf(namespaceTypes),
  path: optional(
    v.pipe(
      text,
      v.check((path) => path === '' || path.startsWith('/'), 'expected an absolute path'),
    ),
  ),
});

/** MAJOR() and MINOR() of a device of Linux have 12 and 20 bits. */
const device = shape({
  path: absolutePath,
  type: oneOf(['c', 'b', 'u', 'p']),
  major: optional(integer(-1, 0xfff), 0),
  minor: optional(integer(-1, 0xf_ffff), 0),
  fileMode: optional(uint32),
  uid: optional(uint32),
  gid: optional(uint32),
});

const seccompRule = shape({
  names: texts,
  action: oneOf(seccompActions),
  errnoRet: optional(uint32),
  args: optional(
    list(
      shape({
        index: integer(0, 5),
        value: uint64,
        valueTwo: optional(uint64),
        op: oneOf(seccompOperators),
      }),
    ),
  ),
});

const seccomp = shape({
  defaultAction: oneOf(seccompActions),
  defaultErrnoRet: optional(uint32),
  architectures: optional(list(oneOf(seccompArchitectures))),
  flags: optional(list(oneOf(seccompFlags))),
  listenerPath: optional(text),
  listenerMetadata: optional(text),
  syscalls: optional(list(seccompRule)),
});

const timeOffset = shape({
  secs: optional(int64),
  nanosecs: optional(integer(0, 999_999_999)),
});

const propagation = oneOf([
  '',
  'shared',
  'slave',
  'private',
  'unbindable',
  'rshared',
  'rslave',
  'rprivate',
  'runbindable',
]);

const linux = shape({
  uidMappings: optional(mappings),
  gidMappings: optional(mappings),
  sysctl: optional(mapOf(text)),
  resources: optional(resourcesSchema),
  cgroupsPath: optional(text),
  namespaces: optional(list(namespace)),
  devices: optional(list(device)),
  seccomp: optional(seccomp),
  rootfsPropagation: optional(propagation),
  maskedPaths: optional(texts),
  readonlyPaths: optional(texts),
  mountLabel: optional(text),
  personality: optional(shape({ domain: oneOf(['LINUX', 'LINUX32']), flags: optional(texts) })),
  timeOffsets: optional(shape({ monotonic: optional(timeOffset), boottime: optional(timeOffset) })),
  /** Refused by the rules, which say why: intelRdt, and of 1.3 netDevices and memoryPolicy. */
  intelRdt: optional(mapOf(v.unknown())),
  netDevices: optional(mapOf(v.unknown())),
  memoryPolicy: optional(mapOf(v.unknown())),
});

export const specSchema = shape({
  ociVersion: text,
  process: processSchema,
  root: shape({ path: name, readonly: optional(flag) }),
  hostname: optional(text),
  domainname: optional(text),
  mounts: optional(list(mount)),
  hooks: optional(
    shape({
      prestart: optional(hooks),
      createRuntime: optional(hooks),
      createContainer: optional(hooks),
      startContainer: optional(hooks),
      poststart: optional(hooks),
      poststop: optional(hooks),
    }),
  ),
  annotations: optional(mapOf(text)),
  linux: optional(linux),
});

/** The document as the schema returns it, before the rules are applied. */
export type RawSpec = v.InferOutput<typeof specSchema>;
