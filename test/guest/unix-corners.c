// SPDX-License-Identifier: Apache-2.0
// Corners of Unix sockets (unix(7), socket(7)): credentials asked for late, names of senders, reads of no
// bytes with descriptors, foreign levels, SO_PEEK_OFF, descriptors of peers, /proc/net/unix.
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#define SO_PEERPIDFD 77
#endif
#define SCM_PIDFD_ 4

static int s[2];
static char control[256], text[16];
static struct iovec part;
static struct msghdr message;

static int put(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value);
}

static int receive(int fd, size_t length, int flags) {
  part = (struct iovec){text, length};
  message = (struct msghdr){
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  return recvmsg(fd, &message, flags);
}

static struct cmsghdr *told(int type) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c))
    if (c->cmsg_type == type) return c;
  return NULL;
}

static struct ucred credentials(void) {
  struct cmsghdr *c = told(SCM_CREDENTIALS);
  CHECK(c != NULL);
  struct ucred cred;
  memcpy(&cred, CMSG_DATA(c), sizeof cred);
  return cred;
}

TEST(seqpacket_shows_no_end_of_record) {
  OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
  CHECK_EQ(write(s[1], "x", 1), 1);
  CHECK_EQ(receive(s[0], 8, 0), 1);
  CHECK_EQ(message.msg_flags, 0);
}

TEST(credentials_asked_for_after_a_stream_send) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  CHECK_EQ(write(s[1], "x", 1), 1);
  OK(put(s[0], SOL_SOCKET, SO_PASSCRED, 1));
  CHECK_EQ(receive(s[0], 8, 0), 1);
  CHECK_EQ(credentials().pid, 0);
  CHECK_EQ(credentials().uid, 65534);
  CHECK_EQ(write(s[1], "y", 1), 1);
  CHECK_EQ(receive(s[0], 8, 0), 1);
  CHECK_EQ(credentials().pid, getpid());
  CHECK_EQ(credentials().uid, getuid());
}

TEST(credentials_asked_for_after_a_datagram) {
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
  CHECK_EQ(write(s[1], "x", 1), 1);
  OK(put(s[0], SOL_SOCKET, SO_PASSCRED, 1));
  CHECK_EQ(receive(s[0], 8, 0), 1);
  CHECK_EQ(credentials().pid, 0);
  CHECK_EQ(credentials().gid, 65534);
}

TEST(credentials_of_who_asks_to_send_them) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  OK(put(s[1], SOL_SOCKET, SO_PASSCRED, 1));
  CHECK_EQ(write(s[1], "x", 1), 1);
  OK(put(s[0], SOL_SOCKET, SO_PASSCRED, 1));
  CHECK_EQ(receive(s[0], 8, 0), 1);
  CHECK_EQ(credentials().pid, getpid());
}

static int named(int type, const char *name) {
  int fd = OK(socket(AF_UNIX, type, 0));
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  strcpy(at.sun_path, name);
  OK(bind(fd, (void *)&at, offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1));
  return fd;
}

static void reach(int fd, const char *name) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  strcpy(at.sun_path, name);
  OK(connect(fd, (void *)&at, sizeof at));
}

static void stream_names(int type) {
  int listener = named(type, "listener");
  OK(listen(listener, 1));
  int client = named(type, "client");
  reach(client, "listener");
  CHECK_EQ(write(client, "x", 1), 1);
  int served = OK(accept(listener, NULL, NULL));
  struct sockaddr_un from = {0};
  socklen_t length = sizeof from;
  CHECK_EQ(recvfrom(served, text, 1, 0, (void *)&from, &length), 1);
  CHECK_EQ(length, offsetof(struct sockaddr_un, sun_path) + 7);
  CHECK_STR(from.sun_path, "client");
  int other = OK(socket(AF_UNIX, type, 0));
  reach(other, "listener");
  CHECK_EQ(write(other, "x", 1), 1);
  served = OK(accept(listener, NULL, NULL));
  length = sizeof from;
  CHECK_EQ(recvfrom(served, text, 1, 0, (void *)&from, &length), 1);
  CHECK_EQ(length, 0);
}

TEST(streams_tell_the_name_of_the_sender) { stream_names(SOCK_STREAM); }

TEST(seqpackets_tell_the_name_of_the_sender) { stream_names(SOCK_SEQPACKET); }

static void send_descriptor(int fd) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } room = {0};
  struct iovec one = {"x", 1};
  struct msghdr m = {
      .msg_iov = &one, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(4), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  int zero = 0;
  memcpy(CMSG_DATA(c), &zero, sizeof zero);
  CHECK_EQ(sendmsg(fd, &m, 0), 1);
}

TEST(a_read_of_no_bytes_takes_descriptors) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  send_descriptor(s[1]);
  CHECK_EQ(receive(s[0], 0, 0), 0);
  CHECK(told(SCM_RIGHTS) != NULL);
  CHECK_EQ(receive(s[0], 8, 0), 1);
  CHECK(told(SCM_RIGHTS) == NULL);
}

TEST(foreign_levels) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  int value = 1;
  socklen_t length = sizeof value;
  CHECK_ERR(put(s[0], 263, 16, 1), EOPNOTSUPP);
  CHECK_ERR(put(s[0], 6, 1, 1), EOPNOTSUPP);
  CHECK_ERR(getsockopt(s[0], 6, 1, &value, &length), EOPNOTSUPP);
  CHECK_ERR(put(s[0], SOL_SOCKET, 9999, 1), ENOPROTOOPT);
}

TEST(peek_offset_of_streams) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  int value = 0;
  socklen_t length = sizeof value;
  OK(getsockopt(s[0], SOL_SOCKET, SO_PEEK_OFF, &value, &length));
  CHECK_EQ(value, -1);
  OK(put(s[0], SOL_SOCKET, SO_PEEK_OFF, 0));
  CHECK_EQ(write(s[1], "abcdef", 6), 6);
  CHECK_EQ(recv(s[0], text, 2, MSG_PEEK), 2);
  CHECK_EQ(memcmp(text, "ab", 2), 0);
  CHECK_EQ(recv(s[0], text, 2, MSG_PEEK), 2);
  CHECK_EQ(memcmp(text, "cd", 2), 0);
  OK(getsockopt(s[0], SOL_SOCKET, SO_PEEK_OFF, &value, &length));
  CHECK_EQ(value, 4);
  CHECK_EQ(recv(s[0], text, 3, 0), 3);
  CHECK_EQ(recv(s[0], text, 8, MSG_PEEK), 2);
  CHECK_EQ(memcmp(text, "ef", 2), 0);
  CHECK_ERR(recv(s[0], text, 8, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
}

TEST(peek_offset_of_datagrams) {
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
  OK(put(s[0], SOL_SOCKET, SO_PEEK_OFF, 0));
  CHECK_EQ(write(s[1], "abc", 3), 3);
  CHECK_EQ(write(s[1], "def", 3), 3);
  CHECK_EQ(recv(s[0], text, 2, MSG_PEEK), 2);
  CHECK_EQ(recv(s[0], text, 8, MSG_PEEK), 1);
  CHECK_EQ(text[0], 'c');
  CHECK_EQ(recv(s[0], text, 8, MSG_PEEK), 3);
  CHECK_EQ(text[0], 'd');
  CHECK_EQ(recv(s[0], text, 8, 0), 3);
  CHECK_EQ(text[0], 'a');
}

TEST(descriptor_of_the_peer) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  int fd = -1;
  socklen_t length = sizeof fd;
  OK(getsockopt(s[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &length));
  CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
  OK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
  int alone = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_ERR(getsockopt(alone, SOL_SOCKET, SO_PEERPIDFD, &fd, &length), ENODATA);
}

TEST(descriptor_of_the_sender) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  OK(put(s[0], SOL_SOCKET, SO_PASSPIDFD, 1));
  CHECK_EQ(write(s[1], "x", 1), 1);
  CHECK_EQ(receive(s[0], 8, 0), 1);
  struct cmsghdr *c = told(SCM_PIDFD_);
  CHECK(c != NULL);
  int fd;
  memcpy(&fd, CMSG_DATA(c), sizeof fd);
  OK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
}

TEST(proc_net_unix_lists_names) {
  int fd = named(SOCK_STREAM, "listed");
  OK(listen(fd, 1));
  struct stat st;
  OK(fstat(fd, &st));
  FILE *table = fopen("/proc/net/unix", "r");
  CHECK(table != NULL);
  char line[256], number[32];
  snprintf(number, sizeof number, " %lu ", (unsigned long)st.st_ino);
  int found = 0;
  while (fgets(line, sizeof line, table) != NULL)
    if (strstr(line, number) != NULL && strstr(line, "listed\n") != NULL) {
      found = 1;
      CHECK(strstr(line, " 00010000 0001 01 ") != NULL);
    }
  CHECK_EQ(found, 1);
}
