/*
 * Runs one function on several threads and waits for all. Work is shared out by an atomic counter in
 * the caller's context; whatever the threads make must not depend on who made which part.
 */
#ifndef KINDRED_BUILDER_PARALLEL_H
#define KINDRED_BUILDER_PARALLEL_H

#include <stdint.h>

#define PARALLEL_MAX 256

/*
 * work(context, thread) runs once per thread, thread 0 being the caller's own. When the system gives
 * fewer threads, fewer run: the work has to be shared out as it comes. Returns 0, or what the lowest
 * thread that failed returned.
 */
int parallel_run(uint32_t threads, int (*work)(void *context, uint32_t thread), void *context);

/*
 * work(context, thread, first, end) for the parts [first, end) of 0..count, each `step` long but for
 * the last, shared out as they come; part number first / step. After a failure no more are begun.
 * Returns as above.
 */
int parallel_parts(uint32_t threads, uint64_t count, uint64_t step,
		   int (*work)(void *context, uint32_t thread, uint64_t first, uint64_t end), void *context);

/*
 * Threads that sum up into arrays of their own, an element an item: so many arrays at most, as memory
 * is what bounds them.
 */
#define PARALLEL_SUMS 8u
static inline uint32_t parallel_sums(uint32_t threads)
{
	return threads < PARALLEL_SUMS ? threads : PARALLEL_SUMS;
}

#endif
