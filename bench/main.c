/*
 * kindred-bench: puts load on a running server and says honestly what came back.
 *
 * options.c reads the command line; work.c makes the messages (users.c, chance.c: whom and what by chance); answers.c
 * looks at what came back (unit_errors.c: what was wrong); load.c, load_unary.c, load_stream.c and load_walk.c send
 * them, on a schedule or one after the other (schedule.c), until the time is over or a signal comes (interrupt.c);
 * swaps.c changes the model meanwhile; usage.c looks at the server's processes; output.c and output_plot.c tell. How
 * figures are made: bench/README.md.
 */
#include "bench/interrupt.h"
#include "bench/options.h"
#include "bench/output.h"
#include "bench/schedule.h"
#include "common/error.h"

#include <stdio.h>
#include <string.h>

/* Errors are counted, and are no failure of the generator: the exit code tells them, and a server that was silent. */
static bool went_well(const struct options *options, const struct load_result *result)
{
	bool silent = result->unanswered && !result->calls[0] && !result->calls[1];
	return output_error_total(result) == 0 && result->bad_units == 0 && !options->swaps.failed && !silent;
}

static int run(struct options *options, struct load_result *result, struct usage *usage, struct error *err)
{
	struct load_work work = work_load(&options->work);
	options->load.on_start = options->swaps.count ? swaps_start : NULL;
	options->load.context = &options->swaps;
	options->swaps.target = options->load.target;
	usage_start(usage, options->load.target, options->pid);
	int code = load_run(&options->load, &work, result, err);
	swaps_join(&options->swaps);
	usage_stop(usage);
	return code;
}

/* Nothing failed, and no queue grew: what was due in the measured time was answered in about as long. */
static bool holds(const struct options *options, const struct load_result *result)
{
	uint64_t done = result->calls[0] + result->calls[1];
	return output_error_total(result) == 0 && result->bad_units == 0 && result->unanswered == 0 &&
	       result->latency[0].total > 0 &&
	       (double)histogram_percentile(&result->latency[0], 0.99) <= options->find_max_ms * 1e6 &&
	       (double)done >= 0.98 * options->load.rate * options->load.seconds;
}

static void tell_step(double rate, const struct histogram *latency, bool held)
{
	if (latency->total)
		fprintf(stderr, "kindred-bench: %g/s: p99 %.3f ms%s\n", rate,
			(double)histogram_percentile(latency, 0.99) / 1e6, held ? "" : ", does not hold");
	else
		fprintf(stderr, "kindred-bench: %g/s: no call succeeded, does not hold\n", rate);
}

/*
 * result, usage and outcome->max_rate: of the highest rate that held; 0: none did. A step that was interrupted counts
 * nowhere.
 */
static int find_max(struct options *options, struct load_result *result, struct usage *usage, struct outcome *outcome,
		    struct error *err)
{
	static struct load_result tried;
	struct usage tried_usage;
	struct rate_search search = rate_search_start(options->load.rate);
	int code = 0;
	while (code == 0 && !outcome->interrupted && rate_search_next(&search, &options->load.rate)) {
		/* event ids must not be those of the step before */
		options->work.event_time_ms += 1000 + (int64_t)(options->load.rate * (double)options->work.batch);
		code = run(options, &tried, &tried_usage, err);
		outcome->interrupted = tried.interrupted;
		bool held = code == 0 && !tried.interrupted && holds(options, &tried);
		if (code == 0 && !tried.interrupted)
			tell_step(options->load.rate, &tried.latency[0], held);
		rate_search_tell(&search, options->load.rate, held);
		if (held) {
			load_result_fini(result);
			*result = tried;
			*usage = tried_usage;
		} else {
			load_result_fini(&tried);
		}
	}
	outcome->max_rate = options->load.rate = search.holds;
	return code;
}

int main(int argc, char **argv)
{
	static struct load_result result;
	struct options options;
	struct error err = { 0 };
	struct usage usage;
	options_parse(&options, argc, argv);
	struct outcome outcome = { .work = &options.work,
				   .load = &options.load,
				   .result = &result,
				   .usage = &usage,
				   .swaps = &options.swaps,
				   .p99_limit_ms = options.find_max_ms };
	memset(&usage, 0, sizeof usage);
	int code = options.pid ? usage_check(options.pid, &err) : 0;
	if (code == 0 && options.users_file)
		code = users_read(&options.work.users, options.users_file, &err);
	if (code == 0 && options.find_max_ms > 0) {
		code = find_max(&options, &result, &usage, &outcome, &err);
	} else if (code == 0) {
		code = run(&options, &result, &usage, &err);
		outcome.interrupted = result.interrupted;
	}
	if (code == 0) {
		(options.json ? output_json : output_text)(&outcome);
		if (options.plot)
			code = output_plot(&outcome, options.plot, &err);
	}
	if (code)
		fprintf(stderr, "kindred-bench: %s\n", err.text);
	else if (!went_well(&options, &result))
		code = E_UNAVAILABLE;
	load_result_fini(&result);
	users_free(&options.work.users);
	if (interrupt_signal())
		interrupt_end();
	return error_exit_code(code);
}
