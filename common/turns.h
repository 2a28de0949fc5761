/*
 * Who goes first while events are written: a loop, which answers, or the threads that write.
 *
 * A commit keeps its core inside the kernel while it hands its pages to the disk, often half a
 * millisecond at a time; most kernels give that core to nobody meanwhile. So while calls are answered
 * and events written, the threads that write keep to one half of the cores that the process may use,
 * and the loop, as long as it has little to do, to the other; and the loop has a short slice
 * (common/slice.h). Without calls all have all cores: an import alone is as fast as it can be.
 *
 * turns_keep() is called by the threads that write, all else by the loop thread. What the system
 * refuses costs latency only.
 */
#ifndef KINDRED_TURNS_H
#define KINDRED_TURNS_H

#include "common/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define TURNS_LOOK_MS 100u
#define TURNS_ANSWERED 10u /* answers between two looks, from which on the writers stand aside: 100/s */
#define TURNS_QUIET 10u /* looks without a write, after which the loop is as before */

/*
 * Percent of a core, up to which a loop has little to do: what it takes and what it waits for one. A
 * worker a core and a front-end, all of them just below, find room on half of the cores from two on.
 */
#define TURNS_LIGHT_WORKER 20u
#define TURNS_LIGHT_FRONT_END 40u

struct turns {
	uv_timer_t timer; /* runs while there are writes */
	const uint64_t *answered;
	uint64_t answered_before; /* at the last look */
	uint64_t looked_ns,
		/*
		 * the last look: by the clock, and how long the loop's thread ran and waited for a core
		 * until then
		 */
		wanted_ns;
	int schedstat_fd; /* where the system says so; -1: it does not */
	bool lower; /* the loop keeps to its half */
	uint32_t quiet; /* looks since the last write */
	uint32_t light;
	enum slice rest; /* the loop's when nothing is written */
	atomic_bool aside; /* the threads that write keep to their half */
};

/*
 * Called by the loop thread. answered: counts the calls of one user, and only rises; lives as long as
 * turns. light: TURNS_LIGHT_..
 */
void turns_init(struct turns *turns, uv_loop_t *loop, const uint64_t *answered, uint32_t light, enum slice rest);
/* The loop must run once more. */
void turns_close(struct turns *turns);
/* Something is to be written. */
void turns_wrote(struct turns *turns);
/* Before each shard's transaction. */
void turns_keep(const struct turns *turns);

#endif
