/* `kindred model ..`: list, activate, rollback, status. */
#include "cli/model.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/message_json.h"
#include "kindred/v1/models.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "/kindred.v1.ModelService/"

static void time_text(const Google__Protobuf__Timestamp *time, char *buffer)
{
	if (time)
		time_format(time->seconds * 1000, buffer);
	else
		strcpy(buffer, "-");
}

int model_status_get(struct cli *cli, Kindred__V1__GetModelStatusResponse **response, struct error *err)
{
	Kindred__V1__GetModelStatusRequest request = KINDRED__V1__GET_MODEL_STATUS_REQUEST__INIT;
	return cli_call(cli, SERVICE "GetModelStatus", &request, &kindred__v1__get_model_status_response__descriptor,
			response, err);
}

/* --- list --- */

static void add_relation(struct table *table, const Kindred__V1__Generation *generation,
			 const Kindred__V1__Relation *relation, bool first)
{
	const Kindred__V1__Evaluation *evaluation = relation->evaluation;
	char created[32], count[TEXT_MAX], definitions[512];
	time_text(generation->create_time, created);
	if (first)
		table_format(table, "%s%" PRIu64,
			     generation->active      ? "*"
			     : generation->held_back ? "!"
						     : "",
			     generation->number);
	else
		table_cell(table, "");
	table_cell(table, first ? created : "");
	table_format(table, "%s%s%s", relation->catalog, relation->n_definitions ? ": " : "",
		     text_names(relation->definitions, relation->n_definitions, definitions, sizeof definitions));
	table_cell(table, text_count(relation->events, count));
	table_cell(table, text_count(relation->items, count));
	table_cell(table, text_count(relation->neighbours, count));
	if (!evaluation || evaluation->queries == 0) {
		for (unsigned i = 0; i < 6; i++)
			table_cell(table, "-");
		return;
	}
	table_cell(table, text_count(evaluation->queries, count));
	table_format(table, "%.4f", (double)evaluation->hit_rate);
	table_format(table, "%.4f", (double)evaluation->ndcg);
	table_format(table, "%.4f", (double)evaluation->mrr);
	table_format(table, "%.3f", (double)evaluation->coverage);
	table_format(table, "%.4f", (double)evaluation->popular_hit_rate);
}

static void print_generations(const Kindred__V1__ListGenerationsResponse *response)
{
	static const char *const headers[] = { "number",  "built",    "catalog: definitions",
					       "events",  "items",    "neighbours",
					       "queries", "hit rate", "NDCG",
					       "MRR",     "coverage", "popular's hit rate" };
	static const enum table_column kinds[] = { TABLE_RIGHT, TABLE_LEFT,  TABLE_FLEXIBLE, TABLE_RIGHT,
						   TABLE_RIGHT, TABLE_RIGHT, TABLE_RIGHT,    TABLE_RIGHT,
						   TABLE_RIGHT, TABLE_RIGHT, TABLE_RIGHT,    TABLE_RIGHT };
	bool held_back = false;
	if (response->n_generations == 0) {
		printf("No generation yet: `kindred model build` makes one.\n");
		return;
	}
	struct table *table = table_new(12, headers, kinds);
	for (size_t i = 0; i < response->n_generations; i++) {
		held_back |= response->generations[i]->held_back;
		for (size_t k = 0; k < response->generations[i]->n_relations; k++)
			add_relation(table, response->generations[i], response->generations[i]->relations[k], k == 0);
	}
	table_write(table, stdout, terminal_width(stdout));
	table_free(table);
	printf("* is served. Figures at 20 items, on each relation's newest tenth, learnt without it; popularity on "
	       "the same queries beside.\n");
	if (held_back)
		printf("! is held back: it is worse than what was served then; kindred model show NUMBER says how "
		       "much.\n");
}

int cmd_model_list(struct cli *cli, int argc, char **argv)
{
	static const struct cli_spec spec = {
		.arguments = "",
		.prose = "Shows the generations that are kept, newest first, and how good each was."
			 "\v"
			 "Every build holds back the newest tenth of the events of each relation, learns from the "
			 "others, and asks itself what each user did next, as the definition's occasion means it: hit "
			 "rate, NDCG and MRR at "
			 "20, and the share of items it ever "
			 "showed.\n"
			 "\n"
			 "Examples:\n"
			 "  kindred model list\n"
			 "  kindred model list --json\n",
	};
	Kindred__V1__ListGenerationsRequest request = KINDRED__V1__LIST_GENERATIONS_REQUEST__INIT;
	Kindred__V1__ListGenerationsResponse *response = NULL;
	struct error err;
	int code = 0;
	cli_parse(cli, &spec, NULL, argc, argv, NULL);
	if (cli_call(cli, SERVICE "ListGenerations", &request, &kindred__v1__list_generations_response__descriptor,
		     &response, &err) != 0)
		return cli_fail(&err);
	if (cli->json)
		code = message_print(&response->base);
	else
		print_generations(response);
	kindred__v1__list_generations_response__free_unpacked(response, NULL);
	return code;
}

/* --- activate, rollback --- */

static int say_active(struct cli *cli, const Kindred__V1__Generation *generation, const ProtobufCMessage *response)
{
	if (cli->json)
		return message_print(response);
	printf("generation %" PRIu64 " is served\n", generation->number);
	return 0;
}

int cmd_model_activate(struct cli *cli, int argc, char **argv)
{
	static const struct cli_spec spec = {
		.arguments = "NUMBER",
		.prose = "Serves another of the kept generations, one that is held back too; no call fails meanwhile."
			 "\v"
			 "Examples:\n"
			 "  kindred model list\n"
			 "  kindred model activate 7\n",
		.least = 1,
		.most = 1,
	};
	Kindred__V1__ActivateGenerationRequest request = KINDRED__V1__ACTIVATE_GENERATION_REQUEST__INIT;
	Kindred__V1__ActivateGenerationResponse *response = NULL;
	struct error err;
	char *args[1], *end = NULL;
	cli_parse(cli, &spec, NULL, argc, argv, args);
	request.number = strtoull(args[0], &end, 10);
	if (*end || end == args[0] || request.number == 0) {
		error_set(&err, E_INVALID, "'%s' is not the number of a generation: kindred model list", args[0]);
		return cli_fail(&err);
	}
	if (cli_call(cli, SERVICE "ActivateGeneration", &request,
		     &kindred__v1__activate_generation_response__descriptor, &response, &err) != 0)
		return cli_fail(&err);
	int code = say_active(cli, response->generation, &response->base);
	kindred__v1__activate_generation_response__free_unpacked(response, NULL);
	return code;
}

int cmd_model_rollback(struct cli *cli, int argc, char **argv)
{
	static const struct cli_spec spec = {
		.arguments = "",
		.prose = "Serves the newest kept generation that is older than the one being served; no call fails "
			 "meanwhile."
			 "\v"
			 "Answers are again those of that generation, to the byte.\n"
			 "\n"
			 "Example:\n"
			 "  kindred model rollback\n",
	};
	Kindred__V1__RollbackGenerationRequest request = KINDRED__V1__ROLLBACK_GENERATION_REQUEST__INIT;
	Kindred__V1__RollbackGenerationResponse *response = NULL;
	struct error err;
	cli_parse(cli, &spec, NULL, argc, argv, NULL);
	if (cli_call(cli, SERVICE "RollbackGeneration", &request,
		     &kindred__v1__rollback_generation_response__descriptor, &response, &err) != 0)
		return cli_fail(&err);
	int code = say_active(cli, response->generation, &response->base);
	kindred__v1__rollback_generation_response__free_unpacked(response, NULL);
	return code;
}

/* --- status --- */

static void print_status(const Kindred__V1__GetModelStatusResponse *status)
{
	static const char *const states[] = { "unknown", "idle", "building", "activating", "failed" };
	char count[TEXT_MAX], when[32];
	printf("builder     %s", status->state < 5 ? states[status->state] : states[0]);
	if (status->state == KINDRED__V1__BUILD_STATE__BUILD_STATE_RUNNING)
		printf(" generation %" PRIu64 ": %s, %.0f%%", status->generation, status->phase,
		       (double)status->progress * 100);
	if (*status->error)
		printf(": %s", status->error);
	if (status->active_generation)
		printf("\nserved      generation %" PRIu64, status->active_generation);
	else
		printf("\nserved      no generation yet: kindred model build");
	if (status->held_back_generation)
		printf("\nheld back   generation %" PRIu64 ", it is worse: %s\n"
		       "            kindred model show %" PRIu64
		       "; to serve it all the same: kindred model activate %" PRIu64,
		       status->held_back_generation, status->held_back_reason, status->held_back_generation,
		       status->held_back_generation);
	printf("\nnew events  %s since its build began\n", text_count(status->events_since, count));
	for (size_t i = 0; i < status->n_silent_workers; i++)
		printf("            without what worker %u took lately: it does not answer\n",
		       status->silent_workers[i]);
	if (status->last_build_time) {
		time_text(status->last_build_time, when);
		printf("last build  %s\n", when);
	}
	if (status->next_build_time) {
		time_text(status->next_build_time, when);
		printf("next build  %s at the earliest, when enough events came\n", when);
	}
}

int cmd_model_status(struct cli *cli, int argc, char **argv)
{
	static const struct cli_spec spec = {
		.arguments = "",
		.prose = "Shows what the builder does and what is served."
			 "\v"
			 "Example:\n"
			 "  kindred model status --json\n",
	};
	Kindred__V1__GetModelStatusResponse *response = NULL;
	struct error err;
	int code = 0;
	cli_parse(cli, &spec, NULL, argc, argv, NULL);
	if (model_status_get(cli, &response, &err) != 0)
		return cli_fail(&err);
	if (cli->json)
		code = message_print(&response->base);
	else
		print_status(response);
	kindred__v1__get_model_status_response__free_unpacked(response, NULL);
	return code;
}
