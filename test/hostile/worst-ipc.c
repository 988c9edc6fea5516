// SPDX-License-Identifier: Apache-2.0
// Worst cases: System V IPC, message queues, pipes and sockets.
#include <arpa/inet.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/un.h>

#include "worst.h"

WORST(undone_semaphores) {
  int count = 32000;
  int set = semget(IPC_PRIVATE, count, IPC_CREAT | 0600);
  if (set < 0) set = OK(semget(IPC_PRIVATE, count = 250, IPC_CREAT | 0600));
  pid_t pid = OK(fork());
  if (pid == 0) {
    struct sembuf ops[500];
    for (int i = 0; i < count; i += 500) {
      int many = count - i < 500 ? count - i : 500;
      for (int k = 0; k < many; k++) ops[k] = (struct sembuf){i + k, 1, SEM_UNDO};
      if (semop(set, ops, many) != 0) CHECK(errno == E2BIG || errno == ENOSPC);
    }
    _exit(7);
  }
  CHECK_EXIT(pid, 7);
  unsigned short *values = calloc(count, sizeof *values);
  OK(semctl(set, 0, GETALL, values));
  for (int i = 0; i < count; i++) CHECK_EQ(values[i], 0);
  OK(semctl(set, 0, SETALL, values));
  OK(semctl(set, 0, IPC_RMID));
}

WORST(many_undo_lists) {
  int sets[1000], made = 0;
  struct sembuf op = {0, 1, SEM_UNDO};
  for (; made < 1000; made++)
    if ((sets[made] = semget(IPC_PRIVATE, 250, IPC_CREAT | 0600)) < 0) break;
  pid_t pid = OK(fork());
  if (pid == 0) {
    for (int i = 0; i < made; i++)
      for (int k = 0; k < 20; k++) {
        op.sem_num = k * 12;
        semop(sets[i], &op, 1);
      }
    _exit(7);
  }
  CHECK_EXIT(pid, 7);
  read_through("/proc/sysvipc/sem");
  for (int i = 0; i < made; i++) OK(semctl(sets[i], 0, IPC_RMID));
}

// Waiters that look again at each change and can never go on.
WORST(semaphore_waiters) {
  int set = OK(semget(IPC_PRIVATE, 250, IPC_CREAT | 0600));
  pid_t pids[150];
  for (int i = 0; i < 150; i++) {
    pids[i] = OK(fork());
    if (pids[i] != 0) continue;
    struct sembuf ops[250];
    for (int k = 0; k < 250; k++) ops[k] = (struct sembuf){k, k == 249 ? -30000 : 0, 0};
    semop(set, ops, 250);
    _exit(0);
  }
  sleep_ms(300);
  struct sembuf up = {249, 1, 0};
  for (int i = 0; i < 200; i++) OK(semop(set, &up, 1));
  OK(semctl(set, 0, IPC_RMID));
  while (wait(NULL) > 0) {
  }
}

// The wanted type is behind all others.
WORST(many_messages) {
  int queue = OK(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
  struct msqid_ds ds;
  OK(msgctl(queue, IPC_STAT, &ds));
  ds.msg_qbytes = 1 << 20;
  msgctl(queue, IPC_SET, &ds);
  struct {
    long type;
    char text[8];
  } message = {5, ""};
  long sent = 0;
  while (sent < 200000 && msgsnd(queue, &message, 0, IPC_NOWAIT) == 0) sent++;
  message.type = 6;
  for (int i = 0; i < 20; i++) {
    CHECK_ERR(msgrcv(queue, &message, 8, 7, IPC_NOWAIT), ENOMSG);
    CHECK_EQ(msgrcv(queue, &message, 8, -9, IPC_NOWAIT), 0);
    CHECK_ERR(msgrcv(queue, &message, 8, sent + 5, IPC_NOWAIT | 040000 /* MSG_COPY */), ENOMSG);
  }
  dprintf(1, "# %ld messages\n", sent);
  OK(msgctl(queue, IPC_RMID, NULL));
}

WORST(many_segments) {
  int ids[4096], made = 0;
  while (made < 4096 && (ids[made] = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600)) >= 0) made++;
  for (int i = 0; i < made; i++) CHECK(shmat(ids[i], NULL, 0) != (void *)-1);
  read_through("/proc/sysvipc/shm");
  for (int i = 0; i < made; i++) OK(shmctl(ids[i], IPC_RMID, NULL));
}

WORST(posix_queues) {
  struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = 8192};
  struct rlimit limit = {1 << 30, 1 << 30};
  if (setrlimit(RLIMIT_MSGQUEUE, &limit) == 0)
    attributes = (struct mq_attr){.mq_maxmsg = 60000, .mq_msgsize = 64};
  mqd_t queue = mq_open("/worst", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attributes);
  if (queue < 0) {
    attributes = (struct mq_attr){.mq_maxmsg = 10, .mq_msgsize = 8192};
    queue = OK(mq_open("/worst", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attributes));
  }
  char text[8192];
  long sent = 0;
  while (mq_send(queue, text, 1, sent % 32768) == 0) sent++;
  dprintf(1, "# %ld messages\n", sent);
  for (long i = 0; i < sent; i++) CHECK_EQ(mq_receive(queue, text, sizeof text, NULL), 1);
  OK(mq_unlink("/worst"));
}

static void send_file(int socket, const int *files, int count) {
  char control[CMSG_SPACE(253 * sizeof(int))] = {0}, byte = 'x';
  struct iovec iov = {&byte, 1};
  struct msghdr message = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  *head = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(head), files, count * sizeof(int));
  OK(sendmsg(socket, &message, MSG_DONTWAIT));
}

// Each pair holds the next one in flight, so that one close lets go of all.
WORST(chain_in_flight) {
  int length = most_files(20000) / 2 > 20000 ? 20000 : 400;
  most_files(length * 2);
  int last[2], next[2];
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, last));
  for (int i = 0; i < length; i++) {
    OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, next));
    send_file(next[0], last, 2);
    close(last[0]), close(last[1]);
    memcpy(last, next, sizeof next);
  }
  close(last[0]), close(last[1]);
}

// Sockets that only hold themselves: a cycle that nobody can reach.
WORST(cycles_in_flight) {
  for (int i = 0; i < 3000; i++) {
    int pair[2];
    OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    send_file(pair[0], pair, 2);
    send_file(pair[1], pair, 2);
    close(pair[0]), close(pair[1]);
  }
}

static int receive_files(int socket, int *files) {
  char control[CMSG_SPACE(253 * sizeof(int))] = {0}, byte;
  struct iovec iov = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (recvmsg(socket, &message, MSG_DONTWAIT) != 1) return 0;
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (head == NULL) return 0;
  memcpy(files, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
  return (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

// So many live ones fly that a collection takes many turns. Sockets come out of their messages and go
// back meanwhile: none of these may be taken for garbage.
WORST(collecting_beside_live_sockets) {
  int count = most_files(30000) - 100, round[2], store[2];
  if (count > 15000) count = 15000;
  int big = 1 << 26;
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, store));
  setsockopt(store[0], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
  int files[253], flying = 0;
  for (int i = 0; i < count; i++) {
    int pair[2];
    OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK_EQ(send(pair[0], "y", 1, 0), 1);
    send_file(pair[0], pair, 1);
    char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(head), &pair[1], sizeof(int));
    int sent = sendmsg(store[0], &message, MSG_DONTWAIT) == 1;
    close(pair[0]), close(pair[1]);
    if (!sent) break;  // Without the right to a larger buffer.
    flying++;
  }
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, round));
  for (int i = 0; i < 3000; i++) {
    // Garbage, which lets the collector look.
    int pair[2];
    OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    send_file(pair[0], pair, 2);
    close(pair[0]), close(pair[1]);
    if (flying == 0) continue;
    CHECK_EQ(receive_files(store[1], files), 1);
    int one = files[0];
    char text;
    CHECK_EQ(recv(one, &text, 1, MSG_PEEK | MSG_DONTWAIT), 1);
    CHECK_EQ(text, 'y');
    send_file(store[0], &one, 1);
    close(one);
  }
  for (int i = 0; i < flying; i++) {
    char text;
    CHECK_EQ(receive_files(store[1], files), 1);
    CHECK_EQ(recv(files[0], &text, 1, MSG_DONTWAIT), 1);
    CHECK_EQ(text, 'y');
    int inner[253];
    CHECK_EQ(receive_files(files[0], inner), 1);
    close(inner[0]), close(files[0]);
  }
}

WORST(many_in_flight) {
  int files[253], pair[2];
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  for (int i = 0; i < 253; i++) files[i] = OK(dup(pair[i % 2]));
  int sent = 0;
  char control[CMSG_SPACE(253 * sizeof(int))] = {0}, byte = 'x';
  struct iovec iov = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  *head = (struct cmsghdr){CMSG_LEN(253 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(head), files, sizeof files);
  while (sent < 200 && sendmsg(pair[0], &message, MSG_DONTWAIT) == 1) sent++;
  for (int i = 0; i < 253; i++) close(files[i]);
  close(pair[0]), close(pair[1]);
}

WORST(many_sockets) {
  int count = most_files(20000) - 10;
  for (int i = 0; i < count / 2; i++) {
    struct sockaddr_un at = {AF_UNIX, ""};
    int one = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    snprintf(at.sun_path + 1, 100, "worst-%d-%d", getpid(), i);
    OK(bind(one, (void *)&at, sizeof at));
    OK(listen(one, 4096));
    OK(socket(AF_INET, SOCK_DGRAM, 0));
  }
  static const char *names[] = {"/proc/net/unix", "/proc/net/tcp", "/proc/net/udp",
                                "/proc/net/raw",  "/proc/net/dev", "/proc/net/sockstat"};
  for (int i = 0; i < 6; i++) {
    if (access(names[i], R_OK) == 0) read_through(names[i]);
  }
}

WORST(many_connections) {
  int count = most_files(8000) / 2 - 10;
  if (count > 4000) count = 4000;
  int listener = OK(socket(AF_INET, SOCK_STREAM, 0));
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof at;
  OK(bind(listener, (void *)&at, sizeof at));
  OK(listen(listener, 4096));
  OK(getsockname(listener, (void *)&at, &length));
  for (int i = 0; i < count; i++) {
    int one = OK(socket(AF_INET, SOCK_STREAM, 0));
    OK(connect(one, (void *)&at, sizeof at));
    if (i % 2 == 0) OK(accept4(listener, NULL, NULL, 0));
  }
  read_through("/proc/net/tcp");
  OK(close(listener));  // Those that nobody accepted end with it.
}

#define MESSAGES 1024

WORST(many_vectors) {
  static char bytes[1 << 20];
  static struct iovec vector[1024];
  for (int i = 0; i < 1024; i++) vector[i] = (struct iovec){bytes, sizeof bytes};
  int pair[2], pipes[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  struct msghdr message = {.msg_iov = vector, .msg_iovlen = 1024};
  CHECK(sendmsg(pair[0], &message, MSG_DONTWAIT) > 0);
  CHECK(recvmsg(pair[1], &message, MSG_DONTWAIT) > 0);
  OK(pipe2(pipes, O_NONBLOCK));
  fcntl(pipes[0], F_SETPIPE_SZ, 1 << 20);
  CHECK(writev(pipes[1], vector, 1024) > 0);
  CHECK(readv(pipes[0], vector, 1024) > 0);
  CHECK(vmsplice(pipes[1], vector, 1024, SPLICE_F_NONBLOCK) > 0);
  int other[2];
  OK(pipe2(other, O_NONBLOCK));
  fcntl(other[0], F_SETPIPE_SZ, 1 << 20);
  CHECK(tee(pipes[0], other[1], 1 << 30, SPLICE_F_NONBLOCK) > 0);
  int null = OK(open("/dev/null", O_WRONLY));
  CHECK(splice(pipes[0], NULL, null, NULL, 1 << 30, SPLICE_F_NONBLOCK) > 0);
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  static struct mmsghdr messages[MESSAGES];
  int big = 1 << 22;
  setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
  for (int i = 0; i < MESSAGES; i++) {
    vector[i].iov_len = 2000;
    messages[i].msg_hdr = (struct msghdr){.msg_iov = vector, .msg_iovlen = 1024};
  }
  for (int i = 0; i < 20; i++) {
    sendmmsg(pair[0], messages, MESSAGES, MSG_DONTWAIT);
    recvmmsg(pair[1], messages, MESSAGES, MSG_DONTWAIT, NULL);
  }
  for (int i = 0; i < MESSAGES; i++) messages[i].msg_hdr.msg_iovlen = 1;
  for (int i = 0; i < 20; i++) {
    sendmmsg(pair[0], messages, MESSAGES, MSG_DONTWAIT);
    recvmmsg(pair[1], messages, MESSAGES, MSG_DONTWAIT, NULL);
  }
}

// A terminal whose lines are edited: each byte of a write is looked at.
WORST(terminals) {
  int master = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK)), zero = 0;
  OK(ioctl(master, 0x40045431 /* TIOCSPTLCK */, &zero));
  int slave = OK(ioctl(master, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY | O_NONBLOCK));
  static char bytes[4 << 20];
  memset(bytes, '\n', sizeof bytes);
  write(slave, bytes, sizeof bytes);
  memset(bytes, 'x', sizeof bytes);
  write(master, bytes, sizeof bytes);
  memset(bytes, 23 /* ^W */, sizeof bytes);
  write(master, bytes, sizeof bytes);
  memset(bytes, 3 /* ^C */, sizeof bytes);
  write(master, bytes, sizeof bytes);
  while (read(master, bytes, sizeof bytes) > 0) {
  }
}
