#include "bench/output.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *field;
	double share;
} percentiles[] = {
	{ "p50", "p50_ms", 0.5 },      { "p90", "p90_ms", 0.9 }, { "p99", "p99_ms", 0.99 },
	{ "p99.9", "p999_ms", 0.999 }, { "max", "max_ms", 1 },
};
#define PERCENTILES (sizeof percentiles / sizeof percentiles[0])

uint64_t output_error_total(const struct load_result *result)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < 17; i++)
		total += result->errors[i];
	return total;
}

static double percentile_ms(const struct histogram *histogram, double share)
{
	return (double)histogram_percentile(histogram, share) / 1e6;
}

static double us_per_unit(const struct outcome *outcome, uint64_t ns)
{
	uint64_t units = outcome->result->all_units;
	return (double)ns / 1e3 / (double)(units ? units : 1);
}

/* 0 of no time at all: no rate of a search held. */
static double per_second(const struct load_result *result, uint64_t count)
{
	return result->seconds > 0 ? (double)count / result->seconds : 0;
}

/* p99.9 of the ten seconds around a swap, and of the rest; 0: no call was there. */
static void part_swaps(const struct outcome *outcome, double *around_ms, double *rest_ms)
{
	static struct histogram around, rest;
	memset(&around, 0, sizeof around);
	memset(&rest, 0, sizeof rest);
	swaps_part(outcome->swaps, &outcome->result->series, &around, &rest);
	*around_ms = percentile_ms(&around, 0.999);
	*rest_ms = percentile_ms(&rest, 0.999);
}

/* --- text --- */

static void print_latency(const char *what, const struct histogram *latency)
{
	if (latency->total == 0) {
		printf("%s, ms: no call succeeded in the measured time\n", what);
		return;
	}
	printf("%s, ms:", what);
	for (unsigned i = 0; i < PERCENTILES; i++)
		printf("  %s %.3f", percentiles[i].name, percentile_ms(latency, percentiles[i].share));
	printf("\n");
}

static void print_unit_errors(const struct unit_errors *errors)
{
	const char *between = ": ";
	for (unsigned i = 0; i < UNIT_ERRORS; i++) {
		if (!errors->counts[i])
			continue;
		printf("%s%s %" PRIu64, between, unit_error_name(i), errors->counts[i]);
		between = ", ";
	}
}

static void print_errors(const struct load_result *result)
{
	uint64_t total = output_error_total(result);
	printf("%" PRIu64 " error%s", total, total == 1 ? "" : "s");
	for (unsigned i = 0; i < 17; i++)
		if (result->errors[i])
			printf("; %s %" PRIu64, i < 16 ? error_name(error_from_grpc_status((int)i)) : "other",
			       result->errors[i]);
	if (result->bad_units)
		printf("; %" PRIu64 " units answered with an error or not accepted", result->bad_units);
	print_unit_errors(&result->unit_errors);
	printf("\n");
}

static void print_unanswered(const struct outcome *outcome)
{
	uint64_t count = outcome->result->unanswered;
	const char *what = outcome->load->streams ? "message" : "call";
	if (count)
		printf("%" PRIu64
		       " %s%s unanswered %d s after the time was over, and cancelled: in no rate, no percentile, "
		       "no error\n",
		       count, what, count == 1 ? " was" : "s were", LOAD_GRACE_S);
}

static void print_cpu(const struct outcome *outcome, uint64_t ns)
{
	const char *unit = work_unit(outcome->work->kind);
	if (outcome->result->all_units)
		printf("%.2f us of CPU %s %.*s", us_per_unit(outcome, ns), unit[0] == 'e' ? "an" : "a",
		       (int)strlen(unit) - 1 /* without its s */, unit);
	else
		printf("%.1f ms of CPU in all", (double)ns / 1e6);
}

static void print_usage(const struct outcome *outcome)
{
	const struct usage *usage = outcome->usage;
	for (unsigned i = 0; i < usage->count; i++) {
		printf("%s (pid %d): ", usage->process[i].name, (int)usage->process[i].pid);
		print_cpu(outcome, usage->process[i].cpu_ns);
		printf(", %.1f MiB resident, at most %.1f MiB\n", (double)usage->process[i].stop_bytes / 1048576,
		       (double)usage->process[i].peak_bytes / 1048576);
	}
	if (usage->count > 1) {
		printf("all of it: ");
		print_cpu(outcome, usage->cpu_ns);
		printf("\n");
	}
	printf("this generator: ");
	print_cpu(outcome, usage->own_ns);
	printf("; of the machine's cores %.0f%% were stolen, %.0f%% used by others\n", usage->stolen * 100,
	       usage->others * 100);
}

static void print_swaps(const struct outcome *outcome)
{
	double around_ms, rest_ms;
	part_swaps(outcome, &around_ms, &rest_ms);
	printf("%u swap%s, %u failed, the longest %.1f ms", outcome->swaps->done, outcome->swaps->done == 1 ? "" : "s",
	       outcome->swaps->failed, (double)swaps_longest_ns(outcome->swaps) / 1e6);
	if (around_ms > 0)
		printf("; p99.9 within five seconds of one %.3f ms", around_ms);
	if (rest_ms > 0)
		printf("%s %.3f ms\n", around_ms > 0 ? ", else" : "; no call was within five seconds of one, p99.9",
		       rest_ms);
	else
		printf("%s\n", around_ms > 0 ? "; no call was farther from one" : "");
	printf("resident: %.1f MiB before, %.1f MiB after\n", (double)outcome->usage->start_bytes / 1048576,
	       (double)outcome->usage->stop_bytes / 1048576);
}

static const char *latency_name(const struct outcome *outcome)
{
	if (outcome->work->kind == WORK_AUDIENCE)
		return "a whole audience";
	return outcome->load->streams ? "latency of a message" : "latency";
}

void output_text(const struct outcome *outcome)
{
	const struct load_result *result = outcome->result;
	const char *unit = work_unit(outcome->work->kind);
	if (outcome->interrupted)
		printf("interrupted before the %s over; what was %s until then:\n",
		       outcome->p99_limit_ms > 0 ? "search was" : "time was",
		       outcome->p99_limit_ms > 0 ? "found" : "measured");
	if (outcome->p99_limit_ms > 0 && outcome->max_rate <= 0) {
		printf("no rate %s a p99 of %g ms\n", outcome->interrupted ? "was found that holds" : "holds",
		       outcome->p99_limit_ms);
		return;
	}
	if (outcome->p99_limit_ms > 0)
		printf("highest rate with a p99 of at most %g ms: %.0f/s; at that rate:\n", outcome->p99_limit_ms,
		       outcome->max_rate);
	printf("%s, %s loop: %.0f %s/s over %.1f s", work_names[outcome->work->kind],
	       outcome->load->rate > 0 ? "open" : "closed", per_second(result, result->units), unit, result->seconds);
	if (outcome->load->rate > 0)
		printf(", %.*f %s/s due", outcome->load->rate < 10 ? 1 : 0, outcome->load->rate,
		       outcome->load->streams ? "messages" : "calls");
	printf("; ");
	print_errors(result);
	print_unanswered(outcome);
	print_latency(latency_name(outcome), &result->latency[0]);
	if (result->latency[1].total)
		print_latency("latency of an ingest", &result->latency[1]);
	print_usage(outcome);
	if (outcome->swaps->count)
		print_swaps(outcome);
}

/* --- JSON --- */

static void put(json_t *object, const char *field, double value)
{
	json_object_set_new(object, field, json_real(value));
}

static json_t *errors_json(const struct load_result *result)
{
	json_t *errors = json_object();
	for (unsigned i = 0; i < 17; i++)
		if (result->errors[i])
			json_object_set_new(errors, i < 16 ? error_name(error_from_grpc_status((int)i)) : "other",
					    json_integer((json_int_t)result->errors[i]));
	return errors;
}

static json_t *unit_errors_json(const struct unit_errors *errors)
{
	json_t *all = json_object();
	for (unsigned i = 0; i < UNIT_ERRORS; i++)
		if (errors->counts[i])
			json_object_set_new(all, unit_error_name(i), json_integer((json_int_t)errors->counts[i]));
	return all;
}

static json_t *processes_json(const struct outcome *outcome)
{
	const struct usage *usage = outcome->usage;
	json_t *processes = json_array();
	for (unsigned i = 0; i < usage->count; i++)
		json_array_append_new(processes, json_pack("{s:s,s:i,s:f,s:I,s:I}", "name", usage->process[i].name,
							   "pid", (int)usage->process[i].pid, "cpu_us",
							   us_per_unit(outcome, usage->process[i].cpu_ns), "resident",
							   (json_int_t)usage->process[i].stop_bytes, "peak",
							   (json_int_t)usage->process[i].peak_bytes));
	return processes;
}

static void put_swaps(json_t *all, const struct outcome *outcome)
{
	double around_ms, rest_ms;
	part_swaps(outcome, &around_ms, &rest_ms);
	json_object_set_new(all, "swaps", json_integer(outcome->swaps->done));
	json_object_set_new(all, "swaps_failed", json_integer(outcome->swaps->failed));
	put(all, "swap_longest_ms", (double)swaps_longest_ns(outcome->swaps) / 1e6);
	put(all, "swap_p999_ms", around_ms);
	put(all, "rest_p999_ms", rest_ms);
}

/* Names at the top level are unlike those within, so that a line can be read without a JSON parser too. */
void output_json(const struct outcome *outcome)
{
	const struct load_result *result = outcome->result;
	const struct usage *usage = outcome->usage;
	json_t *all = json_pack("{s:s,s:f}", "workload", work_names[outcome->work->kind], "seconds", result->seconds);
	json_object_set_new(all, "interrupted", json_boolean(outcome->interrupted));
	if (outcome->p99_limit_ms > 0)
		put(all, "max_rate", outcome->max_rate);
	put(all, "rate_due", outcome->load->rate);
	put(all, "answers_per_s", per_second(result, result->calls[0]));
	put(all, "units_per_s", per_second(result, result->units));
	for (unsigned i = 0; i < PERCENTILES; i++)
		put(all, percentiles[i].field, percentile_ms(&result->latency[0], percentiles[i].share));
	if (result->latency[1].total) {
		put(all, "ingests_per_s", per_second(result, result->calls[1]));
		put(all, "ingest_p50_ms", percentile_ms(&result->latency[1], 0.5));
		put(all, "ingest_p99_ms", percentile_ms(&result->latency[1], 0.99));
	}
	json_object_set_new(all, "error_count", json_integer((json_int_t)output_error_total(result)));
	json_object_set_new(all, "bad_units", json_integer((json_int_t)result->bad_units));
	json_object_set_new(all, "unanswered", json_integer((json_int_t)result->unanswered));
	put(all, "cpu_us_per_unit", us_per_unit(outcome, usage->cpu_ns));
	put(all, "generator_us_per_unit", us_per_unit(outcome, usage->own_ns));
	json_object_set_new(all, "start_bytes", json_integer((json_int_t)usage->start_bytes));
	json_object_set_new(all, "stop_bytes", json_integer((json_int_t)usage->stop_bytes));
	json_object_set_new(all, "peak_bytes", json_integer((json_int_t)usage->peak_bytes));
	put(all, "stolen_share", usage->stolen);
	put(all, "others_share", usage->others);
	if (outcome->swaps->count)
		put_swaps(all, outcome);
	json_object_set_new(all, "errors", errors_json(result));
	json_object_set_new(all, "unit_errors", unit_errors_json(&result->unit_errors));
	json_object_set_new(all, "processes", processes_json(outcome));
	json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	printf("\n");
	json_decref(all);
}
