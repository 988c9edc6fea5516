// SPDX-License-Identifier: Apache-2.0
// Random calls for as long as one likes, by processes with threads, beside a neighbour that does
// honest work all the time: where the neighbour stops, something hangs. FUZZ_SEED and FUZZ_SECONDS
// say which calls and how long; a run is the same for the same seed, as far as time does not play a
// part. `npm run fuzz` runs an hour with a seed of its own.
// An hour is wanted by hand; the sandbox has a time limit of its own.
#define CHECK_SECONDS 100000

#include <dirent.h>

#include "fuzz.h"

#define PROCESSES 3
#define THREADS 2
#define ROUND_MS 2000
// No machine is so busy, and nothing that is right waits so long.
#define LONGEST_GAP_NS 20000000000LL
// How often it is looked whether the heart beats, and the most that counts between two looks: whoever
// stops the whole sandbox for half a minute (a freezer, SIGSTOP to everything) stops these as well.
#define LOOK_MS 100
#define MOST_COUNTED_NS 1000000000LL

struct beat {
  volatile long count, failures;
};
static struct beat *beat;

static long number_of(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text == NULL ? otherwise : atol(text);
}

// One piece of honest work: a file, a pipe, a child.
static int works(long number) {
  char name[64], text[16];
  snprintf(name, sizeof name, "/tmp/beat-%ld", number % 7);
  int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
  int well = file >= 0 && write(file, "0123456789", 10) == 10 && pread(file, text, 10, 0) == 10 &&
             memcmp(text, "0123456789", 10) == 0;
  close(file);
  unlink(name);
  int ends[2];
  if (pipe(ends) != 0) return 0;
  well = well && write(ends[1], "abc", 3) == 3 && read(ends[0], text, 3) == 3;
  close(ends[0]);
  close(ends[1]);
  pid_t child = fork();
  if (child == 0) _exit(7);
  int status = 0;
  return well && child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7;
}

static void beat_for_ever(void) {
  for (;;) {
    if (!works(beat->count)) beat->failures++;
    beat->count++;
    sleep_ms(20);
  }
}

static void *fuzz_thread(void *seed) {
  seed_random((long)seed);
  call_for_ever();
  return NULL;
}

static void fuzz_with_threads(int seed) {
  become_fuzzer(seed);
  pthread_t thread;
  for (long i = 1; i < THREADS; i++)
    pthread_create(&thread, NULL, fuzz_thread, (void *)(seed + 1000003 * i));
  call_for_ever();
}

static long long gap_ns, longest_gap_ns;
static long seen_beats;

// Looks on while the fuzzers work.
static void watch(long ms) {
  for (long long end = now_ns() + ms * 1000000LL, last = now_ns(); last < end;) {
    sleep_ms(LOOK_MS);
    long long passed = now_ns() - last;
    last += passed;
    if (beat->count == seen_beats)
      gap_ns += passed < MOST_COUNTED_NS ? passed : MOST_COUNTED_NS;
    else
      gap_ns = 0;
    seen_beats = beat->count;
    if (gap_ns > longest_gap_ns) longest_gap_ns = gap_ns;
  }
}

// What the neighbour is at: killed or stopped by some call, or asleep for good.
static void tell_of(pid_t neighbour) {
  int status = 0;
  pid_t got = waitpid(neighbour, &status, WNOHANG | WUNTRACED);
  if (got != 0)
    printf("# the neighbour: wait status 0x%x\n", status);
  else
    printf("# the neighbour is in state %c after %ld beats\n", state_of(neighbour), beat->count);
  fflush(stdout);
}

static pid_t parent_of(pid_t pid) {
  char name[64], text[512];
  snprintf(name, sizeof name, "/proc/%d/stat", pid);
  int file = open(name, O_RDONLY);
  ssize_t got = file < 0 ? -1 : read(file, text, sizeof text - 1);
  close(file);
  if (got <= 0) return -1;
  text[got] = 0;
  const char *rest = strrchr(text, ')');
  int parent = -1;
  if (rest != NULL) sscanf(rest, ") %*c %d", &parent);
  return parent;
}

// Children of fuzzers that are root and left their session: in the end they were all that --pids allows.
static void end_strays(pid_t neighbour) {
  DIR *dir = opendir("/proc");
  if (dir == NULL) return;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    pid_t pid = atoi(entry->d_name);
    if (pid <= 1 || pid == getpid() || pid == getppid() || pid == neighbour) continue;
    if (parent_of(pid) != neighbour) kill(pid, SIGKILL);
  }
  closedir(dir);
}

TEST(random_calls_beside_a_heartbeat) {
  int seed = (int)number_of("FUZZ_SEED", 1);
  long long end = now_ns() + number_of("FUZZ_SECONDS", 50) * 1000000000LL;
  printf("# seed %d\n", seed);
  beat = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t neighbour = OK(fork());
  if (neighbour == 0) beat_for_ever();
  int first = seed * 10000 % 50000;
  while (now_ns() < end) {
    printf("# processes of seeds %d to %d\n", first, first + PROCESSES - 1);
    fflush(stdout);
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
      pids[i] = OK(fork());
      if (pids[i] != 0) continue;
      setsid();
      fuzz_with_threads(first + i);
    }
    watch(ROUND_MS);
    end_fuzzers(pids, first, PROCESSES);
    end_strays(neighbour);
    first += PROCESSES;
    if (gap_ns < LONGEST_GAP_NS) continue;
    tell_of(neighbour);
    CHECK(gap_ns < LONGEST_GAP_NS);
  }
  kill(neighbour, SIGKILL);
  CHECK_KILLED(neighbour, SIGKILL);
  printf("# %ld beats, the longest gap %lld ms\n", beat->count, longest_gap_ns / 1000000);
  fflush(stdout);
  CHECK(beat->count > 0);
  CHECK_EQ(beat->failures, 0);
  CHECK(longest_gap_ns < LONGEST_GAP_NS);
}
