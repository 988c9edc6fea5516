/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network proxy of --network user: a small process beside the Sentry, in the network of the
 * caller, that carries TCP, UDP and ICMP echo for a sandbox which is in none. README.md says how
 * its parts hang together.
 */
#ifndef RUNTS_PROXY_H
#define RUNTS_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "protocol.h"

/* The descriptors that it starts with. */
enum { PROXY_SENTRY = 3, PROXY_SETUP_SOCKET = 4, PROXY_START_FDS = 5 };

/* An address and a port, as the guest sees them unless a name says otherwise. */
struct place {
  uint8_t family; /* 4 or 6; 0: none */
  uint8_t bytes[16];
  uint16_t port;
};

/* ---- main.c ---- */

/* Serves the socket to the Sentry; does not return. The configuration comes over PROXY_SETUP_SOCKET. */
void run_proxy(void) __attribute__((noreturn));

/* What an event is about. */
enum kind { OF_SENTRY, OF_PUBLISHED, OF_OUTSIDE, OF_INSIDE, OF_FLOW, OF_QUERY };
/* Watches a descriptor edge-triggered (streams), or for input. False: the host has no room. */
bool watch(int fd, enum kind kind, unsigned index, bool both_ways);
/*
 * Zeros, before the confinement: large things are not in the program's own data, of which the one-file
 * build has little room.
 */
void *reserve(size_t bytes);
/* A clock that never goes back. */
long now_ms(void);
long now_seconds(void);
/* The setup's servers and published ports. */
struct server {
  struct place at;
};
extern struct server servers[PROXY_MOST_SERVERS];
extern unsigned server_count;

/* ---- messages.c ---- */

struct told {
  uint32_t type, id, value;
  uint8_t flags;
  const struct place *place; /* or NULL */
  const void *body;
  size_t length;
  int fd; /* -1: none */
};
/* Waits where the Sentry has not read what came before. */
void tell(struct told told);
/* The same, but a message for which there is no room is lost. */
void tell_or_drop(struct told told);
/* Says that the policy refused, with the reason. */
void tell_denied(uint32_t type, uint32_t id, int error, const struct place *place,
                 const char *reason);

/* ---- places.c ---- */

/* From text that is right. */
struct place place_of(const char *text, uint16_t port);
bool same_address(const struct place *one, const struct place *other);
/* For the host's calls: answers the length. */
socklen_t to_host(const struct place *place, struct sockaddr_storage *out);
struct place from_host(const struct sockaddr_storage *in);
/* The host's address for one that the guest named, and the other way round: its loopback is the gateway. */
struct place seen_by_host(const struct place *place);
struct place seen_by_guest(const struct place *place);
bool is_name_server(const struct place *place);
/* Another address of the host's, or one that leads to no single machine: as its routing tables say. */
bool open_routes(void);
bool is_hosts_own(const struct place *place);

/* ---- policy.c ---- */

/* Reads rules that the command line wrote. False: they are odd. */
bool load_rules(const uint8_t *bytes, unsigned count, bool is_closed);
/*
 * Why the guest may not reach a place (as the host sees it); NULL: it may. `by_name`, where not
 * NULL, becomes true where only a name opened it.
 */
const char *refusal(const struct place *to, bool *by_name);
/* Why the name may not be asked for; NULL: it may. */
const char *name_refusal(const char *name);
/* The name may be talked to on that port (TLS' server name). */
bool is_name_open(const char *name, uint16_t port);
/* A name server said that the name has this address. */
void grant(const struct place *address, const char *name, uint32_t seconds);
/* False where answers of name servers change nothing. */
bool has_names(void);

/* ---- names.c ---- */

enum { NAME_BYTES = 256 };
struct question {
  char name[NAME_BYTES]; /* in lower case; empty for the root */
  uint16_t type;
  size_t end;    /* offset of what follows in the message */
  bool is_plain; /* no odd characters: can be compared with rules */
};
/* False: no query with one question. */
bool read_question(const uint8_t *bytes, size_t length, struct question *question);
/* Grants the addresses of an answer to the name that was asked for. */
void learn(const uint8_t *bytes, size_t length);
/* The reason why a query is refused; NULL: it is not. */
const char *query_refusal(const uint8_t *bytes, size_t length, struct question *question);
/* Turns a query into an answer without records. Answers its length. */
size_t make_answer(uint8_t *bytes, const struct question *question, unsigned code);

void prepare_names(void);
enum server_name { NAME_FOUND, NAME_NONE, NAME_INCOMPLETE };
/* The server name of a TLS ClientHello at the front of a stream. */
enum server_name read_server_name(const uint8_t *bytes, size_t length, char name[NAME_BYTES]);

/* ---- resolver.c ---- */

void prepare_resolver(void);
void ask_name(uint32_t id, const struct place *at, uint8_t *query, size_t length);
void query_ready(unsigned index);
void sweep_queries(long now);
bool has_queries(void);

/* ---- streams.c ---- */

void prepare_streams(void);
void begin_stream(uint32_t id, const struct place *to);
void abort_stream(uint32_t id);
void accept_streams(unsigned published, int listener);
void stream_ready(unsigned index, enum kind kind, uint32_t events);
/*
 * Goes on with streams that had more to move than one turn allows. Answers after how many
 * milliseconds there is more to do; -1: there is nothing.
 */
int continue_streams(void);
/* Lets go of connections that nobody at the Sentry's side holds any more. */
void sweep_streams(long now);
bool has_orphans(void);
/* Bytes a second each way; 0: any number. */
void limit_rate(uint32_t bytes);

/* ---- datagrams.c ---- */

enum flow_kind { FLOW_UDP, FLOW_PING };
void prepare_datagrams(void);
void send_datagram(uint32_t id, enum flow_kind kind, const struct place *to, uint8_t *bytes,
                   size_t length);
void forget_flows(uint32_t id);
void flow_ready(unsigned index);
/* Of a published port. */
void take_calls(unsigned published, int socket);
void answer_call(unsigned published, int socket, const struct place *to, const uint8_t *bytes,
                 size_t length);

#endif
