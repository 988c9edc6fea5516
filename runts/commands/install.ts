// SPDX-License-Identifier: Apache-2.0
// `runts install` and `runts uninstall`: Docker's configuration is changed, for the other engines
// the lines to add are printed.
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describe, Failure } from '../failure.ts';
import { type Registration, register, unregister } from '../install/daemon-config.ts';
import { engineLines } from '../install/engine-lines.ts';
import { readConfig, replaceFile } from '../install/replace-file.ts';
import { ownExecutable } from '../installation.ts';
import { readSettings } from '../oci/annotations.ts';

/** r-x for others. */
const FOR_ALL = 0o005;
const DOCKER_CONFIG = '/etc/docker/daemon.json';

/** The options of `runts install`, in commander's form. */
export interface InstallOptions {
  readonly dockerConfig?: string;
  readonly name: string;
  readonly path?: string;
  readonly dryRun?: boolean;
  /** Options before the verb, which the containers of the registered runtime are to have. */
  readonly network?: string;
  readonly platform?: string;
}

export function runInstall(options: InstallOptions): void {
  const registration = registrationOf(options);
  checkExecutable(registration.path);
  const file = options.dockerConfig ?? DOCKER_CONFIG;
  if (options.dockerConfig === undefined && !existsSync(dirname(file))) {
    say(`Docker: ${dirname(file)} is not there, nothing to do`);
  } else {
    const text = readConfig(file);
    change(file, register(text ?? '', file, registration), text, options);
  }
  say(`\n${engineLines(registration)}`);
}

export function runUninstall(options: InstallOptions): void {
  const file = options.dockerConfig ?? DOCKER_CONFIG;
  const text = readConfig(file);
  change(file, unregister(text ?? '', file, registrationOf(options)), text, options);
}

function change(
  file: string,
  text: string | undefined,
  before: string | undefined,
  options: InstallOptions,
): void {
  if (text === undefined) {
    say(`Docker: ${file} needs no change`);
    return;
  }
  if (options.dryRun === true) {
    say(`Docker: ${file} would become\n${text.trimEnd()}`);
    return;
  }
  const backup = replaceFile(file, text);
  say(`Docker: ${file} ${before === undefined ? 'written' : `changed, as it was in ${backup}`}`);
  say('Docker: tell the daemon: systemctl reload docker (or kill -HUP its process)');
}

function registrationOf(options: InstallOptions): Registration {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(options.name))
    throw new Failure(
      'RUNTS_E_OPTION_VALUE',
      `--name: '${options.name}' is not a valid name for a runtime`,
    );
  if (options.name === 'runc')
    throw new Failure('RUNTS_E_OPTION_VALUE', "--name: runc is Docker's own");
  const path = options.path === undefined ? ownExecutable() : resolve(options.path);
  if (/[\x00-\x1f\x7f]/.test(path))
    throw new Failure('RUNTS_E_OPTION_VALUE', `--path: control characters in ${path}`);
  return { name: options.name, path, args: passedOn(options) };
}

/** The options before the verb that each container is to have, after a look at their values. */
function passedOn({ network, platform }: InstallOptions): string[] {
  const flags = {
    ...(network === undefined ? {} : { network }),
    ...(platform === undefined ? {} : { platform }),
  };
  readSettings({}, flags);
  return Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
}

function checkExecutable(path: string): void {
  try {
    const stat = statSync(path);
    if (!stat.isFile())
      throw new Failure('RUNTS_E_INSTALL_EXECUTABLE', `--path: ${path}: not a file`);
    // Sandboxes run as nobody.
    if ((stat.mode & FOR_ALL) !== FOR_ALL)
      throw new Failure(
        'RUNTS_E_INSTALL_EXECUTABLE',
        `--path: ${path}: not for all to read and execute; chmod 755 helps`,
      );
    accessSync(path, constants.X_OK);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('RUNTS_E_INSTALL_EXECUTABLE', `--path: ${path}: ${describe(error)}`);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
