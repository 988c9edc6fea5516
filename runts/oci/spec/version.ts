// SPDX-License-Identifier: Apache-2.0
// ociVersion: a semantic version. Within 1.x later ones only add properties.
import type { Document } from './document.ts';
import { show } from './show.ts';

/** The versions of the OCI runtime specification that runts knows. */
export const OLDEST_VERSION = '1.0.0';
export const NEWEST_VERSION = '1.2.1';

const pattern = /^(\d{1,9})\.(\d{1,9})\.\d{1,9}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

/** Refuses a document of another major version; of 1.x later versions are taken too. */
export function checkVersion(version: string, document: Document): void {
  const match = pattern.exec(version);
  if (match === null)
    document.fail(
      'ociVersion',
      `expected a version such as ${NEWEST_VERSION}, got ${show(version)}`,
    );
  if (match[1] !== '1') document.fail('ociVersion', `${version} is not supported; 1.x is`);
}
