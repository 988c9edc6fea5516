// SPDX-License-Identifier: Apache-2.0
// Raw and ping sockets, low ports, error queues: run in a container of runc and of runts with a
// network namespace of its own (lo is up). Prints what it sees; both must print the same.
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHOW(call) show(#call, call)

static long show(const char *what, long result) {
  printf("%s = %ld %s\n", what, result, result < 0 ? strerrorname_np(errno) : "");
  fflush(stdout);
  return result;
}

static struct sockaddr_in loopback(void) {
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static unsigned short checksum(const void *bytes, size_t length) {
  const unsigned short *words = bytes;
  unsigned sum = 0;
  for (size_t i = 0; i < length / 2; i++) sum += words[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (unsigned short)~sum;
}

static struct icmphdr echo(int sequence) {
  struct icmphdr header = {.type = ICMP_ECHO};
  header.un.echo.id = htons(77);
  header.un.echo.sequence = htons((unsigned short)sequence);
  header.checksum = checksum(&header, sizeof header);
  return header;
}

static void wait_for(int fd, short events) {
  struct pollfd set = {fd, events, 0};
  int ready = poll(&set, 1, 2000);
  printf("poll %d %x\n", ready, set.revents);
}

static void raw_icmp(void) {
  unsigned char packet[256];
  struct sockaddr_in to = loopback(), from;
  socklen_t length = sizeof from;
  int fd = (int)SHOW(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  if (fd < 0) return;
  /* Replies only. */
  struct {
    unsigned data;
  } filter = {~(1u << ICMP_ECHOREPLY)};
  SHOW(setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &filter, sizeof filter));
  SHOW(setsockopt(fd, SOL_IP, IP_TTL, &(int){33}, 4));
  struct icmphdr request = echo(1);
  SHOW(sendto(fd, &request, sizeof request, 0, (void *)&to, sizeof to));
  wait_for(fd, POLLIN);
  long got = SHOW(recvfrom(fd, packet, sizeof packet, 0, (void *)&from, &length));
  const struct icmphdr *reply = (void *)(packet + 20);
  printf("type %d id %d sequence %d port %d\n", reply->type, ntohs(reply->un.echo.id),
         ntohs(reply->un.echo.sequence), from.sin_port);
  SHOW(recv(fd, packet, sizeof packet, MSG_DONTWAIT));
  (void)got;
  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
  SHOW(epoll_wait(epoll, &event, 1, 50));
  SHOW(connect(fd, (void *)&to, sizeof to));
  request = echo(2);
  SHOW(send(fd, &request, sizeof request, 0));
  SHOW(epoll_wait(epoll, &event, 1, 1000));
  SHOW(listen(fd, 1));
  SHOW(accept(fd, NULL, NULL));
  SHOW(shutdown(fd, SHUT_RDWR));
  int type = 0, protocol = 0;
  length = sizeof type;
  SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length));
  SHOW(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length));
  printf("type %d protocol %d\n", type, protocol);
  close(epoll);
  close(fd);
}

static void own_headers(void) {
  struct {
    struct iphdr ip;
    struct icmphdr icmp;
  } packet = {.ip = {.version = 4,
                     .ihl = 5,
                     .ttl = 9,
                     .protocol = IPPROTO_ICMP,
                     .saddr = htonl(0x7f000009),
                     .daddr = htonl(INADDR_LOOPBACK)},
              .icmp = echo(3)};
  unsigned char seen[256];
  struct sockaddr_in to = loopback();
  int fd = (int)SHOW(socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  int watcher = (int)SHOW(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  if (fd < 0 || watcher < 0) return;
  int on = -1;
  socklen_t length = sizeof on;
  SHOW(getsockopt(fd, SOL_IP, IP_HDRINCL, &on, &length));
  printf("hdrincl %d\n", on);
  SHOW(sendto(fd, &packet, sizeof packet, 0, (void *)&to, sizeof to));
  wait_for(watcher, POLLIN);
  SHOW(recv(watcher, seen, sizeof seen, 0));
  const struct iphdr *ip = (void *)seen;
  printf("from %08x ttl %d\n", ntohl(ip->saddr), ip->ttl);
  SHOW(sendto(fd, &packet, 10, 0, (void *)&to, sizeof to));
  SHOW(setsockopt(watcher, SOL_IP, IP_HDRINCL, &(int){1}, 4));
  close(fd);
  close(watcher);
}

static void raw_icmpv6(void) {
  struct icmp6_filter filter;
  struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
  unsigned char reply[256];
  int fd = (int)SHOW(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  if (fd < 0) return;
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
  SHOW(setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter));
  SHOW(setsockopt(fd, SOL_RAW, IPV6_CHECKSUM, &(int){2}, 4));
  SHOW(setsockopt(fd, SOL_IPV6, IPV6_RECVHOPLIMIT, &(int){1}, 4));
  struct icmp6_hdr request = {.icmp6_type = ICMP6_ECHO_REQUEST};
  SHOW(sendto(fd, &request, sizeof request, 0, (void *)&to, sizeof to));
  wait_for(fd, POLLIN);
  char control[128];
  struct iovec part = {reply, sizeof reply};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  SHOW(recvmsg(fd, &message, 0));
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  printf("type %d control %d %d\n", reply[0], header ? header->cmsg_level : -1,
         header ? header->cmsg_type : -1);
  close(fd);
}

static void ping_socket(int domain, int protocol) {
  struct sockaddr_in to = loopback();
  struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
  unsigned char reply[64];
  int fd = (int)SHOW(socket(domain, SOCK_DGRAM, protocol));
  if (fd < 0) return;
  struct icmphdr request = {.type = domain == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST};
  if (domain == AF_INET) {
    SHOW(sendto(fd, &request, sizeof request, 0, (void *)&to, sizeof to));
  } else {
    SHOW(sendto(fd, &request, sizeof request, 0, (void *)&to6, sizeof to6));
  }
  wait_for(fd, POLLIN);
  SHOW(recv(fd, reply, sizeof reply, 0));
  printf("type %d\n", reply[0]);
  request.type = 3;
  SHOW(sendto(fd, &request, sizeof request, 0, (void *)&to, sizeof to));
  close(fd);
}

static void error_queue(void) {
  struct sockaddr_in to = loopback();
  char bytes[64], control[256];
  int fd = (int)SHOW(socket(AF_INET, SOCK_DGRAM, 0));
  SHOW(setsockopt(fd, SOL_IP, IP_RECVERR, &(int){1}, 4));
  to.sin_port = htons(9);
  SHOW(sendto(fd, "lost", 4, 0, (void *)&to, sizeof to));
  wait_for(fd, POLLIN);
  struct iovec part = {bytes, sizeof bytes};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  SHOW(recvmsg(fd, &message, MSG_ERRQUEUE));
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  const struct sock_extended_err *error = (void *)CMSG_DATA(header);
  printf("errno %d origin %d type %d code %d flags %x offender %s\n", error->ee_errno,
         error->ee_origin, error->ee_type, error->ee_code, message.msg_flags,
         inet_ntoa(((struct sockaddr_in *)SO_EE_OFFENDER(error))->sin_addr));
  SHOW(recvmsg(fd, &message, MSG_ERRQUEUE));
  SHOW(recvmsg(fd, &message, MSG_DONTWAIT));
  close(fd);
}

static void low_ports(void) {
  struct sockaddr_in name = loopback();
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(81)};
  name.sin_port = htons(80);
  int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0),
      six = socket(AF_INET6, SOCK_STREAM, 0);
  SHOW(bind(tcp, (void *)&name, sizeof name));
  SHOW(bind(tcp, (void *)&name, sizeof name));
  SHOW(bind(udp, (void *)&name, sizeof name));
  SHOW(bind(six, (void *)&any, sizeof any));
  SHOW(listen(tcp, 1));
  int other = socket(AF_INET, SOCK_STREAM, 0);
  SHOW(bind(other, (void *)&name, sizeof name));
  name.sin_addr.s_addr = htonl(0x09090909);
  SHOW(bind(other, (void *)&name, sizeof name));
  close(tcp), close(udp), close(six), close(other);
}

static void kinds(void) {
  SHOW(socket(AF_INET, SOCK_RAW, 0));
  SHOW(socket(AF_INET, SOCK_RAW, 300));
  SHOW(socket(AF_INET, SOCK_RAW, -1));
  SHOW(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMPV6));
  for (int protocol = 1; protocol < 256; protocol += 50) {
    int fd = socket(AF_INET6, SOCK_RAW, protocol);
    printf("%d %d\n", protocol, fd < 0 ? errno : 0);
    if (fd >= 0) close(fd);
  }
}

static void everything(void) {
  kinds();
  raw_icmp();
  own_headers();
  raw_icmpv6();
  ping_socket(AF_INET, IPPROTO_ICMP);
  ping_socket(AF_INET6, IPPROTO_ICMPV6);
  error_queue();
  low_ports();
}

int main(void) {
  everything();
  puts("-- an ordinary user in a group that may ping");
  SHOW(setgroups(1, (gid_t[]){4321}));
  SHOW(setgid(100));
  SHOW(setuid(100));
  everything();
  return 0;
}
