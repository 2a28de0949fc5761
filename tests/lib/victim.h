/* A worker that a test kills, and its coming back. */
#ifndef KINDRED_TEST_VICTIM_H
#define KINDRED_TEST_VICTIM_H

#include "common/rpc/client.h"

struct victim {
	unsigned number;
	int pid; /* 0: not killed yet */
	struct rpc_client *client; /* of the last call */
};

/* One that is down already is left alone: to kill(), 0 is all of us. */
void victim_kill(struct victim *victim, struct rpc_client *client);
/* Until it is back, and not before the server has heard of the death, however late that is. */
void victim_await(struct victim *victim, struct rpc_client *client);

#endif
