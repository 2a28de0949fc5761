#include "builder/tune.h"

#include "builder/evaluate.h"
#include "builder/ladders.h"
#include "common/clock.h"
#include "common/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICES_MAX 3
#define CANDIDATES_MAX 2000
#define STARTS_MAX 8
#define COARSE_STEP 4u /* of the questions, for the first look at the seeds */
#define STARTS_KEPT 3
#define SERVING_PASSES 3
#define AROUND_SHARE 0.5 /* of the work, when there is a choice to begin with */
#define USERS_MIN 20000u /* that a thinned learning must have */
#define THIN_EVENTS 6000000u /* a learning takes no more, as far as there are users enough */
#define FINALISTS 3 /* measured again with all users, when learning was thinned */
#define MOVE_ERRORS 0.5 /* standard errors by which a move must be better */
#define CHOICE_ERRORS 1.0
/* What things cost, in nanoseconds of one thread: a model, so that the budget does not depend on the machine. */
#define QUESTION_NS 1000.0
#define ADD_NS 3.0 /* a neighbour added up */
#define PAIR_NS 2.0
#define ENTRY_NS 60.0
#define START_NS 2e8 /* of a build: to begin, to publish */
#define WORK_FREE 500.0 /* neighbours a query that cost nothing */
#define WORK_PRICE 0.005 /* of every doubling */
#define WORK_MOST 9000.0 /* beyond it the price is in proportion */

/* How a candidate is measured. */
struct stage {
	uint32_t user_step, query_step;
};

/* What was learnt with some parameters, from before each slice. */
struct lesson {
	struct learned of[SLICES_MAX];
	float *gains; /* of all questions asked, slice by slice, times the price */
};

struct measured {
	struct tune_candidate is;
	struct stage stage;
};

struct search {
	struct learn_input input; /* params: of the candidate at work */
	const struct tune_options *options;
	struct report *report;
	struct params standard_params;
	struct exam *exams[SLICES_MAX];
	uint32_t slices, queries;
	size_t types;
	struct lesson lessons[2], *best, *work; /* of the best so far, and of the candidate at work */
	float *trial; /* gains of another way to serve a lesson */
	struct measured *all; /* [CANDIDATES_MAX]: everything measured */
	uint32_t count;
	uint32_t thin;
	double learning_ns; /* of all slices, with all users; 0: not known yet */
	double build_ns; /* a plain build */
	double spent_ns;
	uint64_t start_ns;
	bool stopped;
	struct error *err;
};

/* Out of time, or of work but for what is needed to decide. */
static bool over(struct search *search)
{
	if ((double)(clock_monotonic_ns() - search->start_ns) / 1e9 >= search->options->seconds)
		search->stopped = true;
	return search->stopped;
}

static double learning_cost(const struct search *search, struct stage stage)
{
	return search->learning_ns / stage.user_step;
}

static uint32_t finalists(const struct search *search)
{
	return search->thin > 1 ? FINALISTS : 1;
}

/* What is to be measured when all searching is done: see decide(). */
static double reserve_of(const struct search *search)
{
	return search->learning_ns * (finalists(search) + 1 + (search->options->last ? 1 : 0));
}

static double budget(const struct search *search)
{
	const struct tune_options *options = search->options;
	double builds = options->builds > 0 ? options->builds : TUNE_BUILDS;
	return search->build_ns * (options->around_last && options->last ? AROUND_SHARE * builds : builds);
}

static bool affordable(const struct search *search, double cost)
{
	return search->spent_ns + cost + reserve_of(search) <= budget(search);
}

/* --- measuring --- */

static double price(const struct search *search, const struct tune_candidate *candidate)
{
	double floor = search->options->coverage_floor, factor = 1;
	if (candidate->coverage < floor)
		factor *= candidate->coverage / floor;
	if (candidate->work > WORK_FREE)
		factor *= 1 - WORK_PRICE * log2(candidate->work / WORK_FREE);
	return candidate->work > WORK_MOST ? factor * WORK_MOST / candidate->work : factor;
}

/* Asks what was learnt, served with the candidate's parameters: its figures, and the gains times the price. */
static int ask(struct search *search, const struct lesson *lesson, struct tune_candidate *candidate, float *gains,
	       uint32_t query_step)
{
	struct evaluation figures;
	uint32_t asked = 0;
	double coverage = 0;
	candidate->ndcg = candidate->hit_rate = candidate->work = 0;
	for (uint32_t s = 0; s < search->slices; s++) {
		struct model_relation relation = lesson->of[s].relation;
		relation.serving = learn_serving(&candidate->params);
		int code = exam_ask(search->exams[s], &relation, query_step, &figures, gains + asked, search->err);
		if (code)
			return code;
		uint32_t count = figures.figures.queries;
		candidate->ndcg += figures.figures.ndcg * count;
		candidate->hit_rate += figures.figures.hit_rate * count;
		candidate->work += figures.work * count;
		coverage += figures.figures.coverage;
		asked += count;
	}
	search->spent_ns += asked * QUESTION_NS + candidate->work * ADD_NS;
	candidate->ndcg /= asked;
	candidate->hit_rate /= asked;
	candidate->work /= asked;
	candidate->coverage = coverage / search->slices;
	double factor = price(search, candidate);
	for (uint32_t n = 0; n < asked; n++)
		gains[n] *= (float)factor;
	candidate->worth =
		(search->options->objective == TUNE_HIT_RATE ? candidate->hit_rate : candidate->ndcg) * factor;
	return 0;
}

static void forget(struct search *search, struct lesson *lesson)
{
	for (uint32_t s = 0; s < search->slices; s++)
		learned_free(search->input.space, &lesson->of[s]);
}

static void note_down(struct search *search, const struct tune_candidate *candidate, struct stage stage)
{
	if (search->count < CANDIDATES_MAX)
		search->all[search->count++] = (struct measured){ *candidate, stage };
	log_debug("tune: %-40s worth %.5f NDCG@20 %.4f HR@20 %.4f coverage %.3f, %.0f neighbours a query (users 1/%u, "
		  "questions 1/%u)",
		  candidate->name, candidate->worth, candidate->ndcg, candidate->hit_rate, candidate->coverage,
		  candidate->work, stage.user_step, stage.query_step);
}

static uint32_t asked(const struct search *search, struct stage stage)
{
	uint32_t count = 0;
	for (uint32_t s = 0; s < search->slices; s++)
		count += (exam_queries(search->exams[s]) + stage.query_step - 1) / stage.query_step;
	return count;
}

/* From the first thing that was learnt. */
static void estimate(struct search *search, const struct tune_candidate *candidate, struct stage stage)
{
	for (uint32_t s = 0; s < search->slices; s++) {
		const struct learned *learned = &search->work->of[s];
		search->learning_ns += stage.user_step * (PAIR_NS * (double)learned->neighbours.pairs +
							  ENTRY_NS * (double)learned->entries);
	}
	/* a build learns twice and asks the evaluation's questions */
	search->build_ns = START_NS + 2 * search->learning_ns / search->slices +
			   EVALUATE_QUERIES * (QUESTION_NS + ADD_NS * candidate->work);
}

/* Learns with the candidate's parameters into search->work, and asks. */
static int measure(struct search *search, struct tune_candidate *candidate, struct stage stage)
{
	int code = 0;
	search->input.params = &candidate->params;
	search->input.user_step = stage.user_step;
	forget(search, search->work);
	for (uint32_t s = 0; s < search->slices && !code; s++) {
		uint32_t split_s = exam_split(search->exams[s]);
		code = learn(&search->work->of[s], &search->input, split_s, split_s, search->err);
	}
	if (!code)
		code = ask(search, search->work, candidate, search->work->gains, stage.query_step);
	if (!code && !(search->learning_ns > 0))
		estimate(search, candidate, stage);
	search->spent_ns += learning_cost(search, stage);
	if (search->report)
		report_step(search->report, search->spent_ns < budget(search) ? search->spent_ns / budget(search) : 1);
	if (!code)
		note_down(search, candidate, stage);
	return code;
}

/* Standard errors by which the gains of a are better than those of b. */
static double ahead(const float *a, const float *b, uint32_t count)
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

/* The candidate at work is the best so far. */
static void adopt(struct search *search)
{
	struct lesson *swap = search->best;
	search->best = search->work;
	search->work = swap;
}

/* --- the serving side of a lesson --- */

static struct tune_candidate moved(const struct tune_candidate *from, const struct ladder *ladder, double to)
{
	struct tune_candidate next = *from;
	*ladder_at(ladder, &next.params) = to;
	const char *origin = strstr(from->name, " from ");
	origin = origin ? origin + strlen(" from ") : from->name;
	char name[sizeof next.name];
	snprintf(name, sizeof name, "%s=%g from %.24s", ladder->name, to, origin);
	memcpy(next.name, name, sizeof name);
	return next;
}

static int climb_serving(struct search *search, struct lesson *lesson, struct tune_candidate *best,
			 const struct ladder *ladder, struct stage stage, bool *helped)
{
	for (int up = 0; up < 2; up++) {
		double to;
		while (ladder_step(ladder, *ladder_at(ladder, &best->params), up, &to)) {
			struct tune_candidate next = moved(best, ladder, to);
			int code = ask(search, lesson, &next, search->trial, stage.query_step);
			if (code)
				return code;
			if (!(ahead(search->trial, lesson->gains, asked(search, stage)) > MOVE_ERRORS))
				break;
			float *swap = lesson->gains;
			lesson->gains = search->trial;
			search->trial = swap;
			*best = next;
			*helped = true;
		}
	}
	return 0;
}

static int serve_better(struct search *search, struct lesson *lesson, struct tune_candidate *best, struct stage stage)
{
	size_t count;
	const struct ladder *ladders = ladders_serving(&count);
	bool helped = true, any = false;
	for (int pass = 0; pass < SERVING_PASSES && helped; pass++) {
		helped = false;
		for (size_t l = 0; l < count && !over(search) && affordable(search, 0); l++) {
			if (!ladder_matters(&ladders[l], &best->params, search->input.relation, search->types))
				continue;
			int code = climb_serving(search, lesson, best, &ladders[l], stage, &helped);
			if (code)
				return code;
		}
		any |= helped;
	}
	if (any)
		note_down(search, best, stage);
	return 0;
}

/* --- the search --- */

static struct tune_candidate named(const char *name, const struct params *params)
{
	struct tune_candidate candidate = { .params = *params };
	snprintf(candidate.name, sizeof candidate.name, "%s", name);
	return candidate;
}

static size_t list_starts(const struct search *search, struct tune_candidate *list)
{
	const struct tune_options *options = search->options;
	size_t count = 0;
	const char *name;
	list[count++] = named("defaults", &search->standard_params);
	if (options->last)
		list[count++] = named("last choice", options->last);
	struct params params = search->standard_params;
	for (size_t s = 0; !options->around_last && count < STARTS_MAX && seed_take(s, &params, &name); s++) {
		list[count++] = named(name, &params);
		params = search->standard_params;
	}
	return count;
}

/* Best first; of equal worth the earlier one. */
static void order(struct tune_candidate *list, size_t count)
{
	for (size_t c = 1; c < count; c++)
		for (size_t k = c; k > 0 && list[k].worth > list[k - 1].worth; k--) {
			struct tune_candidate swap = list[k];
			list[k] = list[k - 1];
			list[k - 1] = swap;
		}
}

/* Seeds on a part of the questions, the better ones on all, each served as well as it can be. *best: of these. */
static int sow(struct search *search, struct tune_candidate *best)
{
	struct tune_candidate list[STARTS_MAX];
	size_t count = list_starts(search, list), keep = count < STARTS_KEPT ? count : STARTS_KEPT;
	const struct stage fine = { search->thin, 1 };
	const struct stage coarse = { search->thin,
				      search->queries / COARSE_STEP >= TUNE_QUERIES_MIN ? COARSE_STEP : 1 };
	int code = 0;
	for (size_t c = 0; c < count && count > keep && !code; c++)
		code = measure(search, &list[c], coarse);
	if (count > keep)
		order(list, count);
	for (size_t c = 0; c < keep && !code && (c == 0 || !over(search)); c++) {
		if (c && !affordable(search, learning_cost(search, fine)))
			break;
		code = measure(search, &list[c], fine);
		if (!code)
			code = serve_better(search, search->work, &list[c], fine);
		if (!code && (c == 0 || list[c].worth > best->worth)) {
			*best = list[c];
			adopt(search);
		}
	}
	return code;
}

/* One parameter of learning up and down its ladder, as long as it helps. */
static int climb(struct search *search, struct tune_candidate *best, const struct ladder *ladder, bool *helped)
{
	const struct stage fine = { search->thin, 1 };
	for (int up = 0; up < 2; up++) {
		double to;
		while (ladder_step(ladder, *ladder_at(ladder, &best->params), up, &to)) {
			if (over(search) || !affordable(search, learning_cost(search, fine)))
				return 0;
			struct tune_candidate next = moved(best, ladder, to);
			int code = measure(search, &next, fine);
			if (code)
				return code;
			if (!(ahead(search->work->gains, search->best->gains, asked(search, fine)) > MOVE_ERRORS))
				break;
			*best = next;
			adopt(search);
			*helped = true;
		}
	}
	return 0;
}

/* Rounds of all parameters, until one brings nothing or the work is used up. */
static int wander(struct search *search, struct tune_candidate *best)
{
	const struct stage fine = { search->thin, 1 };
	size_t count;
	const struct ladder *ladders = ladders_learning(&count);
	/* A short search looks elsewhere in each build. */
	size_t first = search->options->around_last ? search->input.events->count % count : 0;
	for (bool helped = true; helped;) {
		helped = false;
		for (size_t l = 0; l < count; l++) {
			const struct ladder *ladder = &ladders[(first + l) % count];
			if (!ladder_matters(ladder, &best->params, search->input.relation, search->types))
				continue;
			int code = climb(search, best, ladder, &helped);
			if (code)
				return code;
		}
		int code = helped ? serve_better(search, search->best, best, fine) : 0;
		if (code || over(search) || !affordable(search, learning_cost(search, fine)))
			return code;
	}
	return 0;
}

/* The best of a stage, best first and without repeats, into list; returns how many. */
static uint32_t best_of(const struct search *search, struct stage stage, struct tune_candidate *list, uint32_t room)
{
	uint32_t count = 0;
	for (uint32_t c = 0; c < search->count; c++) {
		const struct measured *one = &search->all[c];
		bool wanted = one->stage.user_step == stage.user_step && one->stage.query_step == stage.query_step;
		for (uint32_t k = 0; k < count; k++)
			wanted &= memcmp(&list[k].params, &one->is.params, sizeof one->is.params) != 0;
		if (!wanted || (count == room && one->is.worth <= list[count - 1].worth))
			continue;
		uint32_t at = count < room ? count++ : count - 1;
		for (; at > 0 && one->is.worth > list[at - 1].worth; at--)
			list[at] = list[at - 1];
		list[at] = one->is;
	}
	return count;
}

/*
 * The best few and what was there are measured with all users; the best of them is the choice when it is better than
 * what was there by more than chance moves it.
 */
static int decide(struct search *search, struct tuning *tuning)
{
	const struct stage full = { 1, 1 }, fine = { search->thin, 1 };
	struct tune_candidate list[FINALISTS];
	uint32_t count = best_of(search, fine, list, finalists(search));
	tuning->standard = named("defaults", &search->standard_params);
	int code = measure(search, &tuning->standard, full);
	tuning->choice = tuning->standard;
	if (!code && search->options->last) {
		tuning->choice = named("last choice", search->options->last);
		code = measure(search, &tuning->choice, full);
	}
	adopt(search);
	for (uint32_t f = 0; f < count && !code; f++) {
		code = measure(search, &list[f], full);
		if (!code && list[f].worth > tuning->choice.worth &&
		    ahead(search->work->gains, search->best->gains, asked(search, full)) > CHOICE_ERRORS) {
			tuning->choice = list[f];
			adopt(search);
		}
	}
	return code;
}

static void list_others(const struct search *search, struct tuning *tuning)
{
	struct tune_candidate list[TUNE_SHOWN + 2];
	uint32_t count = best_of(search, (struct stage){ search->thin, 1 }, list, TUNE_SHOWN + 2);
	for (uint32_t c = 0; c < count && tuning->other_count < TUNE_SHOWN; c++)
		if (memcmp(&list[c].params, &tuning->choice.params, sizeof list[c].params) != 0 &&
		    memcmp(&list[c].params, &tuning->standard.params, sizeof list[c].params) != 0)
			tuning->others[tuning->other_count++] = list[c];
}

/* --- the whole --- */

static uint32_t thinning(const struct events *events)
{
	uint32_t thin = 1;
	while (events->count / thin > THIN_EVENTS && events->users / (2 * thin) >= USERS_MIN)
		thin *= 2;
	return thin;
}

/* The newest slice, and older ones while there are few questions. */
static int make_exams(struct search *search, struct tuning *tuning, uint32_t now_s)
{
	double to = search->options->to > 0 ? search->options->to : TUNE_TO;
	char note[sizeof tuning->note];
	for (uint32_t s = 0; s < SLICES_MAX && (s == 0 || search->queries < TUNE_QUERIES_ENOUGH); s++) {
		double end = to - s * TUNE_WIDTH;
		struct questions_slice slice = { .from = end - TUNE_WIDTH,
						 .to = s || to < 1 ? end : 1,
						 .most = TUNE_QUERIES,
						 .new_users = search->options->new_users };
		int code = exam_new(&search->exams[s], &search->input, slice, now_s, note, sizeof note, search->err);
		if (code)
			return code;
		if (!search->exams[s]) {
			if (s == 0)
				snprintf(tuning->note, sizeof tuning->note, "%s", note);
			break;
		}
		if (search->options->objective == TUNE_HIT_RATE)
			exam_gain_hits(search->exams[s]);
		search->queries += exam_queries(search->exams[s]);
		search->slices++;
	}
	if (!tuning->note[0] && search->queries < TUNE_QUERIES_MIN)
		snprintf(tuning->note, sizeof tuning->note, "not tuned: %u questions, at least %u are needed",
			 search->queries, TUNE_QUERIES_MIN);
	tuning->queries = search->queries;
	tuning->slices = search->slices;
	return 0;
}

static size_t count_types(const struct learn_input *input)
{
	const struct event *events = events_all(input->events);
	size_t types = 0;
	for (uint64_t e = 0; e < input->events->count; e++)
		if (input->relation->weights[events[e].type] > 0 && events[e].type >= types)
			types = events[e].type + 1u;
	size_t used = 0;
	for (size_t t = 0; t < types; t++)
		used += input->relation->weights[t] > 0;
	return used;
}

static int search_run(struct search *search, struct tuning *tuning)
{
	struct tune_candidate best;
	search->all = calloc(CANDIDATES_MAX, sizeof *search->all);
	search->trial = calloc(search->queries, sizeof *search->trial);
	for (int l = 0; l < 2; l++)
		search->lessons[l].gains = calloc(search->queries, sizeof(float));
	search->best = &search->lessons[0];
	search->work = &search->lessons[1];
	if (!search->all || !search->trial || !search->best->gains || !search->work->gains)
		return error_set(search->err, E_EXHAUSTED, "no memory for the tuner");
	search->types = count_types(&search->input);
	int code = sow(search, &best);
	if (!code)
		code = wander(search, &best);
	if (!code)
		code = decide(search, tuning);
	if (!code)
		list_others(search, tuning);
	return code;
}

static void release(struct search *search)
{
	for (int l = 0; l < 2; l++) {
		forget(search, &search->lessons[l]);
		free(search->lessons[l].gains);
	}
	for (uint32_t s = 0; s < search->slices; s++)
		exam_free(search->exams[s]);
	free(search->trial);
	free(search->all);
}

int tune(struct tuning *tuning, const struct learn_input *input, const struct tune_options *options, uint32_t now_s,
	 struct error *err)
{
	struct search search = { .input = *input,
				 .options = options,
				 .report = input->report,
				 .standard_params = *input->params,
				 .thin = thinning(input->events),
				 .start_ns = clock_monotonic_ns(),
				 .err = err };
	search.input.report = NULL; /* of the single learning */
	search.input.attributes = NULL; /* what they give to cold items is the same for all candidates */
	*tuning = (struct tuning){ .events = options->around_last ? options->last_events : input->events->count,
				   .objective = options->objective,
				   .coverage_floor = options->coverage_floor,
				   .around_last = options->around_last };
	tuning->choice = options->last ? named("last choice", options->last) : named("defaults", input->params);
	int code = make_exams(&search, tuning, now_s);
	if (!code && !tuning->note[0])
		code = search_run(&search, tuning);
	tuning->candidates = search.count;
	tuning->builds = search.build_ns > 0 ? search.spent_ns / search.build_ns : 0;
	tuning->stopped = search.stopped;
	tuning->seconds = (double)(clock_monotonic_ns() - search.start_ns) / 1e9;
	release(&search);
	return code;
}
