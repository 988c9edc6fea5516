// SPDX-License-Identifier: Apache-2.0
// `runts create`: a container, loaded and not started.

import { endNow } from '../end-now.ts';
import type { OciContext } from '../oci/context.ts';
import { createContainer } from '../oci/create.ts';

/** The options of `runts create`, in commander's form. */
export interface CreateOptions {
  readonly bundle?: string;
  readonly pidFile?: string;
  readonly consoleSocket?: string;
  readonly preserveFds?: number;
}

export async function create(
  context: OciContext,
  id: string,
  options: CreateOptions,
): Promise<void> {
  await createContainer(context, {
    id,
    bundle: options.bundle ?? '.',
    pidFile: options.pidFile,
    consoleSocket: options.consoleSocket,
    preservedFds: options.preserveFds ?? 0,
    isForeground: false,
  });
  endNow(0);
}
