#include "worker/crew.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define NICE 5

void crew_yield_to_others(void)
{
	/* On Linux the number of a thread is as good as that of a process; what fails here costs latency only. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
}

/* Takes parts until there are no more. Locked at both ends. */
static void take_parts(struct crew *crew)
{
	while (crew->next < crew->parts) {
		uint32_t part = crew->next++;
		uv_mutex_unlock(&crew->lock);
		crew->work(crew->context, part);
		uv_mutex_lock(&crew->lock);
		crew->finished++;
	}
}

static void help(void *argument)
{
	struct crew *crew = argument;
	crew_yield_to_others();
	uv_mutex_lock(&crew->lock);
	while (!crew->stopping) {
		take_parts(crew);
		if (crew->finished == crew->parts)
			uv_cond_signal(&crew->done);
		uv_cond_wait(&crew->wake, &crew->lock);
	}
	uv_mutex_unlock(&crew->lock);
}

int crew_start(struct crew *crew, uint32_t helpers)
{
	memset(crew, 0, sizeof *crew);
	int status = uv_mutex_init(&crew->lock);
	if (status)
		return status;
	status = uv_cond_init(&crew->wake);
	if (status)
		goto fail_lock;
	status = uv_cond_init(&crew->done);
	if (status)
		goto fail_wake;
	while (crew->started < helpers && !uv_thread_create(&crew->threads[crew->started], help, crew))
		crew->started++;
	return 0;

fail_wake:
	uv_cond_destroy(&crew->wake);
fail_lock:
	uv_mutex_destroy(&crew->lock);
	return status;
}

void crew_stop(struct crew *crew)
{
	uv_mutex_lock(&crew->lock);
	crew->stopping = true;
	uv_cond_broadcast(&crew->wake);
	uv_mutex_unlock(&crew->lock);
	for (uint32_t t = 0; t < crew->started; t++)
		uv_thread_join(&crew->threads[t]);
	uv_cond_destroy(&crew->done);
	uv_cond_destroy(&crew->wake);
	uv_mutex_destroy(&crew->lock);
}

void crew_run(struct crew *crew, uint32_t parts, void (*work)(void *context, uint32_t part), void *context)
{
	if (parts <= 1) {
		if (parts)
			work(context, 0);
		return;
	}
	uv_mutex_lock(&crew->lock);
	crew->work = work;
	crew->context = context;
	crew->next = crew->finished = 0;
	crew->parts = parts;
	uv_cond_broadcast(&crew->wake);
	take_parts(crew);
	while (crew->finished < parts)
		uv_cond_wait(&crew->done, &crew->lock);
	uv_mutex_unlock(&crew->lock);
}
