// V8's compilers between the interpreter and the optimizing one. A process is started without (runts/node-flags.ts), for
// what runs once is not worth compiling, and a Sentry or Gofer turns them on when it is about to serve.
import { native } from './addon.ts';

/** Negative: they stay off. Hot code is then optimized later, and nothing else is different. */
export function useAllTiers(): number {
  return native.setEngineFlags('--sparkplug --maglev');
}
