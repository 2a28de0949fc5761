#include "builder/tune.h"

#include "builder/ladders.h"
#include "builder/trial.h"
#include "common/clock.h"
#include "common/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
struct measured {
	struct tune_candidate is;
	struct stage stage;
};

struct search {
	struct trial trial;
	const struct tune_options *options;
	struct report *report;
	struct params standard_params;
	struct lesson lessons[2], *best, *work; /* of the best so far, and of the candidate at work */
	float *other; /* gains of another way to serve a lesson */
	struct measured *all; /* [CANDIDATES_MAX]: everything measured */
	uint32_t count;
	uint32_t thin;
	uint64_t start_ns;
	bool stopped, spent; /* by the time; the work it may take was not enough for all it wanted to look at */
};

/* Out of time, or of work but for what is needed to decide. */
static bool over(struct search *search)
{
	if ((double)(clock_monotonic_ns() - search->start_ns) / 1e9 >= search->options->seconds)
		search->stopped = true;
	return search->stopped;
}

static uint32_t finalists(const struct search *search)
{
	return search->thin > 1 ? FINALISTS : 1;
}

/* What is to be measured when all searching is done: see decide(). */
static double reserve_of(const struct search *search)
{
	return search->trial.learning_ns * (finalists(search) + 1 + (search->options->last ? 1 : 0));
}

static double budget(const struct search *search)
{
	const struct tune_options *options = search->options;
	double builds = options->builds > 0 ? options->builds : TUNE_BUILDS;
	return search->trial.build_ns * (options->around_last && options->last ? AROUND_SHARE * builds : builds);
}

static bool affordable(struct search *search, double cost)
{
	bool is = search->trial.spent_ns + cost + reserve_of(search) <= budget(search);
	search->spent |= !is;
	return is;
}

/* --- measuring --- */

static void note_down(struct search *search, const struct tune_candidate *candidate, struct stage stage)
{
	if (search->count < CANDIDATES_MAX)
		search->all[search->count++] = (struct measured){ *candidate, stage };
	log_debug("tune: %-40s worth %.5f NDCG@20 %.4f HR@20 %.4f coverage %.3f, %.0f neighbours a query (users 1/%u, "
		  "questions 1/%u)",
		  candidate->name, candidate->worth, candidate->ndcg, candidate->hit_rate, candidate->coverage,
		  candidate->work, stage.user_step, stage.query_step);
}

/* Learns with the candidate's parameters into search->work, and asks. */
static int measure(struct search *search, struct tune_candidate *candidate, struct stage stage)
{
	int code = trial_learn(&search->trial, search->work, candidate, stage);
	double part = code ? 0 : search->trial.spent_ns / budget(search);
	if (search->report)
		report_step(search->report, part < 1 ? part : 1);
	if (!code)
		note_down(search, candidate, stage);
	return code;
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
			int code = trial_serve(&search->trial, lesson, &next, search->other, stage);
			if (code)
				return code;
			if (!(trial_ahead(&search->trial, search->other, lesson->gains, stage) > MOVE_ERRORS))
				break;
			float *swap = lesson->gains;
			lesson->gains = search->other;
			search->other = swap;
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
			if (!ladder_matters(&ladders[l], &best->params, search->trial.input.relation,
					    search->trial.types))
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
				      search->trial.queries / COARSE_STEP >= TUNE_QUERIES_MIN ? COARSE_STEP : 1 };
	int code = 0;
	if (count > keep) {
		size_t looked_at = 0;
		while (looked_at < count && !code &&
		       (looked_at == 0 ||
			affordable(search, trial_cost(&search->trial, coarse) + trial_cost(&search->trial, fine))))
			code = measure(search, &list[looked_at++], coarse);
		order(list, looked_at);
		keep = keep < looked_at ? keep : looked_at;
	}
	for (size_t c = 0; c < keep && !code && (c == 0 || !over(search)); c++) {
		if (c && !affordable(search, trial_cost(&search->trial, fine)))
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
			if (over(search) || !affordable(search, trial_cost(&search->trial, fine)))
				return 0;
			struct tune_candidate next = moved(best, ladder, to);
			int code = measure(search, &next, fine);
			if (code)
				return code;
			if (!(trial_ahead(&search->trial, search->work->gains, search->best->gains, fine) >
			      MOVE_ERRORS))
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
	size_t first = search->options->around_last ? search->trial.input.events->count % count : 0;
	for (bool helped = true; helped;) {
		helped = false;
		for (size_t l = 0; l < count; l++) {
			const struct ladder *ladder = &ladders[(first + l) % count];
			if (!ladder_matters(ladder, &best->params, search->trial.input.relation, search->trial.types))
				continue;
			int code = climb(search, best, ladder, &helped);
			if (code)
				return code;
		}
		int code = helped ? serve_better(search, search->best, best, fine) : 0;
		if (code || !helped || over(search) || !affordable(search, trial_cost(&search->trial, fine)))
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
		    trial_ahead(&search->trial, search->work->gains, search->best->gains, full) > CHOICE_ERRORS) {
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

/* A search around the choice would look further: this one had no work left, and is not that very search. */
static bool unfinished(const struct search *search, const struct tuning *tuning)
{
	const struct tune_options *options = search->options;
	bool same_again = options->around_last && options->last &&
			  memcmp(&tuning->choice.params, options->last, sizeof *options->last) == 0;
	return search->spent && !same_again;
}

static uint32_t thinning(const struct events *events)
{
	uint32_t thin = 1;
	while (events->count / thin > THIN_EVENTS && events->users / (2 * thin) >= USERS_MIN)
		thin *= 2;
	return thin;
}

static int search_run(struct search *search, struct tuning *tuning)
{
	struct trial *trial = &search->trial;
	struct tune_candidate best;
	search->all = calloc(CANDIDATES_MAX, sizeof *search->all);
	search->other = calloc(trial->queries, sizeof *search->other);
	search->best = &search->lessons[0];
	search->work = &search->lessons[1];
	if (!search->all || !search->other)
		return error_set(trial->err, E_EXHAUSTED, "no memory for the tuner");
	int code = lesson_make(trial, search->best);
	if (!code)
		code = lesson_make(trial, search->work);
	if (!code)
		code = sow(search, &best);
	if (!code)
		code = wander(search, &best);
	if (!code)
		code = decide(search, tuning);
	if (!code)
		list_others(search, tuning);
	return code;
}

int tune(struct tuning *tuning, const struct learn_input *input, const struct tune_options *options, uint32_t now_s,
	 struct error *err)
{
	struct search search = { .options = options,
				 .report = input->report,
				 .standard_params = *input->params,
				 .thin = thinning(input->events),
				 .start_ns = clock_monotonic_ns() };
	struct trial *trial = &search.trial;
	*tuning = (struct tuning){ .events = options->around_last ? options->last_events : input->events->count,
				   .goal = options->goal,
				   .places = input->relation->places ? input->relation->places : PLAN_PLACES,
				   .around_last = options->around_last };
	tuning->choice = options->last ? named("last choice", options->last) : named("defaults", input->params);
	int code = trial_open(trial, input, options, now_s, tuning->note, sizeof tuning->note, err);
	if (!code && !tuning->note[0])
		code = search_run(&search, tuning);
	tuning->queries = trial->queries;
	tuning->slices = trial->slices;
	tuning->candidates = search.count;
	tuning->builds = trial->build_ns > 0 ? trial->spent_ns / trial->build_ns : 0;
	tuning->stopped = search.stopped;
	tuning->unfinished = unfinished(&search, tuning);
	tuning->seconds = (double)(clock_monotonic_ns() - search.start_ns) / 1e9;
	for (int l = 0; l < 2; l++)
		lesson_drop(trial, &search.lessons[l]);
	trial_close(trial);
	free(search.other);
	free(search.all);
	return code;
}
