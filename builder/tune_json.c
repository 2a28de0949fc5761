#include "builder/tune.h"

#include <string.h>

static const char *const objectives[] = { [TUNE_NDCG] = "ndcg", [TUNE_HIT_RATE] = "hit_rate" };

struct tune_goal tune_goal_default(void)
{
	return (struct tune_goal){ TUNE_NDCG, TUNE_COVERAGE_FLOOR };
}

bool tune_objective_parse(const char *name, enum tune_objective *objective)
{
	for (int o = TUNE_NDCG; o <= TUNE_HIT_RATE; o++) {
		if (strcmp(name, objectives[o]) == 0) {
			*objective = (enum tune_objective)o;
			return true;
		}
	}
	return false;
}

static json_t *candidate_json(const struct tune_candidate *c)
{
	struct params defaults = params_default();
	char changes[600];
	params_changes(&c->params, &defaults, changes, sizeof changes);
	return json_pack("{ss so ss sf sf sf sf}", "name", c->name, "params", params_json(&c->params), "settings",
			 changes, "ndcg", c->ndcg, "hit_rate", c->hit_rate, "coverage", c->coverage,
			 "neighbours_a_query", c->work);
}

json_t *tuning_json(const struct tuning *t)
{
	if (t->note[0])
		return json_pack("{ss sI so}", "note", t->note, "events", (json_int_t)t->events, "choice",
				 candidate_json(&t->choice));
	json_t *others = json_array();
	for (uint32_t o = 0; o < t->other_count; o++)
		json_array_append_new(others, candidate_json(&t->others[o]));
	return json_pack("{so so so sI sI sI sI sf sb sb sb ss sf sI}", "choice", candidate_json(&t->choice),
			 "defaults", candidate_json(&t->standard), "others", others, "queries", (json_int_t)t->queries,
			 "slices", (json_int_t)t->slices, "candidates", (json_int_t)t->candidates, "events",
			 (json_int_t)t->events, "builds", t->builds, "around_last", t->around_last, "stopped",
			 t->stopped, "unfinished", t->unfinished, "objective", objectives[t->goal.objective],
			 "coverage_floor", t->goal.coverage_floor, "places", (json_int_t)t->places);
}
