#include "cli/events_plan.h"

#include "cli/columns.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/ids.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

static int column_find(const struct events_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (strcmp(plan->names[i], name) == 0)
			return (int)i;
	}
	return -1;
}

static int no_such_column(const struct events_plan *plan, const char *flag, const char *name, struct error *err)
{
	char known[300];
	return error_set(err, E_INVALID, "%s: the file has no column '%.64s'; it has %s", flag, name,
			 columns_text(plan->names, plan->count, known, sizeof known));
}

/* The column of a role: given, of the layout, or guessed; -1: none. */
static int role_column(const struct events_plan *plan, enum role role, const char *given, const char *layout,
		       int *column, struct error *err)
{
	if (given == NULL && layout != NULL && column_find(plan, layout) >= 0)
		given = layout;
	*column = given != NULL ? column_find(plan, given) : columns_guess(role, plan->names, plan->count);
	if (given != NULL && *column < 0)
		return no_such_column(plan, role_flag(role), given, err);
	return 0;
}

static int needed(const struct events_plan *plan, enum role role, int column, struct error *err)
{
	char known[300];
	if (column >= 0)
		return 0;
	return error_set(err, E_INVALID,
			 "which column is the %s? Say %s COLUMN (or --columns A,B,C when the file has no header); the "
			 "columns are %s",
			 role_name(role), role_flag(role), columns_text(plan->names, plan->count, known, sizeof known));
}

/* The event's type: --event-type, a column (given or guessed), or the layout's word for every row. */
static int type_choose(struct events_plan *plan, const struct events_options *options, struct error *err)
{
	const struct layout *layout = options->layout;
	plan->event = -1;
	if (options->event_type != NULL) {
		if (options->event != NULL)
			return error_set(err, E_INVALID, "--event and --event-type: give one of them");
		plan->event_type = options->event_type;
		return id_check("--event-type", plan->event_type, strlen(plan->event_type), EVENT_TYPE_MAX, err);
	}
	int code = role_column(plan, ROLE_EVENT, options->event, layout != NULL ? layout->events.event : NULL,
			       &plan->event, err);
	if (code != 0 || plan->event >= 0)
		return code;
	if (layout != NULL && layout->events.event_type != NULL) {
		plan->event_type = layout->events.event_type;
		return 0;
	}
	char known[300];
	return error_set(err, E_INVALID,
			 "what did the users do? Say --event COLUMN, or --event-type NAME for all rows (Viewed, for "
			 "example); the columns are %s",
			 columns_text(plan->names, plan->count, known, sizeof known));
}

static int properties_choose(struct events_plan *plan, const struct events_options *options, struct error *err)
{
	for (size_t i = 0; i < options->property_count; i++) {
		plan->properties[i] = column_find(plan, options->properties[i]);
		if (plan->properties[i] < 0)
			return no_such_column(plan, "--property", options->properties[i], err);
	}
	return 0;
}

int events_plan_make(struct events_plan *plan, const char *const *names, size_t count,
		     const struct events_options *options, struct error *err)
{
	const struct layout *layout = options->layout;
	*plan = (struct events_plan){ .options = options, .names = names, .count = count, .negative = -1 };
	int code = role_column(plan, ROLE_USER, options->user, layout != NULL ? layout->events.user : NULL, &plan->user,
			       err);
	if (code == 0)
		code = role_column(plan, ROLE_ITEM, options->item, layout != NULL ? layout->events.item : NULL,
				   &plan->item, err);
	if (code == 0)
		code = role_column(plan, ROLE_TIME, options->time, layout != NULL ? layout->events.time : NULL,
				   &plan->time, err);
	if (code == 0)
		code = role_column(plan, ROLE_EVENT_ID, options->event_id, NULL, &plan->event_id, err);
	if (code == 0)
		code = role_column(plan, ROLE_WEIGHT, options->weight, NULL, &plan->weight, err);
	if (code == 0)
		code = needed(plan, ROLE_USER, plan->user, err);
	if (code == 0)
		code = needed(plan, ROLE_ITEM, plan->item, err);
	if (code == 0)
		code = type_choose(plan, options, err);
	if (code == 0)
		code = properties_choose(plan, options, err);
	if (code == 0 && plan->event < 0 && layout != NULL && layout->events.negative_column != NULL)
		plan->negative = column_find(plan, layout->events.negative_column);
	return code;
}

void events_plan_text(const struct events_plan *plan, char *text, size_t room)
{
	size_t at = (size_t)snprintf(text, room, "user is '%s', item is '%s'", plan->names[plan->user],
				     plan->names[plan->item]);
	const struct {
		const char *what;
		int column;
	} others[] = { { "event is", plan->event },
		       { "time is", plan->time },
		       { "event id is", plan->event_id },
		       { "weight is", plan->weight } };
	if (plan->event_type != NULL && at < room)
		at += (size_t)snprintf(text + at, room - at, ", every row is a \"%s\"", plan->event_type);
	for (size_t i = 0; i < sizeof others / sizeof *others && at < room; i++) {
		if (others[i].column >= 0)
			at += (size_t)snprintf(text + at, room - at, ", %s '%s'", others[i].what,
					       plan->names[others[i].column]);
	}
	if (plan->negative >= 0 && at < room)
		at += (size_t)snprintf(text + at, room - at, ", or a \"%s\" where '%s' is below 0",
				       plan->options->layout->events.negative_type, plan->names[plan->negative]);
	if (plan->time < 0 && at < room)
		snprintf(text + at, room - at, ", no time: events are of the moment of their import (--time)");
}

/* The name that an event's name is mapped to; --map comes before the layout. */
static const char *mapped(const struct events_plan *plan, const char *name)
{
	const struct events_options *options = plan->options;
	for (size_t i = 0; i < options->map_count; i++) {
		if (strcmp(options->map[i].from, name) == 0)
			return options->map[i].to;
	}
	if (options->layout == NULL)
		return name;
	const struct layout_pair *map = options->layout->events.map;
	for (size_t i = 0; i < sizeof options->layout->events.map / sizeof *map && map[i].from != NULL; i++) {
		if (strcmp(map[i].from, name) == 0)
			return map[i].to;
	}
	return name;
}

static const char *row_type(const struct events_plan *plan, const struct row *row)
{
	if (plan->event >= 0)
		return mapped(plan, row->fields[plan->event].text);
	if (plan->negative >= 0 && row->fields[plan->negative].text[0] == '-')
		return plan->options->layout->events.negative_type;
	return plan->event_type;
}

static bool wanted(const struct events_plan *plan, const char *type)
{
	const struct events_options *options = plan->options;
	for (size_t i = 0; i < options->only_count; i++) {
		if (strcmp(options->only[i], type) == 0)
			return true;
	}
	return options->only_count == 0;
}

/* A text of the row that has to be there, and within its limit. */
static int text_field(const struct events_plan *plan, const struct row *row, int column, const char *what, size_t max,
		      struct error *err)
{
	const struct field *field = &row->fields[column];
	if (field->bytes == 0)
		return error_set(err, E_INVALID, "column '%s': no %s", plan->names[column], what);
	if (field->bytes > max)
		return error_set(err, E_INVALID, "column '%s': %s of %zu bytes; 1 to %zu are allowed",
				 plan->names[column], what, field->bytes, max);
	/* a number with a fraction passes: whoever writes 1.0 means 1 */
	if (field->odd && !isdigit((unsigned char)*field->text) && *field->text != '-') {
		char quoted[TEXT_QUOTE_MAX];
		return error_set(err, E_INVALID, "column '%s': %s is a string or a number; %s is neither",
				 plan->names[column], what, text_quote(field->text, field->bytes, quoted));
	}
	return 0;
}

static int bad_value(const struct events_plan *plan, int column, const struct row *row, const char *what,
		     const char *help, struct error *err)
{
	char quoted[TEXT_QUOTE_MAX];
	const struct field *field = &row->fields[column];
	return error_set(err, E_INVALID, "column '%s': '%s' is not a %s %s", plan->names[column],
			 text_quote(field->text, field->bytes, quoted), what, help);
}

/* A layout's format is for what nothing else reads. */
static bool time_read(const struct events_plan *plan, const struct field *field, int64_t *time_ms)
{
	const struct events_options *options = plan->options;
	if (notation_time(&options->notation, field->text, field->bytes, time_ms))
		return true;
	const char *format = options->layout != NULL ? options->layout->events.time_format : NULL;
	return format != NULL && options->notation.time_format_count == 0 &&
	       time_parse_format(field->text, field->bytes, format, time_ms);
}

static int time_set(const struct events_plan *plan, const struct row *row, struct arena *arena,
		    Kindred__V1__Event *event, struct error *err)
{
	const struct field *field = &row->fields[plan->time];
	char help[NOTATION_HELP_MAX];
	int64_t time_ms;
	if (!time_read(plan, field, &time_ms))
		return bad_value(plan, plan->time, row, "time",
				 notation_time_help(&plan->options->notation, field->text, field->bytes, help), err);
	if (time_ms < TIME_MIN_MS)
		return bad_value(plan, plan->time, row, "time of an event", "(the years 1970 to 9999)", err);
	event->time = arena_alloc(arena, sizeof *event->time);
	if (event->time == NULL)
		return E_EXHAUSTED;
	google__protobuf__timestamp__init(event->time);
	event->time->seconds = time_ms / 1000;
	event->time->nanos = (int32_t)(time_ms % 1000) * 1000000;
	return 0;
}

static int weight_set(const struct events_plan *plan, const struct row *row, Kindred__V1__Event *event,
		      struct error *err)
{
	const struct notation *notation = &plan->options->notation;
	const struct field *field = &row->fields[plan->weight];
	char help[NOTATION_HELP_MAX];
	double weight;
	if (field->bytes == 0)
		return 0;
	if (!notation_number(notation, field, &weight))
		return bad_value(plan, plan->weight, row, "number",
				 notation_number_help(notation, field->text, field->bytes, help), err);
	if (!(weight > 0 && weight <= WEIGHT_MAX))
		return bad_value(plan, plan->weight, row, "weight", "(a number above 0, at most 1000000)", err);
	event->weight = (float)weight;
	return 0;
}

static int properties_set(const struct events_plan *plan, const struct row *row, struct arena *arena,
			  Kindred__V1__Event *event, struct error *err)
{
	size_t count = plan->options->property_count;
	if (count == 0)
		return 0;
	Kindred__V1__Property *storage = arena_alloc(arena, count * sizeof *storage);
	event->properties = arena_alloc(arena, count * sizeof(void *));
	if (storage == NULL || event->properties == NULL)
		return E_EXHAUSTED;
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &row->fields[plan->properties[i]];
		if (field->bytes == 0)
			continue;
		if (field->bytes > PROPERTY_MAX)
			return error_set(err, E_INVALID, "column '%s': %zu bytes; a property has up to %d",
					 plan->names[plan->properties[i]], field->bytes, PROPERTY_MAX);
		Kindred__V1__Property *property = &storage[event->n_properties];
		kindred__v1__property__init(property);
		property->name = (char *)plan->names[plan->properties[i]];
		property->value = arena_strndup(arena, field->text, field->bytes);
		if (property->value == NULL)
			return E_EXHAUSTED;
		event->properties[event->n_properties++] = property;
	}
	return 0;
}

static int texts_check(const struct events_plan *plan, const struct row *row, const char *type, struct error *err)
{
	int code = text_field(plan, row, plan->user, "a user id", USER_ID_MAX, err);
	if (code == 0)
		code = text_field(plan, row, plan->item, "item id", ITEM_ID_MAX, err);
	if (code == 0 && plan->event >= 0)
		code = text_field(plan, row, plan->event, "event type", EVENT_TYPE_MAX, err);
	if (code == 0 && plan->event_id >= 0 && row->fields[plan->event_id].bytes > EVENT_ID_MAX)
		code = text_field(plan, row, plan->event_id, "event id", EVENT_ID_MAX, err);
	if (code == 0 && strlen(type) > EVENT_TYPE_MAX)
		code = error_set(err, E_INVALID, "event type \"%.80s\": 1 to %d bytes are allowed", type,
				 EVENT_TYPE_MAX);
	return code;
}

static int event_make(const struct events_plan *plan, const struct row *row, const char *type, struct arena *arena,
		      Kindred__V1__Event **event, struct error *err)
{
	const struct field *user = &row->fields[plan->user], *item = &row->fields[plan->item];
	int code = texts_check(plan, row, type, err);
	if (code != 0)
		return code;
	Kindred__V1__Event *made = arena_alloc(arena, sizeof *made);
	if (made == NULL)
		return E_EXHAUSTED;
	kindred__v1__event__init(made);
	made->user_id = arena_strndup(arena, user->text, user->bytes);
	made->item_id = arena_strndup(arena, item->text, item->bytes);
	/* A mapped name outlives the batch, a field of the row does not. */
	made->type = plan->event >= 0 && type == row->fields[plan->event].text
			     ? arena_strndup(arena, type, strlen(type))
			     : (char *)type;
	if (plan->event_id >= 0 && row->fields[plan->event_id].bytes > 0)
		made->event_id =
			arena_strndup(arena, row->fields[plan->event_id].text, row->fields[plan->event_id].bytes);
	if (made->user_id == NULL || made->item_id == NULL || made->type == NULL || made->event_id == NULL)
		return E_EXHAUSTED;
	if (plan->time >= 0)
		code = time_set(plan, row, arena, made, err);
	if (code == 0 && plan->weight >= 0)
		code = weight_set(plan, row, made, err);
	if (code == 0)
		code = properties_set(plan, row, arena, made, err);
	*event = made;
	return code;
}

enum event_row events_plan_row(const struct events_plan *plan, const struct row *row, struct arena *arena,
			       Kindred__V1__Event **event, struct error *err)
{
	const char *type = row_type(plan, row);
	if (!wanted(plan, type))
		return EVENT_LEFT_OUT;
	if (row->fields[plan->user].bytes == 0)
		return EVENT_NO_USER;
	int code = event_make(plan, row, type, arena, event, err);
	return code == 0 ? EVENT_OK : code == E_INVALID ? EVENT_BAD : EVENT_NO_MEMORY;
}

int event_id_derive(const char *catalog, struct occurrence *seen, Kindred__V1__Event *event, struct arena *arena)
{
	enum { ID_BYTES = 32 };
	/* The packed message is the fields, each with its number and length, in one order always. */
	size_t size = kindred__v1__event__get_packed_size(event);
	uint8_t *packed = arena_alloc(arena, size);
	char *id = arena_alloc(arena, ID_BYTES);
	if (packed == NULL || id == NULL)
		return E_EXHAUSTED;
	kindred__v1__event__pack(event, packed);
	uint64_t hash = XXH3_64bits_withSeed(packed, size, catalog_seed(catalog, strlen(catalog)).value);
	uint32_t number;
	if (occurrence_count(seen, hash, &number) != 0)
		return E_EXHAUSTED;
	snprintf(id, ID_BYTES, "%016llx-%u", (unsigned long long)hash, number);
	event->event_id = id;
	return 0;
}
