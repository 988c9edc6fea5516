// SPDX-License-Identifier: Apache-2.0
// System V semaphores: semget(2), semop(2), semctl(2).
#include <sched.h>
#include <grp.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/time.h>

#include "check.h"

union semun {
  int val;
  struct semid_ds *buf;
  unsigned short *array;
  struct seminfo *info;
};

#define VALUE(ID, NUM) semctl(ID, NUM, GETVAL)

static int set_id = -1;

static void remove_set(void) { semctl(set_id, 0, IPC_RMID); }

// A set of `count`, removed when the case ends well or badly by CHECK in its own process.
static int new_set(int count) {
  set_id = OK(semget(IPC_PRIVATE, count, 0600));
  return set_id;
}

static int operate(int id, int num, int op, int flags) {
  struct sembuf one = {num, op, flags};
  return semop(id, &one, 1);
}

TEST(sem_counts) {
  int id = new_set(3);
  CHECK_EQ(VALUE(id, 0), 0);
  OK(operate(id, 0, 5, 0));
  OK(operate(id, 0, -2, 0));
  CHECK_EQ(VALUE(id, 0), 3);
  CHECK_EQ(semctl(id, 0, GETPID), getpid());
  CHECK_EQ(semctl(id, 1, GETPID), 0);
  CHECK_ERR(operate(id, 0, -4, IPC_NOWAIT), EAGAIN);
  CHECK_ERR(operate(id, 0, 0, IPC_NOWAIT), EAGAIN);
  OK(operate(id, 1, 0, IPC_NOWAIT));
  CHECK_EQ(semctl(id, 1, GETPID), getpid());
  CHECK_ERR(operate(id, 3, 1, 0), EFBIG);
  CHECK_ERR(operate(id, 0, 32767, 0), ERANGE);
  OK(semctl(id, 2, SETVAL, (union semun){.val = 32767}));
  CHECK_ERR(operate(id, 2, 1, 0), ERANGE);
  remove_set();
}

TEST(sem_several_at_once_or_none) {
  int id = new_set(2);
  struct sembuf ops[] = {{0, 3, 0}, {1, -1, IPC_NOWAIT}};
  CHECK_ERR(semop(id, ops, 2), EAGAIN);
  CHECK_EQ(VALUE(id, 0), 0);
  struct sembuf same[] = {{0, 3, 0}, {0, -2, 0}, {0, -1, 0}, {0, 0, 0}, {1, 1, 0}};
  OK(semop(id, same, 5));
  CHECK_EQ(VALUE(id, 0), 0);
  CHECK_EQ(VALUE(id, 1), 1);
  remove_set();
}

TEST(sem_get_errors) {
  key_t key = 0x5e000000 + getpid();
  CHECK_ERR(semget(key, 1, 0600), ENOENT);
  CHECK_ERR(semget(key, 0, IPC_CREAT | 0600), EINVAL);
  CHECK_ERR(semget(key, -1, IPC_CREAT | 0600), EINVAL);
  CHECK_ERR(semget(key, 32001, IPC_CREAT | 0600), EINVAL);
  int id = set_id = OK(semget(key, 4, IPC_CREAT | 0640));
  CHECK_EQ(semget(key, 4, IPC_CREAT | 0600), id);
  CHECK_EQ(semget(key, 0, 0), id);
  CHECK_ERR(semget(key, 5, 0600), EINVAL);
  CHECK_ERR(semget(key, 4, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
  remove_set();
  CHECK_ERR(semget(key, 4, 0600), ENOENT);
  int again = set_id = OK(semget(key, 4, IPC_CREAT | 0600));
  CHECK(again != id);
  remove_set();
}

TEST(sem_call_errors) {
  int id = new_set(1);
  struct sembuf ops[501] = {{0}};
  CHECK_ERR(semop(id, ops, 0), EINVAL);
  CHECK_ERR(semop(id, ops, 501), E2BIG);
  CHECK_ERR(semop(id, (void *)8, 1), EFAULT);
  CHECK_ERR(semop(-1, ops, 1), EINVAL);
  CHECK_ERR(semop(id + 1000000, ops, 1), EINVAL);
  struct timespec bad = {0, -1};
  CHECK_ERR(semtimedop(id, ops, 1, &bad), EINVAL);
  CHECK_ERR(syscall(SYS_semtimedop, id, ops, 1, (void *)8), EFAULT);
  CHECK_ERR(semctl(id, 0, 99), EINVAL);
  CHECK_ERR(semctl(-1, 0, GETVAL), EINVAL);
  CHECK_ERR(semctl(id, 1, GETVAL), EINVAL);
  CHECK_ERR(semctl(id, -1, GETVAL), EINVAL);
  CHECK_ERR(semctl(id, 0, SETVAL, (union semun){.val = -1}), ERANGE);
  CHECK_ERR(semctl(id, 0, SETVAL, (union semun){.val = 32768}), ERANGE);
  CHECK_ERR(semctl(id, 0, GETALL, (union semun){.array = (void *)8}), EFAULT);
  CHECK_ERR(semctl(id, 0, IPC_STAT, (union semun){.buf = (void *)8}), EFAULT);
  remove_set();
  CHECK_ERR(semop(id, ops, 1), EINVAL);
  CHECK_ERR(semctl(id, 0, IPC_RMID), EINVAL);
}

TEST(sem_all_values) {
  int id = new_set(4);
  unsigned short in[] = {1, 2, 0, 32767}, out[4] = {0};
  OK(semctl(id, 0, SETALL, (union semun){.array = in}));
  OK(semctl(id, 0, GETALL, (union semun){.array = out}));
  CHECK(memcmp(in, out, sizeof in) == 0);
  in[0] = 32768;
  CHECK_ERR(semctl(id, 0, SETALL, (union semun){.array = in}), ERANGE);
  CHECK_EQ(VALUE(id, 0), 1);
  CHECK_EQ(semctl(id, 3, GETPID), getpid());
  remove_set();
}

// Waits until `count` processes wait for semaphore `num` (`command`: GETNCNT or GETZCNT).
static void until_waiting(int id, int num, int command, int count) {
  for (int i = 0; i < 12000 && semctl(id, num, command) != count; i++) sleep_ms(5);
  CHECK_EQ(semctl(id, num, command), count);
}

TEST(sem_waits) {
  int id = new_set(2);
  pid_t child = OK(fork());
  if (child == 0) {
    OK(operate(id, 0, -3, 0));
    OK(operate(id, 1, 0, 0));
    _exit(0);
  }
  until_waiting(id, 0, GETNCNT, 1);
  CHECK_EQ(semctl(id, 0, GETZCNT), 0);
  OK(operate(id, 1, 1, 0));
  OK(operate(id, 0, 2, 0));
  CHECK_EQ(VALUE(id, 0), 2);
  OK(operate(id, 0, 2, 0));
  until_waiting(id, 1, GETZCNT, 1);
  CHECK_EQ(VALUE(id, 0), 1);
  CHECK_EQ(semctl(id, 0, GETPID), child);
  OK(semctl(id, 1, SETVAL, (union semun){.val = 0}));
  CHECK_EXIT(child, 0);
  remove_set();
}

TEST(sem_first_come_first_served) {
  int id = new_set(2);
  pid_t first = OK(fork());
  if (first == 0) {
    OK(operate(id, 0, -1, 0));
    OK(operate(id, 1, 1, 0));
    _exit(0);
  }
  until_waiting(id, 0, GETNCNT, 1);
  pid_t second = OK(fork());
  if (second == 0) {
    OK(operate(id, 0, -1, 0));
    OK(operate(id, 1, 10, 0));
    _exit(0);
  }
  until_waiting(id, 0, GETNCNT, 2);
  OK(operate(id, 0, 1, 0));
  CHECK_EXIT(first, 0);
  CHECK_EQ(VALUE(id, 1), 1);
  OK(operate(id, 0, 1, 0));
  CHECK_EXIT(second, 0);
  CHECK_EQ(VALUE(id, 1), 11);
  remove_set();
}

static void nothing(int signal) { (void)signal; }

TEST(sem_wait_ends_early) {
  int id = new_set(1);
  struct sembuf take = {0, -1, 0};
  struct timespec t = {0, 30000000};
  long long start = now_ns();
  CHECK_ERR(semtimedop(id, &take, 1, &t), EAGAIN);
  CHECK(now_ns() - start >= 30000000);
  CHECK_EQ(semctl(id, 0, GETNCNT), 0);
  // Never restarted, whatever SA_RESTART says.
  struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  // Again and again: the first may come before the call.
  struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {0};
  setitimer(ITIMER_REAL, &soon, NULL);
  CHECK_ERR(semop(id, &take, 1), EINTR);
  setitimer(ITIMER_REAL, &never, NULL);
  pid_t child = OK(fork());
  if (child == 0) {
    CHECK_ERR(semop(id, &take, 1), EIDRM);
    _exit(0);
  }
  until_waiting(id, 0, GETNCNT, 1);
  remove_set();
  CHECK_EXIT(child, 0);
}

TEST(sem_undo_at_exit) {
  int id = new_set(3);
  OK(semctl(id, 0, SETVAL, (union semun){.val = 5}));
  pid_t child = OK(fork());
  if (child == 0) {
    OK(operate(id, 0, -2, SEM_UNDO));
    OK(operate(id, 1, 4, SEM_UNDO));
    OK(operate(id, 1, -1, SEM_UNDO));
    OK(operate(id, 2, 7, SEM_UNDO));
    CHECK_EQ(VALUE(id, 0), 3);
    // A process of its own: what this one did is not its to undo.
    pid_t inner = OK(fork());
    if (inner == 0) _exit(0);
    CHECK_EXIT(inner, 0);
    CHECK_EQ(VALUE(id, 0), 3);
    OK(semctl(id, 2, SETVAL, (union semun){.val = 9}));  // Forgets the adjustment.
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  CHECK_EQ(VALUE(id, 0), 5);
  CHECK_EQ(VALUE(id, 1), 0);
  CHECK_EQ(VALUE(id, 2), 9);
  CHECK_EQ(semctl(id, 0, GETPID), child);
  remove_set();
}

TEST(sem_undo_stays_in_range) {
  int id = new_set(1);
  pid_t child = OK(fork());
  if (child == 0) {
    OK(operate(id, 0, 10, SEM_UNDO));
    OK(operate(id, 0, -7, 0));
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  CHECK_EQ(VALUE(id, 0), 0);
  child = OK(fork());
  if (child == 0) {
    OK(operate(id, 0, 32767, SEM_UNDO));
    OK(operate(id, 0, -32767, 0));
    OK(operate(id, 0, 1, SEM_UNDO));
    CHECK_ERR(operate(id, 0, 1, SEM_UNDO), ERANGE);
    CHECK_EQ(VALUE(id, 0), 1);
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  remove_set();
}

TEST(sem_undo_wakes_and_kills) {
  int id = new_set(1);
  OK(semctl(id, 0, SETVAL, (union semun){.val = 1}));
  int ends[2];
  OK(pipe(ends));
  pid_t child = OK(fork());
  if (child == 0) {
    OK(operate(id, 0, -1, SEM_UNDO));
    OK(write(ends[1], "x", 1));
    pause();
  }
  char byte;
  CHECK_EQ(read(ends[0], &byte, 1), 1);
  pid_t waiter = OK(fork());
  if (waiter == 0) {
    OK(operate(id, 0, -1, 0));
    _exit(0);
  }
  until_waiting(id, 0, GETNCNT, 1);
  OK(kill(child, SIGKILL));
  CHECK_KILLED(child, SIGKILL);
  CHECK_EXIT(waiter, 0);
  CHECK_EQ(VALUE(id, 0), 0);
  remove_set();
}

TEST(sem_undo_by_unshare) {
  int id = new_set(1);
  OK(operate(id, 0, 3, SEM_UNDO));
  OK(unshare(CLONE_SYSVSEM));
  CHECK_EQ(VALUE(id, 0), 0);
  remove_set();
}

static int thread_adds(void *id) {
  struct sembuf add = {0, 2, SEM_UNDO};
  syscall(SYS_semop, *(int *)id, &add, 1);
  return 0;
}

TEST(sem_undo_shared_by_clone) {
  int id = new_set(1);
  char *stack = malloc(65536);
  pid_t child = OK(fork());
  if (child == 0) {
    pid_t inner = OK(clone(thread_adds, stack + 65536, CLONE_SYSVSEM | SIGCHLD, &id));
    CHECK_EXIT(inner, 0);
    CHECK_EQ(VALUE(id, 0), 2);  // The list lives on here.
    inner = OK(clone(thread_adds, stack + 65536, SIGCHLD, &id));
    CHECK_EXIT(inner, 0);
    CHECK_EQ(VALUE(id, 0), 2);
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  CHECK_EQ(VALUE(id, 0), 0);
  remove_set();
}

TEST(sem_status) {
  key_t key = 0x5f000000 + getpid();
  time_t start = time(NULL);
  int id = set_id = OK(semget(key, 7, IPC_CREAT | 0640));
  struct semid_ds ds;
  OK(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}));
  CHECK_EQ(ds.sem_perm.__key, key);
  CHECK_EQ(ds.sem_perm.mode, 0640);
  CHECK_EQ(ds.sem_perm.uid, geteuid());
  CHECK_EQ(ds.sem_perm.cgid, getegid());
  CHECK_EQ(ds.sem_perm.__seq, id / 32768);
  CHECK_EQ(ds.sem_nsems, 7);
  CHECK_EQ(ds.sem_otime, 0);
  CHECK(ds.sem_ctime >= start);
  OK(operate(id, 0, 1, 0));
  OK(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}));
  CHECK(ds.sem_otime >= start);
  CHECK_EQ(semctl(id % 32768, 0, SEM_STAT, (union semun){.buf = &ds}), id);
  CHECK_EQ(semctl(id % 32768, 0, SEM_STAT_ANY, (union semun){.buf = &ds}), id);
  ds.sem_perm.uid = 11;
  ds.sem_perm.gid = 12;
  ds.sem_perm.mode = 07604;
  OK(semctl(id, 0, IPC_SET, (union semun){.buf = &ds}));
  OK(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}));
  CHECK_EQ(ds.sem_perm.uid, 11);
  CHECK_EQ(ds.sem_perm.gid, 12);
  CHECK_EQ(ds.sem_perm.cuid, geteuid());
  CHECK_EQ(ds.sem_perm.mode, 0604);
  ds.sem_perm.uid = -1;
  CHECK_ERR(semctl(id, 0, IPC_SET, (union semun){.buf = &ds}), EINVAL);
  remove_set();
}

TEST(sem_limits) {
  struct seminfo info;
  OK(semctl(0, 0, IPC_INFO, (union semun){.info = &info}));
  char text[100];
  snprintf(text, sizeof text, "%d\t%d\t%d\t%d\n", info.semmsl, info.semmns, info.semopm,
           info.semmni);
  CHECK_STR(text, get_file("/proc/sys/kernel/sem"));
  CHECK_EQ(info.semvmx, 32767);
  CHECK_EQ(info.semaem, 32767);
  CHECK_EQ(info.semusz, 20);
  CHECK_EQ(info.semume, 500);
  int id = new_set(5);
  int highest = OK(semctl(0, 0, SEM_INFO, (union semun){.info = &info}));
  CHECK(highest >= id % 32768);
  CHECK(info.semusz >= 1);
  CHECK(info.semaem >= 5);
  remove_set();
}

TEST(sem_permissions) {
  int id = new_set(2);
  struct semid_ds ds;
  OK(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}));
  ds.sem_perm.mode = 0604;
  OK(semctl(id, 0, IPC_SET, (union semun){.buf = &ds}));
  pid_t child = OK(fork());
  if (child == 0) {
    OK(setgroups(0, NULL));
    OK(setgid(65433));
    OK(setuid(65433));
    CHECK_EQ(VALUE(id, 0), 0);
    OK(operate(id, 0, 0, IPC_NOWAIT));
    CHECK_ERR(operate(id, 0, 1, 0), EACCES);
    CHECK_ERR(semctl(id, 0, SETVAL, (union semun){.val = 1}), EACCES);
    CHECK_ERR(semctl(id, 0, IPC_SET, (union semun){.buf = &ds}), EPERM);
    CHECK_ERR(semctl(id, 0, IPC_RMID), EPERM);
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  ds.sem_perm.mode = 0600;
  OK(semctl(id, 0, IPC_SET, (union semun){.buf = &ds}));
  child = OK(fork());
  if (child == 0) {
    OK(setgroups(0, NULL));
    OK(setgid(65433));
    OK(setuid(65433));
    CHECK_ERR(VALUE(id, 0), EACCES);
    CHECK_ERR(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}), EACCES);
    CHECK_EQ(semctl(id % 32768, 0, SEM_STAT_ANY, (union semun){.buf = &ds}), id);
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  remove_set();
}

TEST(sem_in_proc) {
  key_t key = 0x5d000000 + getpid();
  int id = set_id = OK(semget(key, 3, IPC_CREAT | 0640));
  struct semid_ds ds;
  OK(operate(id, 0, 1, 0));
  OK(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}));
  char want[200];
  snprintf(want, sizeof want, "%10d %10d  %4o %10lu %5u %5u %5u %5u %10lu %10lu\n", key, id, 0640,
           3UL, geteuid(), getegid(), geteuid(), getegid(), (long)ds.sem_otime, (long)ds.sem_ctime);
  FILE *file = fopen("/proc/sysvipc/sem", "r");
  CHECK(file != NULL);
  char line[300];
  int found = 0;
  CHECK(fgets(line, sizeof line, file) != NULL);
  CHECK_STR(
      line,
      "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
  while (fgets(line, sizeof line, file) != NULL) found |= strcmp(line, want) == 0;
  CHECK(found);
  remove_set();
}
