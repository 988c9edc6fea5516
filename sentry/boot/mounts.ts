// SPDX-License-Identifier: Apache-2.0
// A container's tree of mounts as its first process finds it: root, what the configuration mounts
// over it in its order, /dev, and paths that are hidden or read-only.
import { allCapabilities } from '../../abi/capability.ts';
import { isErrno } from '../../abi/errno.ts';
import { MS_RDONLY, MS_RELATIME } from '../../abi/fs.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import type {
  ContainerConfig,
  MountConfig,
  TextConfig,
  VolumeConfig,
} from '../../protocol/boot-config.ts';
import type { IdRanges } from '../../protocol/id-ranges.ts';
import type { Clock } from '../base/clock.ts';
import type { MemoryAccount } from '../base/memory-account.ts';
import { ContainerSpecialFiles } from '../fs/dev/devices.ts';
import { DevptsFileSystem } from '../fs/devpts/devpts-filesystem.ts';
import type { GoferClient } from '../fs/gofer/client.ts';
import { GoferFileSystem } from '../fs/gofer/filesystem.ts';
import type { HostWork } from '../fs/gofer/host-work.ts';
import { idMapsOf } from '../fs/gofer/id-map.ts';
import { mqueueOf } from '../fs/mqueue/filesystem.ts';
import { OverlayFileSystem } from '../fs/overlay/filesystem.ts';
import { newProcFileSystem } from '../fs/proc/proc-filesystem.ts';
import { newCgroupFileSystem } from '../fs/sys/cgroup-filesystem.ts';
import { newSysFileSystem } from '../fs/sys/sysfs.ts';
import { defaultTmpfsBytes, TmpFileSystem } from '../fs/tmp/filesystem.ts';
import type { Machine } from '../host/machine.ts';
import { credentialsOf } from '../kernel/credentials.ts';
import type { IpcNamespace } from '../kernel/ipc/ipc-namespace.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { PidNamespace } from '../kernel/pid-namespace.ts';
import type { UtsNamespace } from '../kernel/uts-namespace.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import { lookupChild } from '../vfs/dentry.ts';
import { FdTable } from '../vfs/fd-table.ts';
import { type FsCaller, FsContext } from '../vfs/fs-context.ts';
import { Mount, MountNamespace } from '../vfs/mount.ts';
import type { FileSystem } from '../vfs/node.ts';
import { BootFailure } from './boot-failure.ts';
import { fillDev } from './container-dev.ts';
import { copyInto } from './copy-up.ts';
import { ensurePath, place } from './mount-points.ts';
import { maskPaths, restrictPaths } from './restricted-paths.ts';
import { failureOf } from './start-failure.ts';
import { applySysctls } from './sysctls.ts';
import { textMount } from './text-file.ts';

export interface GuestMounts {
  readonly namespace: MountNamespace;
  /** Where terminals for processes from outside are made. */
  readonly devpts: DevptsFileSystem;
  /** Root of the container, for what boot itself looks up and opens. */
  readonly caller: FsCaller;
  readonly gofer: GoferClient;
  /** The container has ended, or never came to be: its Gofer and its files are let go. */
  close(): void;
}

export interface MountParts {
  readonly kernel: Kernel;
  readonly machine: Machine;
  readonly hostWork: HostWork;
  /** Serves this container. */
  readonly gofer: GoferClient;
  readonly pids: PidNamespace;
  readonly ipc: IpcNamespace;
  readonly uts: UtsNamespace;
  /** The account that pays for the container's files. */
  readonly account: MemoryAccount;
  /** The limit of the container's memory, or Infinity. */
  readonly memoryLimitBytes: number;
}

/** Throws BootFailure; the Gofer's socket is taken over in any case. */
export function buildMounts(config: ContainerConfig, parts: MountParts): GuestMounts {
  const served = new ServedFiles(parts, config);
  try {
    return build(config, parts, served);
  } catch (error) {
    served.close();
    throw error;
  }
}

function build(config: ContainerConfig, parts: MountParts, served: ServedFiles): GuestMounts {
  const { kernel } = parts;
  const builder = new Builder(config, parts, served);
  for (const mount of config.mounts) builder.add(mount);
  const { namespace, caller, devpts } = builder;
  // A /dev of the host's is shown as it is.
  if (!config.mounts.some((mount) => mount.kind === 'volume' && mount.target === '/dev'))
    fillDev(caller, config.devices);
  applySysctls(kernel.settings, parts.ipc, parts.uts, config.sysctl);
  restrictPaths(namespace, caller, config.readOnlyPaths);
  maskPaths(namespace, caller, kernel.clock, config.maskedPaths);
  // As runc, which makes the directory to start in; a shell's user is told that there is none.
  if (config.isInit) ensurePath(caller, config.process.cwd, S_IFDIR);
  if (config.root.readOnly) builder.closeRoot();
  const close = (): void => {
    served.close();
    // Memory files of the host would stay open for as long as the sandbox lives.
    for (const { filesystem } of namespace.mounts()) filesystem.unmounted?.();
  };
  return { namespace, devpts, caller, gofer: served.client, close };
}

/** Returns how much of the machine's memory the container may have. */
function availableBytes({ memoryLimitBytes, machine }: MountParts): number {
  return Math.min(memoryLimitBytes, machine.memoryBytes);
}

type AttachOptions = Pick<VolumeConfig, 'follows' | 'ids' | 'mapsBelow'>;

/** The files that the container's Gofer serves. */
class ServedFiles {
  readonly client: GoferClient;
  readonly #clock: Clock;
  readonly #ids: IdRanges | undefined;
  readonly #idleDescriptors: number;
  readonly #hostWork: HostWork;
  readonly #fileSystems: GoferFileSystem[] = [];

  constructor({ gofer, kernel, machine, hostWork }: MountParts, { ids }: ContainerConfig) {
    this.client = gofer;
    this.#ids = ids;
    this.#clock = kernel.clock;
    this.#hostWork = hostWork;
    // Files of guests, streams and stubs need most of the descriptors.
    this.#idleDescriptors = Math.floor(machine.descriptors / 4);
  }

  attach(attachPoint: number, exclusive: boolean, how: AttachOptions): GoferFileSystem {
    const ids = idMapsOf(this.#ids, how.ids);
    const filesystem = GoferFileSystem.attach({
      client: this.client,
      attachPoint,
      exclusive,
      clock: this.#clock,
      follows: how.follows === true,
      idleDescriptors: this.#idleDescriptors,
      hostWork: this.#hostWork,
      ids,
      isIdMapped: how.ids !== undefined,
      idsBelow: how.mapsBelow === true ? ids : idMapsOf(this.#ids),
    });
    if (isErrno(filesystem))
      throw new BootFailure(
        `the gofer cannot serve attach point ${attachPoint}: ${failureOf('', filesystem).message}`,
      );
    this.#fileSystems.push(filesystem);
    return filesystem;
  }

  close(): void {
    this.client.close();
    for (const filesystem of this.#fileSystems) filesystem.close();
  }
}

class Builder {
  readonly namespace: MountNamespace;
  readonly caller: FsCaller;
  #devpts: DevptsFileSystem | undefined = undefined;
  readonly #parts: MountParts;
  readonly #files: ServedFiles;
  readonly #rootServed: GoferFileSystem;
  /**
   * One file system for one directory of the host, mounted where and how often it may be: locks and
   * FIFOs are shared.
   */
  readonly #served = new Map<string, GoferFileSystem>();

  constructor({ root: config }: ContainerConfig, parts: MountParts, files: ServedFiles) {
    const { clock } = parts.kernel;
    const { account } = parts;
    const maxBytes = availableBytes(parts);
    this.#parts = parts;
    this.#files = files;
    this.#rootServed = files.attach(config.attach, config.overlay, {});
    const root = config.overlay
      ? new OverlayFileSystem({ lower: this.#rootServed, clock, maxBytes, account })
      : this.#rootServed;
    this.namespace = new MountNamespace(new Mount(root, { flags: MS_RELATIME, source: 'root' }), {
      inode: parts.kernel.namespaceNumbers.next('mnt'),
      specialFiles: new ContainerSpecialFiles({
        randomFill: parts.kernel.randomFill,
        devpts: () => this.devpts,
      }),
    });
    this.caller = rootCaller(this.namespace);
  }

  add(config: MountConfig): void {
    const mount = this.#mountOf(config);
    place(this.namespace, this.caller, config.target, mount);
    if (config.kind === 'devpts') this.#devpts ??= mount.filesystem as DevptsFileSystem;
  }

  /** The first one that is mounted, or else one that is mounted nowhere. */
  get devpts(): DevptsFileSystem {
    this.#devpts ??= new DevptsFileSystem(this.#parts.kernel);
    return this.#devpts;
  }

  /** Nothing more is to change in the root: the Gofer holds the Sentry to it. */
  closeRoot(): void {
    this.namespace.root.flags |= MS_RDONLY;
    if (!this.#rootServed.readOnly) this.#rootServed.freeze();
  }

  #mountOf(config: MountConfig): Mount {
    const { flags, source, data } = config;
    if (config.kind === 'volume') return this.#volume(config);
    if (config.kind === 'text')
      return textMount(config.text, flags, this.#parts.kernel.clock, this.caller);
    const filesystem = this.#fileSystem(config);
    if (config.kind === 'tmpfs' && config.copyUp) copyInto(filesystem, config.target, this.caller);
    return new Mount(filesystem, { flags, source, data });
  }

  #fileSystem(config: Exclude<MountConfig, VolumeConfig | TextConfig>): FileSystem {
    const { kernel, machine } = this.#parts;
    const { clock } = kernel;
    switch (config.kind) {
      case 'proc':
        return newProcFileSystem(this.#parts.pids, machine.facts);
      case 'sysfs':
        return newSysFileSystem(kernel);
      case 'cgroup':
        return newCgroupFileSystem(kernel);
      case 'mqueue':
        return mqueueOf(this.#parts.ipc).filesystem;
      case 'devpts':
        return new DevptsFileSystem(kernel, config);
      case 'tmpfs': {
        const { mode, uid, gid, sizeBytes, inodes } = config;
        return new TmpFileSystem({
          clock,
          mode,
          uid,
          gid,
          maxBytes: sizeBytes ?? defaultTmpfsBytes(availableBytes(this.#parts)),
          account: this.#parts.account,
          ...(inodes === undefined ? {} : { maxInodes: inodes }),
        });
      }
    }
  }

  /** A volume that is a single file is the one entry of its attach point. */
  #volume(config: VolumeConfig): Mount {
    const { target, flags, source, data, attach, isFile, ids, mapsBelow, follows } = config;
    const served = this.#files.attach(attach, false, config);
    if (!isFile) {
      const key = JSON.stringify([served.hostKey, ids, mapsBelow, follows]);
      const known = this.#served.get(key);
      const filesystem = known ?? served;
      this.#served.set(key, filesystem);
      return new Mount(filesystem, { flags, source, data });
    }
    const top = new Mount(served, { flags });
    const file = lookupChild(top.root, 'file', this.caller);
    if (isErrno(file)) throw new BootFailure(`volume: ${failureOf(target, file).message}`);
    return new Mount(served, { flags, source, data, root: file });
  }
}

/** Instances of inotify are few for each user of the host (128). */
const UNUSED_WATCHES_NS = 10e9;

/** Watches have begun: they are given up again once nobody has used them for so long. */
export function releaseUnusedWatches(client: GoferClient, { timers, clock }: Kernel): void {
  const { watches } = client;
  let looks = 0;
  const check = (): void => {
    if (watches.isOn && watches.looks === looks) client.stopWatches();
    if (watches.isOn) later();
  };
  const later = (): void => {
    looks = watches.looks;
    timers.add(clock.monotonicNs() + UNUSED_WATCHES_NS, check);
  };
  later();
}

/** Boot has no guest memory; nothing that it calls asks for any. */
const noMemory = undefined as unknown as GuestMemory;

function rootCaller(namespace: MountNamespace): FsCaller {
  const root = namespace.rootPath;
  const credentials = {
    ...credentialsOf(0, 0, []),
    effective: allCapabilities,
    permitted: allCapabilities,
  };
  return {
    credentials,
    memory: noMemory,
    specialFiles: namespace.specialFiles,
    fs: new FsContext(root, root, 0o022),
    files: new FdTable(),
  };
}
