// SPDX-License-Identifier: Apache-2.0
// The `process` object of config.json, which is also the whole process.json of `runts exec --process`.
import * as v from 'valibot';
import { rlimitNames, schedulerFlags, schedulerPolicies } from './names.ts';
import {
  absolutePath,
  flag,
  int32,
  integer,
  list,
  name,
  oneOf,
  shape,
  text,
  texts,
  uint16,
  uint32,
  uint64,
} from './shapes.ts';
import type { Process } from './types.ts';

const optional = v.exactOptional;

const user = shape({
  uid: optional(uint32, 0),
  gid: optional(uint32, 0),
  umask: optional(integer(0, 0o777)),
  additionalGids: optional(list(uint32)),
  /** This property is for Windows. */
  username: optional(text),
});

const capabilities = shape({
  bounding: optional(texts),
  effective: optional(texts),
  inheritable: optional(texts),
  permitted: optional(texts),
  ambient: optional(texts),
});

const rlimit = shape({ type: oneOf(rlimitNames), soft: uint64, hard: uint64 });

const scheduler = shape({
  policy: oneOf(schedulerPolicies),
  nice: optional(integer(-20, 19)),
  priority: optional(int32),
  flags: optional(list(oneOf(schedulerFlags))),
  runtime: optional(uint64),
  deadline: optional(uint64),
  period: optional(uint64),
});

const ioPriority = shape({
  class: oneOf(['IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE']),
  priority: optional(integer(0, 7), 0),
});

const processors = v.pipe(text, v.regex(/^[0-9, -]*$/, 'expected a list of processors (0-3,7)'));

export const processSchema = shape({
  terminal: optional(flag),
  consoleSize: optional(shape({ height: uint16, width: uint16 })),
  user: optional(user, {}),
  args: v.pipe(
    texts,
    v.check((args) => args.length > 0, 'must not be empty'),
  ),
  /** This property is for Windows. */
  commandLine: optional(text),
  env: optional(texts),
  cwd: v.pipe(name, absolutePath),
  capabilities: optional(capabilities),
  rlimits: optional(list(rlimit)),
  noNewPrivileges: optional(flag),
  apparmorProfile: optional(text),
  selinuxLabel: optional(text),
  oomScoreAdj: optional(integer(-1000, 1000)),
  scheduler: optional(scheduler),
  ioPriority: optional(ioPriority),
  execCPUAffinity: optional(shape({ initial: optional(processors), final: optional(processors) })),
}) satisfies v.GenericSchema<unknown, Process>;
