/*
 * `kindred model show`: what a generation was learnt from and with, how good it is, and whether it is
 * better than what was served before.
 */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/message_json.h"
#include "kindred/v1/models.pb-c.h"

#include "builder/params.h" /* only its table: what each parameter is */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Texts stand at this column, behind what they are about. */
#define LABEL "  %-12s "

static const struct {
	const char *name, *prose;
	double standard;
} parameters[] = {
#define PARAMETER(name, standard, least, most, prose) { #name, prose, standard },
	PARAMS_TABLE(PARAMETER)
#undef PARAMETER
};

/* --- parameters --- */

/* settings: "gap=1 age_days=5". One that this program does not know is shown without words. */
static void print_settings(const char *settings)
{
	static const char *const headers[] = { "  parameter", "value", "usually", "meaning" };
	static const enum table_column kinds[] = { TABLE_LEFT, TABLE_RIGHT, TABLE_RIGHT, TABLE_FLEXIBLE };
	char copy[700], *rest = copy, *one;
	struct table *table = table_new(4, headers, kinds);
	snprintf(copy, sizeof copy, "%s", settings);
	while ((one = strsep(&rest, " "))) {
		char *value = strchr(one, '=');
		size_t p = 0, count = sizeof parameters / sizeof *parameters;
		if (!value)
			continue;
		*value++ = '\0';
		while (p < count && strcmp(parameters[p].name, one) != 0)
			p++;
		table_format(table, "  %s", one);
		table_cell(table, value);
		if (p < count)
			table_format(table, "%g", parameters[p].standard);
		else
			table_cell(table, "");
		table_cell(table, p < count ? parameters[p].prose : "");
	}
	printf("\n");
	table_write(table, stdout, terminal_width(stdout));
	table_free(table);
}

static void add_candidate(struct table *table, const char *mark, const Kindred__V1__TuningCandidate *candidate)
{
	table_format(table, "%s%s", mark, candidate->name);
	table_format(table, "%.1f%%", (double)candidate->hit_rate * 100);
	table_format(table, "%.4f", (double)candidate->ndcg);
	table_format(table, "%.1f%%", (double)candidate->coverage * 100);
	table_cell(table, *candidate->settings ? candidate->settings : "-");
}

static void print_tried(const Kindred__V1__Tuning *tuning)
{
	static const char *const headers[] = { "  tried", "hit rate", "NDCG", "coverage", "other than the defaults" };
	static const enum table_column kinds[] = { TABLE_LEFT, TABLE_RIGHT, TABLE_RIGHT, TABLE_RIGHT, TABLE_FLEXIBLE };
	struct table *table = table_new(5, headers, kinds);
	add_candidate(table, "* ", tuning->choice);
	if (tuning->defaults)
		add_candidate(table, "  ", tuning->defaults);
	for (size_t i = 0; i < tuning->n_others; i++)
		add_candidate(table, "  ", tuning->others[i]);
	printf("\n");
	table_write(table, stdout, terminal_width(stdout));
	table_free(table);
	printf("  * was taken. These figures are of events before those above, so that the search did not see what it "
	       "is "
	       "judged by.\n");
}

static void print_tuning(const Kindred__V1__Tuning *tuning)
{
	char tried[TEXT_MAX], queries[TEXT_MAX];
	if (!tuning || !tuning->choice) {
		printf(LABEL "the builder's default parameters; `kindred model tune` looks for better ones\n",
		       "learnt with");
		return;
	}
	if (*tuning->note) {
		printf(LABEL "%s (%s)\n", "learnt with", tuning->choice->name, tuning->note);
		return;
	}
	printf(LABEL "the best of %s ways tried%s, by %s questions\n", "learnt with",
	       text_count(tuning->candidates, tried), tuning->around_last ? " around the last choice" : "",
	       text_count(tuning->queries, queries));
	if (*tuning->choice->settings)
		print_settings(tuning->choice->settings);
	print_tried(tuning);
}

/* --- how good it is --- */

static void print_figures(const Kindred__V1__Evaluation *e)
{
	char queries[TEXT_MAX];
	if (!e || e->queries == 0) {
		printf(LABEL "not known: there are too few events to ask about\n", "how good");
		return;
	}
	printf(LABEL "in %.1f of 100 cases, what a user did next was among the 20 items shown just before\n",
	       "how good", (double)e->hit_rate * 100);
	printf(LABEL
	       "(%.1f by recent popularity alone; of %s cases in the newest tenth of events, learnt without them)\n",
	       "", (double)e->popular_hit_rate * 100, text_count(e->queries, queries));
	printf(LABEL "NDCG %.4f (popularity %.4f), MRR %.4f; %.1f%% of the items were shown to somebody\n", "",
	       (double)e->ndcg, (double)e->popular_ndcg, (double)e->mrr, (double)e->coverage * 100);
}

static void print_gate(const Kindred__V1__Gate *gate)
{
	static const char *const words[] = { "?", "not compared", "better", "no worse", "worse" };
	char queries[TEXT_MAX], users[TEXT_MAX];
	double difference, share;
	if (!gate)
		return;
	if (gate->verdict == KINDRED__V1__VERDICT__VERDICT_UNTESTED) {
		printf(LABEL "with what was served: %s\n", "not compared", gate->note);
		return;
	}
	difference = (double)gate->ndcg - (double)gate->served_ndcg;
	share = gate->served_ndcg > 0 ? 100 * difference / (double)gate->served_ndcg : 0;
	printf(LABEL "than generation %" PRIu64 ": NDCG %.4f, where that has %.4f",
	       gate->verdict < 5 ? words[gate->verdict] : words[0], gate->against, (double)gate->ndcg,
	       (double)gate->served_ndcg);
	if (gate->verdict == KINDRED__V1__VERDICT__VERDICT_EQUAL)
		printf("; chance or a trifle\n");
	else
		printf(": %+.0f%%, more than chance (z %.1f)\n", share, (double)gate->z);
	printf(LABEL "(%s, the same %s questions of %s users)\n", "", gate->note, text_count(gate->queries, queries),
	       text_count(gate->users, users));
}

/* --- the whole --- */

/* "Purchased=5;Viewed=1|window=2592000" in words: "Purchased (5) and Viewed (1), of the last 30 days". */
static void print_key(const char *key)
{
	const char *end = strstr(key, "|window=");
	const char *at = key, *stop = end ? end : key + strlen(key);
	double days = end ? strtod(end + strlen("|window="), NULL) / 86400 : 0;
	printf(LABEL, "events");
	while (at < stop) {
		const char *next = memchr(at, ';', (size_t)(stop - at));
		const char *one_end = next ? next : stop;
		const char *equals = memchr(at, '=', (size_t)(one_end - at));
		char type[200], weight[40] = "1";
		snprintf(type, sizeof type, "%.*s", (int)((equals ? equals : one_end) - at), at);
		if (equals)
			snprintf(weight, sizeof weight, "%.*s", (int)(one_end - equals - 1), equals + 1);
		printf("%s", at == key ? "" : ", ");
		text_write(stdout, type);
		printf(" (counts %s)", weight);
		at = next ? next + 1 : stop;
	}
	if (days > 0)
		printf("; of the last %g days\n", days);
	else
		printf("; of all time that is kept\n");
}

static void print_relation(const Kindred__V1__Relation *relation)
{
	char events[TEXT_MAX], users[TEXT_MAX], items[TEXT_MAX], neighbours[TEXT_MAX];
	printf("\n");
	text_write(stdout, relation->catalog);
	for (size_t d = 0; d < relation->n_definitions; d++) {
		printf("%s", d ? ", " : ": ");
		text_write(stdout, relation->definitions[d]);
	}
	printf("\n");
	print_key(relation->key);
	printf(LABEL, "key");
	text_escape(stdout, relation->key);
	printf("\n");
	printf(LABEL "%s event%s of %s user%s with %s item%s; %s pair%s of neighbours\n", "learnt from",
	       text_count(relation->events, events), text_s(relation->events), text_count(relation->users, users),
	       text_s(relation->users), text_count(relation->items, items), text_s(relation->items),
	       text_count(relation->neighbours, neighbours), text_s(relation->neighbours));
	if (relation->unchanged_since_generation)
		printf(LABEL "since generation %" PRIu64 ", which learnt it; taken over as it was\n", "unchanged",
		       relation->unchanged_since_generation);
	print_figures(relation->evaluation);
	print_gate(relation->gate);
	print_tuning(relation->tuning);
}

static void print_generation(const Kindred__V1__Generation *generation)
{
	char time[32];
	printf("generation %" PRIu64, generation->number);
	if (generation->create_time) {
		time_format(generation->create_time->seconds * 1000, time);
		printf(" of %s", time);
	}
	if (generation->active)
		printf(", served");
	else if (generation->held_back)
		printf(", held back: it is worse than what was served when it was built.\n"
		       "  It is kept, and not served unless you say so: kindred model activate %" PRIu64,
		       generation->number);
	else
		printf(", not served");
	printf("\n");
	for (size_t r = 0; r < generation->n_relations; r++)
		print_relation(generation->relations[r]);
}

static const Kindred__V1__Generation *choose(const Kindred__V1__ListGenerationsResponse *response, uint64_t number)
{
	for (size_t i = 0; i < response->n_generations; i++)
		if (number ? response->generations[i]->number == number : response->generations[i]->active)
			return response->generations[i];
	return NULL;
}

int cmd_model_show(struct cli *cli, int argc, char **argv)
{
	static const struct cli_spec spec = {
		.arguments = "[NUMBER]",
		.prose =
			"Shows what a generation was learnt from and with, how good it is, and how it compares with "
			"the "
			"one that was served before; without a number, of the one being served."
			"\v"
			"Hit rate, NDCG and MRR are means over what users did next, at 20 items: whether it was shown, "
			"and the higher in the list the more. A difference is worse or better when chance does not "
			"explain it and it is more than 2%.\n"
			"\n"
			"Examples:\n"
			"  kindred model show\n"
			"  kindred model show 7 --json\n",
		.least = 0,
		.most = 1,
	};
	Kindred__V1__ListGenerationsRequest request = KINDRED__V1__LIST_GENERATIONS_REQUEST__INIT;
	Kindred__V1__ListGenerationsResponse *response = NULL;
	struct error err;
	char *args[1] = { NULL }, *end = NULL;
	int code = 0;
	cli_parse(cli, &spec, NULL, argc, argv, args);
	uint64_t number = args[0] ? strtoull(args[0], &end, 10) : 0;
	if (args[0] && (*end || end == args[0] || *args[0] == '-' || number == 0)) {
		error_set(&err, E_INVALID, "'%s' is not the number of a generation: kindred model list", args[0]);
		return cli_fail(&err);
	}
	if (cli_call(cli, "/kindred.v1.ModelService/ListGenerations", &request,
		     &kindred__v1__list_generations_response__descriptor, &response, &err) != 0)
		return cli_fail(&err);
	const Kindred__V1__Generation *generation = choose(response, number);
	if (!generation) {
		error_set(&err, E_NOT_FOUND, "%s: kindred model list shows those that are kept",
			  number ? "no such generation" : "no generation is served yet");
		code = cli_fail(&err);
	} else if (cli->json) {
		code = message_print(&generation->base);
	} else {
		print_generation(generation);
	}
	kindred__v1__list_generations_response__free_unpacked(response, NULL);
	return code;
}
