#include "builder/relation_notes.h"

#include "builder/gate.h"
#include "common/log.h"

void relation_log(const char *catalog, const struct learned *learned, const struct evaluation *evaluation)
{
	const struct model_relation *r = &learned->relation;
	log_info("learn: %s %s: %llu events, %llu users, %llu items, %llu neighbours", catalog, r->key,
		 (unsigned long long)r->events, (unsigned long long)r->users, (unsigned long long)r->items,
		 (unsigned long long)r->neighbours);
	if (learned->capped_users)
		log_info("learn: of %u users with longer lists only the newest items count, see list_items",
			 learned->capped_users);
	if (learned->neighbours.pairs_skipped)
		log_info("learn: pairs more than %u places apart in a list are left out (%.1f%% of the pairs), see "
			 "pairs_per_item",
			 learned->neighbours.window,
			 100 * (double)learned->neighbours.pairs_skipped /
				 (double)(learned->neighbours.pairs_skipped + learned->neighbours.pairs));
	if (learned->cold.items)
		log_info("learn: %u items have too few events; %llu neighbours by attributes", learned->cold.items,
			 (unsigned long long)learned->cold.added);
	const struct model_evaluation *e = &evaluation->figures;
	if (e->queries == 0)
		log_info("evaluate: %s", evaluation->note);
	else
		log_info("evaluate: %u queries: HR@20 %.4f (+-%.4f) NDCG@20 %.4f MRR@20 %.4f coverage %.3f cold %.3f; "
			 "recent popularity: HR@20 %.4f NDCG@20 %.4f; %.1f us a query",
			 e->queries, e->hit_rate, evaluation->hit_rate_error, e->ndcg, e->mrr, e->coverage,
			 e->cold_share, e->popular_hit_rate, e->popular_ndcg, evaluation->microseconds);
}

void relation_log_gate(const char *catalog, const char *key, const struct model_gate *gate)
{
	char words[200];
	if (gate->verdict == MODEL_UNTESTED) {
		log_info("gate: %s %s: not compared: %s", catalog, key, gate->note);
		return;
	}
	gate_words(gate, words, sizeof words);
	log_info("gate: %s %s: %s: %s (z %.1f)", catalog, key, model_verdict_name(gate->verdict), words, gate->z);
}

json_t *relation_notes(const struct plan_relation *plan, const struct params *params, const struct learned *learned,
		       const struct evaluation *evaluation, const struct fingerprint *fingerprint)
{
	char print[FINGERPRINT_TEXT];
	const struct neighbours *n = &learned->neighbours;
	json_t *window = n->window == UINT32_MAX || !plan->learn ? json_null() : json_integer(n->window);
	json_t *evaluated = evaluation->note[0]
				    ? json_pack("{ss}", "note", evaluation->note)
				    : json_pack("{sI sI sf}", "split_s", (json_int_t)evaluation->split_s,
						"possible_queries", (json_int_t)evaluation->possible_queries,
						"hit_rate_error", evaluation->hit_rate_error);
	fingerprint_text(fingerprint, print);
	return json_pack("{sb so sI sI so sI sI sI sI sb sb so ss}", "learnt", plan->learn, "params",
			 params_json(params), "list_entries", (json_int_t)learned->entries, "users_capped",
			 (json_int_t)learned->capped_users, "window", window, "pairs", (json_int_t)n->pairs,
			 "pairs_skipped", (json_int_t)n->pairs_skipped, "cold_items", (json_int_t)learned->cold.items,
			 "by_attributes", (json_int_t)learned->cold.added, "season", learned->lift.season, "trend",
			 learned->lift.trend, "evaluation", evaluated, "fingerprint", print);
}

void relation_log_reused(const char *catalog, const char *key, const struct reused *reused)
{
	log_info("reuse: %s %s: unchanged since generation %llu, taken from generation %llu", catalog, key,
		 (unsigned long long)reused->since, (unsigned long long)reused->from);
}
