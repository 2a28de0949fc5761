/* `kindred model show`: what each relation of a generation was learnt with, and what else was tried. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "common/message_json.h"
#include "kindred/v1/models.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void add_candidate(struct table *table, const char *mark, const Kindred__V1__TuningCandidate *candidate)
{
	table_format(table, "%s%s", mark, candidate->name);
	table_format(table, "%.4f", (double)candidate->ndcg);
	table_format(table, "%.4f", (double)candidate->hit_rate);
	table_format(table, "%.3f", (double)candidate->coverage);
	table_cell(table, *candidate->settings ? candidate->settings : "-");
}

static void print_tuning(const Kindred__V1__Tuning *tuning)
{
	static const char *const headers[] = { "parameters", "NDCG", "hit rate", "coverage",
					       "other than the defaults" };
	static const enum table_column kinds[] = { TABLE_LEFT, TABLE_RIGHT, TABLE_RIGHT, TABLE_RIGHT, TABLE_FLEXIBLE };
	if (*tuning->note) {
		printf("  %s", tuning->note);
		if (tuning->choice)
			printf("; learnt with the %s", tuning->choice->name);
		printf("\n");
		return;
	}
	struct table *table = table_new(5, headers, kinds);
	if (tuning->choice)
		add_candidate(table, "*", tuning->choice);
	if (tuning->defaults)
		add_candidate(table, "", tuning->defaults);
	for (size_t i = 0; i < tuning->n_others; i++)
		add_candidate(table, "", tuning->others[i]);
	table_write(table, stdout, terminal_width(stdout));
	table_free(table);
	printf("* is what it was learnt with: the best of %u tried%s, by what %u users did next, before the events of "
	       "the "
	       "evaluation.\n",
	       tuning->candidates, tuning->around_last ? " around the last choice" : "", tuning->queries);
}

static void print_relation(const Kindred__V1__Relation *relation)
{
	const Kindred__V1__Evaluation *e = relation->evaluation;
	printf("\n%s: %s\n  ", relation->catalog, relation->key);
	for (size_t d = 0; d < relation->n_definitions; d++)
		printf("%s%s", d ? ", " : "for ", relation->definitions[d]);
	printf("\n");
	if (e && e->queries)
		printf("  on its newest events: NDCG@20 %.4f, hit rate %.4f (popularity alone %.4f), coverage %.3f, %u "
		       "queries\n",
		       (double)e->ndcg, (double)e->hit_rate, (double)e->popular_hit_rate, (double)e->coverage,
		       e->queries);
	else
		printf("  too few events to be evaluated\n");
	if (relation->tuning)
		print_tuning(relation->tuning);
	else
		printf("  learnt with the builder's default parameters\n");
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
		.prose = "Shows what a generation was learnt with, how that was found, and how good it is; without a "
			 "number, the one being served."
			 "\v"
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
		printf("generation %" PRIu64 "%s\n", generation->number, generation->active ? ", served" : "");
		for (size_t r = 0; r < generation->n_relations; r++)
			print_relation(generation->relations[r]);
	}
	kindred__v1__list_generations_response__free_unpacked(response, NULL);
	return code;
}
