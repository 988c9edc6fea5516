// SPDX-License-Identifier: Apache-2.0
// What comes and goes with the bytes of the host's sockets (--network host): control messages,
// times, positions.
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "check.h"

static int udp_socket(struct sockaddr_in *at) {
  int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
  *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  OK(bind(fd, (void *)at, sizeof *at));
  socklen_t length = sizeof *at;
  OK(getsockname(fd, (void *)at, &length));
  return fd;
}

static void make_pair(int pair[2]) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int server = OK(socket(AF_INET, SOCK_STREAM, 0));
  OK(bind(server, (void *)&at, sizeof at));
  OK(listen(server, 1));
  socklen_t length = sizeof at;
  OK(getsockname(server, (void *)&at, &length));
  pair[0] = OK(socket(AF_INET, SOCK_STREAM, 0));
  OK(connect(pair[0], (void *)&at, sizeof at));
  pair[1] = OK(accept(server, NULL, NULL));
  close(server);
}

// Sends "x" with one control message of an int.
static long send_with(int fd, const struct sockaddr_in *to, int level, int type) {
  char control[CMSG_SPACE(sizeof(int))] = "";
  struct iovec part = {"x", 1};
  struct msghdr message = {
      (void *)to, to == NULL ? 0 : sizeof *to, &part, 1, control, sizeof control, 0};
  *CMSG_FIRSTHDR(&message) = (struct cmsghdr){CMSG_LEN(sizeof(int)), level, type};
  return sendmsg(fd, &message, 0);
}

// Receives a datagram; the control message of this kind, or NULL.
static void *receive_with(int fd, int flags, int level, int type) {
  static char control[512], text[64];
  struct iovec part = {text, sizeof text};
  static struct msghdr message;
  message = (struct msghdr){NULL, 0, &part, 1, control, sizeof control, 0};
  struct pollfd set = {fd, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  if (recvmsg(fd, &message, flags) < 0) return NULL;
  for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each != NULL;
       each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level == level && each->cmsg_type == type) return CMSG_DATA(each);
  }
  return NULL;
}

TEST(messages_of_other_levels_are_passed_over) {
  struct sockaddr_in at, other;
  int fd = udp_socket(&at), peer = udp_socket(&other), pair[2];
  CHECK_EQ(send_with(peer, &at, 99, 1), 1);
  CHECK_EQ(send_with(peer, &at, IPPROTO_TCP, 1), 1);
  CHECK_ERR(send_with(peer, &at, IPPROTO_IP, 99), EINVAL);
  CHECK_ERR(send_with(peer, &at, IPPROTO_UDP, 99), EINVAL);
  char text[4];
  CHECK_EQ(recv(fd, text, 4, 0), 1);
  CHECK_EQ(recv(fd, text, 4, 0), 1);
  CHECK_ERR(recv(fd, text, 4, MSG_DONTWAIT), EAGAIN);
  make_pair(pair);
  CHECK_EQ(send_with(pair[0], NULL, 99, 1), 1);
  CHECK_EQ(send_with(pair[0], NULL, IPPROTO_IP, IP_TTL), 1);
}

static int near(long long sec) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return sec >= now.tv_sec - 5 && sec <= now.tv_sec + 1;
}

TEST(times_of_arrival) {
  struct sockaddr_in at, other;
  int fd = udp_socket(&at), peer = udp_socket(&other), on = 1, off = 0;
  static const int options[][2] = {{SO_TIMESTAMP_OLD, SO_TIMESTAMP_OLD},
                                   {SO_TIMESTAMPNS_OLD, SO_TIMESTAMPNS_OLD},
                                   {SO_TIMESTAMP_NEW, SO_TIMESTAMP_NEW},
                                   {SO_TIMESTAMPNS_NEW, SO_TIMESTAMPNS_NEW}};
  for (int i = 0; i < 4; i++) {
    OK(setsockopt(fd, SOL_SOCKET, options[i][0], &on, sizeof on));
    CHECK_EQ(sendto(peer, "x", 1, 0, (void *)&at, sizeof at), 1);
    long long *time = receive_with(fd, 0, SOL_SOCKET, options[i][1]);
    CHECK(time != NULL && near(time[0]));
    OK(setsockopt(fd, SOL_SOCKET, options[i][0], &off, sizeof off));
  }
  int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
  OK(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags));
  /* Linux begins to stamp what arrives a little later than it is asked to (net_enable_timestamp). */
  struct timespec *times = NULL;
  for (int tries = 0; tries < 100 && (times == NULL || times[0].tv_sec == 0); tries++) {
    if (tries > 0) usleep(10000);
    CHECK_EQ(sendto(peer, "x", 1, 0, (void *)&at, sizeof at), 1);
    times = receive_with(fd, 0, SOL_SOCKET, SO_TIMESTAMPING);
  }
  CHECK(times != NULL && near(times[0].tv_sec));
}

TEST(times_of_leaving_are_in_the_error_queue) {
  struct sockaddr_in at, other;
  int fd = udp_socket(&at), peer = udp_socket(&other);
  int flags =
      SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
  OK(setsockopt(peer, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags));
  CHECK_EQ(sendto(peer, "x", 1, 0, (void *)&at, sizeof at), 1);
  struct pollfd set = {peer, 0, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  CHECK_EQ(set.revents, POLLERR);
  struct timespec *times = receive_with(peer, MSG_ERRQUEUE, SOL_SOCKET, SO_TIMESTAMPING);
  CHECK(times != NULL && near(times[0].tv_sec));
  char c;
  CHECK_EQ(recv(fd, &c, 1, 0), 1);
}

TEST(the_last_time_of_arrival) {
  struct sockaddr_in at, other;
  int fd = udp_socket(&at), peer = udp_socket(&other);
  struct timespec time;
  struct timeval old;
  CHECK_ERR(ioctl(fd, SIOCGSTAMPNS, &time), ENOENT);
  CHECK_EQ(sendto(peer, "x", 1, 0, (void *)&at, sizeof at), 1);
  char c;
  CHECK_EQ(recv(fd, &c, 1, 0), 1);
  OK(ioctl(fd, SIOCGSTAMPNS, &time));
  CHECK(near(time.tv_sec));
  OK(ioctl(fd, SIOCGSTAMP, &old));
  CHECK_EQ(old.tv_sec, time.tv_sec);
}

TEST(segments) {
  struct sockaddr_in at, other;
  static char block[4000];
  int fd = udp_socket(&at), peer = udp_socket(&other), size = 1000;
  OK(setsockopt(peer, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size));
  CHECK_EQ(sendto(peer, block, 2500, 0, (void *)&at, sizeof at), 2500);
  CHECK_EQ(recv(fd, block, sizeof block, 0), 1000);
  CHECK_EQ(recv(fd, block, sizeof block, 0), 1000);
  CHECK_EQ(recv(fd, block, sizeof block, 0), 500);
}

TEST(how_much_is_left_of_a_stream) {
  int pair[2], on = 1;
  make_pair(pair);
  OK(setsockopt(pair[1], IPPROTO_TCP, TCP_INQ, &on, sizeof on));
  CHECK_EQ(send(pair[0], "abcdef", 6, 0), 6);
  sleep_ms(20);
  char text[2], control[64];
  struct iovec part = {text, sizeof text};
  struct msghdr message = {NULL, 0, &part, 1, control, sizeof control, 0};
  CHECK_EQ(recvmsg(pair[1], &message, 0), 2);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  CHECK(header != NULL && header->cmsg_level == IPPROTO_TCP && header->cmsg_type == TCP_CM_INQ);
  CHECK_EQ(*(int *)(void *)CMSG_DATA(header), 4);
}

TEST(peeking_further_on) {
  int pair[2], at = 2;
  char text[8];
  make_pair(pair);
  CHECK_EQ(send(pair[0], "abcdef", 6, 0), 6);
  if (setsockopt(pair[1], SOL_SOCKET, SO_PEEK_OFF, &at, sizeof at) < 0) return;
  CHECK_EQ(recv(pair[1], text, 2, MSG_PEEK), 2);
  CHECK(memcmp(text, "cd", 2) == 0);
  CHECK_EQ(recv(pair[1], text, 2, MSG_PEEK), 2);
  CHECK(memcmp(text, "ef", 2) == 0);
  CHECK_EQ(recv(pair[1], text, 8, 0), 6);
}

TEST(sockets_have_no_positions) {
  int pair[2], pipes[2];
  long at = 0;
  make_pair(pair);
  OK(pipe(pipes));
  CHECK_EQ(write(pipes[1], "x", 1), 1);
  CHECK_ERR(splice(pair[1], &at, pipes[1], NULL, 10, 0), EINVAL);
  CHECK_ERR(splice(pipes[0], NULL, pair[0], &at, 10, 0), EINVAL);
  CHECK_ERR(pread(pair[0], &at, 1, 0), ESPIPE);
  CHECK_ERR(sendfile(pair[0], pair[1], &at, 1), ESPIPE);
  CHECK_ERR(lseek(pair[0], 0, SEEK_SET), ESPIPE);
}
