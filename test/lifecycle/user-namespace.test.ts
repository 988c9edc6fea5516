// SPDX-License-Identifier: Apache-2.0
// `runts do` by root of a user namespace whose mounts are not its own (unshare -U alone).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { run, sandboxed } from '../support/run.ts';

/** Runs a command as root of a new user namespace with the ids of `map`. */
async function inNamespace(map: string, command: readonly string[]) {
  const holder = spawn('unshare', ['-U', 'sh', '-c', 'echo; exec sleep 300'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await once(holder.stdout, 'data');
    for (const name of ['uid_map', 'gid_map']) writeFileSync(`/proc/${holder.pid}/${name}`, map);
    return await run(['nsenter', '-U', '-t', String(holder.pid), '-S', '0', '-G', '0', ...command]);
  } finally {
    holder.kill('SIGKILL');
  }
}

describe.skipIf(process.getuid?.() !== 0)('root of a user namespace', () => {
  it.each(['0 0 100', '0 100000 100', '0 100000 70000'])(
    'has a sandbox with the ids %s',
    async (map) => {
      const result = await inNamespace(map, sandboxed(['sh', '-c', 'id -u; ls -d /usr']));
      expect(result).toMatchObject({ stdout: '0\n/usr\n', code: 0 });
    },
  );
});
