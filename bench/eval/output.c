#include "bench/eval/output.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#define DIGITS 6

static const struct figures *kindred(const struct output *output)
{
	return &output->methods[output->count - 1].figures;
}

void output_table(const struct output *output)
{
	printf("%-20s %14s %14s %14s %14s %8s %9s %6s %8s %8s\n", "", "HR@20", "NDCG@20", "NDCG@10", "MRR@20",
	       "coverage", "mean pop.", "Gini", "build s", "us/query");
	for (uint32_t m = 0; m < output->count; m++) {
		const struct figures *f = &output->methods[m].figures;
		printf("%-20s %.4f +-%.4f %.4f +-%.4f %.4f +-%.4f %.4f +-%.4f %8.3f %9.0f %6.3f %8.2f %8.2f\n",
		       output->methods[m].name, f->hr20.value, f->hr20.error, f->ndcg20.value, f->ndcg20.error,
		       f->ndcg10.value, f->ndcg10.error, f->mrr20.value, f->mrr20.error, f->coverage, f->popularity,
		       f->gini, f->build_seconds, f->microseconds);
	}
	fflush(stdout);
}

static json_t *mean_json(const struct mean *mean)
{
	return json_pack("{sf sf}", "value", mean->value, "error", mean->error);
}

static json_t *method_json(const struct method *method)
{
	const struct figures *f = &method->figures;
	return json_pack("{ss so so so so sf sf sf sf sf}", "method", method->name, "hr20", mean_json(&f->hr20),
			 "ndcg20", mean_json(&f->ndcg20), "ndcg10", mean_json(&f->ndcg10), "mrr20",
			 mean_json(&f->mrr20), "coverage", f->coverage, "mean_popularity", f->popularity, "gini",
			 f->gini, "build_seconds", f->build_seconds, "us_per_query", f->microseconds);
}

int output_json(const struct output *output, const char *path, struct error *err)
{
	const struct questions *q = output->questions;
	json_t *methods = json_array();
	for (uint32_t m = 0; m < output->count; m++)
		json_array_append_new(methods, method_json(&output->methods[m]));
	json_t *all = json_pack("{ss ss sI sf sI sI so so}", "set", output->set, "mode", output->mode, "n",
				(json_int_t)q->count, "cold_share", (double)q->cold / q->count, "train_events",
				(json_int_t)q->train.count, "train_items", (json_int_t)q->known, "params",
				params_json(output->params), "methods", methods);
	int code = all ? json_dump_file(all, path, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS)) : -1;
	json_decref(all);
	return code ? error_errno(err, errno, "%s", path) : 0;
}

int output_line(const struct output *output, struct error *err)
{
	const struct figures *f = kindred(output);
	json_t *line = json_pack("{ss ss sI sf sf sf sf sf sf}", "set", output->set, "mode", output->mode, "n",
				 (json_int_t)f->count, "hr20", f->hr20.value, "ndcg20", f->ndcg20.value, "ndcg10",
				 f->ndcg10.value, "mrr20", f->mrr20.value, "coverage", f->coverage, "us_per_query",
				 f->microseconds);
	if (!line)
		return error_set(err, E_EXHAUSTED, "no memory for a line of JSON");
	json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
	printf("\n");
	fflush(stdout);
	json_decref(line);
	return 0;
}

/* --- the plot --- */

#define BAR_WIDTH 34
#define GROUP_GAP 40
#define PLOT_LEFT 60
#define PLOT_TOP 70
#define PLOT_HEIGHT 260

static const char *const colours[] = { "#b9c0c8", "#8d99a6", "#d9a441", "#2f6f9f", "#7a4f9a", "#4f8a5b" };
#define COLOURS (sizeof colours / sizeof *colours)

struct bar {
	double value, error;
};

static void draw_bar(FILE *out, double x, struct bar bar, const char *colour)
{
	double height = bar.value * PLOT_HEIGHT, top = PLOT_TOP + PLOT_HEIGHT - height;
	fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\"/>\n", x, top, BAR_WIDTH - 4,
		height, colour);
	double middle = x + BAR_WIDTH / 2.0 - 2;
	if (bar.error > 0)
		fprintf(out, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#333\"/>\n", middle, top - bar.error * PLOT_HEIGHT,
			top + bar.error * PLOT_HEIGHT);
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" font-size=\"10\">%.3f</text>\n", middle,
		top - bar.error * PLOT_HEIGHT - 4, bar.value);
}

static void draw_groups(FILE *out, const struct output *output)
{
	static const char *const names[] = { "HR@20", "NDCG@20", "NDCG@10", "MRR@20", "coverage" };
	double step = output->count * BAR_WIDTH + GROUP_GAP;
	for (uint32_t g = 0; g < sizeof names / sizeof *names; g++) {
		double left = PLOT_LEFT + GROUP_GAP / 2.0 + g * step;
		for (uint32_t m = 0; m < output->count; m++) {
			const struct figures *f = &output->methods[m].figures;
			struct bar bars[] = { { f->hr20.value, f->hr20.error },
					      { f->ndcg20.value, f->ndcg20.error },
					      { f->ndcg10.value, f->ndcg10.error },
					      { f->mrr20.value, f->mrr20.error },
					      { f->coverage, 0 } };
			draw_bar(out, left + m * BAR_WIDTH, bars[g], colours[m % COLOURS]);
		}
		fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
			left + output->count * BAR_WIDTH / 2.0, PLOT_TOP + PLOT_HEIGHT + 20, names[g]);
	}
}

int output_plot(const struct output *output, const char *path, struct error *err)
{
	FILE *out = fopen(path, "w");
	if (!out)
		return error_errno(err, errno, "%s", path);
	double width = PLOT_LEFT + 5 * (output->count * BAR_WIDTH + GROUP_GAP) + 20;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%d\" font-family=\"sans-serif\" "
		"font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		width, PLOT_TOP + PLOT_HEIGHT + 40);
	fprintf(out, "<text x=\"%d\" y=\"24\" font-size=\"16\">%s, %s: %u questions</text>\n", PLOT_LEFT, output->set,
		output->mode, output->questions->count);
	for (uint32_t m = 0; m < output->count; m++) {
		double x = PLOT_LEFT + 160.0 * m;
		fprintf(out, "<rect x=\"%.0f\" y=\"36\" width=\"12\" height=\"12\" fill=\"%s\"/>", x,
			colours[m % COLOURS]);
		fprintf(out, "<text x=\"%.0f\" y=\"47\">%s</text>\n", x + 17, output->methods[m].name);
	}
	for (int tenth = 0; tenth <= 10; tenth += 2) {
		double y = PLOT_TOP + PLOT_HEIGHT - tenth / 10.0 * PLOT_HEIGHT;
		fprintf(out, "<path d=\"M%d %.1fH%.0f\" stroke=\"#ddd\"/>", PLOT_LEFT, y, width - 10);
		fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.1f</text>\n", PLOT_LEFT - 8, y + 4,
			tenth / 10.0);
	}
	draw_groups(out, output);
	fprintf(out, "</svg>\n");
	return fclose(out) ? error_errno(err, errno, "%s", path) : 0;
}
