/*
 * Pins: calls that are answered from a kept generation of their choice, whatever is active. A generation that
 * workers do not have (they were started after it, say) is loaded and caught up with item changes at the first
 * call that wants it, beside all serving; it stays with them until it is pruned. Held generations are not
 * pruned: a long call holds its own. Loop thread.
 *
 *     pins_want -> (later) wait->ready -> the call's frames may name the generation
 */
#ifndef KINDRED_SERVER_PINS_H
#define KINDRED_SERVER_PINS_H

#include "common/error.h"
#include "server/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct server;
struct pin;

struct pins {
	struct server *server;
	struct link *elsewhere; /* of a further front-end: the server sees to it; NULL: we do */
	struct pin *first;
	uv_timer_t linger;
};

/* In the memory of whoever waits. Zeroed: waits for nothing. */
struct pin_wait {
	void (*ready)(struct pin_wait *wait, int code, const struct error *err);
	struct pin *pin; /* NULL: not waiting */
	struct pin_wait *next;
	struct ask ask; /* of the server, from a further front-end */
};

#define PIN_LATER 1
#define PINS_LINGER_MS 600000

/* After the loop. */
void pins_init(struct pins *pins, struct server *server);
/* In a further front-end; only pins_want and pins_forget are called there. */
void pins_init_elsewhere(struct pins *pins, struct link *link);
void pins_fini(struct pins *pins);

/*
 * Has every worker that is up load generation `number`. 0: they have it. PIN_LATER: wait->ready comes, once,
 * with 0 or an error; a worker that went away meanwhile is none. E_PRECONDITION: it is not kept any more.
 * E_EXHAUSTED.
 */
int pins_want(struct pins *pins, uint64_t number, struct pin_wait *wait, struct error *err);
/* wait->ready will not come. Does nothing when it waits for nothing. */
void pins_forget(struct pin_wait *wait);

/*
 * Keeps a generation from being pruned, until it is released as often. What is released `unfinished`, because the
 * call broke off, is kept PINS_LINGER_MS longer, for the call that continues it and takes that over. E_PRECONDITION,
 * E_EXHAUSTED as above.
 */
int pins_hold(struct pins *pins, uint64_t number, bool continues, struct error *err);
void pins_release(struct pins *pins, uint64_t number, bool unfinished);

/*
 * At start: what is kept stays so for PINS_LINGER_MS, as calls that the last server's end broke off may
 * be pinned to any of it.
 */
void pins_linger(struct pins *pins);

/* For pruning: the numbers that are held, wanted back or being loaded, at most `room`. Returns how many there are. */
size_t pins_held(const struct pins *pins, uint64_t *numbers, size_t room);
/* Whether it is one of them. */
bool pins_keep(const struct pins *pins, uint64_t number);
/* The workers were told to drop it. */
void pins_dropped(struct pins *pins, uint64_t number);

#endif
