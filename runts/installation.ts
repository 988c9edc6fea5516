// Where the parts of runts are: beside this file's folder, both in the source tree (runts/) and in the
// bundle (build/).
import { join } from 'node:path';

export interface Installation {
  /** Seen as /app by the Sentry and the Gofer while they boot. */
  readonly app: string;
  readonly node: string;
  readonly launcher: string;
  readonly zygote: string;
  /** Scripts, relative to `app`. */
  readonly sentry: string;
  readonly gofer: string;
}

export function findInstallation(): Installation {
  const app = join(import.meta.dirname, '..');
  const bundled = !import.meta.filename.endsWith('.ts');
  const native = join(app, 'native/build');
  return {
    app,
    node: process.execPath,
    launcher: join(native, 'launcher'),
    zygote: join(native, 'zygote'),
    sentry: bundled ? 'build/sentry.cjs' : 'sentry/boot/main.ts',
    gofer: bundled ? 'build/gofer.cjs' : 'gofer/main.ts',
  };
}
