// SPDX-License-Identifier: Apache-2.0
// The Node-API addon: every host call of the Sentry and the Gofer. C in native/addon/, one file per
// concern, each with the types of its calls in a .ts file of the same name.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ClockCalls } from './addon/clock.ts';
import type { ConfineCalls } from './addon/confine.ts';
import type { EngineCalls } from './addon/engine.ts';
import type { FileCalls } from './addon/files.ts';
import type { FootprintCalls } from './addon/footprint.ts';
import type { HostWorkCalls } from './addon/host-work.ts';
import type { InetCalls } from './addon/inet.ts';
import type { PlatformCalls } from './addon/platform.ts';
import type { ProcessCalls } from './addon/process.ts';
import type { ProgramCalls } from './addon/program.ts';
import type { SocketCalls } from './addon/sockets.ts';
import { singleFile } from './single-file.ts';

export interface Native
  extends FileCalls,
    SocketCalls,
    InetCalls,
    ProcessCalls,
    ProgramCalls,
    ConfineCalls,
    PlatformCalls,
    ClockCalls,
    FootprintCalls,
    HostWorkCalls,
    EngineCalls {}

/** Loaded once, when this module is first imported (before the process is confined). */
export const native: Native = load();

function load(): Native {
  const module: { exports: unknown } = { exports: {} };
  if (singleFile === undefined) process.dlopen(module, addonPath());
  else singleFile.loadAddon(module);
  return module.exports as Native;
}

function addonPath(): string {
  const beside = fileURLToPath(new URL('./build/addon.node', import.meta.url));
  if (existsSync(beside)) return beside;
  return fileURLToPath(new URL('../native/build/addon.node', import.meta.url));
}
