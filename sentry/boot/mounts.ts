// The guest's tree of mounts as it finds it: root, volumes, /proc, /sys, /dev and what belongs there, --tmpfs.
import { allCapabilities } from '../../abi/capability.ts';
import { ENOENT, isErrno, type Result } from '../../abi/errno.ts';
import { AT_FDCWD, O_CREAT, O_EXCL, O_WRONLY } from '../../abi/fcntl.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME } from '../../abi/fs.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import { registerDevices } from '../fs/dev/devices.ts';
import { newDevFileSystem } from '../fs/dev/devtmpfs.ts';
import { DevptsFileSystem } from '../fs/devpts/devpts-filesystem.ts';
import { GoferClient } from '../fs/gofer/client.ts';
import { GoferFileSystem } from '../fs/gofer/filesystem.ts';
import { OverlayFileSystem } from '../fs/overlay/filesystem.ts';
import { newProcFileSystem } from '../fs/proc/proc-filesystem.ts';
import { newCgroupFileSystem } from '../fs/sys/cgroup-filesystem.ts';
import { newSysFileSystem } from '../fs/sys/sysfs.ts';
import { TmpFileSystem } from '../fs/tmp/filesystem.ts';
import { FD_GOFER } from '../host/descriptors.ts';
import type { Machine } from '../host/machine.ts';
import { credentialsOf } from '../kernel/credentials.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import { lookupChild } from '../vfs/dentry.ts';
import { makeDirectory } from '../vfs/directory-operations.ts';
import { FdTable } from '../vfs/fd-table.ts';
import { type FsCaller, FsContext } from '../vfs/fs-context.ts';
import { Mount, MountNamespace, type MountOptions } from '../vfs/mount.ts';
import type { FileSystem } from '../vfs/node.ts';
import { openNow } from '../vfs/open.ts';
import type { Path } from '../vfs/path.ts';
import { WALK_DIRECTORY, WALK_FOLLOW, walkPath } from '../vfs/path-walk.ts';
import { BootFailure } from './boot-failure.ts';
import type { SandboxConfig, VolumeConfig } from './config.ts';
import { failureOf } from './start-failure.ts';

export interface GuestMounts {
  readonly namespace: MountNamespace;
  readonly devpts: DevptsFileSystem;
  /** Root of the sandbox, for what boot itself looks up and opens. */
  readonly caller: FsCaller;
}

const pseudoFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME;

export function buildMounts(config: SandboxConfig, machine: Machine, kernel: Kernel): GuestMounts {
  const client = new GoferClient(FD_GOFER);
  const lower = attachGofer(client, config.container.root.attach, true, kernel);
  const root = new OverlayFileSystem({ lower, clock: kernel.clock, maxBytes: kernel.memoryBytes });
  const namespace = new MountNamespace(new Mount(root, { flags: MS_RELATIME, source: 'root' }));
  const caller = rootCaller(namespace);
  const devpts = new DevptsFileSystem(kernel);
  registerDevices({ randomFill: kernel.randomFill, devpts });
  const mount = (target: string, filesystem: FileSystem, options: MountOptions): void => {
    place(namespace, caller, target, new Mount(filesystem, options));
  };
  const { clock } = kernel;
  mount('/proc', newProcFileSystem(kernel, machine.facts), { flags: pseudoFlags, source: 'proc' });
  mount('/sys', newSysFileSystem(kernel), { flags: pseudoFlags | MS_RDONLY, source: 'sysfs' });
  mount('/sys/fs/cgroup', newCgroupFileSystem(kernel), {
    flags: pseudoFlags | MS_RDONLY,
    source: 'cgroup',
  });
  mount('/dev', newDevFileSystem({ clock, hasConsole: false }), {
    flags: MS_NOSUID,
    source: 'dev',
    data: 'mode=755',
  });
  mount('/dev/pts', devpts, {
    flags: MS_NOSUID | MS_NOEXEC,
    source: 'devpts',
    data: 'mode=600,ptmxmode=666',
  });
  mount('/dev/shm', new TmpFileSystem({ clock, mode: 0o1777 }), {
    flags: MS_NOSUID | MS_NODEV,
    source: 'shm',
  });
  for (const extra of config.container.mounts) {
    if (extra.kind === 'volume') {
      const volume = attachGofer(client, extra.attach, false, kernel);
      placeVolume(extra, volume, namespace, caller);
    } else
      mount(extra.target, new TmpFileSystem({ clock, mode: 0o1777 }), {
        flags: MS_NOSUID | MS_NODEV,
        source: 'tmpfs',
      });
  }
  return { namespace, devpts, caller };
}

/** The directory to start in, as chdir(2) finds it for `caller`. */
export function workingDirectory(path: string, caller: Omit<FsCaller, 'memory'>): Result<Path> {
  return walkPath({ ...caller, memory: noMemory }, AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY);
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
    fs: new FsContext(root, root, 0o022),
    files: new FdTable(),
  };
}

function attachGofer(
  client: GoferClient,
  attachPoint: number,
  exclusive: boolean,
  kernel: Kernel,
): GoferFileSystem {
  const filesystem = GoferFileSystem.attach({
    client,
    attachPoint,
    exclusive,
    clock: kernel.clock,
  });
  if (isErrno(filesystem))
    throw new BootFailure(
      `the gofer cannot serve attach point ${attachPoint}: ${failureOf('', filesystem).message}`,
    );
  return filesystem;
}

/** A volume that is a single file is the one entry of its attach point. */
function placeVolume(
  volume: VolumeConfig,
  filesystem: GoferFileSystem,
  namespace: MountNamespace,
  caller: FsCaller,
): void {
  const flags = MS_NOSUID | MS_NODEV | MS_RELATIME | (volume.readOnly ? MS_RDONLY : 0);
  const top = new Mount(filesystem, { flags, source: 'volume' });
  if (!volume.isFile) {
    place(namespace, caller, volume.target, top);
    return;
  }
  const file = lookupChild(top.root, 'file', caller);
  if (isErrno(file)) throw new BootFailure(`--volume: ${failureOf(volume.target, file).message}`);
  place(
    namespace,
    caller,
    volume.target,
    new Mount(filesystem, { flags, source: 'volume', root: file }),
  );
}

function place(namespace: MountNamespace, caller: FsCaller, target: string, mount: Mount): void {
  let at = walkPath(caller, AT_FDCWD, target, WALK_FOLLOW);
  if (at === ENOENT) {
    makeTarget(caller, target, mount.root.node?.kind === S_IFDIR);
    at = walkPath(caller, AT_FDCWD, target, WALK_FOLLOW);
  }
  if (isErrno(at)) throw new BootFailure(`mount on ${failureOf(target, at).message}`);
  const attached = namespace.attach(mount, at);
  if (attached < 0) throw new BootFailure(`mount on ${failureOf(target, attached).message}`);
}

/** A place to mount on that is not there yet is made in the overlay, as Docker's users expect. */
function makeTarget(caller: FsCaller, target: string, isDirectory: boolean): void {
  const names = target.split('/').filter((name) => name !== '');
  const last = isDirectory ? names.length : names.length - 1;
  for (let count = 1; count <= last; count += 1) {
    makeDirectory(caller, AT_FDCWD, `/${names.slice(0, count).join('/')}`, 0o755);
  }
  if (isDirectory) return;
  const how = { flags: O_CREAT | O_WRONLY | O_EXCL, mode: 0o644, resolve: 0 };
  const file = openNow(caller, AT_FDCWD, target, how);
  if (isErrno(file)) return; // The walk that follows says why.
  file.acquire();
  file.release();
}
