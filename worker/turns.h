/*
 * Who goes first while events are written: the loop, which answers, or the threads that write.
 *
 * A commit holds its core inside the kernel while it hands its pages to the disk, often half a millisecond at a time; most kernels give that core to
 * nobody meanwhile. When commits hold all cores, a call waits. So while calls are answered and events written, the threads that write keep to half of
 * the cores that the process may use, and the loop has a short slice (common/slice.h). Without calls they have all cores: an import alone is as fast as it can be.
 *
 * turns_keep() is called by the threads that write, all else by the loop thread. What the system refuses costs latency only.
 */
#ifndef KINDRED_WORKER_TURNS_H
#define KINDRED_WORKER_TURNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define TURNS_LOOK_MS 100u
#define TURNS_ANSWERED 10u /* answers between two looks, from which on the writers stand aside: 100/s */
#define TURNS_QUIET 10u /* looks without a write, after which the loop is as before */

struct turns {
	uv_timer_t timer; /* runs while there are writes */
	const uint64_t *answered;
	uint64_t answered_before; /* at the last look */
	uint32_t quiet; /* looks since the last write */
	atomic_bool aside; /* the threads that write keep to half of the cores */
};

/* answered: counts the calls of one user; lives as long as turns. */
void turns_init(struct turns *turns, uv_loop_t *loop, const uint64_t *answered);
/* The loop must run once more. */
void turns_close(struct turns *turns);
/* Something is to be written. */
void turns_wrote(struct turns *turns);
/* Before each shard's transaction. Until its first call a thread must have been let use all cores that its process may. */
void turns_keep(const struct turns *turns);

#endif
