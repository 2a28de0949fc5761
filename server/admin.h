/*
 * The HTTP side, for people and for monitoring: /healthz, /status (JSON), /metrics (Prometheus).
 * libmicrohttpd.h is included here only. It runs on the loop thread: libuv watches libmicrohttpd's own epoll
 * descriptor. Numbers of shards are at most a second old.
 */
#ifndef KINDRED_SERVER_ADMIN_H
#define KINDRED_SERVER_ADMIN_H

#include "common/error.h"

#include <stdint.h>

struct admin;
struct server;

/* listen: host:port. E_UNAVAILABLE: the port is taken, or is no address of this machine. */
int admin_open(struct admin **admin, struct server *server, const char *listen, struct error *err);
uint16_t admin_port(const struct admin *admin);
/* When the loop runs no more. NULL is fine. */
void admin_close(struct admin *admin);

#endif
