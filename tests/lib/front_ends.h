/*
 * Three front-ends on one port, two workers, the small shop (lib/small_shop.h), and thirty clients,
 * each a connection of its own, so that they are spread over all front-ends.
 */
#ifndef KINDRED_TEST_FRONT_ENDS_H
#define KINDRED_TEST_FRONT_ENDS_H

#include "kindred/v1/recommend.pb-c.h"
#include "lib/cluster.h"

#include "common/rpc/client.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FRONT_ENDS "3"
#define FURTHER 2
#define CLIENTS 30
#define CHILDREN_MAX 32

extern struct cluster front_ends_cluster;
extern struct rpc_client *front_ends_clients[CLIENTS];

/* Of a group of tests. */
int front_ends_set_up(void **state);
int front_ends_tear_down(void **state);
/* The server again, on the same data. */
void front_ends_start(void);
/* Opened: each is told that its front-end serves. */
void front_ends_open_clients(void);
void front_ends_close_clients(void);

/* The server's children: all, or the further front-ends. Returns how many. */
unsigned front_ends_children(pid_t *pids, bool front_ends);
unsigned front_ends_sockets(pid_t pid);
/* The serving status that the client's front-end says. */
uint64_t front_ends_health(struct rpc_client *client);
/* Five items; generation 0: the one served. Returns the call's code. */
int front_ends_recommend(struct rpc_client *client, const char *definition, const char *user, uint64_t generation,
			 Kindred__V1__RecommendResponse **answer, struct error *err);
void front_ends_free_answer(Kindred__V1__RecommendResponse *answer);

#endif
