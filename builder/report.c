#include "builder/report.h"

#include "common/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_NS 200000000u

static const char *const phase_names[REPORT_PHASES] = { "scan", "learn", "evaluate", "publish" };

void report_init(struct report *report, int fd)
{
	memset(report, 0, sizeof *report);
	report->fd = fd;
	report->terminal = fd >= 0 && isatty(fd);
	report->start_ns = report->phase_ns = clock_monotonic_ns();
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

static void put_progress(struct report *report, double progress)
{
	report->written_ns = clock_monotonic_ns();
	if (!report->terminal) {
		put_object(report, json_pack("{ss sf ss}", "phase", phase_names[report->phase], "progress", progress,
					     "note", report->note));
		return;
	}
	char line[320];
	int length = snprintf(line, sizeof line, "\r\033[K%3.0f%%  %5.1f s  %s", progress * 100, report_seconds(report),
			      report->note);
	put(report, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

static void close_phase(struct report *report)
{
	uint64_t now = clock_monotonic_ns();
	report->seconds[report->phase] += (double)(now - report->phase_ns) / 1e9;
	report->phase_ns = now;
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
	put_progress(report, from);
}

void report_part(struct report *report, double from, double to)
{
	report->part_from = from;
	report->part_to = to;
}

void report_step(struct report *report, double done)
{
	if (clock_monotonic_ns() - report->written_ns < LINE_NS)
		return;
	done = report->part_from + (done > 1 ? 1 : done) * (report->part_to - report->part_from);
	put_progress(report, report->from + done * (report->to - report->from));
}

void report_end(struct report *report)
{
	close_phase(report);
}

json_t *report_times(const struct report *report)
{
	json_t *object = json_object();
	for (int phase = 0; phase < REPORT_PHASES; phase++)
		json_object_set_new(object, phase_names[phase], json_real(report->seconds[phase]));
	return object;
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

void report_failed(struct report *report, const char *text)
{
	if (report->terminal)
		put(report, "\n", 1); /* below the progress; the log says the rest */
	else
		put_object(report, json_pack("{ss}", "error", text));
}
