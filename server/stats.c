#include "server/stats.h"

#include "common/error.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

static const struct {
	const char *name, *unit, *prose;
	bool counter;
	size_t offset;
} table[] = {
#define STATS_COUNTER(name, unit, prose) { #name, unit, prose, true, offsetof(struct stats, name) },
#define STATS_GAUGE(name, unit, prose) { #name, unit, prose, false, offsetof(struct stats, name) },
	STATS_TABLE(STATS_COUNTER, STATS_GAUGE)
#undef STATS_COUNTER
#undef STATS_GAUGE
};
#define TABLE_SIZE (sizeof table / sizeof table[0])

static const struct {
	const char *name, *unit, *prose;
	size_t offset;
} worker_table[] = {
#define STATS_GAUGE(name, unit, prose) { #name, unit, prose, offsetof(struct stats_worker, name) },
	STATS_WORKER_TABLE(STATS_GAUGE)
#undef STATS_GAUGE
};
#define WORKER_TABLE_SIZE (sizeof worker_table / sizeof worker_table[0])

static uint64_t *value_of(struct stats *stats, size_t row)
{
	return (uint64_t *)((char *)stats + table[row].offset);
}

void stats_add(struct stats *stats, const uint64_t *counted, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < TABLE_SIZE && at < count; i++)
		if (table[i].counter)
			*value_of(stats, i) += counted[at++];
}

size_t stats_take(struct stats *stats, uint64_t *counted)
{
	size_t count = 0;

	for (size_t i = 0; i < TABLE_SIZE; i++)
		if (table[i].counter) {
			counted[count++] = *value_of(stats, i);
			*value_of(stats, i) = 0;
		}
	return count;
}

bool stats_counted(const struct stats *stats)
{
	for (size_t i = 0; i < TABLE_SIZE; i++)
		if (table[i].counter && *value_of((struct stats *)stats, i))
			return true;
	return false;
}

void stats_ended(struct stats *stats, int code)
{
	if (!code)
		return;
	stats->failed_calls++;
	stats->refused_calls += code == E_EXHAUSTED;
	stats->cancelled_calls += code == E_CANCELLED || code == E_DEADLINE;
}

void stats_sample(struct stats_rates *rates, const struct stats *stats)
{
	unsigned at = rates->samples++ % (STATS_SECONDS + 1);

	rates->recommend[at] = stats->recommend_users;
	rates->ingest[at] = stats->ingest_events;
}

static double rate(const uint64_t *ring, unsigned samples)
{
	unsigned newest = samples - 1, span = samples > STATS_SECONDS ? STATS_SECONDS : newest;

	if (samples < 2)
		return 0;
	return (double)(ring[newest % (STATS_SECONDS + 1)] - ring[(newest - span) % (STATS_SECONDS + 1)]) / span;
}

double stats_recommend_rate(const struct stats_rates *rates)
{
	return rate(rates->recommend, rates->samples);
}

double stats_ingest_rate(const struct stats_rates *rates)
{
	return rate(rates->ingest, rates->samples);
}

void stats_metrics(const struct stats *stats, FILE *out)
{
	for (size_t i = 0; i < TABLE_SIZE; i++) {
		const char *suffix = table[i].counter ? "_total" : "";
		uint64_t value = *(const uint64_t *)((const char *)stats + table[i].offset);

		fprintf(out, "# HELP kindred_%s%s %s (%s)\n# TYPE kindred_%s%s %s\nkindred_%s%s %" PRIu64 "\n",
			table[i].name, suffix, table[i].prose, table[i].unit, table[i].name, suffix,
			table[i].counter ? "counter" : "gauge", table[i].name, suffix, value);
	}
}

void stats_workers_metrics(const struct stats_worker *workers, size_t count, FILE *out)
{
	for (size_t i = 0; i < WORKER_TABLE_SIZE; i++) {
		fprintf(out, "# HELP kindred_%s %s (%s)\n# TYPE kindred_%s gauge\n", worker_table[i].name,
			worker_table[i].prose, worker_table[i].unit, worker_table[i].name);
		for (size_t w = 0; w < count; w++)
			fprintf(out, "kindred_%s{worker=\"%zu\"} %g\n", worker_table[i].name, w,
				*(const double *)((const char *)&workers[w] + worker_table[i].offset));
	}
}

void stats_reference(FILE *out)
{
	fputs("| metric | type | unit | meaning |\n| --- | --- | --- | --- |\n", out);
	for (size_t i = 0; i < TABLE_SIZE; i++)
		fprintf(out, "| `kindred_%s%s` | %s | %s | %s |\n", table[i].name, table[i].counter ? "_total" : "",
			table[i].counter ? "counter" : "gauge", table[i].unit, table[i].prose);
	for (size_t i = 0; i < WORKER_TABLE_SIZE; i++)
		fprintf(out, "| `kindred_%s{worker=\"N\"}` | gauge | %s | %s |\n", worker_table[i].name,
			worker_table[i].unit, worker_table[i].prose);
}
