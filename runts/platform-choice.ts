// SPDX-License-Identifier: Apache-2.0
// What users say of platforms: --platform, the annotation dev.runts.platform.
import { type PlatformChoice, platformChoices } from '../protocol/boot-config.ts';
import { Failure } from './failure.ts';

/** `where`: the option or annotation. */
export function parsePlatform(text: string, where: string): PlatformChoice {
  const choice = platformChoices.find((one) => one === text);
  if (choice !== undefined) return choice;
  const others = platformChoices.join(', ');
  if (text === 'kvm')
    throw new Failure('RUNTS_E_NOT_SUPPORTED', `${where}: kvm is not there yet; use ${others}`);
  throw new Failure('RUNTS_E_OPTION_VALUE', `${where}: '${text}' is not one of ${others}`);
}
