// SPDX-License-Identifier: Apache-2.0
// What the options before the verb say (runc's global flags), and how an OCI command ends.
import { codeOf, complain, complainOfOrigin, describe, errnoTexts, Failure } from '../failure.ts';
import { isRootless } from './caller.ts';
import { type CommandLog, type LogFormat, openLog } from './log.ts';
import { defaultRoot, Store } from './state/store.ts';

/** The options before the verb, in commander's form. */
export interface GlobalOptions {
  readonly root?: string;
  readonly log?: string;
  readonly logFormat?: string;
  readonly debug?: boolean;
  readonly systemdCgroup?: boolean;
  readonly rootless?: string;
  readonly network?: string;
  readonly platform?: string;
}

export interface OciContext {
  readonly store: Store;
  /** No --root was given: engines give one of their own. */
  readonly isDefaultRoot: boolean;
  readonly log: CommandLog;
  readonly systemdCgroup: boolean;
  readonly rootless: boolean;
  /** Settings for containers that say nothing themselves (annotations.ts). */
  readonly flags: { readonly network?: string; readonly platform?: string };
}

/**
 * Runs an OCI command. A failure goes to the log, where engines look for it, and as one line to
 * standard error; the exit code is 1, as runc's, unless the command gives another one.
 */
export async function inContext(
  options: GlobalOptions,
  command: (context: OciContext) => Promise<void> | void,
  failureCode = 1,
): Promise<void> {
  let log: CommandLog | undefined;
  try {
    log = openLog(options.log, logFormat(options.logFormat), options.debug === true);
    const { network, platform } = options;
    await command({
      store: new Store(options.root ?? defaultRoot()),
      isDefaultRoot: options.root === undefined,
      log,
      systemdCgroup: options.systemdCgroup === true,
      rootless: rootlessOption(options.rootless),
      flags: {
        ...(network === undefined ? {} : { network }),
        ...(platform === undefined ? {} : { platform }),
      },
    });
  } catch (error) {
    const text = inGoWords(describe(error));
    log?.write('error', text, codeOf(error));
    complain(text);
    complainOfOrigin(error);
    process.exit(failureCode);
  }
}

/** Engines look for errno texts as Go has them: "no such file or directory" makes Docker's exit code 127. */
function inGoWords(text: string): string {
  return errnoTexts.reduce((all, each) => all.replace(each, each.toLowerCase()), text);
}

function logFormat(text = 'text'): LogFormat {
  if (text === 'text' || text === 'json') return text;
  throw new Failure('RUNTS_E_OPTION_VALUE', `--log-format: '${text}' is neither text nor json`);
}

function rootlessOption(text = 'auto'): boolean {
  if (text === 'auto') return isRootless();
  if (text === 'true' || text === 'false') return text === 'true';
  throw new Failure('RUNTS_E_OPTION_VALUE', `--rootless: '${text}' is not true, false or auto`);
}
