/*
 * The swap: from one model generation to another, in all workers, while they serve.
 *
 *     IDLE -> READING (its metadata) -> LOADING (every worker maps and checks it) -> CATCHING_UP (item changes)
 *     -> ACTIVATING -> RECORDING (models/active) -> PRUNING (old generations) -> IDLE
 *
 * When a worker cannot load it, the swap is given up everywhere and the old generation stays. A worker that
 * dies meanwhile drops out of the swap; it comes back with the active generation of that moment, and is
 * aligned after. One swap at a time; others wait in line. Loop thread.
 */
#ifndef KINDRED_SERVER_SWAP_H
#define KINDRED_SERVER_SWAP_H

#include "common/error.h"
#include "server/generation.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct server;
struct swap_request;

enum swap_state {
	SWAP_IDLE,
	SWAP_READING,
	SWAP_LOADING,
	SWAP_CATCHING_UP,
	SWAP_ACTIVATING,
	SWAP_RECORDING,
	SWAP_PRUNING
};

typedef void (*swap_done)(void *context, int code, const struct error *err);

struct swap {
	struct server *server;
	enum swap_state state;
	struct swap_request *first, *last; /* first: the one being worked on, unless IDLE */
	struct generation *generation;
	struct swap_ask *asks; /* one a worker */
	uint32_t waiting; /* answers still to come */
	uv_timer_t timer; /* while no worker is up */
	struct error err;
};

/* E_EXHAUSTED: no memory. */
int swap_init(struct swap *swap, struct server *server, uint32_t workers, struct error *err);
void swap_fini(struct swap *swap);
/* Serves generation `number`; done(0) when every worker does and it is recorded. E_NOT_FOUND: no such generation. */
void swap_start(struct swap *swap, uint64_t number, swap_done done, void *context);
/*
 * The same with the newest kept one before the active one that was not held back, chosen at its turn.
 * E_PRECONDITION: there is none.
 */
void swap_back(struct swap *swap, swap_done done, void *context);
/*
 * Removes generations beyond generations_kept without activating anything. Also reads anew which there
 * are. done: may be NULL.
 */
void swap_prune(struct swap *swap, swap_done done, void *context);
bool swap_running(const struct swap *swap);

#endif
