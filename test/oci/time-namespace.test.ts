// SPDX-License-Identifier: Apache-2.0
// linux.timeOffsets: time_namespaces(7). runc 1.1 has no time namespaces; what is expected was seen
// with unshare(1) -T.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { boxCases } from './support/box.ts';
import { mount, type Spec, script } from './support/spec.ts';

function move(spec: Spec, monotonic: object, boottime: object): void {
  spec.linux.namespaces.push({ type: 'time' });
  spec.linux['timeOffsets'] = { monotonic, boottime };
}

const hostUptime = (): number => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);

/** Clocks by the vDSO and by system calls, and waits for absolute times of them. */
const program = String.raw`
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static int64_t ns(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }
static struct timespec soon(int clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += 30000000;
  if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
  return t;
}
static int64_t start;
static void begin(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); start = ns(t); }
static void took(const char *what) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  int64_t ms = (ns(t) - start) / 1000000;
  printf("%s %s\n", what, ms >= 25 && ms < 60000 ? "ok" : "wrong");
}

int main(void) {
  const int clocks[] = {CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME};
  for (int i = 0; i < 4; i++) {
    struct timespec a, b;
    clock_gettime(clocks[i], &a);
    syscall(SYS_clock_gettime, clocks[i], &b);
    int64_t apart = ns(b) - ns(a);
    printf("%d %ld %s\n", clocks[i], (long)a.tv_sec, apart >= 0 && apart < 60000000000 ? "same" : "apart");
  }
  struct sysinfo info;
  sysinfo(&info);
  printf("sysinfo %ld\n", info.uptime);

  for (int i = 0; i < 2; i++) {
    int clock = i ? CLOCK_BOOTTIME : CLOCK_MONOTONIC;
    begin();
    struct timespec t = soon(clock);
    clock_nanosleep(clock, TIMER_ABSTIME, &t, NULL);
    took("clock_nanosleep");

    int fd = timerfd_create(clock, 0);
    begin();
    struct itimerspec when = {.it_value = soon(clock)};
    uint64_t count = 0;
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
    if (read(fd, &count, 8) != 8) return 1;
    took("timerfd");

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    timer_t timer;
    timer_create(clock, NULL, &timer);
    begin();
    when.it_value = soon(clock);
    timer_settime(timer, TIMER_ABSTIME, &when, NULL);
    sigwaitinfo(&set, NULL);
    took("timer");
  }
  uint32_t word = 0;
  begin();
  struct timespec t = soon(CLOCK_MONOTONIC);
  syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &t, NULL, ~0U);
  took("futex");
  return 0;
}
`;

boxCases('time namespace', [
  {
    name: 'clocks are ahead of the host by their offsets, for calls, the vDSO, /proc and absolute waits',
    only: 'runts',
    body: async (box) => {
      const bundle = box.bundle((spec) => {
        move(
          spec,
          { secs: 100_000_000, nanosecs: 5 },
          { secs: 1_000_000_000, nanosecs: 999_999_999 },
        );
        spec.mounts.push(mount('/t', 'bind', box.dir, 'rbind'));
        script(
          spec,
          '/t/clocks; cat /proc/self/timens_offsets /proc/uptime; cut -d" " -f22 /proc/self/stat; grep btime /proc/stat; readlink /proc/self/ns/time; echo monotonic 1 0 >/proc/self/timens_offsets || echo refused',
        );
      });
      expect(bundle).not.toBe('');
      execFileSync('gcc', ['-static', '-O1', '-o', join(box.dir, 'clocks'), '-x', 'c', '-'], {
        input: program,
      });
      const before = hostUptime();
      expect(await box.finish(), box.said()).toBe(0);
      const lines = box.output().trim().split('\n');
      const value = (index: number, field: number): number =>
        Number(lines[index]?.split(/ +/)[field]);
      const near = (seconds: number, offset: number): void => {
        expect(seconds - offset).toBeGreaterThanOrEqual(Math.floor(before));
        expect(seconds - offset).toBeLessThan(before + 60);
      };
      for (const [index, offset] of [1e8, 1e8, 1e8, 1e9].entries()) {
        near(value(index, 1), offset);
        expect(lines[index]).toMatch(/same$/);
      }
      near(value(4, 1), 1e9);
      const waits = ['clock_nanosleep ok', 'timerfd ok', 'timer ok'];
      expect(lines.slice(5, 12)).toEqual([...waits, ...waits, 'futex ok']);
      expect(lines.slice(12, 14)).toEqual([
        'monotonic   100000000         5',
        'boottime   1000000000 999999999',
      ]);
      near(value(14, 0), 1e9);
      near(value(15, 0) / 100, 1e9);
      near(Date.now() / 1000 - value(16, 1), 1e9);
      expect(lines[17]).toMatch(/^time:\[\d+\]$/);
      expect(lines[17]).not.toContain('4026531834');
      expect(lines.at(-1)).toBe('refused');
    },
  },
  {
    name: 'a clock that would be negative or too far is refused',
    only: 'runts',
    body: async (box) => {
      for (const secs of [-1e9, 4.7e9]) {
        box.bundle((spec) => move(spec, { secs }, {}), `t${secs}`);
        expect((await box.create(`t${secs}`)).code).not.toBe(0);
        expect(box.log()).toContain('out of range');
      }
    },
  },
  {
    name: 'a new time namespace without offsets, and a negative offset',
    only: 'runts',
    body: async (box) => {
      box.bundle((spec) => {
        move(spec, { secs: -5 }, { secs: -10, nanosecs: 500_000_000 });
        script(spec, 'cat /proc/self/timens_offsets /proc/uptime');
      });
      const before = hostUptime();
      expect(await box.finish(), box.said()).toBe(0);
      const [monotonic, boottime, uptime] = box.output().split('\n');
      expect([monotonic, boottime]).toEqual([
        'monotonic          -5         0',
        'boottime          -10 500000000',
      ]);
      expect(Number(uptime?.split(' ')[0]) + 10).toBeGreaterThan(before);
      expect(Number(uptime?.split(' ')[0]) + 10).toBeLessThan(before + 60);
    },
  },
]);
