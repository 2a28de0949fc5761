#include "builder/parallel.h"

#include <pthread.h>
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
