#include "lib/model_fixture.h"

#include "builder/publish.h"
#include "common/score.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One growing text column: n texts behind each other. */
struct texts {
	uint64_t offsets[FIXTURE_ITEMS_MAX + 1];
	char *bytes;
	uint32_t count;
};

struct column {
	char name[NAME_MAX_BYTES + 1];
	double numbers[FIXTURE_ITEMS_MAX];
	uint8_t booleans[FIXTURE_ITEMS_MAX];
	int64_t timestamps[FIXTURE_ITEMS_MAX];
	uint32_t codes[FIXTURE_ITEMS_MAX];
	uint64_t list_offsets[FIXTURE_ITEMS_MAX + 1];
	uint32_t *list_codes;
	struct texts dictionary;
};

struct neighbour {
	uint32_t from, to;
	uint16_t weight;
	bool alike;
};

struct popular {
	uint32_t rows[FIXTURE_ITEMS_MAX], scores[FIXTURE_ITEMS_MAX];
};

struct fixture_model {
	struct model model;
	struct model_catalog catalog;
	struct model_relation relation;
	struct model_attribute attributes[FIXTURE_ATTRIBUTES_MAX];
	struct column *columns[FIXTURE_ATTRIBUTES_MAX];
	uint64_t keys[FIXTURE_ITEMS_MAX];
	uint8_t hidden[FIXTURE_ITEMS_MAX];
	uint16_t multipliers[FIXTURE_ITEMS_MAX];
	char *images[FIXTURE_ITEMS_MAX];
	struct texts ids, names;
	struct neighbour *neighbours;
	size_t neighbour_count;
	struct popular popular, recent;
	uint64_t cold[FIXTURE_ITEMS_MAX / 64];
	uint32_t cold_rows[FIXTURE_ITEMS_MAX];
	json_t *build, *relation_notes;
};

static void check(bool good, const char *format, ...)
{
	if (good)
		return;
	va_list arguments;
	va_start(arguments, format);
	fputs("model fixture: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	abort();
}

static void *need(void *memory)
{
	check(memory, "no memory");
	return memory;
}

static void texts_add(struct texts *texts, const char *text)
{
	check(texts->count < FIXTURE_ITEMS_MAX, "too many texts");
	size_t length = strlen(text);
	uint64_t start = texts->offsets[texts->count];
	texts->bytes = need(realloc(texts->bytes, start + length + 1));
	memcpy(texts->bytes + start, text, length);
	texts->offsets[++texts->count] = start + length;
}

static uint32_t dictionary_code(struct texts *dictionary, const char *text)
{
	size_t length = strlen(text);
	for (uint32_t code = 0; code < dictionary->count; code++) {
		uint64_t start = dictionary->offsets[code];
		if (dictionary->offsets[code + 1] - start == length && !memcmp(dictionary->bytes + start, text, length))
			return code;
	}
	texts_add(dictionary, text);
	return dictionary->count - 1;
}

struct fixture_model *fixture_model_new(const char *catalog, const char *relation_key)
{
	struct fixture_model *f = need(calloc(1, sizeof *f));
	f->catalog.name = need(strdup(catalog));
	f->catalog.version = 1;
	f->catalog.attributes = f->attributes;
	f->catalog.relations = &f->relation;
	f->catalog.relation_count = 1;
	f->relation.key = need(strdup(relation_key));
	f->model.catalogs = &f->catalog;
	f->model.catalog_count = 1;
	f->model.newest_event_ms = INT64_MIN;
	fixture_serving(f, 20, 1, 0);
	return f;
}

void fixture_model_free(struct fixture_model *f)
{
	for (size_t a = 0; a < f->catalog.attribute_count; a++) {
		free(f->columns[a]->list_codes);
		free(f->columns[a]->dictionary.bytes);
		free(f->columns[a]);
	}
	for (uint32_t row = 0; row < f->catalog.items; row++)
		free(f->images[row]);
	free(f->ids.bytes);
	free(f->names.bytes);
	free(f->neighbours);
	free(f->catalog.name);
	free(f->relation.key);
	json_decref(f->build);
	json_decref(f->relation_notes);
	free(f);
}

void fixture_attribute(struct fixture_model *f, const char *name, enum value_type type)
{
	check(f->catalog.items == 0, "attributes come before items");
	check(f->catalog.attribute_count < FIXTURE_ATTRIBUTES_MAX, "too many attributes");
	struct column *column = need(calloc(1, sizeof *column));
	snprintf(column->name, sizeof column->name, "%s", name);
	struct model_attribute *attribute = &f->attributes[f->catalog.attribute_count];
	attribute->name = column->name;
	attribute->type = type;
	f->columns[f->catalog.attribute_count++] = column;
}

uint32_t fixture_item(struct fixture_model *f, const char *id, const char *name)
{
	check(f->catalog.items < FIXTURE_ITEMS_MAX, "too many items");
	uint32_t row = f->catalog.items++;
	struct catalog_seed seed = catalog_seed(f->catalog.name, strlen(f->catalog.name));
	f->keys[row] = item_key(seed, id, strlen(id)).value;
	f->multipliers[row] = SCORE_ONE;
	texts_add(&f->ids, id);
	texts_add(&f->names, name);
	for (size_t a = 0; a < f->catalog.attribute_count; a++) {
		struct column *column = f->columns[a];
		column->numbers[row] = (double)NAN;
		column->booleans[row] = 2;
		column->timestamps[row] = MODEL_NO_TIME;
		column->codes[row] = MODEL_NO_CODE;
		column->list_offsets[row + 1] = column->list_offsets[row];
	}
	return row;
}

static struct column *find_column(struct fixture_model *f, uint32_t row, const char *attribute, enum value_type type)
{
	check(row < f->catalog.items, "there is no row %u", row);
	for (size_t a = 0; a < f->catalog.attribute_count; a++) {
		if (strcmp(f->attributes[a].name, attribute) != 0)
			continue;
		check(f->attributes[a].type == type, "attribute %s has another type", attribute);
		return f->columns[a];
	}
	check(false, "there is no attribute %s", attribute);
	return NULL;
}

void fixture_hidden(struct fixture_model *f, uint32_t row)
{
	f->hidden[row] = 1;
}

void fixture_image(struct fixture_model *f, uint32_t row, const char *url)
{
	free(f->images[row]);
	f->images[row] = need(strdup(url));
}

void fixture_number(struct fixture_model *f, uint32_t row, const char *attribute, double number)
{
	find_column(f, row, attribute, VALUE_NUMBER)->numbers[row] = number;
}

void fixture_boolean(struct fixture_model *f, uint32_t row, const char *attribute, bool boolean)
{
	find_column(f, row, attribute, VALUE_BOOLEAN)->booleans[row] = boolean;
}

void fixture_timestamp(struct fixture_model *f, uint32_t row, const char *attribute, int64_t time_ms)
{
	find_column(f, row, attribute, VALUE_TIMESTAMP)->timestamps[row] = time_ms;
}

void fixture_string(struct fixture_model *f, uint32_t row, const char *attribute, const char *text)
{
	struct column *column = find_column(f, row, attribute, VALUE_STRING);
	column->codes[row] = dictionary_code(&column->dictionary, text);
}

void fixture_list(struct fixture_model *f, uint32_t row, const char *attribute, const char *elements)
{
	struct column *column = find_column(f, row, attribute, VALUE_STRING_LIST);
	check(row + 1 == f->catalog.items, "lists are given to the last item only");
	char *copy = need(strdup(elements)), *rest = copy;
	for (const char *element; (element = strsep(&rest, "|"));) {
		uint64_t at = column->list_offsets[row + 1]++;
		column->list_codes = need(realloc(column->list_codes, (at + 1) * sizeof *column->list_codes));
		column->list_codes[at] = dictionary_code(&column->dictionary, element);
	}
	free(copy);
}

void fixture_neighbour(struct fixture_model *f, uint32_t from, uint32_t to, uint16_t weight)
{
	check(from < f->catalog.items && to < f->catalog.items && weight > 0, "neighbour %u of %u", to, from);
	f->neighbours = need(realloc(f->neighbours, (f->neighbour_count + 1) * sizeof *f->neighbours));
	f->neighbours[f->neighbour_count++] = (struct neighbour){ from, to, weight, false };
}

void fixture_alike(struct fixture_model *f, uint32_t from, uint32_t to, uint16_t weight)
{
	fixture_neighbour(f, from, to, weight);
	f->neighbours[f->neighbour_count - 1].alike = true;
}

void fixture_cold(struct fixture_model *f, uint32_t row)
{
	f->cold[row / 64] |= UINT64_C(1) << row % 64;
	f->cold_rows[f->relation.cold_count++] = row;
	f->relation.cold = f->cold;
	f->relation.cold_rows = f->cold_rows;
}

void fixture_popular(struct fixture_model *f, uint32_t row, uint32_t score)
{
	f->popular.rows[f->relation.popular_count] = row;
	f->popular.scores[f->relation.popular_count++] = score;
}

void fixture_recent(struct fixture_model *f, uint32_t row, uint32_t score)
{
	f->recent.rows[f->relation.recent_count] = row;
	f->recent.scores[f->relation.recent_count++] = score;
}

void fixture_multiplier(struct fixture_model *f, uint32_t row, uint16_t multiplier)
{
	f->multipliers[row] = multiplier;
	f->relation.multipliers = f->multipliers;
}

void fixture_serving(struct fixture_model *f, uint32_t profile_items, double rank_decay, double half_life_days)
{
	f->relation.serving = (struct model_serving){ .profile_items = profile_items,
						      .rank_decay = rank_decay,
						      .half_life_days = half_life_days };
	serving_prepare(&f->relation.serving);
}

void fixture_self_weight(struct fixture_model *f, double self_weight)
{
	f->relation.serving.self_weight = self_weight;
	f->relation.serving.self_newest = 1;
	serving_prepare(&f->relation.serving);
}

void fixture_notes(struct fixture_model *f)
{
	static char *definitions[] = { (char *)"next", (char *)"next-visit" };
	f->model.newest_event_ms = INT64_C(1763895600000);
	f->model.events = f->relation.events = 1000;
	f->model.users = f->relation.users = 100;
	f->relation.items = f->catalog.items;
	f->relation.definitions = definitions;
	f->relation.definition_count = 2;
	f->relation.evaluation = (struct model_evaluation){ .queries = 90, .hit_rate = 0.5, .ndcg = 0.25 };
	f->relation.gate = (struct model_gate){ .verdict = MODEL_EQUAL,
						.against = 3,
						.queries = 90,
						.users = 30,
						.ndcg = 0.25,
						.served_ndcg = 0.26,
						.z = -0.5,
						.note = "on the same questions" };
	f->build = need(json_pack("{sI sI}", "refreshed", (json_int_t)3, "learnt", (json_int_t)2));
	f->relation_notes = need(json_pack("{s{ss}}", "tuning", "note", "too few events"));
}

void fixture_version(struct fixture_model *f, uint64_t version)
{
	f->catalog.version = version;
}

static int compare_neighbours(const void *a, const void *b)
{
	const struct neighbour *x = a, *y = b;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return (x->to > y->to) - (x->to < y->to);
}

static void write_neighbours(struct fixture_model *f, uint64_t *offsets, uint32_t *entries)
{
	uint32_t row_mask = model_row_mask(f->catalog.items);
	if (f->neighbour_count)
		qsort(f->neighbours, f->neighbour_count, sizeof *f->neighbours, compare_neighbours);
	for (size_t n = 0; n < f->neighbour_count; n++) {
		entries[n] = model_entry(f->neighbours[n].to, f->neighbours[n].weight, row_mask);
		offsets[f->neighbours[n].from + 1]++;
	}
	for (uint32_t row = 0; row < f->catalog.items; row++)
		offsets[row + 1] += offsets[row];
	f->relation.offsets = offsets;
	f->relation.entries = entries;
	f->relation.row_mask = row_mask;
	f->relation.neighbours = f->neighbour_count;
	f->relation.popular_rows = f->popular.rows;
	f->relation.popular_scores = f->popular.scores;
	f->relation.recent_rows = f->recent.rows;
	f->relation.recent_scores = f->recent.scores;
}

static void point_attributes(struct fixture_model *f)
{
	for (size_t a = 0; a < f->catalog.attribute_count; a++) {
		struct model_attribute *attribute = &f->attributes[a];
		const struct column *column = f->columns[a];
		attribute->numbers = column->numbers;
		attribute->booleans = column->booleans;
		attribute->timestamps = column->timestamps;
		attribute->codes = column->codes;
		attribute->list_offsets = column->list_offsets;
		attribute->list_codes = column->list_codes;
		attribute->dictionary_offsets = column->dictionary.offsets;
		attribute->dictionary_bytes = column->dictionary.bytes;
		attribute->dictionary_count = column->dictionary.count;
	}
}

void fixture_model_write(struct fixture_model *f, const char *directory, uint64_t generation, char *path)
{
	struct model_catalog *c = &f->catalog;
	uint64_t *offsets = need(calloc((size_t)c->items + 1, sizeof *offsets));
	uint32_t *entries = need(calloc(f->neighbour_count + 1, sizeof *entries));
	uint64_t *alike = need(calloc(f->neighbour_count / 64 + 1, sizeof *alike));
	write_neighbours(f, offsets, entries);
	for (size_t n = 0; n < f->neighbour_count; n++)
		alike[n / 64] |= (uint64_t)f->neighbours[n].alike << n % 64;
	f->relation.by_attributes = f->relation.cold ? alike : NULL;
	point_attributes(f);

	struct texts *images = need(calloc(1, sizeof *images));
	for (uint32_t row = 0; row < c->items; row++)
		texts_add(images, f->images[row] ? f->images[row] : "");
	uint32_t repeated;
	struct model_place *index = need(model_index_make(f->keys, c->items, &c->index_mask, &repeated));
	check(repeated == MODEL_NO_ROW, "two items have the same id");
	c->index = index;
	c->keys = f->keys;
	c->hidden = f->hidden;
	c->id_offsets = f->ids.offsets;
	c->id_bytes = f->ids.bytes;
	c->name_offsets = f->names.offsets;
	c->name_bytes = f->names.bytes;
	c->image_offsets = images->offsets;
	c->image_bytes = images->bytes;

	char own_path[PATH_MAX];
	struct error error = { 0 };
	struct publication publication = { .model = &f->model,
					   .generation = generation,
					   .builder = "a test",
					   .build = f->build,
					   .relation_notes = f->relation_notes ? &f->relation_notes : NULL };
	int code = publish_write(&publication, directory, path ? path : own_path, &error);
	check(code == 0, "%s", error.text);
	free(images->bytes);
	free(images);
	free(index);
	free(offsets);
	free(entries);
	free(alike);
}

struct fixture_model *fixture_shop_new(const char *relation_key, uint32_t turn)
{
	enum { ITEMS = 8 };
	struct fixture_model *f = fixture_model_new("shop", relation_key);
	fixture_attribute(f, "price", VALUE_NUMBER);
	fixture_attribute(f, "in_stock", VALUE_BOOLEAN);
	fixture_attribute(f, "category", VALUE_STRING);
	fixture_attribute(f, "tags", VALUE_STRING_LIST);
	for (uint32_t i = 0; i < ITEMS; i++) {
		char id[16], name[16];
		snprintf(id, sizeof id, "item-%u", i);
		snprintf(name, sizeof name, "Item %u", i);
		uint32_t row = fixture_item(f, id, name);
		fixture_number(f, row, "price", 10.0 * (i + 1));
		fixture_boolean(f, row, "in_stock", i != 3);
		fixture_string(f, row, "category", i % 2 ? "odd" : "even");
		fixture_list(f, row, "tags", i < ITEMS / 2 ? "all|low" : "all");
	}
	for (uint32_t i = 0; i < ITEMS; i++) {
		for (uint32_t j = 0; j < ITEMS; j++) {
			uint32_t distance = (j - i - 1 - turn % (ITEMS - 1) + 2 * ITEMS) % ITEMS;
			if (i != j)
				fixture_neighbour(f, i, j, (uint16_t)(60000 - 1000 * distance));
		}
		fixture_popular(f, i, 1000 - i);
		fixture_recent(f, ITEMS - 1 - i, 100 - i);
	}
	return f;
}
