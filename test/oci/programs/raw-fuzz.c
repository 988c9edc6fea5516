// SPDX-License-Identifier: Apache-2.0
// Raw and ping sockets used as badly as can be: whatever the host's kernel says to it, the sandbox lives on.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned char bytes[70000];

static void scramble(void *to, size_t length) {
  for (size_t i = 0; i < length; i++) ((unsigned char *)to)[i] = (unsigned char)random();
}

static int any_socket(void) {
  int domain = random() % 2 ? AF_INET : AF_INET6;
  int protocol = random() % 4 ? (int)(random() % 256) : domain == AF_INET ? 1 : 58;
  int type = random() % 5 ? SOCK_RAW : SOCK_DGRAM;
  return socket(domain, type | SOCK_NONBLOCK, protocol);
}

static void attack(int fd) {
  static const int levels[] = {SOL_IP, SOL_SOCKET, SOL_IPV6, SOL_RAW, 58, 99};
  unsigned char address[128], control[256];
  socklen_t length = (socklen_t)(random() % 200);
  int level = levels[random() % 6], name = (int)(random() % 90);
  scramble(address, sizeof address);
  if (random() % 4) address[0] = random() % 2 ? AF_INET : AF_INET6, address[1] = 0;
  /* Loopback addresses: nothing is to leave the namespace. */
  if (address[0] == AF_INET) memcpy(address + 4, (unsigned char[]){127, 0, 0, 1}, 4);
  scramble(control, sizeof control);
  struct iovec parts[3] = {{bytes, (size_t)random() % 3000},
                           {bytes, (size_t)random() % 80},
                           {(void *)1, random() % 9 == 0}};
  struct msghdr message = {.msg_name = address,
                           .msg_namelen = length,
                           .msg_iov = parts,
                           .msg_iovlen = (size_t)random() % 4,
                           .msg_control = control,
                           .msg_controllen = (size_t)random() % 256};
  switch (random() % 10) {
    case 0:
      bind(fd, (void *)address, length);
      break;
    case 1:
      connect(fd, (void *)address, length);
      break;
    case 2:
      setsockopt(fd, level, name, bytes, length);
      break;
    case 3:
      getsockopt(fd, level, name, bytes, &length);
      break;
    case 4:
      sendmsg(fd, &message, (int)random() & ~MSG_FASTOPEN);
      break;
    case 5:
      sendto(fd, bytes, (size_t)random() % sizeof bytes, 0, (void *)address, length);
      break;
    case 6:
      recvmsg(fd, &message, ((int)random() & ~MSG_WAITALL) | MSG_DONTWAIT);
      break;
    case 7:
      recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT, (void *)address, &length);
      break;
    case 8:
      ioctl(fd, 0x8900 + (unsigned)random() % 256, address);
      break;
    default:
      listen(fd, 3), accept(fd, NULL, NULL), shutdown(fd, (int)(random() % 4));
  }
}

int main(void) {
  int made = 0;
  srandom(20261122);
  scramble(bytes, sizeof bytes);
  for (int round = 0; round < 600; round++) {
    int fds[4];
    for (int i = 0; i < 4; i++) made += (fds[i] = any_socket()) >= 0;
    for (int i = 0; i < 40; i++) attack(fds[random() % 4]);
    for (int i = 0; i < 4; i++) close(fds[i]);
  }
  /* As many as there may be, and what happens then. */
  int last = 0, count = 0;
  while (count < 3000 && (last = socket(AF_INET, SOCK_RAW, 1)) >= 0) count++;
  printf("made %s, stopped at %s, then %s\n", made > 1000 ? "many" : "few",
         count > 0 && count < 3000 ? strerrorname_np(errno) : "nothing",
         close(3) == 0 && socket(AF_INET, SOCK_RAW, 1) >= 0 ? "goes on" : "stuck");
  return 0;
}
