// SPDX-License-Identifier: Apache-2.0
// What a schema cannot say of a process: contradictions, and what runts cannot do.
import type { Document } from './document.ts';
import { capabilityNames } from './names.ts';
import { show } from './show.ts';
import type { Capabilities, Process, Rlimit, Scheduler } from './types.ts';

/** `place` is '' where the process is the whole document, else 'process.'. */
export function checkProcess(process: Process, place: string, document: Document): Process {
  checkEnvironment(process.env ?? [], place, document);
  checkRlimits(process.rlimits ?? [], place, document);
  if (process.scheduler !== undefined) checkScheduler(process.scheduler, place, document);
  warnOfIgnored(process, place, document);
  if (process.capabilities === undefined) return process;
  return { ...process, capabilities: checkCapabilities(process.capabilities, place, document) };
}

function checkEnvironment(env: readonly string[], place: string, document: Document): void {
  for (const [index, entry] of env.entries()) {
    if (entry.indexOf('=') < 1)
      document.fail(`${place}env[${index}]`, `expected NAME=VALUE, got ${show(entry)}`);
  }
}

function checkRlimits(rlimits: readonly Rlimit[], place: string, document: Document): void {
  const seen = new Set<string>();
  for (const [index, { type, soft, hard }] of rlimits.entries()) {
    const here = `${place}rlimits[${index}]`;
    if (seen.has(type)) document.fail(here, `${type} is listed twice`);
    if (soft > hard) document.fail(here, `the soft limit ${soft} is above the hard limit ${hard}`);
    seen.add(type);
  }
}

/** sched(7). The host schedules the sandbox as one; the Sentry keeps and shows what sched_setattr(2) set. */
function checkScheduler(scheduler: Scheduler, place: string, document: Document): void {
  const { policy } = scheduler;
  const here = `${place}scheduler`;
  const isRealTime = policy === 'SCHED_FIFO' || policy === 'SCHED_RR';
  if ((scheduler.priority ?? 0) !== 0 && !isRealTime)
    document.fail(`${here}.priority`, 'is for SCHED_FIFO and SCHED_RR only');
  for (const name of ['runtime', 'deadline', 'period'] as const) {
    if (Number(scheduler[name] ?? 0) !== 0 && policy !== 'SCHED_DEADLINE')
      document.fail(`${here}.${name}`, 'is for SCHED_DEADLINE only');
  }
  // No Linux has ever had it.
  if (policy === 'SCHED_ISO') document.fail(`${here}.policy`, 'SCHED_ISO is not supported');
  if (policy !== 'SCHED_OTHER' || (scheduler.nice ?? 0) !== 0)
    document.warn(
      here,
      'is shown, and without effect: linux.resources.cpu weighs a sandbox against others',
    );
}

function warnOfIgnored(process: Process, place: string, document: Document): void {
  const { apparmorProfile = '', selinuxLabel = '', execCPUAffinity = {} } = process;
  if (apparmorProfile !== '' && apparmorProfile !== 'unconfined')
    document.warn(`${place}apparmorProfile`, ignoredLabel);
  if (selinuxLabel !== '') document.warn(`${place}selinuxLabel`, ignoredLabel);
  if (process.ioPriority !== undefined)
    document.warn(
      `${place}ioPriority`,
      'is shown, and without effect: linux.resources.blockIO weighs a sandbox',
    );
  if ((execCPUAffinity.initial ?? '') !== '' || (execCPUAffinity.final ?? '') !== '')
    document.warn(`${place}execCPUAffinity`, 'is ignored: processes run where the sandbox may run');
}

export const ignoredLabel = 'is ignored: the Sentry, not the host, confines the container';

function checkCapabilities(
  capabilities: Capabilities,
  place: string,
  document: Document,
): Capabilities {
  const unknown = new Set<string>();
  const keepKnown = (names: readonly string[]): string[] =>
    names.filter((name) => capabilityNames.includes(name) || !unknown.add(name));
  const entries = Object.entries(capabilities).map(([set, names]) => [set, keepKnown(names)]);
  if (unknown.size > 0) {
    const names = [...unknown].map(show).join(', ');
    document.warn(`${place}capabilities`, `unknown ones are ignored: ${names}`);
  }
  const known: Capabilities = Object.fromEntries(entries);
  // capset(2) would answer EPERM.
  const beyond = known.effective?.find((name) => !known.permitted?.includes(name));
  if (beyond !== undefined)
    document.fail(`${place}capabilities.effective`, `${beyond} is not among the permitted ones`);
  return known;
}
