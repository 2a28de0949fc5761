/*
 * A good model file with some of its bytes changed: whoever can write the file can make its checksum
 * right, so that is put right here. What model_open_bytes takes after all can be read to the last
 * element, as serving code reads it without a check.
 *
 * The bytes are changes of 8: where (4), how many of the value's bytes (1), the value (3); the place is
 * taken modulo the file's length. So the corpus does not change with the format. A last incomplete
 * change cuts the file.
 */
#include "common/model.h"
#include "common/score.h"
#include "lib/model_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

static uint8_t *good;
static size_t good_bytes;

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void read_good(const char *path)
{
	FILE *file = fopen(path, "rb");
	check(file && fseek(file, 0, SEEK_END) == 0);
	good_bytes = (size_t)ftell(file);
	good = malloc(good_bytes);
	rewind(file);
	check(good && fread(good, 1, good_bytes, file) == good_bytes);
	fclose(file);
}

/* One of everything that a file may have: attributes of all types, cold items, neighbours by attributes, notes. */
static struct fixture_model *make_good(void)
{
	enum { ITEMS = 8, COLD = 6 };
	struct fixture_model *f = fixture_model_new("shop", "Viewed=1|window=0");
	fixture_attribute(f, "price", VALUE_NUMBER);
	fixture_attribute(f, "in_stock", VALUE_BOOLEAN);
	fixture_attribute(f, "since", VALUE_TIMESTAMP);
	fixture_attribute(f, "category", VALUE_STRING);
	fixture_attribute(f, "tags", VALUE_STRING_LIST);
	for (uint32_t i = 0; i < ITEMS; i++) {
		const char id[] = { 'i', (char)('0' + i), '\0' };
		uint32_t row = fixture_item(f, id, "An item");
		fixture_image(f, row, "https://images.example/i.jpg");
		fixture_number(f, row, "price", 10.0 * i);
		fixture_boolean(f, row, "in_stock", i != 3);
		fixture_timestamp(f, row, "since", 86400000 * (int64_t)i);
		fixture_string(f, row, "category", i % 2 ? "odd" : "even");
		fixture_list(f, row, "tags", i < ITEMS / 2 ? "all|low" : "all");
	}
	for (uint32_t i = 0; i < ITEMS; i++) {
		for (uint32_t j = 0; j < ITEMS; j++) {
			if (i != j)
				(i < COLD && j < COLD ? fixture_neighbour : fixture_alike)(f, i, j, 60000);
		}
		fixture_popular(f, i, 1000 - i);
		fixture_recent(f, i, 100 - i);
	}
	for (uint32_t i = COLD; i < ITEMS; i++)
		fixture_cold(f, i);
	fixture_multiplier(f, 2, 8192);
	fixture_serving(f, 5, 0.9, 30);
	fixture_self_weight(f, 0.5);
	fixture_notes(f);
	return f;
}

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerInitialize(int *count, char ***arguments)
{
	char directory[] = "/tmp/model_fuzz.XXXXXX", path[PATH_MAX];
	struct fixture_model *fixture = make_good();
	(void)count;
	(void)arguments;
	check(mkdtemp(directory) != NULL);
	fixture_model_write(fixture, directory, 7, path);
	fixture_model_free(fixture);
	read_good(path);
	unlink(path);
	rmdir(directory);
	return 0;
}

static volatile unsigned sink;

static void read_text(struct text_view text)
{
	for (uint32_t i = 0; i < text.bytes; i++)
		sink += (unsigned char)text.data[i];
}

static void read_value(struct value value)
{
	if (value.type == VALUE_STRING)
		read_text(value.string);
	if (value.type == VALUE_TIMESTAMP)
		sink += (unsigned)value.timestamp_ms;
	for (uint32_t i = 0; value.type == VALUE_STRING_LIST && i < value.list.count; i++)
		read_text(value.list.at(value.list.context, value.list.first, i));
}

static void read_relation(const struct model_catalog *catalog, const struct model_relation *relation)
{
	struct scorer *scorer = scorer_new(catalog->items);
	struct scored top[8];
	check(scorer != NULL);
	for (uint32_t row = 0; row < catalog->items; row++) {
		struct profile_event event = { .row = row, .weight = SCORE_ONE };
		struct profile_item profile[PROFILE_MAX];
		struct score_counts counts;
		uint32_t items = profile_make(&relation->serving, &event, 1, profile);
		uint32_t found = scorer_top(scorer, relation, profile, items, 8, NULL, NULL, top, &counts);
		for (uint32_t i = 0; i < found; i++)
			check(top[i].row < catalog->items);
	}
	scorer_free(scorer);
	for (uint64_t i = 0; relation->by_attributes && i < relation->offsets[catalog->items]; i++)
		sink += model_bit(relation->by_attributes, i);
	for (uint32_t i = 0; i < relation->cold_count; i++)
		sink += catalog->hidden[relation->cold_rows[i]];
	for (size_t d = 0; d < relation->definition_count; d++)
		sink += (unsigned)strlen(relation->definitions[d]);
	sink += (unsigned)(relation->tuning ? strlen(relation->tuning) : 0) + (unsigned)strlen(relation->gate.note);
	sink += (unsigned)strlen(model_verdict_name(relation->gate.verdict));
	for (uint32_t i = 0; i < relation->popular_count; i++)
		sink += relation->popular_scores[i] + catalog->hidden[relation->popular_rows[i]];
	for (uint32_t i = 0; i < relation->recent_count; i++)
		sink += relation->recent_scores[i] + catalog->hidden[relation->recent_rows[i]];
}

static void read_catalog(const struct model_catalog *catalog)
{
	for (uint32_t row = 0; row < catalog->items; row++) {
		check(model_row(catalog, (struct item_key){ catalog->keys[row] }) == row);
		read_text(model_item_id(catalog, row));
		read_text(model_item_name(catalog, row));
		read_text(model_item_image(catalog, row));
		for (size_t a = 0; a < catalog->attribute_count; a++)
			read_value(model_value(catalog, row, (uint32_t)a));
	}
	uint32_t row = model_row(catalog, (struct item_key){ 12345 });
	check(row == MODEL_NO_ROW || row < catalog->items);
	for (size_t r = 0; r < catalog->relation_count; r++)
		read_relation(catalog, &catalog->relations[r]);
}

static size_t change(uint8_t *file, const uint8_t *data, size_t bytes)
{
	size_t length = good_bytes;
	for (; bytes >= 8; data += 8, bytes -= 8) {
		uint32_t place;
		memcpy(&place, data, sizeof place);
		for (size_t i = 0; i < data[4] % 4u; i++)
			file[(place + i) % length] = data[5 + i];
	}
	if (bytes >= 2)
		length -= (size_t)(data[0] | data[1] << 8) % length;
	return length;
}

static void make_right(uint8_t *file, size_t bytes)
{
	struct model_head head;
	if (bytes < sizeof head)
		return;
	memcpy(&head, file, sizeof head);
	head.file_bytes = bytes;
	head.checksum = XXH3_64bits(file + sizeof head, bytes - sizeof head);
	memcpy(file, &head, sizeof head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t *file = aligned_alloc(64, (good_bytes + 63) / 64 * 64);
	check(file != NULL);
	memcpy(file, good, good_bytes);
	size_t length = change(file, data, bytes);
	make_right(file, length);
	/* A copy of its length, so that a sanitizer sees reads past the end. */
	uint8_t *exact = NULL;
	check(posix_memalign((void **)&exact, 64, length) == 0);
	memcpy(exact, file, length);
	free(file);

	struct model *model;
	struct error err = { 0 };
	int code = model_open_bytes(&model, exact, length, true, &err);
	check(code ? err.code == code && err.text[0] : true);
	if (!code) {
		for (size_t c = 0; c < model->catalog_count; c++)
			read_catalog(&model->catalogs[c]);
		model_close(model);
	}
	code = model_open_bytes(&model, exact, length, false, NULL);
	if (!code)
		model_close(model);
	free(exact);
	return 0;
}
