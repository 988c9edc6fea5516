// SPDX-License-Identifier: Apache-2.0
// System V message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2).
#include <grp.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/time.h>

#include "check.h"

struct text {
  long type;
  char text[64];
};

static int queue_id = -1;

static int new_queue(void) {
  queue_id = OK(msgget(IPC_PRIVATE, 0600));
  return queue_id;
}

static void remove_queue(void) { msgctl(queue_id, IPC_RMID, NULL); }

static int put(int id, long type, const char *text, int flags) {
  struct text message = {.type = type};
  strcpy(message.text, text);
  return msgsnd(id, &message, strlen(text), flags);
}

static struct text got;

static long take(int id, long type, size_t most, int flags) {
  memset(&got, 0, sizeof got);
  return msgrcv(id, &got, most, type, flags | IPC_NOWAIT);
}

#define TAKES(ID, TYPE, FLAGS, WANT)                       \
  do {                                                     \
    CHECK_EQ(OK(take(ID, TYPE, 64, FLAGS)), strlen(WANT)); \
    CHECK_STR(got.text, WANT);                             \
  } while (0)

TEST(msg_in_order_and_by_type) {
  int id = new_queue();
  OK(put(id, 3, "three", 0));
  OK(put(id, 1, "one", 0));
  OK(put(id, 2, "two", 0));
  OK(put(id, 1, "one again", 0));
  OK(put(id, 7, "", 0));
  TAKES(id, 2, 0, "two");
  CHECK_EQ(got.type, 2);
  CHECK_ERR(take(id, 2, 64, 0), ENOMSG);
  TAKES(id, 3, MSG_EXCEPT, "one");
  TAKES(id, -3, 0, "one again");
  TAKES(id, -3, 0, "three");
  CHECK_ERR(take(id, -3, 64, 0), ENOMSG);
  TAKES(id, 0, 0, "");
  CHECK_EQ(got.type, 7);
  CHECK_ERR(take(id, 0, 64, 0), ENOMSG);
  remove_queue();
}

TEST(msg_large_types) {
  int id = new_queue();
  OK(put(id, LONG_MAX, "largest", 0));
  OK(put(id, LONG_MAX - 1, "second", 0));
  OK(put(id, 0x100000001L, "high", 0));
  CHECK_ERR(take(id, 1, 64, 0), ENOMSG);
  TAKES(id, LONG_MAX - 1, 0, "second");
  TAKES(id, LONG_MIN, 0, "high");
  CHECK_EQ(got.type, 0x100000001L);
  TAKES(id, LONG_MIN, 0, "largest");
  CHECK_EQ(got.type, LONG_MAX);
  remove_queue();
}

TEST(msg_too_long) {
  int id = new_queue();
  OK(put(id, 1, "123456", 0));
  CHECK_ERR(take(id, 0, 5, 0), E2BIG);
  CHECK_EQ(take(id, 0, 5, MSG_NOERROR), 5);
  CHECK_STR(got.text, "12345");
  CHECK_ERR(take(id, 0, 5, 0), ENOMSG);
  remove_queue();
}

TEST(msg_copies) {
  int id = new_queue();
  OK(put(id, 5, "first", 0));
  OK(put(id, 6, "second", 0));
  errno = 0;
  if (take(id, 0, 64, MSG_COPY) < 0 && errno == ENOSYS) SKIP("no MSG_COPY in this kernel");
  TAKES(id, 1, MSG_COPY, "second");
  CHECK_EQ(got.type, 6);
  TAKES(id, 0, MSG_COPY, "first");
  CHECK_ERR(take(id, 2, 64, MSG_COPY), ENOMSG);
  CHECK_ERR(take(id, 0, 3, MSG_COPY), E2BIG);
  CHECK_ERR(take(id, 0, 3, MSG_COPY | MSG_NOERROR), EINVAL);
  CHECK_ERR(take(id, 0, 64, MSG_COPY | MSG_EXCEPT), EINVAL);
  CHECK_ERR(msgrcv(id, &got, 64, 0, MSG_COPY), EINVAL);
  struct msqid_ds ds;
  OK(msgctl(id, IPC_STAT, &ds));
  CHECK_EQ(ds.msg_qnum, 2);
  CHECK_EQ(ds.msg_rtime, 0);
  remove_queue();
}

TEST(msg_errors) {
  int id = new_queue();
  struct text message = {.type = 1};
  CHECK_ERR(msgsnd(id, &message, 8193, 0), EINVAL);
  CHECK_ERR(msgsnd(id, &message, -1, 0), EINVAL);
  CHECK_ERR(msgsnd(-1, &message, 1, 0), EINVAL);
  CHECK_ERR(msgsnd(id + 1000000, &message, 1, 0), EINVAL);
  CHECK_ERR(msgsnd(id, (void *)8, 1, 0), EFAULT);
  CHECK_ERR(msgrcv(id, &message, -1, 0, 0), EINVAL);
  CHECK_ERR(msgrcv(-1, &message, 1, 0, 0), EINVAL);
  message.type = 0;
  CHECK_ERR(msgsnd(id, &message, 1, 0), EINVAL);
  message.type = -1;
  CHECK_ERR(msgsnd(id, &message, 1, 0), EINVAL);
  CHECK_ERR(msgctl(id, 99, NULL), EINVAL);
  CHECK_ERR(msgctl(id, -1, NULL), EINVAL);
  CHECK_ERR(msgctl(-1, IPC_STAT, NULL), EINVAL);
  CHECK_ERR(msgctl(id, IPC_STAT, (void *)8), EFAULT);
  CHECK_ERR(msgctl(id, IPC_SET, (void *)8), EFAULT);
  // A message whose reader's memory is bad is lost.
  OK(put(id, 1, "lost", 0));
  CHECK_ERR(msgrcv(id, (void *)8, 64, 0, 0), EFAULT);
  CHECK_ERR(take(id, 0, 64, 0), ENOMSG);
  remove_queue();
  CHECK_ERR(put(id, 1, "x", 0), EINVAL);
}

TEST(msg_get_errors) {
  key_t key = 0x6e000000 + getpid();
  CHECK_ERR(msgget(key, 0600), ENOENT);
  int id = queue_id = OK(msgget(key, IPC_CREAT | 0600));
  CHECK_EQ(msgget(key, 0), id);
  CHECK_EQ(msgget(key, IPC_CREAT | 0600), id);
  CHECK_ERR(msgget(key, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
  remove_queue();
  CHECK_ERR(msgget(key, 0600), ENOENT);
}

TEST(msg_receiver_waits) {
  int id = new_queue();
  pid_t child = OK(fork());
  if (child == 0) {
    CHECK_EQ(msgrcv(id, &got, 64, 5, 0), 4);
    CHECK_STR(got.text, "five");
    CHECK_EQ(got.type, 5);
    _exit(0);
  }
  sleep_ms(30);
  OK(put(id, 4, "four", 0));
  OK(put(id, 5, "five", 0));
  CHECK_EXIT(child, 0);
  struct msqid_ds ds;
  OK(msgctl(id, IPC_STAT, &ds));
  CHECK_EQ(ds.msg_lrpid, child);
  CHECK_EQ(ds.msg_lspid, getpid());
  CHECK_EQ(ds.msg_qnum, 1);
  CHECK_EQ(ds.msg_cbytes, 4);
  remove_queue();
}

TEST(msg_receiver_gets_one_too_long) {
  int id = new_queue();
  pid_t child = OK(fork());
  if (child == 0) {
    CHECK_ERR(msgrcv(id, &got, 2, 0, 0), E2BIG);
    _exit(0);
  }
  sleep_ms(30);
  OK(put(id, 4, "four", 0));
  CHECK_EXIT(child, 0);
  TAKES(id, 0, 0, "four");
  remove_queue();
}

TEST(msg_sender_waits) {
  int id = new_queue();
  struct msqid_ds ds;
  OK(msgctl(id, IPC_STAT, &ds));
  CHECK_EQ(ds.msg_qbytes, atol(get_file("/proc/sys/kernel/msgmnb")));
  ds.msg_qbytes = 6;
  OK(msgctl(id, IPC_SET, &ds));
  OK(put(id, 1, "1234", IPC_NOWAIT));
  CHECK_ERR(put(id, 1, "567", IPC_NOWAIT), EAGAIN);
  OK(put(id, 1, "56", IPC_NOWAIT));
  CHECK_ERR(put(id, 1, "7", IPC_NOWAIT), EAGAIN);
  pid_t child = OK(fork());
  if (child == 0) {
    OK(put(id, 2, "789", 0));
    OK(put(id, 2, "10", 0));
    _exit(0);
  }
  sleep_ms(30);
  TAKES(id, 0, 0, "1234");
  sleep_ms(30);
  TAKES(id, 0, 0, "56");
  CHECK_EXIT(child, 0);
  TAKES(id, 0, 0, "789");
  TAKES(id, 0, 0, "10");
  // Empty messages count by their number.
  for (int i = 0; i < 6; i++) OK(put(id, 1, "", IPC_NOWAIT));
  CHECK_ERR(put(id, 1, "", IPC_NOWAIT), EAGAIN);
  remove_queue();
}

static void nothing(int signal) { (void)signal; }

TEST(msg_wait_ends_early) {
  int id = new_queue();
  struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  // Again and again: the first may come before the call.
  struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {0};
  setitimer(ITIMER_REAL, &soon, NULL);
  CHECK_ERR(msgrcv(id, &got, 64, 0, 0), EINTR);
  setitimer(ITIMER_REAL, &never, NULL);
  pid_t child = OK(fork());
  if (child == 0) {
    CHECK_ERR(msgrcv(id, &got, 64, 0, 0), EIDRM);
    _exit(0);
  }
  until_asleep(child);
  remove_queue();
  CHECK_EXIT(child, 0);
  id = new_queue();
  struct msqid_ds ds;
  OK(msgctl(id, IPC_STAT, &ds));
  ds.msg_qbytes = 1;
  OK(msgctl(id, IPC_SET, &ds));
  OK(put(id, 1, "x", 0));
  setitimer(ITIMER_REAL, &soon, NULL);
  CHECK_ERR(put(id, 1, "y", 0), EINTR);
  setitimer(ITIMER_REAL, &never, NULL);
  child = OK(fork());
  if (child == 0) {
    CHECK_ERR(put(id, 1, "y", 0), EIDRM);
    _exit(0);
  }
  until_asleep(child);
  remove_queue();
  CHECK_EXIT(child, 0);
}

TEST(msg_status) {
  key_t key = 0x6f000000 + getpid();
  time_t start = time(NULL);
  int id = queue_id = OK(msgget(key, IPC_CREAT | 0640));
  struct msqid_ds ds;
  OK(msgctl(id, IPC_STAT, &ds));
  CHECK_EQ(ds.msg_perm.__key, key);
  CHECK_EQ(ds.msg_perm.mode, 0640);
  CHECK_EQ(ds.msg_perm.__seq, id / 32768);
  CHECK_EQ(ds.msg_stime, 0);
  CHECK(ds.msg_ctime >= start);
  OK(put(id, 1, "abc", 0));
  CHECK_EQ(msgctl(id % 32768, MSG_STAT, &ds), id);
  CHECK(ds.msg_stime >= start);
  CHECK_EQ(ds.msg_lspid, getpid());
  CHECK_EQ(ds.msg_lrpid, 0);
  ds.msg_perm.uid = 11;
  ds.msg_perm.mode = 0600;
  OK(msgctl(id, IPC_SET, &ds));
  OK(msgctl(id, IPC_STAT, &ds));
  CHECK_EQ(ds.msg_perm.uid, 11);
  CHECK_EQ(ds.msg_perm.mode, 0600);
  struct msginfo info;
  OK(msgctl(0, IPC_INFO, (void *)&info));
  CHECK_EQ(info.msgmax, atoi(get_file("/proc/sys/kernel/msgmax")));
  CHECK_EQ(info.msgmnb, atoi(get_file("/proc/sys/kernel/msgmnb")));
  CHECK_EQ(info.msgmni, atoi(get_file("/proc/sys/kernel/msgmni")));
  CHECK_EQ(info.msgpool, 512000);
  CHECK_EQ(info.msgmap, 16384);
  CHECK_EQ(info.msgtql, 16384);
  CHECK_EQ(info.msgssz, 16);
  CHECK_EQ(info.msgseg, 0xffff);
  CHECK(OK(msgctl(0, MSG_INFO, (void *)&info)) >= id % 32768);
  CHECK(info.msgpool >= 1);
  CHECK(info.msgmap >= 1);
  CHECK(info.msgtql >= 3);
  remove_queue();
}

TEST(msg_permissions) {
  int id = new_queue();
  struct msqid_ds ds;
  OK(msgctl(id, IPC_STAT, &ds));
  ds.msg_perm.mode = 0602;
  OK(msgctl(id, IPC_SET, &ds));
  pid_t child = OK(fork());
  if (child == 0) {
    OK(setgroups(0, NULL));
    OK(setgid(65433));
    OK(setuid(65433));
    OK(put(id, 1, "written", 0));
    CHECK_ERR(take(id, 0, 64, 0), EACCES);
    CHECK_ERR(msgctl(id, IPC_STAT, &ds), EACCES);
    CHECK_ERR(msgctl(id, IPC_SET, &ds), EPERM);
    CHECK_ERR(msgctl(id, IPC_RMID, NULL), EPERM);
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  TAKES(id, 0, 0, "written");
  // Who waits is asked again after a change.
  ds.msg_perm.mode = 0604;
  OK(msgctl(id, IPC_SET, &ds));
  child = OK(fork());
  if (child == 0) {
    OK(setgroups(0, NULL));
    OK(setgid(65433));
    OK(setuid(65433));
    CHECK_ERR(msgrcv(id, &got, 64, 0, 0), EACCES);
    _exit(0);
  }
  until_asleep(child);
  ds.msg_perm.mode = 0600;
  OK(msgctl(id, IPC_SET, &ds));
  CHECK_EXIT(child, 0);
  remove_queue();
}

TEST(msg_in_proc) {
  key_t key = 0x6d000000 + getpid();
  int id = queue_id = OK(msgget(key, IPC_CREAT | 0640));
  OK(put(id, 1, "abcde", 0));
  struct msqid_ds ds;
  OK(msgctl(id, IPC_STAT, &ds));
  char want[300], line[300];
  snprintf(want, sizeof want,
           "%10d %10d  %4o  %10lu %10lu %5u %5u %5u %5u %5u %5u %10lu %10lu %10lu\n", key, id, 0640,
           5UL, 1UL, getpid(), 0, geteuid(), getegid(), geteuid(), getegid(), (long)ds.msg_stime,
           0UL, (long)ds.msg_ctime);
  FILE *file = fopen("/proc/sysvipc/msg", "r");
  CHECK(file != NULL);
  int found = 0;
  while (fgets(line, sizeof line, file) != NULL) found |= strcmp(line, want) == 0;
  CHECK(found);
  remove_queue();
}
