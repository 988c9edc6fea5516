// SPDX-License-Identifier: Apache-2.0
// A mount namespace of the test's own, with fresh file systems where a sandbox could leave a file:
// what is there was left by the sandboxes that ran in it, whatever other tests do to the host's
// files and mounts meanwhile.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runtsPath } from './command.ts';

const places = ['/dev/shm', '/run', '/tmp', '/var/tmp'];

/**
 * The directories given may lie below one of the places: they stay where they are. Mounts are
 * shared within the namespace, as on a host of systemd's: one that a sandbox does not keep to
 * itself shows.
 */
const script = `set -e
fds=
for kept; do exec {fd}<"$kept"; fds="$fds $fd"; done
for place in ${places.join(' ')}; do mount -t tmpfs -o mode=1777 fresh "$place"; done
for kept; do mkdir -p "$kept"; done
for fd in $fds; do
  mount --no-canonicalize --bind /proc/self/fd/$fd "$1"
  exec {fd}<&-
  shift
done
mount --make-rshared /
echo ready
exec sleep infinity`;

export class OwnPlaces {
  readonly #holder: ChildProcess;
  readonly #fresh: readonly string[];

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
    this.#fresh = contentsFor(holder);
  }

  /** Only root may make one. This tree and the command line are there, and what is `kept`. */
  static async make(...kept: readonly string[]): Promise<OwnPlaces> {
    const tree = join(import.meta.dirname, '../..');
    const command = ['--mount', '--propagation', 'private', '--', 'bash', '-c', script, 'bash'];
    const holder = spawn('unshare', [...command, tree, join(runtsPath, '..'), ...kept], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once('data', () => resolve());
      holder.once('error', reject);
      holder.once('exit', (code) => reject(new Error(`own places: exit ${code}`)));
    });
    return new OwnPlaces(holder);
  }

  /** What starts a command in there, as the process that it becomes. */
  get enter(): readonly string[] {
    return ['nsenter', `--mount=/proc/${this.#holder.pid}/ns/mnt`, '--wd=/', '--'];
  }

  /** What is there that was not at first. */
  leftovers(): string[] {
    return contentsFor(this.#holder).filter((line) => !this.#fresh.includes(line));
  }

  close(): void {
    this.#holder.kill('SIGKILL');
  }
}

/** Every mount and every file, with its size, as that process has them. */
function contentsFor(holder: ChildProcess): string[] {
  const where = places.map((place) => `/proc/${holder.pid}/root${place}`);
  const files = execFileSync('find', [...where, '-xdev', '-printf', '%p %s\n'], {
    encoding: 'utf8',
  });
  const mounts = readFileSync(`/proc/${holder.pid}/mountinfo`, 'utf8');
  return `${mounts}${files}`.split('\n');
}
