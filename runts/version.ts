// SPDX-License-Identifier: Apache-2.0
// The version, from package.json; a bundle has it built in.
import packageInfo from '../package.json' with { type: 'json' };

export const version: string = packageInfo.version;
