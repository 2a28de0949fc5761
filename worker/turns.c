#include "worker/turns.h"
#include "common/slice.h"

#include <sched.h>
#include <unistd.h>

static void look(uv_timer_t *timer)
{
	struct turns *turns = timer->data;
	uint64_t answered = *turns->answered - turns->answered_before;
	turns->answered_before = *turns->answered;
	atomic_store_explicit(&turns->aside, answered >= TURNS_ANSWERED, memory_order_relaxed);
	if (++turns->quiet <= TURNS_QUIET)
		return;
	uv_timer_stop(timer);
	(void)slice_take(SLICE_BATCH);
}

void turns_init(struct turns *turns, uv_loop_t *loop, const uint64_t *answered)
{
	*turns = (struct turns){ .answered = answered };
	uv_timer_init(loop, &turns->timer);
	turns->timer.data = turns;
}

void turns_close(struct turns *turns)
{
	uv_close((uv_handle_t *)&turns->timer, NULL);
}

void turns_wrote(struct turns *turns)
{
	turns->quiet = 0;
	if (uv_is_active((uv_handle_t *)&turns->timer))
		return;
	turns->answered_before = *turns->answered;
	uv_timer_start(&turns->timer, look, TURNS_LOOK_MS, TURNS_LOOK_MS);
	(void)slice_take(SLICE_SHORT);
}

/* The upper half, so that the threads of all workers leave the same cores. */
static void take_upper_half(cpu_set_t *cores)
{
	int skip = CPU_COUNT(cores) / 2;
	for (int core = 0; core < CPU_SETSIZE && skip > 0; core++) {
		skip -= CPU_ISSET(core, cores) != 0;
		CPU_CLR(core, cores);
	}
}

void turns_keep(const struct turns *turns)
{
	static _Thread_local bool kept;
	bool aside = atomic_load_explicit(&turns->aside, memory_order_relaxed);
	cpu_set_t cores;
	if (aside == kept)
		return;
	kept = aside;
	/* the loop thread's are the process's */
	if (sched_getaffinity(getpid(), sizeof cores, &cores))
		return;
	if (aside)
		take_upper_half(&cores);
	(void)sched_setaffinity(0, sizeof cores, &cores);
}
