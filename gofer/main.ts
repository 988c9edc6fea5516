// SPDX-License-Identifier: Apache-2.0
// Entry of the Gofer process. The launcher has made its namespaces and put the attach points where they stay;
// once the sealer has taken everything else away and the filter is on, it serves.
import { EIO, errnoName, isErrno, type SysResult } from '../abi/errno.ts';
import { native } from '../native/addon.ts';
import { useBaselineCompiler } from '../native/baseline-compiler.ts';
import { awaitThreads, installFilter, sealRoot } from '../native/confinement.ts';
import { MemoryTrim } from '../native/memory-trim.ts';
import { launcherArgument, startAs } from '../native/roles.ts';
import type { GoferConfig } from '../protocol/attach-config.ts';
import { GOFER_ATTACH, GOFER_SEALER, GOFER_SOCKET, STDERR_LOG } from '../protocol/descriptors.ts';
import { goferFilter } from './gofer-filter.ts';
import { runGofer } from './server.ts';

function main(config: GoferConfig): SysResult {
  const procFd = native.reopen(-1, 0);
  if (isErrno(procFd)) return procFd;
  const { maxWatches } = config;
  // The Sentry says what mode a file has.
  process.umask(0);
  if (maxWatches > 0 && isErrno(native.watchFromDescriptors())) return EIO;
  const memoryTrim = new MemoryTrim();
  memoryTrim.prepare();
  awaitThreads();
  const sealed = sealRoot(GOFER_SEALER);
  if (isErrno(sealed)) return sealed;
  const writable = config.readOnly.some((readOnly) => !readOnly);
  const filtered = installFilter(
    goferFilter({ writable, watches: maxWatches > 0 }),
    config.seccomp,
  );
  if (isErrno(filtered)) return filtered;
  useBaselineCompiler();
  return runGofer({
    socketFd: GOFER_SOCKET,
    attachPoints: config.readOnly.map((readOnly, index) => ({
      fd: GOFER_ATTACH + index,
      readOnly,
      follows: config.follows[index] === true,
      // Without privileges the host judges: this process is the user, and nobody else.
      owners: config.privileged ? (config.owners[index] ?? undefined) : undefined,
    })),
    maxWatches,
    unmappedAsRoot: !config.privileged,
    memoryTrim,
  });
}

function tell(reason: string): void {
  const text = Buffer.from(`gofer: ${reason}\n`);
  native.write(STDERR_LOG, text, 0, text.length);
}

startAs('gofer', () => {
  let result: SysResult;
  try {
    result = main(JSON.parse(launcherArgument()) as GoferConfig);
    if (isErrno(result)) tell(errnoName(result));
  } catch (error) {
    tell(error instanceof Error ? (error.stack ?? error.message) : String(error));
    result = EIO;
  }
  native.exitNow(isErrno(result) ? 1 : 0);
});
