#include "bench/swaps.h"

#include "common/clock.h"
#include "common/rpc/client.h"
#include "kindred/v1/models.pb-c.h"

#include <stdio.h>
#include <time.h>

#define SWAP_TIMEOUT_MS 60000

/* False: the load is over before. A late one is not begun after it: each may take its time on a server that hangs. */
static bool wait_until(struct swaps *swaps, uint64_t at_ns)
{
	struct timespec at = { .tv_sec = (time_t)(at_ns / 1000000000), .tv_nsec = (long)(at_ns % 1000000000) };
	if (sem_trywait(&swaps->over) == 0)
		return false;
	while (clock_monotonic_ns() < at_ns)
		if (sem_clockwait(&swaps->over, CLOCK_MONOTONIC, &at) == 0)
			return false;
	return true;
}

static int activate(struct rpc_client *client, uint64_t generation, struct error *err)
{
	Kindred__V1__ActivateGenerationRequest request = KINDRED__V1__ACTIVATE_GENERATION_REQUEST__INIT;
	Kindred__V1__ActivateGenerationResponse *response = NULL;
	request.number = generation;
	int code =
		rpc_call(client, "/kindred.v1.ModelService/ActivateGeneration", &request.base,
			 &kindred__v1__activate_generation_response__descriptor, SWAP_TIMEOUT_MS, NULL, &response, err);
	if (code == 0)
		kindred__v1__activate_generation_response__free_unpacked(response, NULL);
	return code;
}

static void *run(void *context)
{
	struct swaps *swaps = context;
	struct rpc_client *client = NULL;
	struct error err;
	int code = rpc_open(&client, swaps->target, &err);
	for (unsigned i = 0; i < swaps->count && code == 0; i++) {
		if (!wait_until(swaps, swaps->measure_from_ns + (uint64_t)((swaps->from_s + i * swaps->every_s) * 1e9)))
			break;
		swaps->start_ns[i] = clock_monotonic_ns();
		if (activate(client, swaps->generations[i % 2], &err)) {
			fprintf(stderr, "kindred-bench: swap to generation %llu: %s\n",
				(unsigned long long)swaps->generations[i % 2], err.text);
			swaps->failed++;
		}
		swaps->end_ns[i] = clock_monotonic_ns();
		swaps->done++;
	}
	if (code) {
		fprintf(stderr, "kindred-bench: swaps: %s\n", err.text);
		swaps->failed = swaps->count;
	} else {
		rpc_close(client);
	}
	return NULL;
}

void swaps_start(void *context, uint64_t measure_from_ns, uint64_t stop_ns)
{
	struct swaps *swaps = context;
	(void)stop_ns;
	swaps->measure_from_ns = measure_from_ns;
	sem_init(&swaps->over, 0, 0);
	swaps->running = swaps->count && pthread_create(&swaps->thread, NULL, run, swaps) == 0;
	if (!swaps->running)
		swaps->failed = swaps->count;
}

void swaps_join(struct swaps *swaps)
{
	if (swaps->running) {
		sem_post(&swaps->over);
		pthread_join(swaps->thread, NULL);
		sem_destroy(&swaps->over);
	}
	swaps->running = false;
}

uint64_t swaps_longest_ns(const struct swaps *swaps)
{
	uint64_t longest_ns = 0;
	for (unsigned i = 0; i < swaps->done; i++)
		if (swaps->end_ns[i] - swaps->start_ns[i] > longest_ns)
			longest_ns = swaps->end_ns[i] - swaps->start_ns[i];
	return longest_ns;
}

static bool is_around(const struct swaps *swaps, uint64_t at_ns)
{
	for (unsigned i = 0; i < swaps->done; i++)
		if (at_ns + SWAPS_AROUND_NS >= swaps->start_ns[i] && at_ns < swaps->end_ns[i] + SWAPS_AROUND_NS)
			return true;
	return false;
}

void swaps_part(const struct swaps *swaps, const struct series *series, struct histogram *around,
		struct histogram *rest)
{
	for (size_t i = 0; i < series->count; i++) {
		uint64_t at_ns = series->start_ns + i * series->interval_ns;
		if (series->intervals[i])
			histogram_merge(is_around(swaps, at_ns) ? around : rest, series->intervals[i]);
	}
}
