/*
 * What `events import` makes of a file's columns, and a row turned into an Event by it. Pure.
 */
#ifndef KINDRED_CLI_EVENTS_PLAN_H
#define KINDRED_CLI_EVENTS_PLAN_H

#include "cli/csv_source.h"
#include "cli/layouts.h"
#include "cli/notation.h"
#include "cli/occurrence.h"
#include "common/arena.h"
#include "kindred/v1/events.pb-c.h"

#include <stdbool.h>

#define EVENTS_PROPERTIES_MAX 32
#define EVENTS_FLAGS_MAX 64
#define PROPERTY_MAX 256
#define WEIGHT_MAX 1e6

struct events_options {
	const char *user, *item, *event, *time, *event_id, *weight; /* columns; NULL: guessed */
	const char *event_type; /* --event-type; NULL: not given */
	struct notation notation;
	const char *properties[EVENTS_PROPERTIES_MAX];
	size_t property_count;
	struct layout_pair map[EVENTS_FLAGS_MAX]; /* --map */
	size_t map_count;
	const char *only[EVENTS_FLAGS_MAX]; /* --only, names after mapping */
	size_t only_count;
	const struct layout *layout; /* NULL: none */
};

struct events_plan {
	const struct events_options *options;
	const char *const *names;
	size_t count;
	int user, item, event, time, event_id, weight, negative; /* columns; -1: none */
	int properties[EVENTS_PROPERTIES_MAX];
	const char *event_type; /* of every row, when there is no column of types */
};

/*
 * E_INVALID: a flag names a column that is not there, or a role that an event needs cannot be told.
 */
int events_plan_make(struct events_plan *plan, const char *const *names, size_t count,
		     const struct events_options *options, struct error *err);
/* "user is 'customer_id', item is 'stock_code', ..." */
void events_plan_text(const struct events_plan *plan, char *text, size_t room);

/* EVENT_BAD: err->text says why, with the column. EVENT_LEFT_OUT: its type is not one of --only. */
enum event_row { EVENT_OK, EVENT_NO_USER, EVENT_LEFT_OUT, EVENT_BAD, EVENT_NO_MEMORY };

/* The row as an Event, all of it in the arena; event_id is the column's, or empty. */
enum event_row events_plan_row(const struct events_plan *plan, const struct row *row, struct arena *arena,
			       Kindred__V1__Event **event, struct error *err);

/*
 * Gives an event without an id one that is the same whenever this row is imported again: a hash of the
 * catalog and of every field of the event, and the how-manieth event with just these fields it is, so
 * that real repetitions count and rows that were appended later are new. E_EXHAUSTED.
 */
int event_id_derive(const char *catalog, struct occurrence *seen, Kindred__V1__Event *event, struct arena *arena);

#endif
