/*
 * A few threads that share out the parts of one piece of work: the shards of a group. Waiting for one
 * shard's disk flush, they get on with the others.
 *
 *     crew_start(&crew, 3); .. crew_run(&crew, parts, work, context) .. crew_stop(&crew)
 *
 * crew_run belongs to one thread, the writer's, which works along and so gets everything done also when
 * a thread could not be started. They are all of a lower priority than the loop thread: a flood of
 * events must not hold up a recommendation.
 */
#ifndef KINDRED_WORKER_CREW_H
#define KINDRED_WORKER_CREW_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define CREW_MAX 8u

struct crew {
	uv_thread_t threads[CREW_MAX];
	uint32_t started;
	uv_mutex_t lock;
	uv_cond_t wake, done;
	/* under the lock */
	void (*work)(void *context, uint32_t part);
	void *context;
	uint32_t parts, next, finished;
	bool stopping;
};

/* helpers: besides the caller of crew_run; at most CREW_MAX. 0 or a libuv error. */
int crew_start(struct crew *crew, uint32_t helpers);
void crew_stop(struct crew *crew);
/*
 * work(context, part) for every part below `parts`, each once, by any of the threads; back when all are
 * done. A single part is the caller's own.
 */
void crew_run(struct crew *crew, uint32_t parts, void (*work)(void *context, uint32_t part), void *context);
/* The calling thread lets others go first from now on. */
void crew_yield_to_others(void);

#endif
