#include "builder/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct helper {
	pthread_t thread;
	bool started;
	uint32_t number;
	int (*work)(void *context, uint32_t thread);
	void *context;
	int code;
};

static void *run_helper(void *pointer)
{
	struct helper *helper = pointer;
	helper->code = helper->work(helper->context, helper->number);
	return NULL;
}

int parallel_run(uint32_t threads, int (*work)(void *context, uint32_t thread), void *context)
{
	struct helper helpers[PARALLEL_MAX];
	if (threads > PARALLEL_MAX)
		threads = PARALLEL_MAX;
	for (uint32_t t = 1; t < threads; t++) {
		helpers[t] = (struct helper){ .number = t, .work = work, .context = context };
		helpers[t].started = pthread_create(&helpers[t].thread, NULL, run_helper, &helpers[t]) == 0;
	}
	int code = work(context, 0);
	for (uint32_t t = 1; t < threads; t++) {
		if (!helpers[t].started)
			continue;
		pthread_join(helpers[t].thread, NULL);
		if (!code)
			code = helpers[t].code;
	}
	return code;
}

struct parts {
	uint64_t count, step;
	int (*work)(void *context, uint32_t thread, uint64_t first, uint64_t end);
	void *context;
	_Atomic uint64_t next;
	_Atomic bool failed;
};

static int run_parts(void *context, uint32_t thread)
{
	struct parts *parts = context;
	uint64_t first;
	int code = 0;
	while (!code && !atomic_load(&parts->failed) &&
	       (first = atomic_fetch_add(&parts->next, parts->step)) < parts->count) {
		uint64_t left = parts->count - first;
		code = parts->work(parts->context, thread, first, first + (left < parts->step ? left : parts->step));
	}
	if (code)
		atomic_store(&parts->failed, true);
	return code;
}

int parallel_parts(uint32_t threads, uint64_t count, uint64_t step,
		   int (*work)(void *context, uint32_t thread, uint64_t first, uint64_t end), void *context)
{
	struct parts parts = { .count = count, .step = step, .work = work, .context = context };
	if (count <= step)
		return count ? work(context, 0, 0, count) : 0;
	return parallel_run(threads, run_parts, &parts);
}
