// SPDX-License-Identifier: Apache-2.0
// A pod on a runtime driven directly: a sandbox container and others that name it, as containerd's
// CRI writes them.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { root } from '../../support/run.ts';
import type { Box } from './box.ts';
import type { Spec } from './spec.ts';

const ROLE = 'io.kubernetes.cri.container-type';
const SANDBOX = 'io.kubernetes.cri.sandbox-id';

export const sandboxId = 'pod';

/** The container that is the pod; it does nothing. */
export async function startPod(
  box: Box,
  change: (spec: Spec) => void = () => undefined,
): Promise<void> {
  await box.running((spec) => {
    spec.annotations = { [ROLE]: 'sandbox', [SANDBOX]: sandboxId };
    change(spec);
  }, sandboxId);
}

/** A container of it, running. */
export async function startInPod(
  box: Box,
  id: string,
  change: (spec: Spec) => void,
): Promise<void> {
  await box.running((spec) => {
    spec.annotations = { [ROLE]: 'container', [SANDBOX]: sandboxId };
    change(spec);
  }, id);
}

/** Container `id` has ended: with that status, and having written that. */
export async function ended(box: Box, id: string, status = 0): Promise<string> {
  const code = await box.wait(id);
  expect(code, box.said(id)).toBe(status);
  return box.output(id).trim();
}

/** NAME.c of this folder, linked statically: it runs in any container. */
export function compiled(name: string): string {
  const source = join(import.meta.dirname, `${name}.c`);
  const folder = join(root, 'build/guest');
  const binary = join(folder, name);
  if (existsSync(binary) && statSync(binary).mtimeMs > statSync(source).mtimeMs) return binary;
  mkdirSync(folder, { recursive: true });
  const draft = `${binary}.${process.pid}`;
  const flags = ['-O1', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE', '-pthread', '-static'];
  execFileSync('gcc', [...flags, '-o', draft, source], { stdio: ['ignore', 'inherit', 'inherit'] });
  renameSync(draft, binary);
  return binary;
}
