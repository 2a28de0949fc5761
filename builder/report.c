#include "builder/report.h"

#include "common/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_NS 200000000u
#define LAP_SHOWN 0.01 /* seconds, to be worth a word */

static const char *const phase_names[REPORT_PHASES] = { "scan", "learn", "evaluate", "publish" };

void report_init(struct report *report, int fd)
{
	memset(report, 0, sizeof *report);
	report->fd = fd;
	report->terminal = fd >= 0 && isatty(fd);
	report->start_ns = report->phase_ns = report->lap_ns = clock_monotonic_ns();
}

/* The reader may be gone; then SIGPIPE ends the process, which is what a builder without a server should do. */
static void put(const struct report *report, const char *text, size_t bytes)
{
	while (bytes > 0 && report->fd >= 0) {
		ssize_t wrote = write(report->fd, text, bytes);
		if (wrote <= 0)
			return;
		text += wrote;
		bytes -= (size_t)wrote;
	}
}

static void put_object(const struct report *report, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
	if (text) {
		size_t bytes = strlen(text);
		text[bytes] = '\n'; /* in place of the end: it goes out in one write */
		put(report, text, bytes + 1);
	}
	free(text);
	json_decref(object);
}

/* "Learning .. of shop, 2.3 million events/s". done: of the step or its part. */
static void note_with_rate(const struct report *report, double done, char *text, size_t bytes)
{
	double seconds = (double)(clock_monotonic_ns() - report->part_ns) / 1e9;
	double rate = seconds > 0.1 ? report->amount * done / seconds : 0;
	const char *format = rate >= 1e6   ? "%s, %.1f million %s/s"
			     : rate >= 1e3 ? "%s, %.0f thousand %s/s"
			     : rate >= 1   ? "%s, %.0f %s/s"
					   : "%s";
	double shown = rate >= 1e6 ? rate / 1e6 : rate >= 1e3 ? rate / 1e3 : rate;
	snprintf(text, bytes, format, report->note, shown, report->unit);
}

static void put_progress(struct report *report, double progress, double done)
{
	char note[280], line[400], left[40] = "";
	report->written_ns = clock_monotonic_ns();
	note_with_rate(report, done, note, sizeof note);
	if (!report->terminal) {
		put_object(report, json_pack("{ss sf ss}", "phase", phase_names[report->phase], "progress", progress,
					     "note", note));
		return;
	}
	double seconds = report_seconds(report);
	if (progress > 0.02 && seconds > 1)
		snprintf(left, sizeof left, ", %.0f s left", seconds / progress * (1 - progress));
	int length = snprintf(line, sizeof line, "\r\033[K%3.0f%%  %5.1f s%s  %s", progress * 100, seconds, left, note);
	put(report, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

static void close_phase(struct report *report)
{
	uint64_t now = clock_monotonic_ns();
	report->seconds[report->phase] += (double)(now - report->phase_ns) / 1e9;
	report->phase_ns = now;
	report->lap_ns = now;
}

void report_lap(struct report *report, const char *what)
{
	if (!report)
		return;
	uint64_t now = clock_monotonic_ns();
	struct report_lap *lap = report->laps[report->phase];
	for (size_t l = 0; l < REPORT_LAPS; l++, lap++) {
		if (lap->what && strcmp(lap->what, what) != 0)
			continue;
		lap->what = what;
		lap->seconds += (double)(now - report->lap_ns) / 1e9;
		break;
	}
	report->lap_ns = now;
}

void report_begin(struct report *report, enum report_phase phase, double from, double to, const char *format, ...)
{
	close_phase(report);
	report->phase = phase;
	report->from = from;
	report->to = to;
	report_part(report, 0, 1);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(report->note, sizeof report->note, format, arguments);
	va_end(arguments);
	put_progress(report, from, 0);
}

void report_part(struct report *report, double from, double to)
{
	report->part_from = from;
	report->part_to = to;
	report->part_ns = clock_monotonic_ns();
	report->amount = 0;
	report->unit = "";
}

void report_amount(struct report *report, double amount, const char *unit)
{
	report->amount = amount;
	report->unit = unit;
}

void report_step(struct report *report, double done)
{
	if (clock_monotonic_ns() - report->written_ns < LINE_NS)
		return;
	done = done > 1 ? 1 : done;
	double of_step = report->part_from + done * (report->part_to - report->part_from);
	put_progress(report, report->from + of_step * (report->to - report->from), done);
}

void report_unchanged(struct report *report, const char *catalog, const char *key, const char *definition,
		      uint64_t since)
{
	if (!report->terminal)
		put_object(report, json_pack("{s{ss ss ss sI}}", "unchanged", "catalog", catalog, "key", key,
					     "definition", definition, "since", (json_int_t)since));
}

void report_end(struct report *report)
{
	close_phase(report);
}

json_t *report_times(const struct report *report)
{
	json_t *object = json_object(), *all = json_object();
	for (int phase = 0; phase < REPORT_PHASES; phase++) {
		json_t *laps = json_object();
		const struct report_lap *lap = report->laps[phase];
		for (size_t l = 0; l < REPORT_LAPS && lap[l].what; l++)
			json_object_set_new(laps, lap[l].what, json_real(lap[l].seconds));
		json_object_set_new(object, phase_names[phase], json_real(report->seconds[phase]));
		json_object_set_new(all, phase_names[phase], laps);
	}
	json_object_set_new(object, "laps", all);
	return object;
}

void report_times_text(const struct report *report, char *text, size_t bytes)
{
	size_t at = 0;
	text[0] = '\0';
	for (int phase = 0; phase < REPORT_PHASES && at < bytes; phase++) {
		const struct report_lap *lap = report->laps[phase];
		const char *between = " (";
		at += (size_t)snprintf(text + at, bytes - at, "%s%s %.2f", phase ? ", " : "", phase_names[phase],
				       report->seconds[phase]);
		for (size_t l = 0; l < REPORT_LAPS && lap[l].what && at < bytes; l++) {
			if (lap[l].seconds < LAP_SHOWN)
				continue;
			at += (size_t)snprintf(text + at, bytes - at, "%s%s %.2f", between, lap[l].what,
					       lap[l].seconds);
			between = ", ";
		}
		if (between[0] == ',' && at < bytes)
			at += (size_t)snprintf(text + at, bytes - at, ")");
	}
}

double report_seconds(const struct report *report)
{
	return (double)(clock_monotonic_ns() - report->start_ns) / 1e9;
}

void report_done(struct report *report, json_t *facts)
{
	double seconds = report_seconds(report);
	if (report->terminal) {
		char line[320];
		const char *path = json_string_value(json_object_get(facts, "path"));
		int length = snprintf(line, sizeof line, "\r\033[K%s, in %.1f s\n", path ? path : "done", seconds);
		put(report, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
		json_decref(facts);
		return;
	}
	json_object_set_new(facts, "done", json_true());
	json_object_set_new(facts, "seconds", json_real(seconds));
	put_object(report, facts);
}

void report_failed(struct report *report, const struct error *why)
{
	if (report->terminal)
		put(report, "\n", 1); /* below the progress; the log says the rest */
	else
		put_object(report, json_pack("{ss si}", "error", why->text, "code", error_grpc_status(why->code)));
}
