#include "common/turns.h"
#include "common/clock.h"
#include "common/cores.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/*
 * How long the loop's thread has run, and waited for a core: a loop that others keep from running has
 * much to do too. 0: not known.
 */
static uint64_t wanted_ns(const struct turns *turns)
{
	char text[64];
	unsigned long long ran, waited;
	ssize_t bytes = pread(turns->schedstat_fd, text, sizeof text - 1, 0);
	if (bytes <= 0)
		return 0;
	text[bytes] = '\0';
	return sscanf(text, "%llu %llu", &ran, &waited) == 2 ? ran + waited : 0;
}

static void begin_look(struct turns *turns)
{
	turns->answered_before = *turns->answered;
	turns->looked_ns = clock_monotonic_ns();
	turns->wanted_ns = wanted_ns(turns);
}

/* Who has little to do may come to have half as much again before that is over. */
static bool has_little_to_do(const struct turns *turns)
{
	uint64_t now_ns = wanted_ns(turns), all_ns = clock_monotonic_ns() - turns->looked_ns;
	uint32_t light = turns->lower ? turns->light * 3 / 2 : turns->light;
	return turns->wanted_ns && now_ns && (now_ns - turns->wanted_ns) * 100 <= all_ns * light;
}

static void look(uv_timer_t *timer)
{
	struct turns *turns = timer->data;
	bool calls = *turns->answered - turns->answered_before >= TURNS_ANSWERED, quiet = ++turns->quiet > TURNS_QUIET;
	atomic_store_explicit(&turns->aside, calls, memory_order_relaxed);
	turns->lower = calls && !quiet && has_little_to_do(turns);
	cores_keep(turns->lower ? CORES_LOWER : CORES_ALL);
	begin_look(turns);
	if (!quiet)
		return;
	uv_timer_stop(timer);
	(void)slice_take(turns->rest);
}

void turns_init(struct turns *turns, uv_loop_t *loop, const uint64_t *answered, uint32_t light, enum slice rest)
{
	*turns = (struct turns){ .answered = answered, .light = light, .rest = rest };
	turns->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	uv_timer_init(loop, &turns->timer);
	turns->timer.data = turns;
}

void turns_close(struct turns *turns)
{
	uv_close((uv_handle_t *)&turns->timer, NULL);
	if (turns->schedstat_fd >= 0)
		close(turns->schedstat_fd);
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
