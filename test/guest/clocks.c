// SPDX-License-Identifier: Apache-2.0
// Clocks and timers: clock_gettime(2), nanosleep(2), clock_nanosleep(2), setitimer(2), timer_create(2),
// alarm(2), times(2), getrusage(2).
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

#include "check.h"

static volatile int fired;
static volatile siginfo_t last;

static void on_timer(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  last = *info;
  fired++;
}

static void handle(int signal) {
  struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
  OK(sigaction(signal, &action, NULL));
}

static void spin_ms(int ms) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  long long end = t.tv_sec * 1000000000LL + t.tv_nsec + ms * 1000000LL;
  do {
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  } while (t.tv_sec * 1000000000LL + t.tv_nsec < end);
}

TEST(clocks_advance) {
  static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC,       CLOCK_MONOTONIC_RAW,
                                     CLOCK_BOOTTIME, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE};
  for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
    struct timespec a, b;
    OK(clock_gettime(clocks[i], &a));
    sleep_ms(12);
    OK(clock_gettime(clocks[i], &b));
    long long passed = (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec;
    CHECK(passed > 4000000 && passed < 60000000000);
    OK(syscall(SYS_clock_gettime, clocks[i], &a));
    CHECK(a.tv_sec - b.tv_sec >= 0 && a.tv_sec - b.tv_sec < 60);
  }
  CHECK_ERR(clock_gettime(77, &(struct timespec){0}), EINVAL);
}

TEST(monotonic_never_goes_back) {
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (int i = 0; i < 20000; i++) {
    if (i % 100 == 0) {
      syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &b);
    } else {
      clock_gettime(CLOCK_MONOTONIC, &b);
    }
    CHECK(b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
    a = b;
  }
}

TEST(wall_clocks_agree) {
  struct timeval tv;
  struct timespec ts;
  OK(gettimeofday(&tv, NULL));
  OK(clock_gettime(CLOCK_REALTIME, &ts));
  CHECK(ts.tv_sec - tv.tv_sec <= 60);
  CHECK(time(NULL) - ts.tv_sec <= 60);
  CHECK(tv.tv_sec > 1600000000);
}

TEST(cpu_clocks) {
  struct timespec before, after;
  OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before));
  sleep_ms(50);
  OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after));
  CHECK((after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec < 40000000);
  spin_ms(50);
  OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after));
  CHECK(after.tv_sec * 1000000000LL + after.tv_nsec >= 50000000);
  struct tms tms;
  CHECK(times(&tms) != (clock_t)-1);
  struct rusage usage;
  OK(getrusage(RUSAGE_SELF, &usage));
  CHECK(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 0);
}

TEST(resolution) {
  struct timespec t;
  OK(clock_getres(CLOCK_MONOTONIC, &t));
  CHECK_EQ(t.tv_sec, 0);
  CHECK(t.tv_nsec >= 1 && t.tv_nsec <= 10000000);
  OK(clock_getres(CLOCK_REALTIME, NULL));
  CHECK_ERR(clock_getres(77, &t), EINVAL);
}

TEST(sleeping) {
  struct timespec t = {0, 20000000};
  long long start = now_ns();
  OK(nanosleep(&t, NULL));
  long long passed = now_ns() - start;
  CHECK(passed >= 20000000 && passed < 60000000000);
  t.tv_nsec = 1000000000;
  CHECK_ERR(nanosleep(&t, NULL), EINVAL);
  t = (struct timespec){-1, 0};
  CHECK_ERR(nanosleep(&t, NULL), EINVAL);
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += 20000000;
  if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
  start = now_ns();
  CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0);
  CHECK(now_ns() >= t.tv_sec * 1000000000LL + t.tv_nsec);
  CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EINVAL);
}

TEST(real_interval_timer) {
  handle(SIGALRM);
  struct itimerval t = {{0, 10000}, {0, 10000}}, old;
  OK(setitimer(ITIMER_REAL, &t, NULL));
  while (fired < 3) pause();
  OK(getitimer(ITIMER_REAL, &old));
  CHECK_EQ(old.it_interval.tv_usec, 10000);
  CHECK_EQ(last.si_code, SI_KERNEL);
  t = (struct itimerval){0};
  OK(setitimer(ITIMER_REAL, &t, &old));
  int before = fired;
  sleep_ms(40);
  CHECK_EQ(fired, before);
}

TEST(alarm_answers_the_rest) {
  handle(SIGALRM);
  CHECK_EQ(alarm(1000000), 0);
  unsigned rest = alarm(0);
  CHECK(rest > 999900 && rest <= 1000000);
  sigset_t mask, old;
  sigemptyset(&mask);
  sigaddset(&mask, SIGALRM);
  OK(sigprocmask(SIG_BLOCK, &mask, &old));
  CHECK_EQ(alarm(1), 0);
  CHECK_ERR(sigsuspend(&old), EINTR);
  CHECK_EQ(fired, 1);
}

TEST(cpu_interval_timers) {
  handle(SIGPROF);
  struct itimerval t = {{0, 0}, {0, 30000}};
  OK(setitimer(ITIMER_PROF, &t, NULL));
  sleep_ms(60);
  CHECK_EQ(fired, 0);
  long long end = now_ns() + 60000000000LL;
  while (fired == 0 && now_ns() < end) {
  }
  CHECK_EQ(fired, 1);
}

TEST(posix_timer_with_signal) {
  handle(SIGRTMIN);
  struct sigevent event = {
      .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 66};
  timer_t timer;
  OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  struct itimerspec t = {{0, 0}, {1000, 0}}, left;
  OK(timer_settime(timer, 0, &t, NULL));
  OK(timer_gettime(timer, &left));
  CHECK(left.it_value.tv_sec > 0 && left.it_value.tv_sec <= 1000);
  sigset_t mask, old;
  sigemptyset(&mask);
  sigaddset(&mask, SIGRTMIN);
  OK(sigprocmask(SIG_BLOCK, &mask, &old));
  t.it_value = (struct timespec){0, 20000000};
  OK(timer_settime(timer, 0, &t, NULL));
  CHECK_ERR(sigsuspend(&old), EINTR);
  CHECK_EQ(fired, 1);
  CHECK_EQ(last.si_code, SI_TIMER);
  CHECK_EQ(last.si_value.sival_int, 66);
  OK(timer_gettime(timer, &left));
  CHECK_EQ(left.it_value.tv_nsec, 0);
  OK(timer_delete(timer));
  CHECK_ERR(syscall(SYS_timer_delete, 999), EINVAL);
}

TEST(posix_timer_overrun) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGRTMIN);
  OK(sigprocmask(SIG_BLOCK, &mask, NULL));
  timer_t timer;
  OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  struct itimerspec t = {{0, 5000000}, {0, 5000000}};
  OK(timer_settime(timer, 0, &t, NULL));
  sleep_ms(60);
  siginfo_t info;
  OK(sigwaitinfo(&mask, &info));
  CHECK(info.si_overrun >= 5);
  CHECK(timer_getoverrun(timer) >= 5);
}

static volatile int thread_value;

static void notified(union sigval value) { thread_value = value.sival_int; }

TEST(posix_timer_with_thread) {
  struct sigevent event = {
      .sigev_notify = SIGEV_THREAD, .sigev_notify_function = notified, .sigev_value.sival_int = 5};
  timer_t timer;
  OK(timer_create(CLOCK_REALTIME, &event, &timer));
  struct itimerspec t = {{0, 0}, {0, 10000000}};
  OK(timer_settime(timer, 0, &t, NULL));
  for (int i = 0; i < 60000 && thread_value == 0; i++) sleep_ms(1);
  CHECK_EQ(thread_value, 5);
}

TEST(cpu_limit) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    struct rlimit limit = {1, 2};
    OK(setrlimit(RLIMIT_CPU, &limit));
    for (;;) {
    }
  }
  CHECK_KILLED(pid, SIGXCPU);
}

static timer_t make_timer(int notify, int signal, int tid) {
  struct sigevent event = {.sigev_notify = notify, .sigev_signo = signal};
  event._sigev_un._tid = tid;
  int id = -1;
  CHECK_EQ(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), 0);
  return (timer_t)(long)id;
}

static void start_timer(timer_t timer, long first_ms, long interval_ms) {
  struct itimerspec spec = {{interval_ms / 1000, interval_ms % 1000 * 1000000},
                            {first_ms / 1000, first_ms % 1000 * 1000000}};
  OK(syscall(SYS_timer_settime, timer, 0, &spec, NULL));
}

TEST(overruns_count_until_the_signal_is_taken) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
  timer_t timer = make_timer(SIGEV_SIGNAL, SIGRTMIN, 0);
  start_timer(timer, 10, 10);
  sleep_ms(105);
  siginfo_t info;
  CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
  CHECK_EQ(info.si_code, SI_TIMER);
  CHECK(info.si_overrun >= 7 && info.si_overrun <= 6000);
  CHECK_EQ(syscall(SYS_timer_getoverrun, timer), info.si_overrun);
  struct itimerspec left;
  OK(syscall(SYS_timer_gettime, timer, &left));
  CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 10000000);
}

TEST(timers_of_one_signal_queue_side_by_side) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
  start_timer(make_timer(SIGEV_SIGNAL, SIGUSR1, 0), 5, 0);
  start_timer(make_timer(2 /* SIGEV_THREAD */, SIGUSR1, 0), 10, 0);
  sleep_ms(40);
  struct timespec now = {0, 0};
  CHECK_EQ(sigtimedwait(&set, NULL, &now), SIGUSR1);
  CHECK_EQ(sigtimedwait(&set, NULL, &now), SIGUSR1);
  CHECK_ERR(sigtimedwait(&set, NULL, &now), EAGAIN);
}

static void *own_timer(void *arg) {
  (void)arg;
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  timer_t timer = make_timer(SIGEV_THREAD_ID, SIGUSR2, gettid());
  start_timer(timer, 20, 20);
  return timer;
}

TEST(a_timer_outlives_its_thread) {
  pthread_t thread;
  void *timer;
  CHECK_EQ(pthread_create(&thread, NULL, own_timer, NULL), 0);
  pthread_join(thread, &timer);
  sleep_ms(70);
  struct itimerspec left;
  OK(syscall(SYS_timer_gettime, timer, &left));
  CHECK_EQ(left.it_interval.tv_nsec, 20000000);
  OK(syscall(SYS_timer_delete, timer));
}

TEST(tiny_intervals_do_no_harm) {
  struct itimerval tiny = {{0, 1}, {0, 1}};
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  sigaddset(&set, SIGUSR1);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
  OK(setitimer(ITIMER_REAL, &tiny, NULL));
  timer_t timer = make_timer(SIGEV_SIGNAL, SIGUSR1, 0);
  struct itimerspec nano = {{0, 1}, {0, 1}};
  OK(syscall(SYS_timer_settime, timer, 0, &nano, NULL));
  sleep_ms(50);
  struct timespec now = {0, 0};
  CHECK(sigtimedwait(&set, NULL, &now) > 0);
}

TEST(sleeps_on_other_clocks) {
  struct timespec short_time = {0, 1000000}, bad = {0, 1000000000};
  CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &short_time, NULL), EOPNOTSUPP);
  CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &short_time, NULL),
            EOPNOTSUPP);
  CHECK_ERR(syscall(SYS_clock_nanosleep, 99, 0, &short_time, NULL), EINVAL);
  CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &bad, NULL), EINVAL);
  CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, NULL, NULL), EFAULT);
  struct timespec until;
  OK(clock_gettime(CLOCK_REALTIME, &until));
  until.tv_nsec += 30000000;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL), 0);
  struct timespec now;
  OK(clock_gettime(CLOCK_REALTIME, &now));
  CHECK(now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec));
  CHECK_ERR(clock_settime(CLOCK_MONOTONIC, &now), EINVAL);
  CHECK_ERR(clock_gettime(-5, &now), EINVAL);
}

static volatile int over_limit;

static void on_over_limit(int signal) {
  (void)signal;
  over_limit++;
}

TEST(cpu_limit_again_and_for_good) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    signal(SIGXCPU, on_over_limit);
    struct rlimit limit = {1, 3};
    OK(setrlimit(RLIMIT_CPU, &limit));
    while (over_limit == 0) {
    }
    OK(getrlimit(RLIMIT_CPU, &limit));
    CHECK_EQ(limit.rlim_cur, 2);
    for (;;) {
    }
  }
  CHECK_KILLED(pid, SIGKILL);
}

// What a timer that is disarmed says of its interval: others of each kind do otherwise.
TEST(intervals_of_disarmed_timers) {
  struct itimerval none = {{1, 2}, {0, 0}}, old;
  OK(setitimer(ITIMER_REAL, &none, NULL));
  OK(getitimer(ITIMER_REAL, &old));
  CHECK_EQ(old.it_interval.tv_sec, 0);
  OK(setitimer(ITIMER_PROF, &none, NULL));
  OK(getitimer(ITIMER_PROF, &old));
  CHECK_EQ(old.it_interval.tv_sec, 1);
  struct sigevent event = {.sigev_notify = SIGEV_NONE};
  struct itimerspec off = {{1, 2}, {0, 0}}, now;
  timer_t timer;
  OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  OK(timer_settime(timer, 0, &off, NULL));
  OK(timer_gettime(timer, &now));
  CHECK_EQ(now.it_interval.tv_sec, 0);
}
