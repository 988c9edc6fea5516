// SPDX-License-Identifier: Apache-2.0
// UDP sockets over loopback: connect and disconnect, errors, control messages, groups, broadcast, filters
// (udp(7), ip(7), ipv6(7), socket(7)).
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "check.h"

static struct sockaddr_in at;
static int receiver, sender;

static int new_socket(void) { return OK(socket(AF_INET, SOCK_DGRAM, 0)); }

static int put(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value);
}

static int get(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  OK(getsockopt(fd, level, name, &value, &length));
  return value;
}

static int bound(struct sockaddr_in *name, uint32_t ip, int port) {
  int fd = new_socket();
  *name = (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
  OK(bind(fd, (void *)name, sizeof *name));
  socklen_t length = sizeof *name;
  OK(getsockname(fd, (void *)name, &length));
  return fd;
}

static void make_pair(void) {
  receiver = bound(&at, INADDR_LOOPBACK, 0);
  sender = new_socket();
}

static void send_to(int fd, const char *text) {
  CHECK_EQ(sendto(fd, text, strlen(text), 0, (void *)&at, sizeof at), strlen(text));
}

static char control[512];
static struct msghdr message;
static char text[64];

// Receives one datagram with its control messages.
static int receive(int fd, int flags) {
  static struct iovec part;
  static struct sockaddr_in6 name;
  part = (struct iovec){text, sizeof text};
  message = (struct msghdr){.msg_name = &name,
                            .msg_namelen = sizeof name,
                            .msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
  return recvmsg(fd, &message, flags);
}

// The data of a control message, which must be there with that length.
static void *told(int level, int type, size_t length) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != level || c->cmsg_type != type) continue;
    CHECK_EQ(c->cmsg_len, CMSG_LEN(length));
    return CMSG_DATA(c);
  }
  dprintf(1, "# no control message %d of level %d\n", type, level);
  _exit(CHECK_FAILED);
}

static int count_told(void) {
  int count = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c))
    count++;
  return count;
}

// Sends one datagram with one control message.
static int send_with(int fd, void *name, socklen_t name_length, int level, int type, void *data,
                     size_t length) {
  char room[128] = "";
  struct iovec part = {"x", 1};
  struct msghdr m = {.msg_name = name,
                     .msg_namelen = name_length,
                     .msg_iov = &part,
                     .msg_iovlen = 1,
                     .msg_control = room,
                     .msg_controllen = CMSG_SPACE(length)};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(length);
  memcpy(CMSG_DATA(c), data, length);
  return sendmsg(fd, &m, 0);
}

TEST(fresh_socket) {
  int fd = new_socket();
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  CHECK_ERR(getpeername(fd, (void *)&name, &length), ENOTCONN);
  CHECK_ERR(send(fd, "x", 1, 0), EDESTADDRREQ);
  CHECK_ERR(recv(fd, text, 1, MSG_DONTWAIT), EAGAIN);
  CHECK_ERR(listen(fd, 1), EOPNOTSUPP);
  CHECK_ERR(accept(fd, NULL, NULL), EOPNOTSUPP);
  struct pollfd set = {fd, POLLIN | POLLOUT, 0};
  OK(poll(&set, 1, 0));
  CHECK_EQ(set.revents, POLLOUT);
  CHECK_ERR(ioctl(fd, SIOCGSTAMP, &name), ENOENT);
}

TEST(bad_destinations) {
  make_pair();
  struct sockaddr_in name = at;
  name.sin_port = 0;
  CHECK_ERR(sendto(sender, "x", 1, 0, (void *)&name, sizeof name), EINVAL);
  name = at;
  name.sin_family = AF_INET6;
  CHECK_ERR(sendto(sender, "x", 1, 0, (void *)&name, sizeof name), EAFNOSUPPORT);
  CHECK_ERR(sendto(sender, "x", 1, 0, (void *)&at, 8), EINVAL);
  name.sin_family = AF_UNSPEC;
  CHECK_EQ(sendto(sender, "x", 1, 0, (void *)&name, sizeof name), 1);
  CHECK_EQ(recv(receiver, text, 8, 0), 1);
  CHECK_ERR(connect(sender, (void *)&at, 1), EINVAL);
  CHECK_ERR(connect(sender, (void *)&at, 8), EINVAL);
  static char large[65536];
  CHECK_ERR(sendto(sender, large, 65508, 0, (void *)&at, sizeof at), EMSGSIZE);
  CHECK_ERR(sendto(sender, large, 65536, 0, (void *)&at, sizeof at), EMSGSIZE);
  CHECK_EQ(sendto(sender, large, 65507, 0, (void *)&at, sizeof at), 65507);
  CHECK_ERR(sendto(sender, "x", 1, MSG_OOB, (void *)&at, sizeof at), EOPNOTSUPP);
}

TEST(connect_and_disconnect) {
  make_pair();
  OK(connect(sender, (void *)&at, sizeof at));
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  OK(getsockname(sender, (void *)&name, &length));
  CHECK_EQ(ntohl(name.sin_addr.s_addr), INADDR_LOOPBACK);
  CHECK(name.sin_port != 0);
  CHECK_EQ(send(sender, "x", 1, 0), 1);
  CHECK_ERR(bind(sender, (void *)&name, sizeof name), EINVAL);
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  OK(connect(sender, &none, sizeof none));
  CHECK_ERR(getpeername(sender, (void *)&name, &length), ENOTCONN);
  OK(getsockname(sender, (void *)&name, &length));
  CHECK_EQ(name.sin_port, 0);
  CHECK_EQ(name.sin_addr.s_addr, 0);
  CHECK_ERR(send(sender, "x", 1, 0), EDESTADDRREQ);
  // What was bound by name stays.
  OK(connect(receiver, (void *)&at, sizeof at));
  OK(connect(receiver, &none, sizeof none));
  OK(getsockname(receiver, (void *)&name, &length));
  CHECK_EQ(name.sin_addr.s_addr, at.sin_addr.s_addr);
}

TEST(a_connected_socket_hears_its_peer_alone) {
  make_pair();
  struct sockaddr_in own;
  int other = bound(&own, INADDR_LOOPBACK, 0);
  OK(connect(receiver, (void *)&own, sizeof own));
  send_to(sender, "stranger");
  send_to(other, "peer");
  CHECK_EQ(recv(receiver, text, 9, 0), 4);
  CHECK_ERR(recv(receiver, text, 9, MSG_DONTWAIT), EAGAIN);
}

TEST(refusals_reach_connected_senders) {
  make_pair();
  close(receiver);
  send_to(sender, "x");
  CHECK_EQ(get(sender, SOL_SOCKET, SO_ERROR), 0);
  OK(connect(sender, (void *)&at, sizeof at));
  CHECK_EQ(send(sender, "x", 1, 0), 1);
  struct pollfd set = {sender, POLLOUT, 0};
  OK(poll(&set, 1, 60000));
  CHECK_EQ(set.revents, POLLOUT | POLLERR);
  CHECK_ERR(recv(sender, text, 1, 0), ECONNREFUSED);
  CHECK_ERR(recv(sender, text, 1, MSG_DONTWAIT), EAGAIN);
  CHECK_EQ(send(sender, "x", 1, 0), 1);
  CHECK_ERR(send(sender, "x", 1, 0), ECONNREFUSED);
  CHECK_EQ(send(sender, "x", 1, 0), 1);
  CHECK_EQ(get(sender, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
}

TEST(errors_are_queued) {
  make_pair();
  close(receiver);
  OK(put(sender, IPPROTO_IP, IP_RECVERR, 1));
  CHECK_ERR(receive(sender, MSG_ERRQUEUE), EAGAIN);
  send_to(sender, "lost");
  struct pollfd set = {sender, 0, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  CHECK_EQ(set.revents, POLLERR);
  CHECK_EQ(receive(sender, MSG_ERRQUEUE), 4);
  CHECK(message.msg_flags & MSG_ERRQUEUE);
  CHECK_EQ(memcmp(text, "lost", 4), 0);
  CHECK_EQ(((struct sockaddr_in *)message.msg_name)->sin_port, at.sin_port);
  struct sock_extended_err *error = told(IPPROTO_IP, IP_RECVERR, sizeof *error + sizeof at);
  CHECK_EQ(error->ee_errno, ECONNREFUSED);
  CHECK_EQ(error->ee_origin, SO_EE_ORIGIN_ICMP);
  CHECK_EQ(error->ee_type, 3);
  CHECK_EQ(error->ee_code, 3);
  struct sockaddr_in *offender = (void *)SO_EE_OFFENDER(error);
  CHECK_EQ(ntohl(offender->sin_addr.s_addr), INADDR_LOOPBACK);
  CHECK_ERR(receive(sender, MSG_ERRQUEUE), EAGAIN);
  CHECK_EQ(get(sender, SOL_SOCKET, SO_ERROR), 0);
}

TEST(errors_of_ipv6_are_queued) {
  int fd = OK(socket(AF_INET6, SOCK_DGRAM, 0)), gone = OK(socket(AF_INET6, SOCK_DGRAM, 0));
  struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  OK(bind(gone, (void *)&name, sizeof name));
  socklen_t length = sizeof name;
  OK(getsockname(gone, (void *)&name, &length));
  close(gone);
  OK(put(fd, IPPROTO_IPV6, IPV6_RECVERR, 1));
  CHECK_EQ(sendto(fd, "six", 3, 0, (void *)&name, sizeof name), 3);
  struct pollfd set = {fd, 0, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  CHECK_EQ(receive(fd, MSG_ERRQUEUE), 3);
  struct sock_extended_err *error = told(IPPROTO_IPV6, IPV6_RECVERR, sizeof *error + sizeof name);
  CHECK_EQ(error->ee_origin, SO_EE_ORIGIN_ICMP6);
  CHECK_EQ(error->ee_type, 1);
  CHECK_EQ(error->ee_code, 4);
}

TEST(too_long_is_a_local_error) {
  make_pair();
  OK(put(sender, IPPROTO_IP, IP_RECVERR, 1));
  static char large[65508];
  CHECK_ERR(sendto(sender, large, sizeof large, 0, (void *)&at, sizeof at), EMSGSIZE);
  CHECK_EQ(receive(sender, MSG_ERRQUEUE), 0);
  struct sock_extended_err *error = told(IPPROTO_IP, IP_RECVERR, sizeof *error + sizeof at);
  CHECK_EQ(error->ee_errno, EMSGSIZE);
  CHECK_EQ(error->ee_origin, SO_EE_ORIGIN_LOCAL);
}

TEST(shutdown_of_datagrams) {
  make_pair();
  CHECK_ERR(shutdown(sender, SHUT_RDWR), ENOTCONN);
  int fd = new_socket();
  OK(connect(fd, (void *)&at, sizeof at));
  OK(shutdown(fd, SHUT_RD));
  CHECK_EQ(recv(fd, text, 1, 0), 0);
  CHECK_ERR(recv(fd, text, 1, MSG_DONTWAIT), EAGAIN);
  OK(shutdown(fd, SHUT_WR));
  CHECK_ERR(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
  struct pollfd set = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
  OK(poll(&set, 1, 0));
  CHECK(set.revents & POLLHUP);
}

TEST(received_ttl_tos_and_addresses) {
  make_pair();
  OK(put(receiver, IPPROTO_IP, IP_PKTINFO, 1));
  OK(put(receiver, IPPROTO_IP, IP_RECVTTL, 1));
  OK(put(receiver, IPPROTO_IP, IP_RECVTOS, 1));
  OK(put(receiver, IPPROTO_IP, IP_RECVORIGDSTADDR, 1));
  OK(put(sender, IPPROTO_IP, IP_TTL, 7));
  OK(put(sender, IPPROTO_IP, IP_TOS, 0x28));
  send_to(sender, "x");
  CHECK_EQ(receive(receiver, 0), 1);
  CHECK_EQ(*(int *)told(IPPROTO_IP, IP_TTL, 4), 7);
  CHECK_EQ(*(unsigned char *)told(IPPROTO_IP, IP_TOS, 1), 0x28);
  struct in_pktinfo *info = told(IPPROTO_IP, IP_PKTINFO, sizeof *info);
  CHECK_EQ(info->ipi_ifindex, 1);
  CHECK_EQ(ntohl(info->ipi_addr.s_addr), INADDR_LOOPBACK);
  CHECK_EQ(ntohl(info->ipi_spec_dst.s_addr), INADDR_LOOPBACK);
  struct sockaddr_in *name = told(IPPROTO_IP, IP_ORIGDSTADDR, sizeof *name);
  CHECK_EQ(name->sin_port, at.sin_port);
  OK(put(receiver, IPPROTO_IP, IP_PKTINFO, 0));
  OK(put(receiver, IPPROTO_IP, IP_RECVTOS, 0));
  OK(put(receiver, IPPROTO_IP, IP_RECVORIGDSTADDR, 0));
  send_to(sender, "x");
  CHECK_EQ(receive(receiver, 0), 1);
  CHECK_EQ(count_told(), 1);
}

TEST(control_messages_of_a_send) {
  make_pair();
  OK(put(receiver, IPPROTO_IP, IP_RECVTTL, 1));
  OK(put(receiver, IPPROTO_IP, IP_RECVTOS, 1));
  int value = 33;
  CHECK_EQ(send_with(sender, &at, sizeof at, IPPROTO_IP, IP_TTL, &value, 4), 1);
  CHECK_EQ(receive(receiver, 0), 1);
  CHECK_EQ(*(int *)told(IPPROTO_IP, IP_TTL, 4), 33);
  CHECK_EQ(send_with(sender, &at, sizeof at, IPPROTO_IP, IP_TOS, &value, 4), 1);
  CHECK_EQ(receive(receiver, 0), 1);
  CHECK_EQ(*(unsigned char *)told(IPPROTO_IP, IP_TOS, 1), 33);
  value = 256;
  CHECK_ERR(send_with(sender, &at, sizeof at, IPPROTO_IP, IP_TTL, &value, 4), EINVAL);
  CHECK_ERR(send_with(sender, &at, sizeof at, IPPROTO_IP, IP_TOS, &value, 4), EINVAL);
  CHECK_ERR(send_with(sender, &at, sizeof at, IPPROTO_IP, 200, &value, 4), EINVAL);
  struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(0x7f000009)};
  CHECK_EQ(send_with(sender, &at, sizeof at, IPPROTO_IP, IP_PKTINFO, &info, sizeof info), 1);
  CHECK_EQ(receive(receiver, 0), 1);
  struct sockaddr_in *from = message.msg_name;
  CHECK_EQ(ntohl(from->sin_addr.s_addr), 0x7f000009);
  info.ipi_ifindex = 9999;
  CHECK_ERR(send_with(sender, &at, sizeof at, IPPROTO_IP, IP_PKTINFO, &info, sizeof info), ENODEV);
}

TEST(received_hop_limit_and_class) {
  int a = OK(socket(AF_INET6, SOCK_DGRAM, 0)), b = OK(socket(AF_INET6, SOCK_DGRAM, 0));
  struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  OK(bind(a, (void *)&name, sizeof name));
  socklen_t length = sizeof name;
  OK(getsockname(a, (void *)&name, &length));
  OK(put(a, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
  OK(put(a, IPPROTO_IPV6, IPV6_RECVTCLASS, 1));
  OK(put(a, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
  OK(put(b, IPPROTO_IPV6, IPV6_TCLASS, 0x40));
  CHECK_EQ(sendto(b, "x", 1, 0, (void *)&name, sizeof name), 1);
  CHECK_EQ(receive(a, 0), 1);
  CHECK_EQ(*(int *)told(IPPROTO_IPV6, IPV6_HOPLIMIT, 4), 64);
  CHECK_EQ(*(int *)told(IPPROTO_IPV6, IPV6_TCLASS, 4), 0x40);
  struct in6_pktinfo *info = told(IPPROTO_IPV6, IPV6_PKTINFO, sizeof *info);
  CHECK(IN6_IS_ADDR_LOOPBACK(&info->ipi6_addr));
  CHECK_EQ(info->ipi6_ifindex, 1);
  int value = 9;
  CHECK_EQ(send_with(b, &name, sizeof name, IPPROTO_IPV6, IPV6_HOPLIMIT, &value, 4), 1);
  CHECK_EQ(receive(a, 0), 1);
  CHECK_EQ(*(int *)told(IPPROTO_IPV6, IPV6_HOPLIMIT, 4), 9);
  value = -2;
  CHECK_ERR(send_with(b, &name, sizeof name, IPPROTO_IPV6, IPV6_HOPLIMIT, &value, 4), EINVAL);
}

TEST(time_stamps) {
  make_pair();
  OK(put(receiver, SOL_SOCKET, SO_TIMESTAMP, 1));
  CHECK_EQ(get(receiver, SOL_SOCKET, SO_TIMESTAMP), 1);
  time_t before = time(NULL);
  send_to(sender, "x");
  CHECK_EQ(receive(receiver, 0), 1);
  struct timeval *stamp = told(SOL_SOCKET, SO_TIMESTAMP, 16);
  CHECK(stamp->tv_sec >= before - 1 && stamp->tv_sec <= before + 100);
  OK(put(receiver, SOL_SOCKET, SO_TIMESTAMPNS, 1));
  CHECK_EQ(get(receiver, SOL_SOCKET, SO_TIMESTAMP), 0);
  CHECK_EQ(get(receiver, SOL_SOCKET, SO_TIMESTAMPNS), 1);
  send_to(sender, "x");
  CHECK_EQ(receive(receiver, 0), 1);
  told(SOL_SOCKET, SO_TIMESTAMPNS, 16);
  OK(put(receiver, SOL_SOCKET, SO_TIMESTAMPNS, 0));
  send_to(sender, "x");
  CHECK_EQ(receive(receiver, 0), 1);
  struct timeval last = {0};
  OK(ioctl(receiver, SIOCGSTAMP, &last));
  CHECK(last.tv_sec >= before - 1);
}

static int joined(int fd, int name, uint32_t group, uint32_t interface) {
  struct ip_mreq request = {{htonl(group)}, {htonl(interface)}};
  return setsockopt(fd, IPPROTO_IP, name, &request, sizeof request);
}

TEST(memberships) {
  int fd = new_socket();
  const uint32_t group = 0xe00000fb;
  OK(joined(fd, IP_ADD_MEMBERSHIP, group, INADDR_LOOPBACK));
  CHECK_ERR(joined(fd, IP_ADD_MEMBERSHIP, group, INADDR_LOOPBACK), EADDRINUSE);
  OK(joined(fd, IP_DROP_MEMBERSHIP, group, INADDR_LOOPBACK));
  CHECK_ERR(joined(fd, IP_DROP_MEMBERSHIP, group, INADDR_LOOPBACK), EADDRNOTAVAIL);
  CHECK_ERR(joined(fd, IP_ADD_MEMBERSHIP, INADDR_LOOPBACK, INADDR_LOOPBACK), EINVAL);
  CHECK_ERR(joined(fd, IP_ADD_MEMBERSHIP, group, 0xc6336401), ENODEV);
  CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &fd, 4), EINVAL);
  int tcp = OK(socket(AF_INET, SOCK_STREAM, 0));
  CHECK_ERR(joined(tcp, IP_ADD_MEMBERSHIP, group, INADDR_LOOPBACK), EPROTO);
  struct ip_mreqn by_index = {.imr_multiaddr.s_addr = htonl(group), .imr_ifindex = 1};
  OK(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &by_index, sizeof by_index));
  by_index.imr_ifindex = 9999;
  CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &by_index, sizeof by_index), ENODEV);
}

TEST(multicast_arrives_at_members) {
  struct sockaddr_in name;
  int a = bound(&name, INADDR_ANY, 0);
  OK(joined(a, IP_ADD_MEMBERSHIP, 0xe0000205, INADDR_LOOPBACK));
  OK(put(a, IPPROTO_IP, IP_RECVTTL, 1));
  OK(put(a, IPPROTO_IP, IP_PKTINFO, 1));
  sender = new_socket();
  struct in_addr lo = {htonl(INADDR_LOOPBACK)};
  OK(setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo));
  struct in_addr shown;
  socklen_t length = sizeof shown;
  OK(getsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &shown, &length));
  CHECK_EQ(shown.s_addr, lo.s_addr);
  at = (struct sockaddr_in){AF_INET, name.sin_port, {htonl(0xe0000205)}, ""};
  send_to(sender, "group");
  CHECK_EQ(receive(a, 0), 5);
  CHECK_EQ(*(int *)told(IPPROTO_IP, IP_TTL, 4), 1);
  struct in_pktinfo *info = told(IPPROTO_IP, IP_PKTINFO, sizeof *info);
  CHECK_EQ(info->ipi_addr.s_addr, at.sin_addr.s_addr);
  // With IP_MULTICAST_ALL a socket gets what others joined, and without it nothing.
  int b = new_socket(), c = new_socket();
  OK(put(a, SOL_SOCKET, SO_REUSEADDR, 1));
  OK(put(b, SOL_SOCKET, SO_REUSEADDR, 1));
  OK(put(c, SOL_SOCKET, SO_REUSEADDR, 1));
  OK(bind(b, (void *)&name, sizeof name));
  OK(bind(c, (void *)&name, sizeof name));
  OK(put(c, IPPROTO_IP, IP_MULTICAST_ALL, 0));
  send_to(sender, "all");
  CHECK_EQ(receive(a, 0), 3);
  CHECK_EQ(receive(b, 0), 3);
  CHECK_ERR(receive(c, MSG_DONTWAIT), EAGAIN);
}

TEST(sources_of_a_group) {
  int fd = new_socket();
  struct ip_mreq_source r = {{htonl(0xe8010101)}, {htonl(INADDR_LOOPBACK)}, {htonl(0x7f000001)}};
  CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, &r, sizeof r), EINVAL);
  OK(setsockopt(fd, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &r, sizeof r));
  CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &r, sizeof r), EADDRNOTAVAIL);
  CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_BLOCK_SOURCE, &r, sizeof r), EINVAL);
  OK(setsockopt(fd, IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, &r, sizeof r));
}

TEST(multicast_options) {
  int fd = new_socket();
  CHECK_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_TTL), 1);
  CHECK_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
  CHECK_ERR(put(fd, IPPROTO_IP, IP_MULTICAST_TTL, 256), EINVAL);
  CHECK_ERR(put(fd, IPPROTO_IP, IP_MULTICAST_TTL, -2), EINVAL);
  OK(put(fd, IPPROTO_IP, IP_MULTICAST_TTL, 0));
  OK(put(fd, IPPROTO_IP, IP_MULTICAST_TTL, -1));
  CHECK_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_TTL), 1);
  CHECK_ERR(put(fd, IPPROTO_IP, IP_MULTICAST_ALL, 2), EINVAL);
  struct in_addr nowhere = {htonl(0xc6336401)};
  CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &nowhere, sizeof nowhere), EADDRNOTAVAIL);
  CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &nowhere, 3), EINVAL);
}

TEST(broadcast_needs_permission) {
  struct sockaddr_in name;
  int a = bound(&name, INADDR_ANY, 0);
  at = (struct sockaddr_in){AF_INET, name.sin_port, {htonl(0x7fffffff)}, ""};
  sender = new_socket();
  CHECK_ERR(sendto(sender, "x", 1, 0, (void *)&at, sizeof at), EACCES);
  OK(put(sender, SOL_SOCKET, SO_BROADCAST, 1));
  send_to(sender, "x");
  CHECK_EQ(receive(a, 0), 1);
}

TEST(datagrams_are_cut) {
  make_pair();
  send_to(sender, "abcdef");
  send_to(sender, "");
  CHECK_EQ(recv(receiver, text, 2, MSG_PEEK | MSG_TRUNC), 6);
  struct iovec part = {text, 2};
  message = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
  CHECK_EQ(recvmsg(receiver, &message, 0), 2);
  CHECK_EQ(message.msg_flags, MSG_TRUNC);
  CHECK_EQ(recv(receiver, text, 8, 0), 0);
}

TEST(the_last_one_bound_gets_it) {
  int a = new_socket(), b = new_socket();
  OK(put(a, SOL_SOCKET, SO_REUSEADDR, 1));
  OK(put(b, SOL_SOCKET, SO_REUSEADDR, 1));
  at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  OK(bind(a, (void *)&at, sizeof at));
  socklen_t length = sizeof at;
  OK(getsockname(a, (void *)&at, &length));
  OK(bind(b, (void *)&at, sizeof at));
  send_to(new_socket(), "x");
  CHECK_EQ(recv(b, text, 8, 0), 1);
  CHECK_ERR(recv(a, text, 8, MSG_DONTWAIT), EAGAIN);
}

TEST(udp_segment) {
  make_pair();
  OK(put(sender, IPPROTO_UDP, UDP_SEGMENT, 3));
  CHECK_ERR(put(sender, IPPROTO_UDP, UDP_SEGMENT, 65536), EINVAL);
  CHECK_EQ(sendto(sender, "abcdefgh", 8, 0, (void *)&at, sizeof at), 8);
  CHECK_EQ(recv(receiver, text, 8, 0), 3);
  CHECK_EQ(recv(receiver, text, 8, 0), 3);
  CHECK_EQ(recv(receiver, text, 8, 0), 2);
}

TEST(filters) {
  make_pair();
  // Passes datagrams whose first byte is 'y'.
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'y', 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  struct sock_fprog program = {4, code};
  CHECK_ERR(setsockopt(receiver, SOL_SOCKET, SO_DETACH_FILTER, &program.len, 4), ENOENT);
  OK(setsockopt(receiver, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
  send_to(sender, "no");
  send_to(sender, "yes");
  CHECK_EQ(recv(receiver, text, 8, 0), 3);
  code[2].k = 9;
  OK(setsockopt(receiver, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
  send_to(sender, "yes");
  CHECK_EQ(recv(receiver, text, 8, 0), 1);
  int value = 0;
  OK(setsockopt(receiver, SOL_SOCKET, SO_DETACH_FILTER, &value, 4));
  send_to(sender, "no");
  CHECK_EQ(recv(receiver, text, 8, 0), 2);
  code[3].code = BPF_LD | BPF_IMM;
  CHECK_ERR(setsockopt(receiver, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), EINVAL);
  program.len = 0;
  CHECK_ERR(setsockopt(receiver, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), EINVAL);
}

TEST(common_options) {
  int fd = new_socket();
  OK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
  char name[16] = "";
  socklen_t length = sizeof name;
  OK(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length));
  CHECK_EQ(length, 3);
  CHECK_STR(name, "lo");
  CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "nonesuch", 9), ENODEV);
  OK(put(fd, SOL_SOCKET, SO_RXQ_OVFL, 5));
  CHECK_EQ(get(fd, SOL_SOCKET, SO_RXQ_OVFL), 1);
  CHECK_ERR(put(fd, SOL_SOCKET, SO_ZEROCOPY, 2), EINVAL);
  OK(put(fd, SOL_SOCKET, SO_ZEROCOPY, 1));
  CHECK_EQ(get(fd, SOL_SOCKET, SO_ZEROCOPY), 1);
  CHECK_ERR(put(fd, SOL_SOCKET, SO_BUSY_POLL, -1), EINVAL);
  OK(put(fd, SOL_SOCKET, SO_MAX_PACING_RATE, 1 << 20));
  CHECK_EQ(get(fd, SOL_SOCKET, SO_MAX_PACING_RATE), 1 << 20);
  OK(put(fd, SOL_SOCKET, SO_TIMESTAMPING, 0));
  CHECK_EQ(get(fd, SOL_SOCKET, SO_INCOMING_CPU), -1);
  CHECK_ERR(put(fd, SOL_SOCKET, SO_SNDLOWAT, 1), ENOPROTOOPT);
}

TEST(both_families) {
  int six = OK(socket(AF_INET6, SOCK_DGRAM, 0));
  make_pair();
  CHECK_EQ(sendto(six, "x", 1, 0, (void *)&at, sizeof at), 1);
  CHECK_EQ(recv(receiver, text, 8, 0), 1);
  OK(connect(six, (void *)&at, sizeof at));
  struct sockaddr_in6 name;
  socklen_t length = sizeof name;
  OK(getpeername(six, (void *)&name, &length));
  CHECK(IN6_IS_ADDR_V4MAPPED(&name.sin6_addr));
  int only = OK(socket(AF_INET6, SOCK_DGRAM, 0));
  OK(put(only, IPPROTO_IPV6, IPV6_V6ONLY, 1));
  CHECK_ERR(connect(only, (void *)&at, sizeof at), EAFNOSUPPORT);
  CHECK_ERR(sendto(only, "x", 1, 0, (void *)&at, sizeof at), ENETUNREACH);
  CHECK_ERR(sendto(only, "x", 1, 0, (void *)&name, sizeof name), ENETUNREACH);
  name.sin6_family = AF_UNIX;
  CHECK_ERR(sendto(six, "x", 1, 0, (void *)&name, sizeof name), EINVAL);
}
