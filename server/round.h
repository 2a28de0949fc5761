/*
 * A round: one question to every process that serves, and one step when all have answered. One that is
 * down, or goes down meanwhile, has nothing to say: it is told everything when it comes back. One that
 * hangs holds nobody up for longer than ROUND_PATIENCE_MS, and is not asked again before it has
 * answered. Loop thread.
 *
 * Who asks FRAME_STATS_WANTED has the newest statistics afterwards (server/status.h); who asks FRAME_BARRIER knows
 * that the workers have taken all that they were told before.
 */
#ifndef KINDRED_SERVER_ROUND_H
#define KINDRED_SERVER_ROUND_H

#include "common/frame.h"
#include "server/lane.h"

#include <uv.h>

#define ROUND_PATIENCE_MS UINT64_C(1000)

struct server;
struct round;

/* Those that somebody waits for. */
struct rounds {
	struct server *server;
	struct round *first;
	uv_timer_t timer; /* the end of patience with the first */
};

/* 0, or libuv's error. */
int rounds_init(struct rounds *rounds, struct server *server);

/*
 * How long somebody who owes so many answers, the oldest since owing_ms, has been silent. 0: not at all, or for less
 * than ROUND_PATIENCE_MS.
 */
uint64_t round_silent_ms(const struct server *server, uint32_t owing, uint64_t owing_ms);

/*
 * done: once, later or now; NULL: nobody waits, and who owes an answer is not asked again. E_EXHAUSTED: no
 * memory; it will not be called.
 */
int round_ask(struct server *server, enum frame_kind kind, void (*done)(void *context), void *context);
/*
 * Calls done when what the workers were told is known to all of them that answer, so that a call at any
 * front-end sees it: now, when there is one front-end only, whose calls go the way that the change
 * went.
 */
void round_settle(struct server *server, void (*done)(void *context), void *context);
/* job_answer and job_free, after that. */
void round_job_answer(struct job *job);

#endif
