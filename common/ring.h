/*
 * A pair of rings: bytes between two processes of one machine through shared memory, in order, one ring
 * each way. While both ends are awake a byte costs a copy in and a copy out, and no system call.
 *
 * Each end is one thread. Who finds nothing to do says so (rings_wait) and then waits for the other
 * end's bell, which rings at its next rings_bell; what the bell is, is the user's business
 * (server/link.c, worker/uplink.c: a byte on the link's socket). None is ever missed: either rings_wait
 * sees what came in between, or rings_bell sees that somebody waits.
 *
 *     server or front-end: rings_make -> the descriptor is given to the worker -> rings_take there
 *     both:   ring_put, ring_get .. rings_bell .. rings_wait .. rings_awake
 */
#ifndef KINDRED_RING_H
#define KINDRED_RING_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_BYTES (256u << 10) /* each way; a power of two */

struct ring; /* in shared memory */

struct rings {
	struct ring *in, *out; /* NULL: there are none */
};

/*
 * *fd: for the other end; closed on exec unless it is inherited on purpose, and the caller's to close.
 * E_EXHAUSTED or the system's error.
 */
int rings_make(struct rings *rings, int *fd, struct error *err);
/* Whether a descriptor is one of rings_make's. */
bool rings_are(int fd);
/* The other end. Closes fd, also after an error. */
int rings_take(struct rings *rings, int fd, struct error *err);
/* What was put stays for the other end to get. */
void rings_drop(struct rings *rings);

/* How many bytes found room. E_INTERNAL, here and below: the other end has written nonsense. */
int64_t ring_put(struct ring *out, const void *data, size_t bytes);
/* How many came, at most `room`. */
int64_t ring_get(struct ring *in, void *to, size_t room);

/* After putting and getting: whether the other end waits for what was done, and must be waked. It is asked once. */
bool rings_bell(struct rings *rings);
/* This end will wait: for bytes, for room, or both. False: there are some, do not wait. */
bool rings_wait(struct rings *rings, bool for_bytes, bool for_room);
/* It does not wait any more, so no bell is needed. */
void rings_awake(struct rings *rings);

#endif
