#include "cli/events_summary.h"

#include "cli/table.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/message_json.h"

#include <stdio.h>

#define OLD_S INT64_C(315532800) /* 1980 */

void events_summary_event(struct events_summary *summary, const Kindred__V1__Event *event)
{
	found_event(&summary->found, event->type, event->user_id, event->item_id);
	if (event->time != NULL && event->time->seconds > summary->newest_s)
		summary->newest_s = event->time->seconds;
}

void events_summary_outcome(struct events_summary *summary, Kindred__V1__Outcome outcome)
{
	switch (outcome) {
	case KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED:
		summary->accepted++;
		break;
	case KINDRED__V1__OUTCOME__OUTCOME_DUPLICATE:
		summary->duplicate++;
		break;
	case KINDRED__V1__OUTCOME__OUTCOME_DROPPED:
		summary->dropped++;
		break;
	case KINDRED__V1__OUTCOME__OUTCOME_REFUSED:
	default:
		summary->refused++;
		break;
	}
}

/* Years and days written as numbers are read as seconds, which nobody may have meant. */
static void remark_old_times(const struct events_summary *summary, const struct cli *cli)
{
	char newest[32];
	if (summary->newest_s == 0 || summary->newest_s >= OLD_S)
		return;
	time_format(summary->newest_s * 1000, newest);
	cli_say(cli,
		"the newest event is of %s: numbers are read as seconds or milliseconds since 1970; if they are dates, "
		"such as 20260101, say --time-format %%Y%%m%%d",
		newest);
}

static void print_json(struct events_summary *summary, const char *catalog, double seconds)
{
	json_print(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:I, s:o}", "catalog",
			     catalog, "rows", (json_int_t)summary->rows, "accepted", (json_int_t)summary->accepted,
			     "duplicate", (json_int_t)summary->duplicate, "dropped", (json_int_t)summary->dropped,
			     "refused", (json_int_t)summary->refused, "skipped", (json_int_t)summary->skipped,
			     "without_user", (json_int_t)summary->no_user, "left_out", (json_int_t)summary->left_out,
			     "batches_resent", (json_int_t)summary->resent, "seconds", seconds, "types",
			     found_types_json(&summary->found), "other_types", (json_int_t)summary->found.others,
			     "some_users", found_users_json(&summary->found)),
		   false);
}

static void print_table(const struct events_summary *summary, double seconds)
{
	static const char *const headers[] = { "rows", "", "" };
	static const enum table_column kinds[] = { TABLE_RIGHT, TABLE_LEFT, TABLE_LEFT };
	const struct {
		uint64_t count;
		const char *what, *meaning;
		bool always;
	} lines[] = {
		{ summary->accepted, "accepted", "on disk", true },
		{ summary->duplicate, "duplicate", "were there already", true },
		{ summary->dropped, "dropped", "older than what a user's history keeps, or than the user's deletion",
		  false },
		{ summary->refused, "refused", "by the server, see above", false },
		{ summary->skipped, "skipped", "with errors, see above", false },
		{ summary->no_user, "without a user", "nobody to learn about", false },
		{ summary->left_out, "left out", "of another type than --only", false },
	};
	char count[TEXT_MAX], elapsed[TEXT_MAX], rate[TEXT_MAX];
	struct table *table = table_new(3, headers, kinds);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		if (lines[i].count == 0 && !lines[i].always)
			continue;
		table_cell(table, text_count(lines[i].count, count));
		table_cell(table, lines[i].what);
		table_cell(table, lines[i].meaning);
	}
	table_cell(table, text_count(summary->rows, count));
	table_cell(table, "in all");
	table_format(table, "in %s, %s/s", text_elapsed(seconds, elapsed),
		     text_count((uint64_t)((double)summary->rows / seconds), rate));
	table_write(table, stdout, terminal_width(stdout));
	table_free(table);
}

void events_summary_print(struct events_summary *summary, const struct cli *cli, const char *catalog, double seconds)
{
	char types[400];
	remark_old_times(summary, cli);
	if (cli->json) {
		print_json(summary, catalog, seconds);
		return;
	}
	print_table(summary, seconds);
	if (summary->found.type_count > 0) {
		printf("event types: ");
		text_write(stdout, found_types_text(&summary->found, types, sizeof types));
		printf("\n");
	}
	if (summary->resent > 0 && summary->duplicate > 0)
		cli_say(cli,
			"%llu batches were sent again after a break: events of them that were taken the first time "
			"count as duplicate",
			(unsigned long long)summary->resent);
}
