#include "common/control_private.h"

#include "common/clock.h"
#include "common/filter.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define IMAGE_URL_MAX 2048
#define STRING_MAX 4096
#define LIST_MAX 100
#define LIST_STRING_MAX 256
#define EVENTS_MAX 16
#define EXCLUDE_EVENTS_MAX 100
#define SESSION_PAUSE_MIN 60
#define SESSION_PAUSE_MAX (30 * 86400)
#define EVENT_WEIGHT_MAX 1000
#define COUNT_MAX 1000
#define EXPLORE_MAX 0.5f
#define DESCRIPTION_MAX 1024
#define NANOS_MAX 999999999
/* google.protobuf.Duration: 10,000 years */
#define DURATION_SECONDS_MAX INT64_C(315576000000)

const char *control_type_name(int type)
{
	switch (type) {
	case KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING:
		return "a string";
	case KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_NUMBER:
		return "a number";
	case KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_BOOLEAN:
		return "a boolean";
	case KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_TIMESTAMP:
		return "a timestamp";
	case KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING_LIST:
		return "a list of strings";
	default:
		return "of no known type";
	}
}

/* Text that may be empty: UTF-8, up to max bytes. */
static int check_text(const char *field, const char *text, size_t max, struct error *err)
{
	size_t bytes = strlen(text);

	if (bytes > max)
		return error_set(err, E_INVALID, "%s: %zu bytes; at most %zu are allowed", field, bytes, max);
	return bytes == 0 ? 0 : id_check(field, text, bytes, max, err);
}

/* --- catalogs --- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* names is sorted here. Returns a name that occurs twice, or NULL. */
static const char *find_double(const char **names, size_t count)
{
	qsort(names, count, sizeof *names, compare_names);
	for (size_t i = 1; i < count; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return names[i];
	return NULL;
}

int control_check_attributes(size_t count, Kindred__V1__AttributeSchema *const *attributes, struct error *err)
{
	const char *names[CONTROL_ATTRIBUTES_MAX];
	const char *doubled;

	if (count > CONTROL_ATTRIBUTES_MAX)
		return error_set(err, E_INVALID, "attributes: %zu; at most %d are allowed", count,
				 CONTROL_ATTRIBUTES_MAX);
	for (size_t i = 0; i < count; i++) {
		const Kindred__V1__AttributeSchema *attribute = attributes[i];
		int rc = attribute_name_check("attributes.name", attribute->name, strlen(attribute->name), err);

		if (rc != 0)
			return rc;
		if (attribute->type <= KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_UNSPECIFIED ||
		    attribute->type > KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING_LIST)
			return error_set(err, E_INVALID,
					 "attributes: \"%s\" has type %d; string (1), number (2), boolean (3), "
					 "timestamp (4) and list of strings (5) are allowed",
					 attribute->name, (int)attribute->type);
		names[i] = attribute->name;
	}
	doubled = find_double(names, count);
	if (doubled)
		return error_set(err, E_INVALID, "attributes: \"%s\" is named twice; each may be there once", doubled);
	return 0;
}

int control_check_catalog(const Kindred__V1__Catalog *catalog, struct error *err)
{
	int rc = name_check("catalog.name", catalog->name, strlen(catalog->name), err);

	return rc != 0 ? rc : control_check_attributes(catalog->n_attributes, catalog->attributes, err);
}

/* --- items --- */

static int compare_schema(const void *a, const void *b, void *context)
{
	const Kindred__V1__Catalog *catalog = context;

	return strcmp(catalog->attributes[*(const uint16_t *)a]->name, catalog->attributes[*(const uint16_t *)b]->name);
}

void schema_init(struct schema *schema, const Kindred__V1__Catalog *catalog)
{
	schema->catalog = catalog;
	for (size_t i = 0; i < catalog->n_attributes; i++)
		schema->by_name[i] = (uint16_t)i;
	qsort_r(schema->by_name, catalog->n_attributes, sizeof schema->by_name[0], compare_schema, (void *)catalog);
}

size_t schema_find(const struct schema *schema, const char *name, size_t hint)
{
	const Kindred__V1__Catalog *catalog = schema->catalog;
	size_t low = 0, high = catalog->n_attributes;

	if (hint < high && strcmp(catalog->attributes[hint]->name, name) == 0)
		return hint;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(name, catalog->attributes[schema->by_name[middle]]->name);

		if (order == 0)
			return schema->by_name[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return SIZE_MAX;
}

static int value_type(const Kindred__V1__Attribute *attribute)
{
	switch (attribute->value_case) {
	case KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE:
		return KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING;
	case KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE:
		return KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_NUMBER;
	case KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE:
		return KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_BOOLEAN;
	case KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE:
		return KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_TIMESTAMP;
	case KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE:
		return KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING_LIST;
	default:
		return KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_UNSPECIFIED;
	}
}

static int check_list(const char *name, const Kindred__V1__StringList *list, struct error *err)
{
	if (list->n_values > LIST_MAX)
		return error_set(err, E_INVALID, "%s: %zu strings in the list; at most %d are allowed", name,
				 list->n_values, LIST_MAX);
	for (size_t i = 0; i < list->n_values; i++) {
		int rc = check_text(name, list->values[i], LIST_STRING_MAX, err);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int check_timestamp(const char *name, const Google__Protobuf__Timestamp *time, struct error *err)
{
	if (time->seconds < CALENDAR_MIN_MS / 1000 || time->seconds > TIME_MAX_MS / 1000 || time->nanos < 0 ||
	    time->nanos > NANOS_MAX)
		return error_set(err, E_INVALID,
				 "%s: a time of %" PRId64
				 " seconds and %d nanoseconds; the years 1 to 9999 are allowed",
				 name, time->seconds, time->nanos);
	return 0;
}

static int check_value(const Kindred__V1__Attribute *attribute, int type, struct error *err)
{
	const char *name = attribute->name;

	if (attribute->value_case == KINDRED__V1__ATTRIBUTE__VALUE__NOT_SET)
		return error_set(err, E_INVALID, "%s: no value; leave the attribute out when the item has none", name);
	if (value_type(attribute) != type)
		return error_set(err, E_INVALID, "%s: the value is %s; in this catalog the attribute is %s", name,
				 control_type_name(value_type(attribute)), control_type_name(type));
	switch (attribute->value_case) {
	case KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE:
		return check_text(name, attribute->string_value, STRING_MAX, err);
	case KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE:
		if (!isfinite(attribute->number_value))
			return error_set(err, E_INVALID, "%s: %g; only finite numbers are allowed", name,
					 attribute->number_value);
		return 0;
	case KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE:
		return check_timestamp(name, attribute->timestamp_value, err);
	case KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE:
		return check_list(name, attribute->list_value, err);
	default:
		return 0;
	}
}

/* Moves attribute number `i` back to its place among those before it, which are in order already. */
static void insert_in_order(Kindred__V1__Attribute **attributes, uint16_t *places, size_t i)
{
	Kindred__V1__Attribute *attribute = attributes[i];
	uint16_t place = places[i];

	for (; i > 0 && places[i - 1] > place; i--) {
		attributes[i] = attributes[i - 1];
		places[i] = places[i - 1];
	}
	attributes[i] = attribute;
	places[i] = place;
}

static int check_item_attributes(const struct schema *schema, Kindred__V1__Item *item, struct error *err)
{
	uint16_t places[CONTROL_ATTRIBUTES_MAX];
	size_t place = SIZE_MAX;

	if (item->n_attributes > CONTROL_ATTRIBUTES_MAX)
		return error_set(err, E_INVALID, "attributes: %zu; at most %d are allowed", item->n_attributes,
				 CONTROL_ATTRIBUTES_MAX);
	for (size_t i = 0; i < item->n_attributes; i++) {
		const Kindred__V1__Attribute *attribute = item->attributes[i];
		int rc;

		place = schema_find(schema, attribute->name, place + 1);
		if (place == SIZE_MAX)
			return error_set(
				err, E_INVALID,
				"attributes: \"%.64s\" is not in the schema of catalog \"%s\"; add it there first",
				attribute->name, schema->catalog->name);
		rc = check_value(attribute, (int)schema->catalog->attributes[place]->type, err);
		if (rc != 0)
			return rc;
		places[i] = (uint16_t)place;
		insert_in_order(item->attributes, places, i);
	}
	for (size_t i = 1; i < item->n_attributes; i++)
		if (places[i - 1] == places[i])
			return error_set(err, E_INVALID, "attributes: \"%s\" is given twice; each may be there once",
					 item->attributes[i]->name);
	return 0;
}

int control_check_item(const struct schema *schema, Kindred__V1__Item *item, struct error *err)
{
	int rc = id_check("id", item->id, strlen(item->id), ITEM_ID_MAX, err);

	if (rc == 0)
		rc = check_text("name", item->name, ITEM_NAME_MAX, err);
	if (rc == 0)
		rc = check_text("image_url", item->image_url, IMAGE_URL_MAX, err);
	return rc != 0 ? rc : check_item_attributes(schema, item, err);
}

/* --- definitions --- */

static int check_events(const Kindred__V1__Definition *definition, struct error *err)
{
	const char *types[EVENTS_MAX];
	const char *doubled;

	if (definition->n_events < 1 || definition->n_events > EVENTS_MAX)
		return error_set(err, E_INVALID, "events: %zu; 1 to %d are allowed", definition->n_events, EVENTS_MAX);
	for (size_t i = 0; i < definition->n_events; i++) {
		const Kindred__V1__EventWeight *event = definition->events[i];
		int rc = id_check("events.type", event->type, strlen(event->type), EVENT_TYPE_MAX, err);

		if (rc != 0)
			return rc;
		if (!(event->weight >= 0 && event->weight <= EVENT_WEIGHT_MAX))
			return error_set(
				err, E_INVALID,
				"events: \"%s\" has weight %g; more than 0 and at most %d is allowed (0 means 1)",
				event->type, (double)event->weight, EVENT_WEIGHT_MAX);
		types[i] = event->type;
	}
	doubled = find_double(types, definition->n_events);
	if (doubled)
		return error_set(err, E_INVALID, "events: \"%s\" is named twice; each may be there once", doubled);
	return 0;
}

static int check_duration(const char *field, const Google__Protobuf__Duration *duration, bool whole_seconds,
			  struct error *err)
{
	if (!duration)
		return 0;
	if (duration->seconds < 0 || duration->seconds > DURATION_SECONDS_MAX || duration->nanos < 0 ||
	    duration->nanos > NANOS_MAX)
		return error_set(err, E_INVALID,
				 "%s: %" PRId64 " seconds and %d nanoseconds; 0 (all) to 10,000 years are allowed",
				 field, duration->seconds, duration->nanos);
	if (whole_seconds && duration->nanos != 0)
		return error_set(err, E_INVALID, "%s: %" PRId64 ".%09d seconds; whole seconds are allowed", field,
				 duration->seconds, duration->nanos);
	return 0;
}

static int check_session_pause(const Google__Protobuf__Duration *pause, struct error *err)
{
	int rc = check_duration("session_pause", pause, true, err);
	if (rc == 0 && pause && pause->seconds != 0 &&
	    (pause->seconds < SESSION_PAUSE_MIN || pause->seconds > SESSION_PAUSE_MAX))
		rc = error_set(err, E_INVALID,
			       "session_pause: %" PRId64 " seconds; 0 (no sessions) or %d to %d are allowed",
			       pause->seconds, SESSION_PAUSE_MIN, SESSION_PAUSE_MAX);
	return rc;
}

static int check_exclude_events(const Kindred__V1__Definition *definition, struct error *err)
{
	if (definition->n_exclude_events > EXCLUDE_EVENTS_MAX)
		return error_set(err, E_INVALID, "exclude_events: %zu; at most %d are allowed",
				 definition->n_exclude_events, EXCLUDE_EVENTS_MAX);
	for (size_t i = 0; i < definition->n_exclude_events; i++) {
		const char *type = definition->exclude_events[i];
		int rc = id_check("exclude_events", type, strlen(type), EVENT_TYPE_MAX, err);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int check_filter(const Kindred__V1__Definition *definition, const Kindred__V1__Catalog *catalog,
			struct error *err)
{
	struct filter_attribute attributes[CONTROL_ATTRIBUTES_MAX];
	struct filter *filter = NULL;
	int rc;

	for (size_t i = 0; i < catalog->n_attributes; i++) {
		attributes[i].name = catalog->attributes[i]->name;
		attributes[i].type = (enum value_type)catalog->attributes[i]->type;
	}
	rc = filter_compile(&filter, definition->filter, strlen(definition->filter), attributes, catalog->n_attributes,
			    err);
	if (rc == 0)
		filter_free(filter);
	return rc;
}

int control_check_definition(const Kindred__V1__Definition *definition, const Kindred__V1__Catalog *catalog,
			     struct error *err)
{
	int rc = name_check("definition.name", definition->name, strlen(definition->name), err);

	if (rc != 0)
		return rc;
	if ((int)definition->strategy < 0 || definition->strategy > KINDRED__V1__STRATEGY__STRATEGY_POPULAR)
		return error_set(err, E_INVALID, "strategy: %d; 0 to %d are allowed", (int)definition->strategy,
				 (int)KINDRED__V1__STRATEGY__STRATEGY_POPULAR);
	if (definition->count > COUNT_MAX)
		return error_set(err, E_INVALID, "count: %" PRIu32 "; 1 to %d are allowed (0 means 20)",
				 definition->count, COUNT_MAX);
	if ((int)definition->repeat < 0 || definition->repeat > KINDRED__V1__REPEAT__REPEAT_OFF)
		return error_set(err, E_INVALID, "repeat: %d; 0 to %d are allowed", (int)definition->repeat,
				 (int)KINDRED__V1__REPEAT__REPEAT_OFF);
	if ((int)definition->occasion < 0 || definition->occasion > KINDRED__V1__OCCASION__OCCASION_AGAIN)
		return error_set(err, E_INVALID, "occasion: %d; 0 to %d are allowed", (int)definition->occasion,
				 (int)KINDRED__V1__OCCASION__OCCASION_AGAIN);
	if (!(definition->explore >= 0 && definition->explore <= EXPLORE_MAX))
		return error_set(err, E_INVALID, "explore: %g; a share from 0 to %g is allowed",
				 (double)definition->explore, (double)EXPLORE_MAX);
	if (definition->fallback &&
	    ((int)definition->fallback->kind < 0 ||
	     definition->fallback->kind > KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_RECENTLY_POPULAR))
		return error_set(err, E_INVALID, "fallback.kind: %d; 0 to %d are allowed",
				 (int)definition->fallback->kind,
				 (int)KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_RECENTLY_POPULAR);
	rc = check_events(definition, err);
	if (rc == 0)
		rc = check_duration("lookback", definition->lookback, false, err);
	if (rc == 0) /* whole seconds: it is part of the relation's key */
		rc = check_duration("model_window", definition->model_window, true, err);
	if (rc == 0)
		rc = check_session_pause(definition->session_pause, err);
	if (rc == 0)
		rc = check_exclude_events(definition, err);
	if (rc == 0)
		rc = check_text("description", definition->description, DESCRIPTION_MAX, err);
	return rc != 0 ? rc : check_filter(definition, catalog, err);
}
