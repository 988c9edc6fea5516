// SPDX-License-Identifier: Apache-2.0
// The file systems of a container: root, mounts and devices of config.json, judged and turned into
// what the Gofer serves and what the Sentry mounts. Nothing is made here.
import { realpathSync, type Stats, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import { isAbsolute, join, normalize, resolve } from 'node:path';
import { MS_NOATIME, MS_NOSUID, MS_RDONLY } from '../../abi/fs.ts';
import type {
  DeviceConfig,
  DevptsConfig,
  MountConfig,
  RootConfig,
  TmpfsConfig,
} from '../../protocol/boot-config.ts';
import type { IdRange, IdRanges } from '../../protocol/id-ranges.ts';
import { MAX_ATTACH } from '../../protocol/launcher-options.ts';
import { toByteString } from '../byte-string.ts';
import { describe, Failure } from '../failure.ts';
import type { AttachPoint } from '../launch.ts';
import { type MountOptions, type Propagation, parseMountOptions } from './mount-options.ts';
import { planDevices } from './plan-devices.ts';
import { overlayData } from './plan-overlay.ts';
import type { IdMapping, Mount, Spec } from './spec/types.ts';
import { parseBytes, parseNumber, parseOctal } from './values.ts';

export interface FilePlan {
  readonly root: RootConfig;
  readonly mounts: readonly MountConfig[];
  readonly devices: readonly DeviceConfig[];
  readonly maskedPaths: readonly string[];
  readonly readOnlyPaths: readonly string[];
  /** For the Gofer: the root first. */
  readonly attach: readonly AttachPoint[];
}

export interface FileSettings {
  /** Absolute. */
  readonly bundle: string;
  /** By annotation: writes stay in the sandbox. */
  readonly overlay: boolean;
  /** The propagation of mounts that name none. */
  readonly propagation: Propagation;
  /** The ids of the container's user namespace. */
  readonly ids?: IdRanges;
}

export function planFiles(spec: Spec, settings: FileSettings): FilePlan {
  const attach: AttachPoint[] = [];
  const root = planRoot(spec, settings, attach);
  const mounts = (spec.mounts ?? []).map((mount, index) =>
    planMount(mount, `mounts[${index}]`, settings, attach),
  );
  // Device nodes are never made on the host: without a /dev of its own the container gets one.
  if (!mounts.some((mount) => mount.target === '/dev')) mounts.unshift(defaultDev);
  if (attach.length > MAX_ATTACH)
    throw new Failure(
      'RUNTS_E_MOUNT_COUNT',
      `mounts: ${attach.length - 1} bind mounts, but ${MAX_ATTACH - 1} can be served`,
    );
  const { linux } = spec;
  return {
    root,
    mounts,
    devices: planDevices(linux?.devices ?? []),
    maskedPaths: planPaths(linux?.maskedPaths ?? [], 'linux.maskedPaths'),
    readOnlyPaths: planPaths(linux?.readonlyPaths ?? [], 'linux.readonlyPaths'),
    attach,
  };
}

const defaultDev: TmpfsConfig = {
  kind: 'tmpfs',
  target: '/dev',
  flags: MS_NOSUID | MS_NOATIME,
  source: 'tmpfs',
  data: 'size=65536k,mode=755',
  sizeBytes: 65536 * 1024,
  mode: 0o755,
  uid: 0,
  gid: 0,
  copyUp: false,
};

function planRoot(spec: Spec, settings: FileSettings, attach: AttachPoint[]): RootConfig {
  const path = resolve(settings.bundle, spec.root.path);
  const status = statusOf(path);
  if (status === undefined)
    throw new Failure('RUNTS_E_CONFIG_ROOTFS', `rootfs (${path}) does not exist`);
  if (!status.isDirectory())
    throw new Failure('RUNTS_E_CONFIG_ROOTFS', `rootfs (${path}) is not a directory`);
  const readOnly = spec.root.readonly ?? false;
  // A read-only root is writable until its mount points are made, as with runc; then the Gofer is told.
  attach.push({
    path: realpathSync(path),
    writable: !settings.overlay,
    ...ownersOf(settings.ids, undefined, false),
  });
  return { attach: 0, overlay: settings.overlay, readOnly };
}

function planMount(
  mount: Mount,
  where: string,
  settings: FileSettings,
  attach: AttachPoint[],
): MountConfig {
  const options = parseMountOptions(mount.options ?? []);
  const type = mount.type ?? '';
  const target = planTarget(mount, where);
  const ids = planMountIds(mount, options, settings.ids);
  if (type === 'bind' || options.bind !== 'no') {
    if (type !== 'bind' && type !== 'none' && type !== '')
      throw new Failure(
        'RUNTS_E_CONFIG_MOUNT',
        `${where} (${mount.destination}): type ${type} contradicts option bind`,
      );
    return planBind(mount, { where, target, options, settings, ids }, attach);
  }
  if (ids !== undefined)
    throw new Failure(
      'RUNTS_E_ID_MAPPING',
      `${where} (${mount.destination}): id-mapped mounts are only supported for bind-mounts`,
    );
  const place = {
    target,
    flags: options.flags,
    source: toByteString(mount.source ?? type),
    data: toByteString(options.data.join(',')),
  };
  switch (type) {
    case 'overlay':
      return planOverlay(mount, { where, target, options, settings, ids }, attach);
    case 'tmpfs':
      return planTmpfs(place, options, `${where} (${mount.destination})`);
    case 'devpts':
      return planDevpts(place, options, `${where} (${mount.destination})`);
    case 'proc':
    case 'sysfs':
    case 'mqueue':
      refuseData(options, `${where} (${mount.destination})`);
      return { kind: type, ...place };
    case 'cgroup':
    case 'cgroup2':
      return { kind: 'cgroup', ...place, data: '' };
    case '':
      throw new Failure(
        'RUNTS_E_CONFIG_MOUNT',
        `${where} (${mount.destination}): needs a type or the option bind`,
      );
    default:
      throw new Failure(
        'RUNTS_E_CONFIG_MOUNT',
        `${where} (${mount.destination}): unknown file system type '${type}'`,
      );
  }
}

function planTarget(mount: Mount, where: string): string {
  if (mount.destination.includes('\0'))
    throw new Failure('RUNTS_E_CONFIG_MOUNT', `${where}.destination: contains a NUL character`);
  const target = normalize(join('/', mount.destination));
  const clean = target.length > 1 && target.endsWith('/') ? target.slice(0, -1) : target;
  if (clean === '/')
    throw new Failure(
      'RUNTS_E_CONFIG_MOUNT',
      `${where}.destination: '/' is the container's root itself`,
    );
  return toByteString(clean);
}

interface BindRequest {
  readonly where: string;
  readonly target: string;
  readonly options: MountOptions;
  readonly settings: FileSettings;
  readonly ids: IdRanges | undefined;
}

/**
 * mount_setattr(2): the mapping that is named, or with 'idmap' alone the one of the container's
 * user namespace.
 */
function planMountIds(
  { uidMappings = [], gidMappings = [], destination }: Mount,
  { idMap }: MountOptions,
  container: IdRanges | undefined,
): IdRanges | undefined {
  if (uidMappings.length === 0 && gidMappings.length === 0) {
    if (idMap === 'no') return undefined;
    if (container === undefined)
      throw new Failure(
        'RUNTS_E_ID_MAPPING',
        `mount ${destination}: id-mapped mounts must have both uid and gid mappings specified`,
      );
    return container;
  }
  if (uidMappings.length === 0 || gidMappings.length === 0)
    throw new Failure(
      'RUNTS_E_ID_MAPPING',
      `mount ${destination}: id-mapped mounts must have both uid and gid mappings specified`,
    );
  return { uids: uidMappings.map(idRange), gids: gidMappings.map(idRange) };
}

export function idRange({ containerID, hostID, size }: IdMapping): IdRange {
  return [containerID, hostID, size];
}

function planBind(
  mount: Mount,
  { where, target, options, settings, ids }: BindRequest,
  attach: AttachPoint[],
): MountConfig {
  if (mount.source === undefined || mount.source === '')
    throw new Failure(
      'RUNTS_E_CONFIG_MOUNT',
      `${where} (${mount.destination}): a bind mount needs a source`,
    );
  refuseData(options, `${where} (${mount.destination})`);
  const source = resolve(settings.bundle, mount.source);
  let status: Stats;
  let path: string;
  try {
    path = realpathSync(source);
    status = statSync(path);
  } catch (error) {
    throw new Failure(
      'RUNTS_E_MOUNT_SOURCE',
      `error mounting "${mount.source}" to rootfs at "${mount.destination}": stat ${source}: ${describe(error).toLowerCase()}`,
    );
  }
  const readOnly = (options.flags & MS_RDONLY) !== 0;
  const recursive = options.bind === 'recursive' || options.recursiveReadOnly;
  const follows = status.isDirectory() && (options.propagation ?? settings.propagation) === 'slave';
  const planned: MountConfig = {
    kind: 'volume',
    target,
    flags: options.flags,
    source: 'volume',
    data: '',
    attach: attach.length,
    isFile: !status.isDirectory(),
    ...(follows ? { follows } : {}),
    ...(ids === undefined ? {} : { ids, mapsBelow: options.idMap === 'recursive' }),
  };
  attach.push({
    path,
    writable: !readOnly,
    recursive,
    follows,
    ...ownersOf(settings.ids, ids, options.idMap === 'recursive'),
  });
  return planned;
}

function planOverlay(
  mount: Mount,
  { where, target, options, settings }: BindRequest,
  attach: AttachPoint[],
): MountConfig {
  const planned: MountConfig = {
    kind: 'volume',
    target,
    flags: options.flags,
    source: 'overlay',
    data: '',
    attach: attach.length,
    isFile: false,
  };
  attach.push({
    path: overlayData(options.data, settings.bundle, `${where} (${mount.destination})`),
    writable: (options.flags & MS_RDONLY) === 0,
    overlay: true,
    ...ownersOf(settings.ids, undefined, false),
  });
  return planned;
}

function ownersOf(
  container: IdRanges | undefined,
  mount: IdRanges | undefined,
  mapsBelow: boolean,
): Pick<AttachPoint, 'owners'> {
  if (container === undefined && mount === undefined) return {};
  return {
    owners: {
      container: container ?? { uids: [], gids: [] },
      ...(mount === undefined ? {} : { mount, mapsBelow }),
    },
  };
}

function planTmpfs(
  place: { target: string; flags: number; source: string; data: string },
  options: MountOptions,
  where: string,
): TmpfsConfig {
  let [mode, uid, gid] = [0o1777, 0, 0];
  let sizeBytes: number | undefined;
  let inodes: number | undefined;
  for (const option of options.data) {
    const [name = '', value = ''] = splitOption(option);
    if (name === 'size') sizeBytes = tmpfsSize(value, option, where);
    else if (name === 'nr_blocks') sizeBytes = parseBytes(value, option, where) * 4096;
    else if (name === 'nr_inodes') inodes = parseBytes(value, option, where);
    else if (name === 'mode') mode = parseOctal(value, option, where);
    else if (name === 'uid') uid = parseNumber(value, option, where);
    else if (name === 'gid') gid = parseNumber(value, option, where);
    else if (!withoutEffect.has(name))
      throw new Failure('RUNTS_E_MOUNT_OPTION', `${where}: unknown option '${option}' of tmpfs`);
  }
  return {
    kind: 'tmpfs',
    ...place,
    mode,
    uid,
    gid,
    copyUp: options.copyUp,
    // 0 is no limit.
    ...(sizeBytes ? { sizeBytes } : {}),
    ...(inodes ? { inodes } : {}),
  };
}

/** '50%' is that part of the host's memory. */
function tmpfsSize(value: string, option: string, where: string): number {
  if (!value.endsWith('%')) return parseBytes(value, option, where);
  return Math.floor((totalmem() * parseNumber(value.slice(0, -1), option, where)) / 100);
}

/** Options of tmpfs about memory pages, of which the Sentry has one kind. */
const withoutEffect: ReadonlySet<string> = new Set([
  'huge',
  'inode32',
  'inode64',
  'mpol',
  'noswap',
]);

function planDevpts(
  place: { target: string; flags: number; source: string; data: string },
  options: MountOptions,
  where: string,
): DevptsConfig {
  let [mode, ptmxMode] = [0o600, 0];
  let uid: number | undefined;
  let gid: number | undefined;
  for (const option of options.data) {
    const [name = '', value = ''] = splitOption(option);
    if (name === 'mode') mode = parseOctal(value, option, where);
    else if (name === 'ptmxmode') ptmxMode = parseOctal(value, option, where);
    else if (name === 'uid') uid = parseNumber(value, option, where);
    else if (name === 'gid') gid = parseNumber(value, option, where);
    // Every mount is an instance of its own since Linux 4.7.
    else if (name !== 'newinstance' && name !== 'max')
      throw new Failure('RUNTS_E_MOUNT_OPTION', `${where}: unknown option '${option}' of devpts`);
  }
  return {
    kind: 'devpts',
    ...place,
    data: [
      ...(uid === undefined ? [] : [`uid=${uid}`]),
      ...(gid === undefined ? [] : [`gid=${gid}`]),
      `mode=${mode.toString(8).padStart(3, '0')}`,
      `ptmxmode=${ptmxMode.toString(8).padStart(3, '0')}`,
    ].join(','),
    mode,
    ptmxMode,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  };
}

function splitOption(option: string): [string, string] {
  const at = option.indexOf('=');
  return at < 0 ? [option, ''] : [option.slice(0, at), option.slice(at + 1)];
}

function refuseData({ data }: MountOptions, where: string): void {
  if (data.length > 0)
    throw new Failure('RUNTS_E_MOUNT_OPTION', `${where}: unknown option '${data[0]}'`);
}

function planPaths(paths: readonly string[], where: string): string[] {
  return paths.map((path, index) => {
    if (!isAbsolute(path) || path.includes('\0'))
      throw new Failure('RUNTS_E_CONFIG_MOUNT', `${where}[${index}]: '${path}' is not absolute`);
    return toByteString(normalize(path));
  });
}

function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Failure('RUNTS_E_CONFIG_ROOTFS', `rootfs (${path}): ${describe(error)}`);
  }
}
