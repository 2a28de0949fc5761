#include "builder/fingerprint.h"

#include "version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* Hashed as they lie in memory. */
_Static_assert(sizeof(struct event) == 12, "an event has no bytes that are not a field's");
_Static_assert(sizeof(struct params) % sizeof(double) == 0, "and neither have the parameters");

static XXH3_state_t *begin(struct error *err)
{
	XXH3_state_t *state = XXH3_createState();
	if (state)
		XXH3_128bits_reset(state);
	else
		error_set(err, E_EXHAUSTED, "no memory for a fingerprint");
	return state;
}

static struct fingerprint end(XXH3_state_t *state)
{
	XXH128_hash_t hash = XXH3_128bits_digest(state);
	XXH3_freeState(state);
	return (struct fingerprint){ hash.low64, hash.high64 };
}

static void put_number(XXH3_state_t *state, uint64_t number)
{
	XXH3_128bits_update(state, &number, sizeof number);
}

/* With its length before it, so that what follows is never taken for a part of it. */
static void put(XXH3_state_t *state, const void *data, uint64_t count, size_t element_bytes)
{
	put_number(state, count);
	if (count > 0)
		XXH3_128bits_update(state, data, count * element_bytes);
}

static void put_text(XXH3_state_t *state, const char *text)
{
	put(state, text, strlen(text), 1);
}

static void put_texts(XXH3_state_t *state, const uint64_t *offsets, const char *bytes, uint64_t count)
{
	put(state, offsets, count + 1, sizeof *offsets);
	put(state, bytes, offsets[count], 1);
}

/* Columns of other types are not read by attributes.c, and neither is where they stand among the others. */
static void put_column(XXH3_state_t *state, const struct model_attribute *column, uint32_t items)
{
	if (column->type != VALUE_STRING && column->type != VALUE_STRING_LIST)
		return;
	put_number(state, column->type);
	put_texts(state, column->dictionary_offsets, column->dictionary_bytes, column->dictionary_count);
	if (column->type == VALUE_STRING) {
		put(state, column->codes, items, sizeof *column->codes);
		return;
	}
	put(state, column->list_offsets, (uint64_t)items + 1, sizeof *column->list_offsets);
	put(state, column->list_codes, column->list_offsets[items], sizeof *column->list_codes);
}

int fingerprint_catalog(struct fingerprint *out, const struct events *events, const struct model_catalog *catalog,
			uint64_t first_version, struct error *err)
{
	XXH3_state_t *state = begin(err);
	if (!state)
		return E_EXHAUSTED;
	put_text(state, KINDRED_LEARNER);
	put_number(state, first_version);
	put(state, catalog->keys, catalog->items, sizeof *catalog->keys);
	put_texts(state, catalog->name_offsets, catalog->name_bytes, catalog->items);
	for (size_t a = 0; a < catalog->attribute_count; a++)
		put_column(state, &catalog->attributes[a], catalog->items);
	put(state, events_offsets(events), (uint64_t)events->users + 1, sizeof(uint64_t));
	put(state, events_all(events), events->count, sizeof(struct event));
	*out = end(state);
	return 0;
}

int fingerprint_relation(struct fingerprint *out, const struct fingerprint *catalog, const struct plan_catalog *plan,
			 const struct plan_relation *relation, const struct params *params, struct error *err)
{
	XXH3_state_t *state = begin(err);
	if (!state)
		return E_EXHAUSTED;
	put_number(state, catalog->low);
	put_number(state, catalog->high);
	put_text(state, relation->key);
	put(state, relation->weights, plan->type_count, sizeof *relation->weights);
	put_number(state, relation->learn);
	put_number(state, relation->window_s);
	put_number(state, relation->session_s);
	put_number(state, relation->occasion);
	put_number(state, relation->places);
	put(state, params, sizeof *params / sizeof(double), sizeof(double));
	*out = end(state);
	return 0;
}

void fingerprint_text(const struct fingerprint *fingerprint, char text[FINGERPRINT_TEXT])
{
	snprintf(text, FINGERPRINT_TEXT, "%016" PRIx64 "%016" PRIx64, fingerprint->high, fingerprint->low);
}
