/* `kindred events add`, `kindred events list` and `kindred user delete`. (events import is events_import.c) */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/unknown.h"
#include "common/clock.h"
#include "common/message_json.h"
#include "kindred/v1/events.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "/kindred.v1.EventService/"
#define PROPERTIES_MAX 32
#define PAGE 10000

enum { OPT_USER = 0x6000, OPT_ITEM, OPT_EVENT, OPT_TIME, OPT_EVENT_ID, OPT_WEIGHT, OPT_PROPERTY, OPT_LIMIT, OPT_YES };

/* --- add --- */

struct add {
	Kindred__V1__Event event;
	Google__Protobuf__Timestamp time;
	Kindred__V1__Property storage[PROPERTIES_MAX], *properties[PROPERTIES_MAX];
};

static void time_option(struct add *add, const char *value, struct argp_state *state)
{
	int64_t time_ms;
	if (!time_parse(value, strlen(value), &time_ms))
		argp_error(state, "--time '%s': give 2026-11-23T10:00:00Z, or seconds or milliseconds since 1970",
			   value);
	google__protobuf__timestamp__init(&add->time);
	add->time.seconds = time_ms / 1000;
	add->time.nanos = (int32_t)(time_ms % 1000) * 1000000;
	add->event.time = &add->time;
}

static void weight_option(struct add *add, const char *value, struct argp_state *state)
{
	char *end;
	add->event.weight = strtof(value, &end);
	if (end == value || *end != '\0' || !(add->event.weight > 0))
		argp_error(state, "--weight '%s': give a number more than 0", value);
}

static void property_option(struct add *add, char *value, struct argp_state *state)
{
	char *equals = strchr(value, '=');
	if (equals == NULL || equals == value)
		argp_error(state, "--property '%s': give NAME=VALUE", value);
	if (add->event.n_properties == PROPERTIES_MAX)
		argp_error(state, "more than %d --property", PROPERTIES_MAX);
	*equals = '\0';
	Kindred__V1__Property *property = &add->storage[add->event.n_properties];
	kindred__v1__property__init(property);
	property->name = value;
	property->value = equals + 1;
	add->properties[add->event.n_properties++] = property;
}

static error_t add_option(int key, char *value, struct argp_state *state)
{
	struct add *add = state->input;
	switch (key) {
	case OPT_USER:
		add->event.user_id = value;
		return 0;
	case OPT_ITEM:
		add->event.item_id = value;
		return 0;
	case OPT_EVENT:
		add->event.type = value;
		return 0;
	case OPT_TIME:
		time_option(add, value, state);
		return 0;
	case OPT_EVENT_ID:
		add->event.event_id = value;
		return 0;
	case OPT_WEIGHT:
		weight_option(add, value, state);
		return 0;
	case OPT_PROPERTY:
		property_option(add, value, state);
		return 0;
	case ARGP_KEY_END:
		if (add->event.user_id[0] == '\0' || add->event.item_id[0] == '\0' || add->event.type[0] == '\0')
			argp_error(state, "an event needs --user, --item and --event");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int outcome_print(const struct cli *cli, const Kindred__V1__IngestEventsResponse *response, struct error *err)
{
	Kindred__V1__Outcome outcome =
		response->n_outcomes > 0 ? response->outcomes[0] : KINDRED__V1__OUTCOME__OUTCOME_UNSPECIFIED;
	if (cli->json)
		message_print(&response->base);
	switch (outcome) {
	case KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED:
		cli_say(cli, "accepted: it is on disk, and the next recommendation knows it");
		return 0;
	case KINDRED__V1__OUTCOME__OUTCOME_DUPLICATE:
		cli_say(cli, "duplicate: an event with this id was taken before; nothing changed");
		return 0;
	case KINDRED__V1__OUTCOME__OUTCOME_DROPPED:
		cli_say(cli, "dropped: it is older than what the user's history keeps, or than the user's deletion");
		return 0;
	case KINDRED__V1__OUTCOME__OUTCOME_REFUSED:
		return error_set(err, E_INVALID, "%s",
				 response->n_refusals > 0 ? response->refusals[0]->reason : "the event was refused");
	default:
		return error_set(err, E_INTERNAL, "the server answered without an outcome");
	}
}

int cmd_events_add(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "user", OPT_USER, "U", 0, "Who", 1 },
		{ "item", OPT_ITEM, "I", 0, "The item's id", 1 },
		{ "event", OPT_EVENT, "T", 0, "What was done: Viewed, \"Added to Cart\", Purchased ...", 1 },
		{ "time", OPT_TIME, "TIME", 0, "When (default: now)", 1 },
		{ "event-id", OPT_EVENT_ID, "ID", 0, "An id, unique within the user; the same again changes nothing",
		  1 },
		{ "weight", OPT_WEIGHT, "W", 0,
		  "How much it counts against others of its type: a quantity, a share watched (default: 1)", 1 },
		{ "property", OPT_PROPERTY, "NAME=VALUE", 0, "Kept with the event; may be repeated", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "CATALOG",
		.prose = "Takes one event. The next recommendation for the user knows it."
			 "\v"
			 "Examples:\n"
			 "  kindred events add shop --user john --item shoes-7 --event 'Added to Cart'\n"
			 "  kindred events add series --user jane --item got-s1 --event Watched \\\n"
			 "      --time 2026-11-23T20:15:00Z\n",
		.options = options,
		.parse = add_option,
		.least = 1,
		.most = 1,
	};
	static struct add add = { .event = KINDRED__V1__EVENT__INIT };
	Kindred__V1__Event *events[] = { &add.event };
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	Kindred__V1__IngestEventsResponse *response;
	struct error err;
	char *args[1];
	add.event.properties = add.properties;
	cli_parse(cli, &spec, &add, argc, argv, args);
	request.catalog = args[0];
	request.n_events = 1;
	request.events = events;
	int code = cli_call(cli, SERVICE "IngestEvents", &request, &kindred__v1__ingest_events_response__descriptor,
			    &response, &err);
	if (code != 0)
		return cli_fail(&err);
	code = outcome_print(cli, response, &err);
	if (code == 0 && response->outcomes[0] == KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED)
		unknown_items_warn(cli, args[0], (const char *const *)&add.event.item_id, 1);
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);
	return code != 0 ? cli_fail(&err) : 0;
}

/* --- list --- */

static error_t limit_option(int key, char *value, struct argp_state *state)
{
	if (key != OPT_LIMIT)
		return ARGP_ERR_UNKNOWN;
	*(uint64_t *)state->input = (uint64_t)cli_number(state, "--limit", value, 0, INT64_MAX);
	return 0;
}

static int events_page(struct cli *cli, char *user, char *token, uint64_t limit,
		       Kindred__V1__ListUserEventsResponse **page, struct error *err)
{
	Kindred__V1__ListUserEventsRequest request = KINDRED__V1__LIST_USER_EVENTS_REQUEST__INIT;
	request.user_id = user;
	request.page_size = limit < PAGE ? (uint32_t)limit : PAGE;
	request.page_token = token;
	return cli_call(cli, SERVICE "ListUserEvents", &request, &kindred__v1__list_user_events_response__descriptor,
			page, err);
}

static void event_add_row(const Kindred__V1__StoredEvent *event, struct table *table)
{
	char time[64] = "-";
	if (event->time != NULL)
		time_format(event->time->seconds * 1000 + event->time->nanos / 1000000, time);
	table_cell(table, time);
	table_cell(table, event->type);
	if (event->item_id[0] != '\0')
		table_cell(table, event->item_id);
	else
		table_format(table, "(in no catalog, key %s)", event->item_key);
	table_cell(table, event->item_name);
	table_format(table, "%g", (double)event->weight);
}

/* A user's events on their way to the terminal: in an array (--json), or in a table. */
struct listing {
	json_t *array; /* NULL: table */
	struct table *table;
	uint64_t shown, total; /* total: of the history */
};

/* Page after page, until there are `limit`. */
static int list_all(struct cli *cli, char *user, uint64_t limit, struct listing *listing, struct error *err)
{
	char *token = strdup("");
	int code = 0;
	do {
		Kindred__V1__ListUserEventsResponse *page;
		code = events_page(cli, user, token, limit - listing->shown, &page, err);
		if (code != 0)
			break;
		for (size_t i = 0; i < page->n_events; i++) {
			if (listing->array != NULL)
				json_array_append_new(listing->array, message_json(&page->events[i]->base));
			else
				event_add_row(page->events[i], listing->table);
		}
		listing->shown += page->n_events;
		listing->total = page->total_size;
		free(token);
		token = strdup(page->next_page_token);
		kindred__v1__list_user_events_response__free_unpacked(page, NULL);
	} while (token != NULL && token[0] != '\0' && listing->shown < limit);
	free(token);
	return code;
}

static void print_listing(const struct cli *cli, const char *user, struct listing *listing)
{
	if (listing->shown == 0) {
		printf("No events of user '");
		text_write(stdout, user);
		printf("'.\n");
		return;
	}
	table_write(listing->table, stdout, terminal_width(stdout));
	if (listing->shown < listing->total)
		cli_say(cli, "%llu of %llu events; --limit 0 shows all", (unsigned long long)listing->shown,
			(unsigned long long)listing->total);
}

int cmd_events_list(struct cli *cli, int argc, char **argv)
{
	static const char *const headers[] = { "time", "event", "item", "name", "weight" };
	static const enum table_column kinds[] = { TABLE_LEFT, TABLE_LEFT, TABLE_LEFT, TABLE_FLEXIBLE, TABLE_RIGHT };
	static const struct argp_option options[] = {
		{ "limit", OPT_LIMIT, "N", 0, "At most this many (default: 20; 0: all)", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "USER",
		.prose = "Shows a user's history, newest first."
			 "\v"
			 "Examples:\n"
			 "  kindred events list john\n"
			 "  kindred events list john --limit 0 --json\n",
		.options = options,
		.parse = limit_option,
		.least = 1,
		.most = 1,
	};
	uint64_t limit = 20;
	struct error err;
	char *args[1];
	cli_parse(cli, &spec, &limit, argc, argv, args);
	struct listing listing = { .array = cli->json ? json_array() : NULL, .table = table_new(5, headers, kinds) };
	int code = list_all(cli, args[0], limit == 0 ? UINT64_MAX : limit, &listing, &err);
	if (code != 0) {
		json_decref(listing.array);
		cli_fail(&err);
	} else if (cli->json) {
		code = json_print(json_pack("{s:s, s:I, s:o}", "user_id", args[0], "total_size",
					    (json_int_t)listing.total, "events", listing.array),
				  false);
	} else {
		print_listing(cli, args[0], &listing);
	}
	table_free(listing.table);
	return code;
}

/* --- user delete --- */

static error_t yes_option(int key, char *value, struct argp_state *state)
{
	(void)value;
	if (key != OPT_YES)
		return ARGP_ERR_UNKNOWN;
	*(bool *)state->input = true;
	return 0;
}

static void deletion_say(const Kindred__V1__DeleteUserResponse *response, const char *user)
{
	printf(response->existed ? "The history of user '" : "There was no history of user '");
	text_write(stdout, user);
	if (!response->existed) {
		printf("'; its events up to now are dropped from now on.\n");
		return;
	}
	printf("' is gone: %u event%s.\n", response->deleted_events, text_s(response->deleted_events));
	if (response->n_generations == 0)
		return;
	printf("Generations that may have learnt from it, until builds have replaced them:");
	for (size_t i = 0; i < response->n_generations; i++)
		printf(" %llu", (unsigned long long)response->generations[i]);
	printf("\n");
}

int cmd_user_delete(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "yes", OPT_YES, NULL, 0, "Really", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "USER",
		.prose = "Forgets a user: the history is gone at once, and events up to now are dropped from then on."
			 "\v"
			 "Example:\n"
			 "  kindred user delete john --yes\n",
		.options = options,
		.parse = yes_option,
		.least = 1,
		.most = 1,
	};
	Kindred__V1__DeleteUserRequest request = KINDRED__V1__DELETE_USER_REQUEST__INIT;
	Kindred__V1__DeleteUserResponse *response;
	struct error err;
	char *args[1], what[120];
	bool yes = false;
	cli_parse(cli, &spec, &yes, argc, argv, args);
	snprintf(what, sizeof what, "the history of user '%.80s'", args[0]);
	int code = cli_confirm(yes, what, &err);
	request.user_id = args[0];
	if (code == 0)
		code = cli_call(cli, SERVICE "DeleteUser", &request, &kindred__v1__delete_user_response__descriptor,
				&response, &err);
	if (code != 0)
		return cli_fail(&err);
	if (cli->json)
		code = message_print(&response->base);
	else
		deletion_say(response, args[0]);
	kindred__v1__delete_user_response__free_unpacked(response, NULL);
	return code;
}
