/* The drawing: latency over time above, latency by percentile below, both with a logarithmic scale of milliseconds. */
#include "bench/output.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 960, HEIGHT = 720, LEFT = 70, RIGHT = 20, PANEL = 280, TOP = 40, SECOND = 400 };
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define NINES 5 /* the lower panel ends at p99.999 */

/* A panel's scale of latencies: whole powers of ten. */
struct scale {
	double low, high; /* log10 of ms */
	double top; /* of the panel */
};

static double y_of(const struct scale *scale, double ms)
{
	double at = log10(ms > 0 ? ms : 1e-9);
	if (at < scale->low)
		at = scale->low;
	return scale->top + PANEL * (1 - (at - scale->low) / (scale->high - scale->low));
}

static double ms_of(const struct histogram *histogram, double share)
{
	return (double)histogram_percentile(histogram, share) / 1e6;
}

static struct scale make_scale(const struct histogram *histogram, double top)
{
	double least = ms_of(histogram, 0), most = ms_of(histogram, 1);
	struct scale scale = { .low = floor(log10(least > 1e-4 ? least : 1e-4)),
			       .high = ceil(log10(most > 1e-3 ? most : 1e-3)),
			       .top = top };
	if (scale.high <= scale.low)
		scale.high = scale.low + 1;
	return scale;
}

static void draw_scale(FILE *file, const struct scale *scale, const char *title)
{
	fprintf(file, "<text x='%d' y='%.0f' font-size='14'>%s</text>\n", LEFT, scale->top - 12, title);
	for (double at = scale->low; at <= scale->high; at += 1) {
		double y = y_of(scale, pow(10, at));
		fprintf(file,
			"<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ccc'/><text x='%d' y='%.1f' "
			"text-anchor='end'>%g ms</text>\n",
			LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, pow(10, at));
	}
}

static void draw_over_time(FILE *file, const struct outcome *outcome, const struct scale *scale)
{
	static const struct {
		double share;
		const char *name, *colour;
	} lines[] = { { 1, "max", "#c9c9c9" },
		      { 0.999, "p99.9", "#d95f02" },
		      { 0.99, "p99", "#7570b3" },
		      { 0.5, "p50", "#1b9e77" } };
	const struct series *series = &outcome->result->series;
	double seconds = (double)(series->count * series->interval_ns) / 1e9;
	draw_scale(file, scale, "latency over time, from when a call was due");
	for (unsigned i = 0; i < outcome->swaps->done; i++) {
		double x = LEFT + PLOT_WIDTH * (double)(outcome->swaps->start_ns[i] - series->start_ns) / 1e9 / seconds;
		fprintf(file, "<line x1='%.1f' x2='%.1f' y1='%.0f' y2='%.0f' stroke='#f4c542'/>\n", x, x, scale->top,
			scale->top + PANEL);
	}
	for (unsigned line = 0; line < sizeof lines / sizeof lines[0]; line++) {
		fprintf(file, "<polyline fill='none' stroke='%s' stroke-width='1.5' points='", lines[line].colour);
		for (size_t i = 0; i < series->count; i++)
			if (series->intervals[i])
				fprintf(file, "%.1f,%.1f ",
					LEFT + PLOT_WIDTH * ((double)i + 0.5) / (double)series->count,
					y_of(scale, ms_of(series->intervals[i], lines[line].share)));
		fprintf(file, "'/>\n<text x='%u' y='%.0f' fill='%s'>%s</text>\n", WIDTH - RIGHT - 200 + 50 * line,
			scale->top - 12, lines[line].colour, lines[line].name);
	}
	fprintf(file, "<text x='%d' y='%.0f'>0 s</text><text x='%d' y='%.0f' text-anchor='end'>%.1f s</text>\n", LEFT,
		scale->top + PANEL + 18, WIDTH - RIGHT, scale->top + PANEL + 18, seconds);
}

/* x is the number of nines: 90% at 1, 99% at 2. */
static void draw_curve(FILE *file, const struct histogram *histogram, const struct scale *scale, const char *colour)
{
	fprintf(file, "<polyline fill='none' stroke='%s' stroke-width='1.5' points='", colour);
	for (unsigned step = 0; step <= NINES * 50; step++)
		fprintf(file, "%.1f,%.1f ", LEFT + (double)PLOT_WIDTH * step / (NINES * 50),
			y_of(scale, ms_of(histogram, 1 - pow(10, -(double)step / 50))));
	fprintf(file, "'/>\n");
}

static void draw_percentiles(FILE *file, const struct outcome *outcome, const struct scale *scale)
{
	static const char *const names[NINES + 1] = { "0", "90%", "99%", "99.9%", "99.99%", "99.999%" };
	draw_scale(file, scale,
		   outcome->result->latency[1].total ? "latency by percentile; dashed grey: ingest calls"
						     : "latency by percentile");
	for (unsigned nine = 0; nine <= NINES; nine++)
		fprintf(file, "<text x='%.1f' y='%.0f' text-anchor='middle'>%s</text>\n",
			LEFT + (double)PLOT_WIDTH * nine / NINES, scale->top + PANEL + 18, names[nine]);
	draw_curve(file, &outcome->result->latency[0], scale, "#1b9e77");
	if (outcome->result->latency[1].total)
		draw_curve(file, &outcome->result->latency[1], scale, "#888' stroke-dasharray='4");
}

int output_plot(const struct outcome *outcome, const char *path, struct error *err)
{
	FILE *file = fopen(path, "we");
	if (!file)
		return error_errno(err, errno, "cannot write %s", path);
	struct scale above = make_scale(&outcome->result->latency[0], TOP);
	struct scale below = make_scale(&outcome->result->latency[0], SECOND);
	fprintf(file,
		"<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif' "
		"font-size='11'>\n<rect width='100%%' height='100%%' fill='white'/>\n"
		"<text x='%d' y='14' font-size='13'>kindred-bench %s: %.0f %s/s</text>\n",
		WIDTH, HEIGHT, LEFT, work_names[outcome->work->kind],
		(double)outcome->result->units / outcome->result->seconds, work_unit(outcome->work->kind));
	draw_over_time(file, outcome, &above);
	draw_percentiles(file, outcome, &below);
	fprintf(file, "</svg>\n");
	bool failed = ferror(file) != 0;
	if (fclose(file) != 0 || failed)
		return error_errno(err, errno, "cannot write %s", path);
	return 0;
}
