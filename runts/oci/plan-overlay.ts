// SPDX-License-Identifier: Apache-2.0
// A mount of type overlay: the host's kernel makes it, as for runc, and the Gofer serves it. Layers
// are checked here for a message that names the one that is not there.
import { statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { describe, Failure } from '../failure.ts';

/** mount(2) takes a page, with the NUL at its end. */
const LONGEST_DATA = 4095;

/**
 * Returns the data of mount(2). Relative directories count from the bundle, as those of other mounts
 * do. `where` is what the mount is called in messages.
 */
export function overlayData(options: readonly string[], bundle: string, where: string): string {
  if (!options.some((option) => option.startsWith('lowerdir')))
    throw new Failure('RUNTS_E_MOUNT_OPTION', `${where}: an overlay needs the option lowerdir`);
  const data = options.map((option) => withDirectories(option, bundle, where)).join(',');
  if (Buffer.byteLength(data) > LONGEST_DATA)
    throw new Failure(
      'RUNTS_E_MOUNT_OPTION',
      `${where}: the options of the overlay are longer than ${LONGEST_DATA} bytes`,
    );
  return data;
}

function withDirectories(option: string, bundle: string, where: string): string {
  const at = option.indexOf('=');
  const [name, value] = [option.slice(0, at), option.slice(at + 1)];
  if (name === 'upperdir' || name === 'workdir')
    return `${name}=${directory(value, bundle, where)}`;
  if (name !== 'lowerdir') return option;
  // A colon within a name has a backslash before it; '::' stands before layers of data alone.
  const layers = value.split(/(?<!\\):/);
  return `${name}=${layers.map((one) => (one === '' ? one : directory(one, bundle, where))).join(':')}`;
}

function directory(written: string, bundle: string, where: string): string {
  const path = isAbsolute(written) ? written : join(bundle, written);
  const real = path.replace(/\\(.)/g, '$1');
  let problem = 'not a directory';
  try {
    if (statSync(real).isDirectory()) return path;
  } catch (error) {
    problem = describe(error).toLowerCase();
  }
  throw new Failure('RUNTS_E_MOUNT_SOURCE', `${where}: overlay: stat ${real}: ${problem}`);
}
