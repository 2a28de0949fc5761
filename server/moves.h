/*
 * Tables of states: which moves of a life cycle (call, worker, swap, build) are allowed, as bits by target.
 *
 *     static const unsigned moves[] = { [CALL_FREE] = 1u << CALL_STANDING, .. };
 *     moves_check(moves, state_names, call->state, CALL_OPEN);
 */
#ifndef KINDRED_SERVER_MOVES_H
#define KINDRED_SERVER_MOVES_H

#include "common/log.h"

#include <assert.h>

/*
 * A move that is not in the table is our own bug: it ends a build with assertions, and is said in the
 * log of one without.
 */
static inline void moves_check(const unsigned *moves, const char *const *names, unsigned from, unsigned to)
{
	if (moves[from] & 1u << to)
		return;
	log_error("server: a move from %s to %s, which is not allowed: a bug of Kindred", names[from], names[to]);
	assert(moves[from] & 1u << to);
}

#endif
