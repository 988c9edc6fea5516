// SPDX-License-Identifier: Apache-2.0
// No state without an owner: module-level variables, side tables by weak key and exported hooks are
// errors in the processes of a sandbox, but for those that stand here with the reason why a module
// may keep them.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findModuleState } from './module-state.ts';

const root = join(import.meta.dirname, '..');
const folders = ['abi', 'protocol', 'sentry', 'gofer', 'platform-ptrace', 'platform-kvm'];

const collector =
  'One collector looks at all files in flight of this process, as unix_gc() does in Linux.';
const inodeCache =
  'A cache: nodes can be made anew, and keep their numbers only while what they stand for is there.';

const allowed: Readonly<Record<string, string>> = {
  'sentry/base/memory-account.ts let current':
    'Who pays is whoever the main loop works for, as `current` is in Linux. The scheduler sets it at each task.',
  'sentry/base/memory-account.ts hook setCurrentAccount':
    'The scheduler alone sets it: no constructor of an object has the task that the object is made for.',
  'sentry/base/turn.ts let current':
    'The turns of the one main loop. Nothing is kept for longer than one.',
  'sentry/base/turn.ts let pieceTurn': 'The turn that the piece of work at hand belongs to.',
  'sentry/base/turn.ts let pieceEndsNs': 'The piece of work at hand, which ends with the turn.',
  'sentry/fs/proc/namespace-file.ts weak entered': inodeCache,
  'sentry/fs/proc/process-directory.ts weak processNodes': inodeCache,
  'sentry/fs/proc/process-directory.ts weak threadNodes': inodeCache,
  'sentry/fs/proc/process-directory.ts weak nodes': inodeCache,
  'sentry/mm/guest-memory-unsafe.ts let slab': 'A cache: memory that small views are cut from.',
  'sentry/mm/guest-memory-unsafe.ts let slabUsed': 'A cache: memory that small views are cut from.',
  'sentry/mm/memory-manager.ts let nextId':
    'Numbers that are only compared. None comes twice in this process.',
  'sentry/net/unix/in-flight.ts let discarding': collector,
  'sentry/net/unix/in-flight.ts let survivors': collector,
  'sentry/net/unix/in-flight.ts let suspicions': collector,
  'sentry/net/unix/in-flight.ts let collecting': collector,
  'sentry/vfs/dentry.ts weak roots':
    'FileSystem is an interface of many classes; its root dentry is a matter of the dentry cache.',
  'sentry/vfs/dentry.ts hook setDentryLimit':
    'Tests alone make the cache of this process small, to see names fall out of it.',
  'sentry/vfs/device-number.ts let lastMinor': 'Device numbers: none comes twice in this process.',
  'sentry/vfs/mount.ts let lastMountId': 'Numbers of mounts: none comes twice in this process.',
  'sentry/vfs/notify.ts let observerCount':
    'How many watches there are on nodes, whose fields they are: without any, events cost one comparison.',
  'sentry/vfs/notify.ts let lastCookie':
    'Cookies of rename events: no two that are near one another may be the same.',
};

const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
});
const files = listed.split('\n').filter((path) => isProduct(path));
const used = new Set<string>();
const problems: string[] = [];
for (const path of files) {
  for (const { what, line } of findModuleState(path, readFileSync(join(root, path), 'utf8'))) {
    used.add(`${path} ${what}`);
    if (allowed[`${path} ${what}`] === undefined) problems.push(`${path}:${line}: ${what}`);
  }
}
for (const key of Object.keys(allowed))
  if (!used.has(key)) problems.push(`tools/check-owners.ts: ${key} is not there any more`);

function isProduct(path: string): boolean {
  const isTest = /\.test\.ts$|\/test-[a-z-]+\.ts$/.test(path);
  return path.endsWith('.ts') && !isTest && folders.some((folder) => path.startsWith(`${folder}/`));
}

for (const problem of problems) console.log(problem);
if (problems.length > 0) {
  console.log(
    'State belongs to the object that it is of: make it a field, and what only others can provide a required constructor ' +
      'option. What is truly a constant or cache of the process stands in tools/check-owners.ts with its reason.',
  );
  process.exitCode = 1;
}
console.log(`${files.length} files, ${used.size} modules' variables`);
