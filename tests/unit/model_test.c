#include "common/model.h"

#include "builder/publish.h"
#include "common/score.h"
#include "lib/model_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#define KEY "Viewed=1|window=0"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/kindred-model-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

static void write_shop(uint64_t generation, char *path)
{
	struct fixture_model *fixture = fixture_shop_new(KEY, 0);
	fixture_hidden(fixture, 6);
	fixture_image(fixture, 2, "https://example.org/2.png");
	fixture_serving(fixture, 5, 0.5, 30);
	fixture_model_write(fixture, folder, generation, path);
	fixture_model_free(fixture);
}

static void assert_text(struct text_view text, const char *expected)
{
	assert_int_equal(text.bytes, strlen(expected));
	assert_memory_equal(text.data, expected, text.bytes);
}

static uint32_t row_of(const struct model_catalog *catalog, const char *id)
{
	return model_row(catalog, item_key(catalog_seed(catalog->name, strlen(catalog->name)), id, strlen(id)));
}

static void test_items_come_back(void **state)
{
	(void)state;
	char path[PATH_MAX];
	write_shop(7, path);
	struct model *model;
	struct error err = { 0 };
	assert_int_equal(model_open(&model, path, true, &err), 0);
	assert_int_equal(model->head->generation, 7);
	assert_true(model->newest_event_ms == INT64_MIN);

	assert_null(model_catalog_find(model, "shoes"));
	const struct model_catalog *shop = model_catalog_find(model, "shop");
	assert_non_null(shop);
	assert_int_equal(shop->items, 8);
	for (uint32_t row = 0; row < 8; row++) {
		char id[16], name[16];
		snprintf(id, sizeof id, "item-%u", row);
		snprintf(name, sizeof name, "Item %u", row);
		assert_int_equal(row_of(shop, id), row);
		assert_text(model_item_id(shop, row), id);
		assert_text(model_item_name(shop, row), name);
		assert_text(model_item_image(shop, row), row == 2 ? "https://example.org/2.png" : "");
		assert_int_equal(shop->hidden[row], row == 6);
	}
	assert_int_equal(row_of(shop, "item-8"), MODEL_NO_ROW);
	model_close(model);
}

static void test_values_of_every_type(void **state)
{
	(void)state;
	struct fixture_model *fixture = fixture_model_new("films", KEY);
	fixture_attribute(fixture, "year", VALUE_NUMBER);
	fixture_attribute(fixture, "seen", VALUE_BOOLEAN);
	fixture_attribute(fixture, "added", VALUE_TIMESTAMP);
	fixture_attribute(fixture, "studio", VALUE_STRING);
	fixture_attribute(fixture, "genres", VALUE_STRING_LIST);
	fixture_item(fixture, "bare", "");
	fixture_item(fixture, "full", "Full");
	fixture_number(fixture, 1, "year", 1999);
	fixture_boolean(fixture, 1, "seen", false);
	fixture_timestamp(fixture, 1, "added", 12345);
	fixture_string(fixture, 1, "studio", "");
	fixture_list(fixture, 1, "genres", "Drama|Crime");
	char path[PATH_MAX];
	fixture_model_write(fixture, folder, 8, path);
	fixture_model_free(fixture);

	struct model *model;
	assert_int_equal(model_open(&model, path, true, NULL), 0);
	const struct model_catalog *films = &model->catalogs[0];
	assert_int_equal(films->attribute_count, 5);
	for (uint32_t a = 0; a < 5; a++)
		assert_int_equal(model_value(films, 0, a).type, VALUE_MISSING);
	assert_string_equal(films->attributes[0].name, "year");
	assert_true(model_value(films, 1, 0).type == VALUE_NUMBER && model_value(films, 1, 0).number > 1998.5);
	assert_true(model_value(films, 1, 1).type == VALUE_BOOLEAN && !model_value(films, 1, 1).boolean);
	assert_true(model_value(films, 1, 2).type == VALUE_TIMESTAMP && model_value(films, 1, 2).timestamp_ms == 12345);
	assert_int_equal(model_value(films, 1, 3).type, VALUE_STRING); /* an empty text is not a missing one */
	assert_text(model_value(films, 1, 3).string, "");
	struct value genres = model_value(films, 1, 4);
	assert_int_equal(genres.type, VALUE_STRING_LIST);
	assert_int_equal(genres.list.count, 2);
	assert_text(genres.list.at(genres.list.context, genres.list.first, 0), "Drama");
	assert_text(genres.list.at(genres.list.context, genres.list.first, 1), "Crime");
	model_close(model);
}

static void test_relation_comes_back(void **state)
{
	(void)state;
	char path[PATH_MAX];
	write_shop(9, path);
	struct model *model;
	assert_int_equal(model_open(&model, path, true, NULL), 0);
	assert_null(model_relation_find(&model->catalogs[0], "Viewed=2|window=0"));
	const struct model_relation *relation = model_relation_find(&model->catalogs[0], KEY);
	assert_non_null(relation);
	assert_int_equal(relation->serving.profile_items, 5);
	assert_int_equal(relation->serving.decay[2], SCORE_ONE / 4);
	assert_null(relation->multipliers);
	assert_int_equal(relation->offsets[8], 56);
	assert_int_equal(relation->row_mask, UINT16_MAX);
	assert_int_equal(model_entry_row(relation->entries[0], relation->row_mask), 1);
	assert_int_equal(model_entry_weight(relation->entries[0], relation->row_mask), 60000);
	assert_int_equal(relation->popular_count, 8);
	assert_int_equal(relation->popular_rows[0], 0);
	assert_int_equal(relation->recent_rows[0], 7);

	struct scorer *scorer = scorer_new(model->catalogs[0].items);
	struct profile_item profile = { .row = 3, .weight = SCORE_ONE };
	struct scored top[3];
	struct score_counts counts;
	assert_int_equal(scorer_top(scorer, relation, &profile, 1, 3, NULL, NULL, top, &counts), 3);
	assert_int_equal(top[0].row, 4);
	assert_int_equal(top[0].score, 60000);
	scorer_free(scorer);
	model_close(model);
}

static void assert_no_temporary_file(void)
{
	char command[128];
	snprintf(command, sizeof command, "test -z \"$(find %s -name '.?*')\"", folder);
	assert_int_equal(system(command), 0);
}

static void test_published_whole_and_once(void **state)
{
	(void)state;
	char path[PATH_MAX];
	write_shop(21, path);
	struct model *model;
	assert_int_equal(model_open(&model, path, true, NULL), 0);

	struct publication again = { .model = model, .generation = 21 };
	struct error err = { 0 };
	char second[PATH_MAX];
	assert_int_equal(publish_write(&again, folder, second, &err), E_EXISTS);
	assert_non_null(strstr(err.text, "00000021.kindred"));
	assert_int_equal(publish_write(&again, "/nowhere/models", second, &err), E_NOT_FOUND);

	/* a model that was read can be written again: nothing of it is lost */
	again.generation = 22;
	assert_int_equal(publish_write(&again, folder, second, &err), 0);
	struct model *copy;
	assert_int_equal(model_open(&copy, second, true, &err), 0);
	assert_int_equal(copy->file_bytes, model->file_bytes);
	assert_int_equal(copy->catalogs[0].relations[0].entries[55], model->catalogs[0].relations[0].entries[55]);
	model_close(copy);
	model_close(model);

	uint64_t *numbers;
	size_t count;
	assert_int_equal(model_list(folder, &numbers, &count, &err), 0);
	for (size_t n = 1; n < count; n++)
		assert_true(numbers[n - 1] < numbers[n]);
	assert_int_equal(numbers[count - 1], 22);
	free(numbers);
	assert_no_temporary_file();
}

#define PIECE (2u << 20) /* of the file, written at once */

/* Of more than two pieces. */
static struct model *large_model(void)
{
	enum { ITEMS = 100, NAME_BYTES = 50000 };
	char id[16], name[NAME_BYTES + 1], path[PATH_MAX];
	struct fixture_model *fixture = fixture_model_new("shop", KEY);
	for (unsigned i = 0; i < ITEMS; i++) {
		snprintf(id, sizeof id, "item-%u", i);
		memset(name, 'a' + (int)(i % 26), NAME_BYTES);
		name[NAME_BYTES] = '\0';
		fixture_item(fixture, id, name);
	}
	fixture_model_write(fixture, folder, 90, path);
	fixture_model_free(fixture);
	struct model *model;
	assert_int_equal(model_open(&model, path, true, NULL), 0);
	assert_true(model->file_bytes > 2 * PIECE);
	return model;
}

/* On a disk that has room for so many bytes of the file. */
static int publish_within(const struct publication *publication, uint64_t bytes, char *path, struct error *err)
{
	struct rlimit limit, before;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int code = publish_write(publication, folder, path, err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	return code;
}

static void test_a_full_disk_publishes_nothing(void **state)
{
	(void)state;
	struct model *model = large_model(), *copy;
	struct publication again = { .model = model, .generation = 91, .threads = 2 };
	struct error err = { 0 };
	char path[PATH_MAX];
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);

	/* without a limit, for its size: the metadata's is not the first one's */
	assert_int_equal(publish_write(&again, folder, path, &err), 0);
	assert_int_equal(model_open(&copy, path, true, &err), 0);
	uint64_t whole = copy->file_bytes;
	model_close(copy);
	assert_int_equal(unlink(path), 0);

	/* anywhere: in the first piece, between two, in the last one, which is written when all is said */
	const uint64_t rooms[] = { 0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, whole - 1 };
	for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
		assert_int_equal(publish_within(&again, rooms[i], path, &err), E_EXHAUSTED);
		assert_non_null(strstr(err.text, "File too large"));
		assert_int_not_equal(access(path, F_OK), 0);
		assert_no_temporary_file();
	}

	assert_int_equal(publish_within(&again, whole, path, &err), 0);
	assert_int_equal(model_open(&copy, path, true, &err), 0);
	const struct model_catalog *had = &model->catalogs[0], *has = &copy->catalogs[0];
	assert_int_equal(has->items, had->items);
	assert_memory_equal(has->name_bytes, had->name_bytes, had->name_offsets[had->items]);
	model_close(copy);
	model_close(model);
	signal(SIGXFSZ, before);
}

static void test_file_names(void **state)
{
	(void)state;
	char path[64];
	model_path(path, sizeof path, "/m", 7);
	assert_string_equal(path, "/m/00000007.kindred");
	assert_int_equal(model_number("00000007.kindred"), 7);
	assert_int_equal(model_number("123456789.kindred"), 123456789);
	static const char *const none[] = { "7.kindred",
					    ".00000007.kindred",
					    "00000007.kindred.old",
					    "00000000.kindred",
					    "000000007.kindred",
					    "active",
					    "0000000x.kindred",
					    "",
					    "99999999999999999999.kindred" };
	for (size_t n = 0; n < sizeof none / sizeof *none; n++)
		assert_int_equal(model_number(none[n]), 0);
	struct error err = { 0 };
	uint64_t *numbers;
	size_t count;
	assert_int_equal(model_list("/nowhere", &numbers, &count, &err), E_NOT_FOUND);
}

/* --- damage --- */

struct image {
	uint8_t *bytes;
	size_t count;
};

static struct image load(const char *path)
{
	struct image image = { 0 };
	FILE *file = fopen(path, "rb");
	struct stat status;
	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &status), 0);
	image.count = (size_t)status.st_size;
	image.bytes = malloc(image.count);
	assert_int_equal(fread(image.bytes, 1, image.count, file), image.count);
	fclose(file);
	return image;
}

static int open_image(struct image image, struct error *err)
{
	struct model *model;
	int code = model_open_bytes(&model, image.bytes, image.count, true, err);
	if (!code)
		model_close(model);
	return code;
}

static void renew_checksum(struct image image)
{
	struct model_head *head = (struct model_head *)image.bytes;
	head->checksum = XXH3_64bits(head + 1, image.count - sizeof *head);
}

static struct model_section *find(struct image image, uint32_t kind)
{
	struct model_head *head = (struct model_head *)image.bytes;
	struct model_section *table = (struct model_section *)(head + 1);
	for (uint32_t s = 0; s < head->sections; s++)
		if (table[s].kind == kind)
			return &table[s];
	fail();
	return NULL;
}

static void test_damage_is_found(void **state)
{
	(void)state;
	char path[PATH_MAX];
	write_shop(30, path);
	struct image image = load(path);
	struct error err = { 0 };
	assert_int_equal(open_image(image, &err), 0);
	for (size_t at = 0; at < image.count; at++) {
		if (at >= offsetof(struct model_head, generation) && at < sizeof(struct model_head))
			continue; /* generation, time: true by themselves */
		image.bytes[at] ^= 0x10;
		int code = open_image(image, &err);
		assert_true(code == E_DATA_LOSS || (at >= 8 && at < 12 && code == E_UNIMPLEMENTED));
		image.bytes[at] ^= 0x10;
	}
	for (size_t count = 0; count < image.count; count += 7)
		assert_int_equal(open_image((struct image){ image.bytes, count }, &err), E_DATA_LOSS);
	free(image.bytes);

	FILE *file = fopen(path, "wb");
	fputs("half a model", file);
	fclose(file);
	struct model *model;
	assert_int_equal(model_open(&model, path, true, &err), E_DATA_LOSS);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(model_open(&model, "/nowhere/00000001.kindred", false, &err), E_NOT_FOUND);
	assert_int_equal(model_open(&model, folder, false, &err), E_DATA_LOSS);
}

static void test_entries_hold_rows_and_weights(void **state)
{
	(void)state;
	assert_int_equal(model_row_mask(0), UINT16_MAX);
	assert_int_equal(model_row_mask(65536), UINT16_MAX);
	assert_int_equal(model_row_mask(65537), (1u << 17) - 1);
	assert_int_equal(model_row_mask(1u << 20), (1u << 20) - 1);
	assert_int_equal(model_row_mask(MODEL_ITEMS_MAX), MODEL_ITEMS_MAX - 1);
	for (uint32_t items = 1; items <= MODEL_ITEMS_MAX; items = 3 * items + 1) {
		uint32_t mask = model_row_mask(items), unit = (mask + 1) >> 16, before = 0;
		for (uint32_t weight = 1; weight <= UINT16_MAX; weight++) {
			uint32_t entry = model_entry(items - 1, weight, mask), found = model_entry_weight(entry, mask);
			assert_int_equal(model_entry_row(entry, mask), items - 1);
			assert_true(found > 0 && found >= before && found <= UINT16_MAX);
			/* to half a unit, but at both ends of the scale */
			assert_true(2 * found <= 2 * weight + unit || found == unit);
			assert_true(2 * found + unit >= 2 * weight || found == (~mask >> 16));
			before = found;
		}
	}
}

/*
 * A file with a right checksum may still lie (a bug in a writer): rows, codes, offsets and weights are
 * checked one by one.
 */
static void test_wrong_contents_are_found(void **state)
{
	(void)state;
	char path[PATH_MAX];
	write_shop(31, path);
	struct image image = load(path);
	struct error err = { 0 };
	static const struct {
		uint32_t kind;
		size_t at;
		uint64_t value;
		size_t bytes;
	} lies[] = {
		{ MODEL_NEIGHBOURS, 4, 8, 2 }, /* the second entry's row */
		{ MODEL_NEIGHBOURS, 4, 1, 2 }, /* the same row twice */
		{ MODEL_NEIGHBOURS, 6, 0, 2 }, /* its weight */
		{ MODEL_NEIGHBOURS, 6, UINT16_MAX, 2 }, /* more than the one before */
		{ MODEL_NEIGHBOUR_OFFSETS, 8, 57, 8 },
		{ MODEL_NEIGHBOUR_OFFSETS, 0, 1, 8 },
		{ MODEL_NEIGHBOUR_OFFSETS, 64, UINT64_MAX, 8 },
		{ MODEL_POPULAR_ROWS, 0, 8, 4 },
		{ MODEL_RECENT_ROWS, 0, MODEL_NO_ROW, 4 },
		{ MODEL_ITEM_KEYS, 0, 12345, 8 },
		{ MODEL_ITEM_NAME_OFFSETS, 8, 1000, 8 },
		{ MODEL_ITEM_ID_OFFSETS, 64, 1000, 8 },
		{ MODEL_ATTRIBUTE_STRING, 0, 2, 4 },
		{ MODEL_ATTRIBUTE_LIST_CODES, 0, 2, 4 },
		{ MODEL_ATTRIBUTE_LIST_OFFSETS, 8, 100, 8 },
		{ MODEL_ATTRIBUTE_DICTIONARY_OFFSETS, 8, 100, 8 },
	};
	for (size_t n = 0; n < sizeof lies / sizeof *lies; n++) {
		uint8_t *place = image.bytes + find(image, lies[n].kind)->offset + lies[n].at;
		uint64_t before;
		memcpy(&before, place, 8);
		memcpy(place, &lies[n].value, lies[n].bytes);
		renew_checksum(image);
		assert_int_equal(open_image(image, &err), E_DATA_LOSS);
		assert_non_null(strstr(err.text, "shop"));
		memcpy(place, &before, 8);
	}

	const struct model_section *section = find(image, MODEL_ITEM_INDEX);
	struct model_place *index = (struct model_place *)(image.bytes + section->offset);
	size_t places = section->bytes / sizeof *index, used = 0;
	struct model_place *saved = malloc(section->bytes);
	memcpy(saved, index, section->bytes);
	while (index[used].row == MODEL_NO_ROW)
		used++;
	index[used].row++; /* another item */
	renew_checksum(image);
	assert_int_equal(open_image(image, &err), E_DATA_LOSS);
	assert_non_null(strstr(err.text, "another key"));
	index[used].row--;
	index[used].key++;
	renew_checksum(image);
	assert_int_equal(open_image(image, &err), E_DATA_LOSS);
	assert_non_null(strstr(err.text, "another key"));
	index[used].key--;
	for (size_t at = 0; at < places; at++)
		index[at] = saved[used]; /* a search would never end */
	renew_checksum(image);
	assert_int_equal(open_image(image, &err), E_DATA_LOSS);
	assert_non_null(strstr(err.text, "as many rows"));
	memcpy(index, saved, section->bytes);
	index[used] = (struct model_place){ .row = MODEL_NO_ROW };
	index[used ? used - 1 : places - 1] = saved[used]; /* a place before its own */
	renew_checksum(image);
	assert_int_equal(open_image(image, &err), E_DATA_LOSS);
	assert_non_null(strstr(err.text, "does not find"));
	memcpy(index, saved, section->bytes);
	free(saved);

	renew_checksum(image);
	assert_int_equal(open_image(image, &err), 0);
	free(image.bytes);
}

static void test_wrong_sections_are_found(void **state)
{
	(void)state;
	char path[PATH_MAX];
	write_shop(32, path);
	struct error err = { 0 };
	for (uint32_t kind = 0; kind < 80; kind++) {
		struct image image = load(path);
		struct model_head *head = (struct model_head *)image.bytes;
		struct model_section *section = NULL;
		for (uint32_t s = 0; s < head->sections; s++)
			if (((struct model_section *)(head + 1))[s].kind == kind)
				section = &((struct model_section *)(head + 1))[s];
		if (section) {
			struct model_section before = *section;
			section->kind = 9999; /* unknown kinds are skipped, so this one is missing */
			renew_checksum(image);
			assert_int_equal(open_image(image, &err), E_DATA_LOSS);
			*section = before;
			section->offset += UINT64_C(1) << 40;
			renew_checksum(image);
			assert_int_equal(open_image(image, &err), E_DATA_LOSS);
			*section = before;
			section->bytes = UINT64_MAX - 63;
			renew_checksum(image);
			assert_int_equal(open_image(image, &err), E_DATA_LOSS);
		}
		free(image.bytes);
	}
}

static void test_wrong_metadata_is_found(void **state)
{
	(void)state;
	char path[PATH_MAX];
	write_shop(33, path);
	static const char *const changes[][2] = {
		{ "\"profile_items\":5", "\"profile_items\":0" },
		{ "\"rank_decay\":0.5", "\"rank_decay\":1.5" },
		{ "\"half_life_days\":30", "\"half_life_days\":-1" },
		{ "\"items\":8", "\"items\":9" },
		{ "\"items\":8", "\"items\":7" },
		{ "\"type\":\"number\"", "\"type\":\"string\"" },
		{ "\"type\":\"number\"", "\"type\":\"nubmer\"" },
		{ "\"relations\":[", "\"relaxions\":[" },
		{ "\"key\":\"V", "\"key\":1,\"" },
		{ "\"mrr\":0.0", "\"mrr\":9.0" },
		{ "{", "[" },
	};
	for (size_t n = 0; n < sizeof changes / sizeof *changes; n++) {
		struct image image = load(path);
		struct model_section *meta = find(image, MODEL_META);
		char *text = (char *)image.bytes + meta->offset;
		char *place = memmem(text, meta->bytes, changes[n][0], strlen(changes[n][0]));
		assert_non_null(place);
		memset(place, ' ', strlen(changes[n][0]));
		memcpy(place, changes[n][1], strlen(changes[n][1]));
		renew_checksum(image);
		struct error err = { 0 };
		assert_int_equal(open_image(image, &err), E_DATA_LOSS);
		free(image.bytes);
	}
}

static void test_other_formats_are_refused(void **state)
{
	(void)state;
	char path[PATH_MAX];
	write_shop(34, path);
	struct image image = load(path);
	((struct model_head *)image.bytes)->format = MODEL_FORMAT + 1;
	struct error err = { 0 };
	assert_int_equal(open_image(image, &err), E_UNIMPLEMENTED);
	assert_non_null(strstr(err.text, "newer"));
	((struct model_head *)image.bytes)->format = MODEL_FORMAT_OLDEST - 1;
	assert_int_equal(open_image(image, &err), E_UNIMPLEMENTED);
	assert_non_null(strstr(err.text, "of an older kindred"));
	free(image.bytes);
}

static void test_empty_catalog(void **state)
{
	(void)state;
	struct fixture_model *fixture = fixture_model_new("empty", KEY);
	char path[PATH_MAX];
	fixture_model_write(fixture, folder, 40, path);
	fixture_model_free(fixture);
	struct model *model;
	assert_int_equal(model_open(&model, path, true, NULL), 0);
	assert_int_equal(model->catalogs[0].items, 0);
	assert_int_equal(row_of(&model->catalogs[0], "x"), MODEL_NO_ROW);
	model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_come_back),
		cmocka_unit_test(test_values_of_every_type),
		cmocka_unit_test(test_relation_comes_back),
		cmocka_unit_test(test_published_whole_and_once),
		cmocka_unit_test(test_a_full_disk_publishes_nothing),
		cmocka_unit_test(test_file_names),
		cmocka_unit_test(test_damage_is_found),
		cmocka_unit_test(test_entries_hold_rows_and_weights),
		cmocka_unit_test(test_wrong_contents_are_found),
		cmocka_unit_test(test_wrong_sections_are_found),
		cmocka_unit_test(test_wrong_metadata_is_found),
		cmocka_unit_test(test_other_formats_are_refused),
		cmocka_unit_test(test_empty_catalog),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
