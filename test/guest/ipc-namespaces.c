// SPDX-License-Identifier: Apache-2.0
// IPC namespaces (ipc_namespaces(7)): unshare, clone, setns, their settings, and their end. Cases
// that need the right to make one are skipped without it.
#include <mqueue.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "check.h"

static void enter_new(void) {
  if (unshare(CLONE_NEWIPC) < 0) SKIP("no rights for an IPC namespace");
}

static const char *link_of(const char *path) {
  static char text[2][64];
  static int turn;
  char *out = text[turn = !turn];
  memset(out, 0, 64);
  OK(readlink(path, out, 63));
  return out;
}

TEST(ns_has_objects_of_its_own) {
  key_t key = 0x71000000 + getpid();
  int sem = OK(semget(key, 1, IPC_CREAT | 0600));
  mqd_t outer = OK(mq_open("/ns-test", O_CREAT | O_RDWR, 0600, NULL));
  const char *before = link_of("/proc/self/ns/ipc");
  pid_t child = OK(fork());
  if (child == 0) {
    enter_new();
    CHECK(strcmp(before, link_of("/proc/self/ns/ipc")) != 0);
    CHECK_ERR(semget(key, 1, 0600), ENOENT);
    CHECK_ERR(semctl(sem, 0, GETVAL), EINVAL);
    CHECK_ERR(mq_open("/ns-test", O_RDWR), ENOENT);
    OK(mq_send(outer, "through", 7, 0));  // A descriptor stays what it was.
    CHECK_EQ(OK(semget(key, 1, IPC_CREAT | 0600)), 0);
    CHECK_EQ(OK(msgget(key, IPC_CREAT | 0600)), 0);
    CHECK_EQ(OK(shmget(key, 4096, IPC_CREAT | 0600)), 0);
    _exit(0);
  }
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  OK(semctl(sem, 0, IPC_RMID));
  OK(mq_unlink("/ns-test"));
  if (WEXITSTATUS(status) == CHECK_SKIPPED) SKIP("no rights for an IPC namespace");
  CHECK_EQ(status, 0);
  struct mq_attr attr;
  OK(mq_getattr(outer, &attr));
  CHECK_EQ(attr.mq_curmsgs, 1);
}

TEST(ns_begins_with_defaults) {
  enter_new();
  put_file("/proc/sys/kernel/msgmax", "5\n");
  put_file("/proc/sys/kernel/sem", "100");
  CHECK_STR(get_file("/proc/sys/kernel/msgmax"), "5\n");
  CHECK_STR(get_file("/proc/sys/kernel/sem"), "100\t1024000000\t500\t32000\n");
  put_file("/proc/sys/kernel/sem", "100 5 3 2");
  CHECK_ERR(semget(IPC_PRIVATE, 101, 0600), EINVAL);
  CHECK_ERR(semget(IPC_PRIVATE, 6, 0600), ENOSPC);
  int id = OK(semget(IPC_PRIVATE, 4, 0600));
  CHECK_ERR(semop(id, (struct sembuf[4]){{0}}, 4), E2BIG);
  OK(semget(IPC_PRIVATE, 1, 0600));
  CHECK_ERR(semget(IPC_PRIVATE, 1, 0600), ENOSPC);
  put_file("/proc/sys/kernel/msgmni", "1");
  put_file("/proc/sys/kernel/msgmnb", "7");
  int queue = OK(msgget(IPC_PRIVATE, 0600));
  CHECK_ERR(msgget(IPC_PRIVATE, 0600), ENOSPC);
  struct msqid_ds ds;
  OK(msgctl(queue, IPC_STAT, &ds));
  CHECK_EQ(ds.msg_qbytes, 7);
  struct {
    long type;
    char text[8];
  } message = {1, "123456"};
  CHECK_ERR(msgsnd(queue, &message, 6, 0), EINVAL);
  OK(msgsnd(queue, &message, 5, 0));
  OK(unshare(CLONE_NEWIPC));
  CHECK_STR(get_file("/proc/sys/kernel/msgmax"), "8192\n");
}

TEST(ns_settings_are_roots) {
  enter_new();
  int fd = OK(open("/proc/sys/kernel/msgmni", O_WRONLY));
  CHECK_ERR(write(fd, "-1", 2), EINVAL);
  CHECK_ERR(write(fd, "99999", 5), EINVAL);
  CHECK_ERR(write(fd, "x", 1), EINVAL);
  OK(setuid(65433));
  CHECK_ERR(open("/proc/sys/kernel/msgmni", O_WRONLY), EACCES);
  CHECK_ERR(unshare(CLONE_NEWIPC), EPERM);
}

TEST(ns_setns) {
  int old = OK(open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC));
  enter_new();
  int made = OK(semget(77, 1, IPC_CREAT | 0600));
  OK(semop(made, &(struct sembuf){0, 4, 0}, 1));
  pid_t child = OK(fork());
  if (child == 0) {
    OK(setns(old, CLONE_NEWIPC));
    pid_t parent = getppid();
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/ipc", parent);
    int fd = OK(open(path, O_RDONLY));
    CHECK_ERR(setns(fd, CLONE_NEWUTS), EINVAL);
    OK(setns(fd, 0));
    CHECK_EQ(semctl(OK(semget(77, 1, 0600)), 0, GETVAL), 4);
    struct stat here, there;
    OK(stat("/proc/self/ns/ipc", &here));
    OK(fstat(fd, &there));
    CHECK_EQ(here.st_ino, there.st_ino);
    OK(setuid(65433));
    CHECK_ERR(setns(fd, CLONE_NEWIPC), EPERM);
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  CHECK_ERR(setns(0, CLONE_NEWIPC), EINVAL);
  CHECK_ERR(setns(99, CLONE_NEWIPC), EBADF);
}

static int look(void *arg) {
  (void)arg;
  return semget(88, 1, 0600) < 0 && errno == ENOENT ? 0 : 1;
}

TEST(ns_clone) {
  enter_new();
  OK(semget(88, 1, IPC_CREAT | 0600));
  char *stack = malloc(65536);
  CHECK_EXIT(OK(clone(look, stack + 65536, CLONE_NEWIPC | SIGCHLD, NULL)), 0);
  CHECK_EXIT(OK(clone(look, stack + 65536, SIGCHLD, NULL)), 1);
  CHECK_ERR(clone(look, stack + 65536, CLONE_NEWIPC | CLONE_SYSVSEM | SIGCHLD, NULL), EINVAL);
}

TEST(ns_kept_by_descriptor) {
  enter_new();
  OK(semget(99, 1, IPC_CREAT | 0600));
  int kept = OK(open("/proc/self/ns/ipc", O_RDONLY));
  OK(unshare(CLONE_NEWIPC));
  CHECK_ERR(semget(99, 1, 0600), ENOENT);
  OK(setns(kept, CLONE_NEWIPC));
  OK(semget(99, 1, 0600));
}

TEST(ns_end_keeps_what_is_mapped) {
  enter_new();
  int id = OK(shmget(IPC_PRIVATE, 4096, 0600));
  char *memory = shmat(id, NULL, 0);
  CHECK(memory != (void *)-1);
  strcpy(memory, "still here");
  mqd_t q = OK(mq_open("/kept", O_CREAT | O_RDWR, 0600, NULL));
  OK(mq_send(q, "too", 3, 0));
  int sem = OK(semget(IPC_PRIVATE, 1, 0600));
  OK(semop(sem, &(struct sembuf){0, 4, SEM_UNDO}, 1));
  OK(unshare(CLONE_NEWIPC));
  CHECK_STR(memory, "still here");
  char text[8192];
  CHECK_EQ(mq_receive(q, text, sizeof text, NULL), 3);
  CHECK_ERR(mq_open("/kept", O_RDWR), ENOENT);
  OK(shmdt(memory));
}

TEST(ns_shm_in_proc_and_forced_removal) {
  enter_new();
  int id = OK(shmget(0x123, 8192, IPC_CREAT | 0640));
  char want[100], line[400];
  snprintf(want, sizeof want, "%10d %10d  %4o %21lu %5u %5u  %5lu %5u %5u %5u %5u", 0x123, id, 0640,
           8192UL, getpid(), 0, 0UL, geteuid(), getegid(), geteuid(), getegid());
  FILE *file = fopen("/proc/sysvipc/shm", "r");
  CHECK(file != NULL);
  CHECK(fgets(line, sizeof line, file) != NULL);
  CHECK(fgets(line, sizeof line, file) != NULL);
  line[strlen(want)] = 0;
  CHECK_STR(line, want);
  CHECK(fgets(line, sizeof line, file) == NULL);
  char *touched = shmat(id, NULL, 0);
  touched[5000] = 1;
  struct shm_info info;
  OK(shmctl(0, SHM_INFO, (void *)&info));
  CHECK_EQ(info.used_ids, 1);
  CHECK_EQ(info.shm_tot, 2);
  CHECK_EQ(info.shm_rss, 1);
  OK(shmdt(touched));
  OK(shmctl(id, IPC_RMID, NULL));
  put_file("/proc/sys/kernel/shm_rmid_forced", "1");
  id = OK(shmget(IPC_PRIVATE, 4096, 0600));
  char *memory = shmat(id, NULL, 0);
  struct shmid_ds ds;
  OK(shmctl(id, IPC_STAT, &ds));
  OK(shmdt(memory));
  CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
  int ends[2];
  OK(pipe(ends));
  pid_t child = OK(fork());
  if (child == 0) {
    id = OK(shmget(IPC_PRIVATE, 4096, 0600));
    OK(write(ends[1], &id, sizeof id));
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  CHECK_EQ(read(ends[0], &id, sizeof id), sizeof id);
  CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
}
