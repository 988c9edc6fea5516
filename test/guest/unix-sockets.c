// SPDX-License-Identifier: Apache-2.0
// unix(7): stream, datagram and seqpacket sockets, SCM_RIGHTS, credentials, abstract names.
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

static socklen_t address(struct sockaddr_un *to, const char *path) {
  memset(to, 0, sizeof *to);
  to->sun_family = AF_UNIX;
  strcpy(to->sun_path, path);
  return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
}

static int listener(const char *path, int type) {
  int fd = OK(socket(AF_UNIX, type, 0));
  struct sockaddr_un name;
  socklen_t length = address(&name, path);
  OK(bind(fd, (void *)&name, length));
  if (type != SOCK_DGRAM) OK(listen(fd, 5));
  return fd;
}

static int connect_to(const char *path, int type) {
  int fd = OK(socket(AF_UNIX, type, 0));
  struct sockaddr_un name;
  socklen_t length = address(&name, path);
  OK(connect(fd, (void *)&name, length));
  return fd;
}

TEST(stream_pair) {
  int fds[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  CHECK_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
  CHECK_EQ(write(fds[0], "hello", 5), 5);
  CHECK_EQ(send(fds[0], "world", 5, 0), 5);
  char text[16] = "";
  CHECK_EQ(recv(fds[1], text, 4, MSG_PEEK), 4);
  CHECK_EQ(read(fds[1], text, 15), 10);
  CHECK_STR(text, "helloworld");
  CHECK_ERR(recv(fds[1], text, 1, MSG_DONTWAIT), EAGAIN);
  OK(shutdown(fds[0], SHUT_WR));
  CHECK_EQ(read(fds[1], text, 1), 0);
  CHECK_EQ(write(fds[1], "back", 4), 4);
  CHECK_EQ(read(fds[0], text, 4), 4);
  CHECK_ERR(send(fds[0], "x", 1, MSG_NOSIGNAL), EPIPE);
  close(fds[1]);
  CHECK_EQ(read(fds[0], text, 1), 0);
}

TEST(listen_connect_accept) {
  int server = listener("sock", SOCK_STREAM);
  int client = connect_to("sock", SOCK_STREAM);
  struct sockaddr_un name;
  socklen_t length = sizeof name;
  int peer = OK(accept4(server, (void *)&name, &length, SOCK_NONBLOCK));
  CHECK_EQ(length, 2);
  CHECK_EQ(fcntl(peer, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  CHECK_EQ(write(client, "hi", 2), 2);
  char text[8];
  CHECK_EQ(read(peer, text, 8), 2);
  length = sizeof name;
  OK(getpeername(client, (void *)&name, &length));
  CHECK_STR(name.sun_path, "sock");
  length = sizeof name;
  OK(getsockname(server, (void *)&name, &length));
  CHECK_EQ(length, offsetof(struct sockaddr_un, sun_path) + 5);
  struct stat st;
  OK(stat("sock", &st));
  CHECK(S_ISSOCK(st.st_mode));
  CHECK_ERR(open("sock", O_RDWR), ENXIO);
}

TEST(refusals) {
  struct sockaddr_un name;
  int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  socklen_t length = address(&name, "missing");
  CHECK_ERR(connect(fd, (void *)&name, length), ENOENT);
  put_file("file", "");
  length = address(&name, "file");
  CHECK_ERR(connect(fd, (void *)&name, length), ECONNREFUSED);
  CHECK_ERR(bind(fd, (void *)&name, length), EADDRINUSE);
  close(listener("dead", SOCK_STREAM));
  length = address(&name, "dead");
  CHECK_ERR(connect(fd, (void *)&name, length), ECONNREFUSED);
  listener("dgram", SOCK_DGRAM);
  length = address(&name, "dgram");
  CHECK_ERR(connect(fd, (void *)&name, length), EPROTOTYPE);
  CHECK_ERR(accept(fd, NULL, NULL), EINVAL);
  CHECK_ERR(send(fd, "x", 1, MSG_NOSIGNAL), ENOTCONN);
  CHECK_ERR(getpeername(fd, (void *)&name, &length), ENOTCONN);
  CHECK_ERR(socket(AF_UNIX, 77, 0), EINVAL);
  CHECK_ERR(socket(AF_UNIX, SOCK_STREAM, 77), EPROTONOSUPPORT);
  CHECK_ERR(socket(9999, SOCK_STREAM, 0), EAFNOSUPPORT);
  CHECK_ERR(listen(OK(open("file", O_RDONLY)), 5), ENOTSOCK);
}

TEST(datagrams_keep_their_bounds) {
  int server = listener("server", SOCK_DGRAM), client = listener("client", SOCK_DGRAM);
  struct sockaddr_un name;
  socklen_t length = address(&name, "server");
  CHECK_EQ(sendto(client, "first", 5, 0, (void *)&name, length), 5);
  CHECK_EQ(sendto(client, "", 0, 0, (void *)&name, length), 0);
  CHECK_EQ(sendto(client, "third", 5, 0, (void *)&name, length), 5);
  char text[16] = "";
  length = sizeof name;
  CHECK_EQ(recvfrom(server, text, 16, 0, (void *)&name, &length), 5);
  CHECK_STR(name.sun_path, "client");
  CHECK_EQ(recv(server, text, 16, 0), 0);
  CHECK_EQ(recv(server, text, 2, MSG_TRUNC), 5);
  CHECK_ERR(recv(server, text, 2, MSG_DONTWAIT), EAGAIN);
}

TEST(seqpacket) {
  int server = listener("sock", SOCK_SEQPACKET);
  int client = connect_to("sock", SOCK_SEQPACKET);
  int peer = OK(accept(server, NULL, NULL));
  CHECK_EQ(send(client, "abc", 3, 0), 3);
  CHECK_EQ(send(client, "de", 2, 0), 2);
  char text[8];
  CHECK_EQ(recv(peer, text, 8, 0), 3);
  struct iovec vec = {text, 1};
  struct msghdr message = {.msg_iov = &vec, .msg_iovlen = 1};
  CHECK_EQ(recvmsg(peer, &message, 0), 1);
  CHECK_EQ(message.msg_flags & MSG_TRUNC, MSG_TRUNC);
  close(client);
  CHECK_EQ(recv(peer, text, 8, 0), 0);
}

TEST(abstract_names) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  int size = snprintf(name.sun_path + 1, 50, "check-%d", getpid()) + 1;
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + size;
  int server = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  OK(bind(server, (void *)&name, length));
  OK(listen(server, 1));
  int client = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  OK(connect(client, (void *)&name, length));
  CHECK_ERR(bind(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&name, length), EADDRINUSE);
  close(server);
  OK(bind(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&name, length));
  // An empty name asks for an automatic one.
  int autobind = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
  OK(bind(autobind, (void *)&name, sizeof(sa_family_t)));
  length = sizeof name;
  OK(getsockname(autobind, (void *)&name, &length));
  CHECK_EQ(length, offsetof(struct sockaddr_un, sun_path) + 6);
  CHECK_EQ(name.sun_path[0], 0);
}

static void send_fds(int to, const int *fds, int count) {
  char control[CMSG_SPACE(sizeof(int) * 8)] = "";
  struct iovec vec = {"f", 1};
  struct msghdr message = {.msg_iov = &vec,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * count);
  memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
  CHECK_EQ(sendmsg(to, &message, 0), 1);
}

static int receive_fds(int from, int *fds, int room, int flags, int *got_flags) {
  char control[CMSG_SPACE(sizeof(int) * 8)], data[8];
  struct iovec vec = {data, 8};
  struct msghdr message = {.msg_iov = &vec,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = room == 0 ? 0 : CMSG_LEN(sizeof(int) * room)};
  CHECK_EQ(recvmsg(from, &message, flags), 1);
  *got_flags = message.msg_flags;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL) return 0;
  CHECK_EQ(header->cmsg_type, SCM_RIGHTS);
  int count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  memcpy(fds, CMSG_DATA(header), count * sizeof(int));
  return count;
}

TEST(passing_descriptors) {
  int pair[2], fds[2], got[8], flags;
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  OK(pipe(fds));
  send_fds(pair[0], fds, 2);
  close(fds[0]);
  CHECK_EQ(receive_fds(pair[1], got, 8, MSG_CMSG_CLOEXEC, &flags), 2);
  CHECK_EQ(flags & MSG_CTRUNC, 0);
  CHECK_EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
  CHECK_EQ(write(fds[1], "via", 3), 3);
  char text[4] = "";
  CHECK_EQ(read(got[0], text, 3), 3);
  CHECK_STR(text, "via");
}

TEST(passing_descriptors_to_another_process) {
  int pair[2], got[8], flags;
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  pid_t pid = OK(fork());
  if (pid == 0) {
    put_file("f", "from the child");
    int fd = OK(open("f", O_RDONLY));
    send_fds(pair[1], &fd, 1);
    _exit(0);
  }
  CHECK_EQ(receive_fds(pair[0], got, 8, 0, &flags), 1);
  CHECK_EXIT(pid, 0);
  char text[16] = "";
  CHECK_EQ(read(got[0], text, 15), 14);
  CHECK_STR(text, "from the child");
}

TEST(descriptors_without_room_are_closed) {
  int pair[2], fds[2], got[8], flags;
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  OK(pipe(fds));
  send_fds(pair[0], &fds[1], 1);
  close(fds[1]);
  CHECK_EQ(receive_fds(pair[1], got, 0, 0, &flags), 0);
  CHECK_EQ(flags & MSG_CTRUNC, MSG_CTRUNC);
  char c;
  CHECK_EQ(read(fds[0], &c, 1), 0);
  OK(pipe(fds));
  send_fds(pair[0], fds, 2);
  CHECK_EQ(receive_fds(pair[1], got, 1, 0, &flags), 1);
  CHECK_EQ(flags & MSG_CTRUNC, MSG_CTRUNC);
}

TEST(stream_stops_reading_at_descriptors) {
  int pair[2], got[8], flags, fd = OK(open("/dev/null", O_RDONLY));
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  send_fds(pair[0], &fd, 1);
  CHECK_EQ(write(pair[0], "more", 4), 4);
  CHECK_EQ(receive_fds(pair[1], got, 1, 0, &flags), 1);  // one byte, not five
  char text[8];
  CHECK_EQ(read(pair[1], text, 8), 4);
}

TEST(peer_credentials) {
  int pair[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  struct ucred peer;
  socklen_t length = sizeof peer;
  OK(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &length));
  CHECK_EQ(peer.pid, getpid());
  CHECK_EQ(peer.uid, geteuid());
  CHECK_EQ(peer.gid, getegid());
}

TEST(passed_credentials) {
  int pair[2], on = 1;
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  OK(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  pid_t pid = OK(fork());
  if (pid == 0) {
    CHECK_EQ(send(pair[0], "x", 1, 0), 1);
    _exit(0);
  }
  char control[CMSG_SPACE(sizeof(struct ucred))], c;
  struct iovec vec = {&c, 1};
  struct msghdr message = {
      .msg_iov = &vec, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  CHECK_EQ(recvmsg(pair[1], &message, 0), 1);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  CHECK(header != NULL);
  CHECK_EQ(header->cmsg_type, SCM_CREDENTIALS);
  struct ucred cred;
  memcpy(&cred, CMSG_DATA(header), sizeof cred);
  CHECK_EQ(cred.pid, pid);
  CHECK_EXIT(pid, 0);
}

TEST(options) {
  int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0)), value;
  socklen_t length = sizeof value;
  OK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
  CHECK_EQ(value, SOCK_STREAM);
  OK(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &length));
  CHECK_EQ(value, AF_UNIX);
  OK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length));
  CHECK_EQ(value, 0);
  OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length));
  CHECK_EQ(value, 0);
  CHECK_ERR(getsockopt(fd, SOL_SOCKET, 9999, &value, &length), ENOPROTOOPT);
  struct timeval t = {0, 30000};
  int pair[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
  long long start = now_ns();
  char c;
  CHECK_ERR(read(pair[0], &c, 1), EAGAIN);
  CHECK(now_ns() - start >= 30000000);
}

TEST(poll_of_sockets) {
  int pair[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  struct pollfd set = {pair[0], POLLIN | POLLOUT | POLLRDHUP, 0};
  CHECK_EQ(poll(&set, 1, 0), 1);
  CHECK_EQ(set.revents, POLLOUT);
  CHECK_EQ(write(pair[1], "x", 1), 1);
  CHECK_EQ(poll(&set, 1, 0), 1);
  CHECK_EQ(set.revents, POLLIN | POLLOUT);
  OK(shutdown(pair[1], SHUT_WR));
  poll(&set, 1, 0);
  CHECK_EQ(set.revents, POLLIN | POLLOUT | POLLRDHUP);
  close(pair[1]);
  poll(&set, 1, 0);
  CHECK_EQ(set.revents, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
  int server = listener("sock", SOCK_STREAM);
  set = (struct pollfd){server, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 0), 0);
  connect_to("sock", SOCK_STREAM);
  CHECK_EQ(poll(&set, 1, 0), 1);
}

TEST(many_bytes) {
  int pair[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  size_t size = 3 << 20;
  pid_t pid = OK(fork());
  if (pid == 0) {
    close(pair[0]);
    char *data = malloc(size);
    for (size_t i = 0; i < size; i++) data[i] = i % 253;
    CHECK_EQ(write(pair[1], data, size), size);
    _exit(0);
  }
  close(pair[1]);
  size_t total = 0;
  char block[30000];
  for (ssize_t n; (n = OK(read(pair[0], block, sizeof block))) > 0; total += n) {
    for (ssize_t i = 0; i < n; i++) CHECK_EQ((unsigned char)block[i], (total + i) % 253);
  }
  CHECK_EQ(total, size);
  CHECK_EXIT(pid, 0);
}

TEST(sendmmsg_and_recvmmsg) {
  int pair[2];
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  struct iovec out[2] = {{"one", 3}, {"three", 5}};
  struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = &out[0], .msg_iovlen = 1}},
                                {.msg_hdr = {.msg_iov = &out[1], .msg_iovlen = 1}}};
  CHECK_EQ(sendmmsg(pair[0], messages, 2, 0), 2);
  CHECK_EQ(messages[1].msg_len, 5);
  char a[8], b[8];
  struct iovec in[2] = {{a, 8}, {b, 8}};
  messages[0] = (struct mmsghdr){.msg_hdr = {.msg_iov = &in[0], .msg_iovlen = 1}};
  messages[1] = (struct mmsghdr){.msg_hdr = {.msg_iov = &in[1], .msg_iovlen = 1}};
  CHECK_EQ(recvmmsg(pair[1], messages, 2, MSG_DONTWAIT, NULL), 2);
  CHECK_EQ(messages[0].msg_len, 3);
  CHECK_EQ(messages[1].msg_len, 5);
}

// However large the buffer is: a message is one piece of memory of the kernel's.
TEST(largest_message) {
  int ends[2], size = 0x3fffffff;
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
  if (setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0) SKIP("not root");
  char *bytes = mmap(NULL, 16 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK_EQ(send(ends[0], bytes, 4 << 20, 0), 4 << 20);
  CHECK_ERR(send(ends[0], bytes, 16 << 20, 0), ENOBUFS);
}

static void send_and_close(int to, int fd) {
  char control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec vector = {"x", 1};
  struct msghdr message = {NULL, 0, &vector, 1, control, sizeof control, 0};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  *head = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  CHECK_EQ(sendmsg(to, &message, 0), 1);
  close(fd);
  close(to);
}

// Each waits at the next: the last descriptor holds them all, and the end of a pipe.
TEST(a_long_chain_of_sockets_in_flight) {
  int ends[2], pair[2];
  OK(pipe(ends));
  int held = ends[1];
  for (int index = 0; index < 900; index++) {
    OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    send_and_close(pair[0], held);
    held = pair[1];
  }
  struct pollfd pollfd = {ends[0], POLLIN, 0};
  CHECK_EQ(poll(&pollfd, 1, 0), 0);
  close(held);
  char byte;
  CHECK_EQ(read(ends[0], &byte, 1), 0);
}

static int send_ids(int fd, uid_t uid, gid_t gid) {
  struct ucred ids = {getpid(), uid, gid};
  char control[CMSG_SPACE(sizeof ids)] = {0}, byte = 'x';
  struct iovec vec = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &vec, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){CMSG_LEN(sizeof ids), SOL_SOCKET, SCM_CREDENTIALS};
  memcpy(CMSG_DATA(header), &ids, sizeof ids);
  return sendmsg(fd, &message, 0);
}

// Whether one may or not.
TEST(no_id_is_no_credential) {
  int pair[2];
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  CHECK_ERR(send_ids(pair[0], -1, getgid()), EINVAL);
  CHECK_ERR(send_ids(pair[0], getuid(), -1), EINVAL);
  CHECK_EQ(send_ids(pair[0], getuid(), getgid()), 1);
  if (geteuid() == 0) OK(setresuid(6000, 6000, 6000));
  CHECK_ERR(send_ids(pair[0], -1, -1), EINVAL);
  CHECK_ERR(send_ids(pair[0], getuid() + 1, getgid()), EPERM);
}
