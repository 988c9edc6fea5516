// SPDX-License-Identifier: Apache-2.0
// A machine that lets the zygote run late is slow, not broken.
import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';
import { assemble, TestGuests } from './test-guest.ts';

it('a zygote that starts late is waited for, longer than a stub would be', () => {
  const code = assemble('mov $39,%eax; syscall');
  const guests = new TestGuests((pid) => {
    process.kill(pid, 'SIGSTOP');
    spawn('sh', ['-c', `sleep 12; kill -CONT ${pid}`], { stdio: 'ignore' });
  });
  const { thread } = guests.launch(code);
  thread.resume();
  expect(guests.next()).toBe(thread);
  guests.platform.shutdown();
}, 120_000);
