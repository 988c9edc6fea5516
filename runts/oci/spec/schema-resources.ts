// SPDX-License-Identifier: Apache-2.0
// linux.resources of config.json, which is also the whole document of `runts update --resources`.
import * as v from 'valibot';
import type { RawResources } from './rules-resources.ts';
import {
  about64,
  aboutUnsigned64,
  flag,
  integer,
  list,
  mapOf,
  name,
  oneOf,
  shape,
  text,
  uint16,
  uint32,
  uint64,
} from './shapes.ts';

const optional = v.exactOptional;

/** Go writes an empty text where there is none. */
const ruleType = v.pipe(
  oneOf(['', 'a', 'c', 'b']),
  v.transform((type) => (type === '' ? 'a' : type)),
);
const access = v.pipe(text, v.regex(/^[rwm]*$/, 'only the letters r, w and m are known'));
/** -1 is any. */
const deviceNumber = integer(-1, 0xffff_ffff);

const deviceRule = shape({
  allow: flag,
  type: optional(ruleType),
  major: optional(deviceNumber),
  minor: optional(deviceNumber),
  access: optional(access),
});

const memory = shape({
  limit: optional(about64),
  reservation: optional(about64),
  swap: optional(about64),
  kernel: optional(about64),
  kernelTCP: optional(about64),
  /** 2^64-1 is Docker's -1. */
  swappiness: optional(uint64),
  disableOOMKiller: optional(flag),
  useHierarchy: optional(flag),
  checkBeforeUpdate: optional(flag),
});

const cpu = shape({
  shares: optional(aboutUnsigned64),
  quota: optional(about64),
  burst: optional(aboutUnsigned64),
  period: optional(aboutUnsigned64),
  realtimeRuntime: optional(about64),
  realtimePeriod: optional(aboutUnsigned64),
  cpus: optional(text),
  mems: optional(text),
  idle: optional(integer(0, 1)),
});

const major = integer(0, 0xfff);
const minor = integer(0, 0xf_ffff);
const throttles = list(shape({ major, minor, rate: uint64 }));

const blockIo = shape({
  weight: optional(uint16),
  leafWeight: optional(uint16),
  weightDevice: optional(
    list(shape({ major, minor, weight: optional(uint16), leafWeight: optional(uint16) })),
  ),
  throttleReadBpsDevice: optional(throttles),
  throttleWriteBpsDevice: optional(throttles),
  throttleReadIOPSDevice: optional(throttles),
  throttleWriteIOPSDevice: optional(throttles),
});

const pageSize = v.pipe(text, v.regex(/^\d+[KMG]B$/, 'expected a size of pages (2MB)'));

export const resourcesSchema = shape({
  devices: optional(list(deviceRule)),
  memory: optional(memory),
  cpu: optional(cpu),
  pids: optional(shape({ limit: about64 })),
  blockIO: optional(blockIo),
  hugepageLimits: optional(list(shape({ pageSize, limit: uint64 }))),
  network: optional(
    shape({
      classID: optional(uint32),
      priorities: optional(list(shape({ name, priority: uint32 }))),
    }),
  ),
  rdma: optional(mapOf(shape({ hcaHandles: optional(uint32), hcaObjects: optional(uint32) }))),
  unified: optional(mapOf(text)),
}) satisfies v.GenericSchema<unknown, RawResources>;
