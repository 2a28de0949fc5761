#include "common/turns.h"
#include "common/clock.h"
#include "common/cores.h"

#include <time.h>

static uint64_t thread_busy_ns(void)
{
	struct timespec busy;
	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &busy))
		return 0;
	return (uint64_t)busy.tv_sec * 1000000000u + (uint64_t)busy.tv_nsec;
}

static void begin_look(struct turns *turns)
{
	turns->answered_before = *turns->answered;
	turns->looked_ns = clock_monotonic_ns();
	turns->busy_ns = thread_busy_ns();
}

static bool has_little_to_do(const struct turns *turns)
{
	uint64_t busy_ns = thread_busy_ns() - turns->busy_ns, all_ns = clock_monotonic_ns() - turns->looked_ns;
	return busy_ns * 100 <= all_ns * turns->light;
}

static void look(uv_timer_t *timer)
{
	struct turns *turns = timer->data;
	/* a counter that is passed on to another process begins at 0 again */
	bool calls = *turns->answered < turns->answered_before ||
		     *turns->answered - turns->answered_before >= TURNS_ANSWERED;
	bool quiet = ++turns->quiet > TURNS_QUIET;
	atomic_store_explicit(&turns->aside, calls, memory_order_relaxed);
	cores_keep(calls && !quiet && has_little_to_do(turns) ? CORES_LOWER : CORES_ALL);
	begin_look(turns);
	if (!quiet)
		return;
	uv_timer_stop(timer);
	(void)slice_take(turns->rest);
}

void turns_init(struct turns *turns, uv_loop_t *loop, const uint64_t *answered, uint32_t light, enum slice rest)
{
	*turns = (struct turns){ .answered = answered, .light = light, .rest = rest };
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
	begin_look(turns);
	uv_timer_start(&turns->timer, look, TURNS_LOOK_MS, TURNS_LOOK_MS);
	(void)slice_take(SLICE_SHORT);
}

void turns_keep(const struct turns *turns)
{
	cores_keep(atomic_load_explicit(&turns->aside, memory_order_relaxed) ? CORES_UPPER : CORES_ALL);
}
