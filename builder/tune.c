#include "builder/tune.h"

#include "builder/evaluate.h"
#include "common/clock.h"
#include "common/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MAX 400
#define COARSE_STEP 4u /* of the questions, for the seeds */
#define COVERAGE_FLOOR 0.5 /* of the defaults' */
#define COVERAGE_PRICE 0.9
#define LADDER_MAX 10
#define AROUND_SHARE 0.5 /* of the work, when there is a choice to begin with */
#define LEARN_SHARE 0.8 /* of the events are learnt from */
#define USERS_MIN 20000u /* that a thinned learning must have */
#define FINALISTS 3 /* measured again with all users; without thinning only the first is, for its serving side */

/* What can be moved and where to, in order of what it usually gives. */
static const struct ladder {
	const char *name;
	size_t offset;
	uint32_t count;
	double values[LADDER_MAX];
} ladders[] = {
#define LADDER(name, count, ...)                                                                                       \
	{                                                                                                              \
#name, offsetof(struct params, name), count,                                                           \
		{                                                                                                      \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}
	LADDER(gap, 6, 0, 0.3, 0.5, 0.7, 1, 1.4),
	LADDER(age_days, 8, 0, 2, 5, 10, 20, 30, 60, 180),
	LADDER(norm_from, 6, 0.4, 0.5, 0.65, 0.75, 0.85, 1),
	LADDER(list_window, 6, 5, 10, 20, 50, 100, 200),
	LADDER(norm_to, 6, 0.1, 0.2, 0.25, 0.3, 0.35, 0.5),
	LADDER(back, 6, 0, 0.15, 0.3, 0.5, 0.6, 1),
	LADDER(age_floor, 5, 0, 0.05, 0.15, 0.3, 0.6),
	LADDER(pair_days, 5, 0, 0.05, 0.3, 1, 7),
	LADDER(length_discount, 4, 0, 0.25, 0.5, 1),
	LADDER(shrink, 6, 0, 2, 8, 20, 50, 200),
	LADDER(trend_exponent, 5, 0, 0.15, 0.25, 0.5, 0.8),
	LADDER(neighbours, 4, 50, 100, 200, 400),
	LADDER(recent_days, 5, 0.5, 1, 3, 7, 30),
	LADDER(min_count, 3, 1, 2, 3),
	LADDER(season_exponent, 3, 0, 0.25, 0.5),
};
/* These are searched on one learned relation. */
static const struct ladder serving_ladders[] = {
	LADDER(rank_decay, 9, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.88, 0.95),
	LADDER(profile_items, 6, 3, 5, 10, 20, 40, 80),
	LADDER(half_life_days, 7, 0, 0.02, 0.2, 1, 7, 30, 180),
	LADDER(blend, 5, 0, 0.05, 0.1, 0.25, 0.6),
#undef LADDER
};

static const struct seed {
	const char *name, *settings;
} seeds[] = {
	{ "clicks", "gap=0.5 back=0.5 norm_from=0.75 norm_to=0.25 shrink=2 rank_decay=0.5 age_days=20 age_floor=0 "
		    "profile_items=10 neighbours=50 trend_exponent=0.15" },
	{ "films",
	  "gap=1 back=0.3 norm_from=0.75 norm_to=0.3 rank_decay=0.8 profile_items=20 list_window=50 age_days=0 "
	  "trend_exponent=0" },
	{ "purchases", "pair_days=1 age_days=30 age_floor=0 length_discount=0.5 min_count=3 gap=0 back=1" },
};

/* How a candidate is measured. */
struct stage {
	uint32_t user_step, query_step;
};

struct candidate {
	struct tune_candidate is;
	struct stage stage; /* of its figures */
	uint32_t number;
};

struct search {
	struct learn_input input; /* params: of the candidate at work */
	struct report *report;
	struct params standard_params;
	struct exam *exam;
	float *gains, *best_gains; /* [queries]: of the candidate at work */
	struct candidate *all; /* [CANDIDATES_MAX]: everything measured */
	uint32_t count;
	uint32_t thin;
	double standard_coverage;
	double work, spent;
	uint64_t start_ns;
	double seconds;
	bool stopped;
	struct error *err;
};

static double *at(struct params *params, const struct ladder *ladder)
{
	return (double *)((char *)params + ladder->offset);
}

static double worth(const struct search *search, const struct tune_candidate *candidate)
{
	bool narrow = candidate->coverage < COVERAGE_FLOOR * search->standard_coverage;
	return candidate->ndcg * (narrow ? COVERAGE_PRICE : 1);
}

static bool over(struct search *search)
{
	if ((double)(clock_monotonic_ns() - search->start_ns) / 1e9 >= search->seconds)
		search->stopped = true;
	return search->stopped || search->count == CANDIDATES_MAX;
}

static bool affordable(const struct search *search, struct stage stage, double reserve)
{
	return search->spent + LEARN_SHARE / stage.user_step + reserve <= search->work;
}

/* --- measuring --- */

static int ask(struct search *search, struct learned *learned, struct tune_candidate *candidate, uint32_t query_step)
{
	struct evaluation figures;
	struct model_relation relation = learned->relation;
	relation.serving = learn_serving(&candidate->params);
	int code = exam_ask(search->exam, &relation, query_step, &figures, search->gains, search->err);
	candidate->ndcg = figures.figures.ndcg;
	candidate->hit_rate = figures.figures.hit_rate;
	candidate->coverage = figures.figures.coverage;
	return code;
}

/* The next value of the ladder on this side; false: there is none. */
static bool step_of(const struct ladder *ladder, double from, bool up, double *to)
{
	for (uint32_t n = 0; n < ladder->count; n++) {
		uint32_t v = up ? n : ladder->count - 1 - n;
		*to = ladder->values[v];
		if (up ? *to > from + 1e-9 : *to < from - 1e-9)
			return true;
	}
	return false;
}

static int climb_serving(struct search *search, struct learned *learned, struct tune_candidate *best,
			 const struct ladder *ladder, uint32_t query_step)
{
	for (int up = 0; up < 2; up++) {
		double to;
		while (step_of(ladder, *at(&best->params, ladder), up, &to)) {
			struct tune_candidate next = *best;
			*at(&next.params, ladder) = to;
			int code = ask(search, learned, &next, query_step);
			if (code)
				return code;
			if (worth(search, &next) <= worth(search, best))
				break;
			*best = next;
		}
	}
	return 0;
}

/* Learns and asks; with `serve`, looks for the best way to serve it too. Adds it to all that was measured. */
static int measure(struct search *search, struct tune_candidate *candidate, struct stage stage, bool serve)
{
	struct learned learned;
	search->input.params = &candidate->params;
	search->input.user_step = stage.user_step;
	uint32_t split_s = exam_split(search->exam);
	int code = learn(&learned, &search->input, split_s, split_s, search->err);
	if (!code)
		code = ask(search, &learned, candidate, stage.query_step);
	for (size_t l = 0; serve && !code && l < sizeof serving_ladders / sizeof *serving_ladders; l++)
		code = climb_serving(search, &learned, candidate, &serving_ladders[l], stage.query_step);
	if (!code && serve) /* the gains of the best again */
		code = ask(search, &learned, candidate, stage.query_step);
	learned_free(search->input.space, &learned);
	search->spent += LEARN_SHARE / stage.user_step;
	if (search->report)
		report_step(search->report, search->spent < search->work ? search->spent / search->work : 1);
	if (!code && search->count < CANDIDATES_MAX) {
		search->all[search->count] = (struct candidate){ *candidate, stage, search->count };
		search->count++;
	}
	log_debug("tune: %-40s NDCG@20 %.4f HR@20 %.4f coverage %.3f (users 1/%u, questions 1/%u)", candidate->name,
		  candidate->ndcg, candidate->hit_rate, candidate->coverage, stage.user_step, stage.query_step);
	return code;
}

/* --- the search --- */

static struct tune_candidate seed_candidate(const struct search *search, const struct seed *seed)
{
	struct tune_candidate candidate = { .params = search->standard_params };
	char settings[300], *rest = settings, *one;
	snprintf(candidate.name, sizeof candidate.name, "%s", seed->name);
	snprintf(settings, sizeof settings, "%s", seed->settings);
	while ((one = strsep(&rest, " ")))
		params_set(&candidate.params, one, NULL);
	return candidate;
}

static struct tune_candidate named(const char *name, const struct params *params)
{
	struct tune_candidate candidate = { .params = *params };
	snprintf(candidate.name, sizeof candidate.name, "%s", name);
	return candidate;
}

/* Seeds on a part of the questions, the better half of them on all. *best: of the latter. */
static int sow(struct search *search, const struct tune_options *options, struct tune_candidate *best)
{
	struct tune_candidate list[2 + sizeof seeds / sizeof *seeds];
	const struct stage coarse = { search->thin, COARSE_STEP }, fine = { search->thin, 1 };
	size_t count = 0;
	list[count++] = named("defaults", &search->standard_params);
	if (options->last)
		list[count++] = named("last choice", options->last);
	for (size_t s = 0; !options->around_last && s < sizeof seeds / sizeof *seeds; s++)
		list[count++] = seed_candidate(search, &seeds[s]);
	size_t keep = count;
	if (count > 2) {
		for (size_t c = 0; c < count; c++) {
			int code = measure(search, &list[c], coarse, false);
			if (code)
				return code;
			if (c == 0)
				search->standard_coverage = list[0].coverage;
		}
		for (size_t c = 1; c < count; c++) /* best first, earlier ones on a tie */
			for (size_t k = c; k > 0 && worth(search, &list[k]) > worth(search, &list[k - 1]); k--) {
				struct tune_candidate moved = list[k];
				list[k] = list[k - 1];
				list[k - 1] = moved;
			}
		keep = (count + 1) / 2;
		search->standard_coverage = 0;
	}
	/* The defaults are always measured as they are: all others are held against them. */
	struct tune_candidate standard = named("defaults", &search->standard_params);
	int code = measure(search, &standard, fine, false);
	search->standard_coverage = standard.coverage;
	*best = standard;
	for (size_t c = 0; c < keep && !code && (c == 0 || !over(search)); c++) {
		code = measure(search, &list[c], fine, true);
		if (!code && worth(search, &list[c]) > worth(search, best))
			*best = list[c];
	}
	return code;
}

static struct tune_candidate moved(const struct tune_candidate *from, const struct ladder *ladder, double to)
{
	struct tune_candidate next = *from;
	*at(&next.params, ladder) = to;
	const char *origin = strstr(from->name, " from ");
	origin = origin ? origin + strlen(" from ") : from->name;
	char name[sizeof next.name];
	snprintf(name, sizeof name, "%s=%g from %.24s", ladder->name, to, origin);
	memcpy(next.name, name, sizeof name);
	return next;
}

/* Moves of one parameter at a time, until none helps or the work is used up. */
static int wander(struct search *search, struct tune_candidate *best, bool around_last, double reserve)
{
	const struct stage fine = { search->thin, 1 };
	const size_t count = sizeof ladders / sizeof *ladders;
	/* A short search looks elsewhere in each build. */
	size_t first = around_last ? search->input.events->count % count : 0;
	for (size_t l = first, idle = 0; idle < count; l = (l + 1) % count) {
		bool helped = false;
		for (int up = 0; up < 2; up++) {
			double to;
			while (step_of(&ladders[l], *at(&best->params, &ladders[l]), up, &to)) {
				if (over(search) || !affordable(search, fine, reserve))
					return 0;
				struct tune_candidate next = moved(best, &ladders[l], to);
				int code = measure(search, &next, fine, false);
				if (code)
					return code;
				if (worth(search, &next) <= worth(search, best))
					break;
				*best = next;
				helped = true;
			}
		}
		idle = helped ? 0 : idle + 1;
	}
	return 0;
}

/* Best first; of equal worth the earlier one. */
static void order(const struct search *search, struct candidate *list, uint32_t count)
{
	for (uint32_t c = 1; c < count; c++)
		for (uint32_t k = c; k > 0 && worth(search, &list[k].is) > worth(search, &list[k - 1].is); k--) {
			struct candidate swap = list[k];
			list[k] = list[k - 1];
			list[k - 1] = swap;
		}
}

/* The best of a stage, best first and without repeats, into list; returns how many. */
static uint32_t best_of(const struct search *search, struct stage stage, struct candidate *list, uint32_t room)
{
	uint32_t count = 0;
	struct candidate *all = malloc(search->count * sizeof *all);
	if (!all)
		return 0;
	memcpy(all, search->all, search->count * sizeof *all);
	order(search, all, search->count);
	for (uint32_t c = 0; c < search->count && count < room; c++) {
		bool repeated =
			all[c].stage.user_step != stage.user_step || all[c].stage.query_step != stage.query_step;
		for (uint32_t k = 0; k < count; k++)
			repeated |= memcmp(&list[k].is.params, &all[c].is.params, sizeof(struct params)) == 0;
		if (!repeated)
			list[count++] = all[c];
	}
	free(all);
	return count;
}

/* Mean of the differences over its standard error. */
static double difference(const float *a, const float *b, uint32_t count)
{
	double sum = 0, squares = 0;
	for (uint32_t n = 0; n < count; n++) {
		double d = (double)a[n] - (double)b[n];
		sum += d;
		squares += d * d;
	}
	double variance = squares / count - sum / count * (sum / count);
	return variance > 0 ? sum / count / sqrt(variance / count) : 0;
}

static uint32_t finalists(const struct search *search)
{
	return search->thin > 1 ? FINALISTS : 1;
}

/*
 * The best few and what was there are measured with all users; the best of them is the choice when it is better than
 * what was there by more than chance moves it.
 */
static int decide(struct search *search, struct tuning *tuning, const struct tune_options *options)
{
	const struct stage full = { 1, 1 }, fine = { search->thin, 1 };
	struct candidate best[FINALISTS];
	uint32_t count = best_of(search, fine, best, finalists(search));
	uint32_t queries = exam_queries(search->exam);
	tuning->standard = named("defaults", &search->standard_params);
	int code = measure(search, &tuning->standard, full, false);
	search->standard_coverage = tuning->standard.coverage;
	struct tune_candidate there = tuning->standard;
	if (!code && options->last) {
		there = named("last choice", options->last);
		code = measure(search, &there, full, false);
	}
	memcpy(search->best_gains, search->gains, queries * sizeof *search->gains);
	tuning->choice = there;
	bool narrow = there.coverage < COVERAGE_FLOOR * search->standard_coverage;
	for (uint32_t f = 0; f < count && !code; f++) {
		struct tune_candidate *one = &best[f].is;
		code = measure(search, one, full, f == 0);
		if (!code && worth(search, one) > worth(search, &tuning->choice) &&
		    (narrow || difference(search->gains, search->best_gains, queries) > 1))
			tuning->choice = *one;
	}
	return code;
}

static void list_others(const struct search *search, struct tuning *tuning)
{
	struct candidate list[TUNE_SHOWN + 2];
	uint32_t count = best_of(search, (struct stage){ 1, 1 }, list, TUNE_SHOWN + 2);
	for (uint32_t c = 0; c < count && tuning->other_count < TUNE_SHOWN; c++) {
		const struct params *params = &list[c].is.params;
		if (memcmp(params, &tuning->choice.params, sizeof *params) != 0 &&
		    memcmp(params, &tuning->standard.params, sizeof *params) != 0)
			tuning->others[tuning->other_count++] = list[c].is;
	}
}

static uint32_t thinning(const struct events *events)
{
	uint32_t thin = events->count >= 2000000 ? 4 : events->count >= 500000 ? 2 : 1;
	while (thin > 1 && events->users / thin < USERS_MIN)
		thin /= 2;
	return thin;
}

double tune_work(uint64_t events)
{
	double work = 12 * sqrt(2e6 / (double)(events + 1));
	return work < 12 ? 12 : work > 48 ? 48 : work;
}

static int search_run(struct search *search, struct tuning *tuning, const struct tune_options *options)
{
	uint32_t queries = exam_queries(search->exam);
	struct tune_candidate best;
	search->all = calloc(CANDIDATES_MAX, sizeof *search->all);
	search->gains = calloc(queries, sizeof *search->gains);
	search->best_gains = calloc(queries, sizeof *search->best_gains);
	if (!search->all || !search->gains || !search->best_gains)
		return error_set(search->err, E_EXHAUSTED, "no memory for the tuner");
	int code = sow(search, options, &best);
	if (!code)
		code = wander(search, &best, options->around_last,
			      LEARN_SHARE * (finalists(search) + 1 + (options->last ? 1 : 0)));
	if (!code)
		code = decide(search, tuning, options);
	if (!code)
		list_others(search, tuning);
	return code;
}

int tune(struct tuning *tuning, const struct learn_input *input, const struct tune_options *options, uint32_t now_s,
	 struct error *err)
{
	struct evaluate_slice slice = { .from = TUNE_FROM, .to = TUNE_TO, .queries = TUNE_QUERIES };
	struct search search = { .input = *input,
				 .standard_params = *input->params,
				 .thin = thinning(input->events),
				 .work = options->work > 0 ? options->work : tune_work(input->events->count),
				 .seconds = options->seconds,
				 .start_ns = clock_monotonic_ns(),
				 .err = err };
	search.report = input->report;
	search.input.report = NULL; /* of the single learning */
	if (options->around_last && options->last)
		search.work *= AROUND_SHARE;
	*tuning = (struct tuning){ .events = options->around_last ? options->last_events : input->events->count,
				   .around_last = options->around_last };
	tuning->choice = options->last ? named("last choice", options->last) : named("defaults", input->params);
	int code = exam_new(&search.exam, &search.input, slice, now_s, tuning->note, sizeof tuning->note, err);
	if (code || !search.exam)
		return code;
	tuning->queries = exam_queries(search.exam);
	if (tuning->queries < TUNE_QUERIES_MIN)
		snprintf(tuning->note, sizeof tuning->note, "not tuned: %u questions, at least %u are needed",
			 tuning->queries, TUNE_QUERIES_MIN);
	else
		code = search_run(&search, tuning, options);
	tuning->candidates = search.count;
	tuning->work = search.spent;
	tuning->stopped = search.stopped;
	tuning->seconds = (double)(clock_monotonic_ns() - search.start_ns) / 1e9;
	free(search.all);
	free(search.gains);
	free(search.best_gains);
	exam_free(search.exam);
	return code;
}

static json_t *candidate_json(const struct tune_candidate *c)
{
	struct params defaults = params_default();
	char changes[600];
	params_changes(&c->params, &defaults, changes, sizeof changes);
	return json_pack("{ss so ss sf sf sf}", "name", c->name, "params", params_json(&c->params), "settings", changes,
			 "ndcg", c->ndcg, "hit_rate", c->hit_rate, "coverage", c->coverage);
}

json_t *tuning_json(const struct tuning *t)
{
	if (t->note[0])
		return json_pack("{ss sI so}", "note", t->note, "events", (json_int_t)t->events, "choice",
				 candidate_json(&t->choice));
	json_t *others = json_array();
	for (uint32_t o = 0; o < t->other_count; o++)
		json_array_append_new(others, candidate_json(&t->others[o]));
	return json_pack("{so so so sI sI sI sf sb sb}", "choice", candidate_json(&t->choice), "defaults",
			 candidate_json(&t->standard), "others", others, "queries", (json_int_t)t->queries,
			 "candidates", (json_int_t)t->candidates, "events", (json_int_t)t->events, "work", t->work,
			 "around_last", t->around_last, "stopped", t->stopped);
}
