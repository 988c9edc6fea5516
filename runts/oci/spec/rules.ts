// SPDX-License-Identifier: Apache-2.0
// What a schema cannot say of config.json: contradictions between its parts, and what runts cannot
// do. README.md here lists both. Most of the former are runc's.
import type { Document } from './document.ts';
import { checkProcess, ignoredLabel } from './rules-process.ts';
import { checkResources, type RawResources } from './rules-resources.ts';
import { checkSysctls } from './rules-sysctl.ts';
import type { RawSpec } from './schema.ts';
import type { IdMapping, Linux, Namespace, NamespaceType, Seccomp, Spec } from './types.ts';

type RawLinux = NonNullable<RawSpec['linux']>;

export function checkSpec(raw: RawSpec, document: Document): Spec {
  const process = checkProcess(raw.process, 'process.', document);
  const linux = checkLinux(raw.linux ?? {}, document);
  const spec = { ...raw, process, linux };
  checkNames(spec, document);
  checkMounts(spec, document);
  if (Object.hasOwn(spec.annotations ?? {}, '')) document.fail('annotations', 'a key is empty');
  return spec;
}

function hasNamespace(linux: Linux, type: NamespaceType): boolean {
  return (linux.namespaces ?? []).some((namespace) => namespace.type === type);
}

/** __NEW_UTS_LEN */
const LONGEST_NAME = 64;

function checkNames(spec: Spec, document: Document): void {
  for (const field of ['hostname', 'domainname'] as const) {
    const name = spec[field] ?? '';
    if (Buffer.byteLength(name) > LONGEST_NAME)
      document.fail(field, `is longer than ${LONGEST_NAME} bytes`);
    if (name !== '' && !hasNamespace(spec.linux ?? {}, 'uts'))
      document.fail(field, 'cannot be set without a uts namespace of its own');
  }
}

function checkMounts(spec: Spec, document: Document): void {
  for (const [index, mount] of (spec.mounts ?? []).entries()) {
    const place = `mounts[${index}]`;
    if (!mount.destination.startsWith('/'))
      document.warn(
        `${place}.destination`,
        `${mount.destination} is not absolute, taken as /${mount.destination}`,
      );
    for (const field of ['uidMappings', 'gidMappings'] as const) {
      for (const [at, mapping] of (mount[field] ?? []).entries())
        checkMapping(mapping, `${place}.${field}[${at}]`, document);
    }
  }
}

function checkLinux(raw: RawLinux, document: Document): Linux {
  const { intelRdt, netDevices, memoryPolicy, resources, ...rest } = raw;
  refuse(intelRdt, 'linux.intelRdt', 'runts cannot use Intel RDT', document);
  refuse(netDevices, 'linux.netDevices', 'runts cannot move network devices', document);
  if (memoryPolicy !== undefined) document.warn('linux.memoryPolicy', 'is ignored');
  const linux: Linux = {
    ...rest,
    ...(resources === undefined ? {} : { resources: checkLinuxResources(resources, document) }),
    ...(rest.namespaces === undefined
      ? {}
      : { namespaces: checkNamespaces(rest.namespaces, document) }),
  };
  checkUserNamespace(linux, document);
  checkUnsupported(linux, document);
  checkSysctls(linux, document);
  checkDevices(linux, document);
  if (linux.seccomp !== undefined) checkSeccomp(linux.seccomp, document);
  const hidesPaths = (linux.maskedPaths ?? []).length + (linux.readonlyPaths ?? []).length > 0;
  if (hidesPaths && !hasNamespace(linux, 'mount'))
    document.fail('linux', 'maskedPaths and readonlyPaths need a new mount namespace');
  return linux;
}

function checkLinuxResources(resources: RawResources, document: Document) {
  return checkResources(resources, 'linux.resources.', document);
}

function refuse(value: object | undefined, place: string, problem: string, document: Document) {
  if (value !== undefined && Object.keys(value).length > 0) document.fail(place, problem);
}

function checkNamespaces(namespaces: readonly Namespace[], document: Document): Namespace[] {
  const seen = new Set<string>();
  return namespaces.map(({ type, path = '' }, index) => {
    const place = `linux.namespaces[${index}]`;
    if (seen.has(type)) document.fail(place, `the ${type} namespace is listed twice`);
    seen.add(type);
    if (path === '') return { type };
    // Both are the Sentry's own, and not of the host.
    if (type === 'mount' || type === 'time')
      document.fail(`${place}.path`, `runts cannot join a ${type} namespace of the host`);
    return { type, path };
  });
}

function checkUserNamespace(linux: Linux, document: Document): void {
  const user = linux.namespaces?.find((namespace) => namespace.type === 'user');
  for (const field of ['uidMappings', 'gidMappings'] as const) {
    const mappings = linux[field] ?? [];
    if (user === undefined && mappings.length > 0)
      document.fail(`linux.${field}`, 'needs a user namespace, and there is none');
    if (user !== undefined && user.path === undefined && mappings.length === 0)
      document.fail(`linux.${field}`, 'is required for the new user namespace');
    for (const [index, mapping] of mappings.entries())
      checkMapping(mapping, `linux.${field}[${index}]`, document);
  }
}

/** user_namespaces(7) */
function checkMapping(mapping: IdMapping, place: string, document: Document): void {
  const { containerID, hostID, size } = mapping;
  if (size === 0) document.fail(`${place}.size`, 'must not be 0');
  if (Math.max(containerID, hostID) + size > 2 ** 32) document.fail(place, 'ends above 2^32');
}

function checkUnsupported(linux: Linux, document: Document): void {
  const { personality, timeOffsets } = linux;
  if ((linux.mountLabel ?? '') !== '') document.warn('linux.mountLabel', ignoredLabel);
  if (personality?.domain === 'LINUX32')
    document.fail(
      'linux.personality.domain',
      'LINUX32 is not supported: runts runs 64-bit programs only, and uname(2) says x86_64',
    );
  if ((personality?.flags ?? []).length > 0)
    document.fail('linux.personality.flags', 'no flags are known');
  if (timeOffsets === undefined) return;
  if (!hasNamespace(linux, 'time'))
    document.fail('linux.timeOffsets', 'needs a time namespace, and there is none');
}

function checkDevices(linux: Linux, document: Document): void {
  for (const [index, device] of (linux.devices ?? []).entries()) {
    if (device.type !== 'p' && (device.major < 0 || device.minor < 0))
      document.fail(`linux.devices[${index}]`, 'major and minor must not be negative');
  }
}

function checkSeccomp(seccomp: Seccomp, document: Document): void {
  const place = 'linux.seccomp';
  const cannotNotify = 'runts cannot hand system calls to a listener outside of the sandbox';
  if (seccomp.defaultAction === 'SCMP_ACT_NOTIFY')
    document.fail(`${place}.defaultAction`, cannotNotify);
  for (const [index, rule] of (seccomp.syscalls ?? []).entries()) {
    if (rule.action === 'SCMP_ACT_NOTIFY')
      document.fail(`${place}.syscalls[${index}].action`, cannotNotify);
  }
}
