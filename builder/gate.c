#include "builder/gate.h"

#include "builder/served.h"
#include "common/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define Z_MOST 99.0 /* what "no doubt at all" is written as */

/* --- what is served --- */

void gate_open(struct gate *gate, const struct datadir *dir, uint32_t relations)
{
	char folder[DATADIR_PATH_MAX], path[DATADIR_PATH_MAX + 32];
	uint64_t number = 0;
	struct error err = { 0 };
	*gate = (struct gate){ .relations = relations };
	int code = datadir_active_read(dir, &number, &err);
	if (!code && number == 0) {
		snprintf(gate->why, sizeof gate->why, "no generation was served to compare with");
		return;
	}
	if (!code) {
		model_path(path, sizeof path, datadir_models(dir, folder), number);
		code = model_open(&gate->served, path, true, &err);
	}
	if (!code)
		return;
	gate->served = NULL;
	snprintf(gate->why, sizeof gate->why, "the generation that was served cannot be read");
	log_warning("gate: nothing is compared: %s", err.text);
}

void gate_close(struct gate *gate)
{
	model_close(gate->served);
	gate->served = NULL;
}

/* --- the test --- */

/* One user's means. */
struct answers {
	uint32_t next; /* the first question of the next user */
	double ours, theirs;
};

static struct answers of_user(const float *gains, const float *served_gains, const uint64_t *users, uint32_t count,
			      uint32_t first)
{
	struct answers sum = { .next = first };
	for (; sum.next < count && users[sum.next] == users[first]; sum.next++) {
		sum.ours += (double)gains[sum.next];
		sum.theirs += (double)served_gains[sum.next];
	}
	sum.ours /= sum.next - first;
	sum.theirs /= sum.next - first;
	return sum;
}

/* squares: of the differences' distances from their mean. */
static double z_of(double mean, double squares, uint32_t users)
{
	double error = sqrt(squares / (users - 1.0) / users);
	if (error > 0)
		return fmax(-Z_MOST, fmin(Z_MOST, mean / error));
	return mean == 0 ? 0 : copysign(Z_MOST, mean);
}

void gate_compare(struct model_gate *out, const float *gains, const float *served_gains, const uint64_t *users,
		  uint32_t count, uint32_t relations)
{
	double ours = 0, theirs = 0, squares = 0;
	struct answers of;
	out->verdict = MODEL_UNTESTED;
	out->queries = count;
	out->users = 0;
	for (uint32_t n = 0; n < count; n = of.next, out->users++) {
		of = of_user(gains, served_gains, users, count, n);
		ours += of.ours;
		theirs += of.theirs;
	}
	out->ndcg = count ? ours / out->users : 0;
	out->served_ndcg = count ? theirs / out->users : 0;
	out->z = 0;
	if (count < GATE_QUERIES_MIN || out->users < GATE_USERS_MIN)
		return;
	double difference = out->ndcg - out->served_ndcg;
	for (uint32_t n = 0; n < count; n = of.next) {
		of = of_user(gains, served_gains, users, count, n);
		double away = of.ours - of.theirs - difference;
		squares += away * away;
	}
	out->z = z_of(difference, squares, out->users);
	/* Of a normal variable, to be at least that far out on this side. */
	double chance = erfc(fabs(out->z) / sqrt(2)) / 2;
	bool sure = chance < GATE_CHANCE / (relations ? relations : 1);
	if (!sure || fabs(difference) <= GATE_LEAST * out->served_ndcg)
		out->verdict = MODEL_EQUAL;
	else
		out->verdict = difference < 0 ? MODEL_WORSE : MODEL_BETTER;
}

void gate_words(const struct model_gate *gate, char *text, size_t bytes)
{
	snprintf(text, bytes, "NDCG@20 %.4f, generation %llu has %.4f on the same %u questions of %u users", gate->ndcg,
		 (unsigned long long)gate->against, gate->served_ndcg, gate->queries, gate->users);
}

/* --- asking both --- */

/* Two models under the same exam. */
struct pair {
	struct exam *exam;
	float *gains, *served_gains;
	uint64_t *users;
	uint32_t count;
};

static void pair_free(struct pair *pair)
{
	exam_free(pair->exam);
	free(pair->gains);
	free(pair->served_gains);
	free(pair->users);
	*pair = (struct pair){ 0 };
}

/* Events of the newest tenth, not before from_s. count 0: none can be asked about. */
static int pair_make(struct pair *pair, const struct gate_candidate *candidate, uint32_t from_s, struct error *err)
{
	struct questions_slice slice = { .from = EVALUATE_SHARE, .to = 1, .most = EVALUATE_QUERIES, .from_s = from_s };
	char note[MODEL_NOTE_MAX];
	*pair = (struct pair){ 0 };
	int code = exam_new(&pair->exam, candidate->input, slice, candidate->now_s, note, sizeof note, err);
	if (code || !pair->exam)
		return code;
	pair->count = exam_queries(pair->exam);
	pair->gains = calloc(pair->count, sizeof *pair->gains);
	pair->served_gains = calloc(pair->count, sizeof *pair->served_gains);
	pair->users = calloc(pair->count, sizeof *pair->users);
	if (!pair->gains || !pair->served_gains || !pair->users)
		return error_set(err, E_EXHAUSTED, "no memory for the comparison");
	for (uint32_t n = 0; n < pair->count; n++)
		pair->users[n] = exam_user(pair->exam, n);
	return 0;
}

static int pair_ask(struct pair *pair, const struct model_relation *relation, float *gains, struct error *err)
{
	struct evaluation figures;
	return exam_ask(pair->exam, relation, 1, &figures, gains, err);
}

static void judge(const struct gate *gate, const struct pair *pair, struct model_gate *out)
{
	gate_compare(out, pair->gains, pair->served_gains, pair->users, pair->count, gate->relations);
}

/* --- the steps of the header --- */

static uint32_t after_served(const struct model *served)
{
	int64_t newest_s = served->newest_event_ms == INT64_MIN ? 0 : served->newest_event_ms / 1000 + 1;
	return newest_s <= 0 ? 0 : newest_s < UINT32_MAX ? (uint32_t)newest_s : UINT32_MAX;
}

/* Step 2: with a model that was learnt up to the moment to which the served one was. */
static int ask_as_late(const struct gate *gate, const struct gate_candidate *candidate, struct pair *pair,
		       struct model_gate *out, struct error *err)
{
	struct learned learned;
	uint32_t split_s = exam_split(pair->exam);
	int code = learn(&learned, candidate->input, split_s, split_s, err);
	if (!code)
		code = pair_ask(pair, &learned.relation, pair->gains, err);
	if (!code)
		judge(gate, pair, out);
	learned_free(candidate->input->space, &learned);
	return code;
}

static int ask_served(const struct gate *gate, const struct gate_candidate *candidate, struct pair *pair,
		      const struct model_catalog *catalog, const struct model_relation *relation,
		      struct model_gate *out, struct error *err)
{
	const struct learn_input *input = candidate->input;
	struct served served;
	int code = served_make(&served, input->space, catalog, relation, candidate->keys, input->items, err);
	if (!code)
		code = pair_ask(pair, &served.relation, pair->served_gains, err);
	served_free(&served);
	if (!code)
		code = pair_ask(pair, &candidate->before->relation, pair->gains, err);
	if (!code)
		judge(gate, pair, out);
	return code;
}

/* Steps 1 and 2. The verdict stays MODEL_UNTESTED when there is too little to ask about. */
static int compare_files(const struct gate *gate, const struct gate_candidate *candidate,
			 const struct model_catalog *catalog, const struct model_relation *relation,
			 struct model_gate *out, struct error *err)
{
	struct pair pair;
	int code = pair_make(&pair, candidate, after_served(gate->served), err);
	if (!code && pair.count >= GATE_QUERIES_MIN)
		code = ask_served(gate, candidate, &pair, catalog, relation, out, err);
	if (!code && out->verdict == MODEL_WORSE && exam_split(pair.exam) > candidate->evaluation->split_s)
		code = ask_as_late(gate, candidate, &pair, out, err);
	snprintf(out->note, sizeof out->note, "asked about events newer than all that generation %llu learnt from",
		 (unsigned long long)out->against);
	pair_free(&pair);
	return code;
}

static bool same_params(const struct params *a, const struct params *b)
{
	bool same = true;
#define SAME(name, standard, least, most, prose) same = same && fabs(a->name - b->name) <= 1e-6 * fabs(b->name);
	PARAMS_TABLE(SAME) /* one of them has been a text */
#undef SAME
	return same;
}

/* Step 3. */
static int compare_recipes(const struct gate *gate, const struct gate_candidate *candidate, struct model_gate *out,
			   struct error *err)
{
	struct learn_input input = *candidate->input;
	struct learned learned = { 0 };
	struct pair pair;
	uint32_t split_s = candidate->evaluation->split_s;
	input.params = candidate->served_params;
	int code = pair_make(&pair, candidate, 0, err);
	if (!code)
		code = learn(&learned, &input, split_s, split_s, err);
	if (!code && pair.count > 0)
		code = pair_ask(&pair, &learned.relation, pair.served_gains, err);
	if (!code && pair.count > 0)
		code = pair_ask(&pair, &candidate->before->relation, pair.gains, err);
	if (!code)
		judge(gate, &pair, out);
	snprintf(out->note, sizeof out->note,
		 "both ways of learning, on the same data: few events are newer than what generation %llu learnt from",
		 (unsigned long long)out->against);
	learned_free(input.space, &learned);
	pair_free(&pair);
	return code;
}

static void untested(struct model_gate *out, const char *why)
{
	*out = (struct model_gate){ .against = out->against };
	snprintf(out->note, sizeof out->note, "%s", why);
}

void gate_unchanged(struct model_gate *out, uint64_t against, uint64_t since)
{
	*out = (struct model_gate){ .against = against };
	snprintf(out->note, sizeof out->note, "nothing has changed since generation %llu, so it was taken over",
		 (unsigned long long)since);
}

static int compare(const struct gate *gate, const struct gate_candidate *candidate, const struct model_catalog *catalog,
		   const struct model_relation *relation, struct model_gate *out, struct error *err)
{
	const struct params *served = candidate->served_params;
	char why[MODEL_NOTE_MAX];
	int code = compare_files(gate, candidate, catalog, relation, out, err);
	if (code || out->verdict != MODEL_UNTESTED)
		return code;
	if (served && !same_params(candidate->input->params, served))
		code = compare_recipes(gate, candidate, out, err);
	if (code || out->verdict != MODEL_UNTESTED)
		return code;
	snprintf(why, sizeof why,
		 "too few events are newer than what generation %llu learnt from: %u questions of %u users are needed",
		 (unsigned long long)out->against, GATE_QUERIES_MIN, GATE_USERS_MIN);
	untested(out, why);
	return 0;
}

int gate_test(const struct gate *gate, const struct gate_candidate *candidate, struct model_gate *out,
	      struct error *err)
{
	char why[MODEL_NOTE_MAX];
	*out = (struct model_gate){ 0 };
	if (!gate->served) {
		untested(out, gate->why);
		return 0;
	}
	out->against = gate->served->head->generation;
	const struct model_catalog *catalog = model_catalog_find(gate->served, candidate->catalog);
	const struct model_relation *relation = catalog && catalog->version >= candidate->first_version
							? model_relation_find(catalog, candidate->input->relation->key)
							: NULL;
	if (relation && candidate->evaluation->figures.queries > 0)
		return compare(gate, candidate, catalog, relation, out, err);
	if (relation)
		snprintf(why, sizeof why, "%s", candidate->evaluation->note);
	else
		snprintf(why, sizeof why, "generation %llu does not have it", (unsigned long long)out->against);
	untested(out, why);
	return 0;
}
