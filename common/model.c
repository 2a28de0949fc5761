#include "common/model.h"

#include "common/model_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file format is little endian and read in place");

/* --- opening --- */

static int check_head(const struct model_head *head, uint64_t count, struct error *err)
{
	if (count < sizeof *head)
		return error_set(err, E_DATA_LOSS, "%llu bytes are too few for a model", (unsigned long long)count);
	if (memcmp(head->magic, MODEL_MAGIC, sizeof head->magic) != 0)
		return error_set(err, E_DATA_LOSS, "it does not begin as a model does");
	if (head->format > MODEL_FORMAT)
		return error_set(err, E_UNIMPLEMENTED,
				 "it has format %u, this version reads up to %u; use a newer kindred, or build a model "
				 "with this one",
				 head->format, MODEL_FORMAT);
	if (head->format == 0)
		return error_set(err, E_DATA_LOSS, "format 0");
	if (head->format < MODEL_FORMAT_OLDEST)
		return error_set(err, E_UNIMPLEMENTED,
				 "it has format %u of an older kindred, this version reads from %u on: build a model "
				 "with this one",
				 head->format, MODEL_FORMAT_OLDEST);
	if (head->file_bytes != count)
		return error_set(err, E_DATA_LOSS, "%llu bytes long, its head says %llu", (unsigned long long)count,
				 (unsigned long long)head->file_bytes);
	if (head->generation == 0)
		return error_set(err, E_DATA_LOSS, "generation 0");
	if (head->sections > (count - sizeof *head) / sizeof(struct model_section))
		return error_set(err, E_DATA_LOSS, "%u sections do not fit into it", head->sections);
	return 0;
}

static int check_section_table(const struct model_head *head, struct error *err)
{
	const struct model_section *table = (const struct model_section *)(head + 1);
	uint64_t first = sizeof *head + (uint64_t)head->sections * sizeof *table;
	for (uint32_t s = 0; s < head->sections; s++) {
		const struct model_section *section = &table[s];
		if (section->offset % 64 != 0 || section->offset < first || section->offset > head->file_bytes ||
		    section->bytes > head->file_bytes - section->offset)
			return error_set(err, E_DATA_LOSS, "section %u (kind %u) lies outside of the file", s,
					 section->kind);
	}
	return 0;
}

static int read_meta(struct model *model, struct error *err)
{
	const struct model_section *table = (const struct model_section *)(model->head + 1);
	const struct model_section *meta = NULL;
	for (uint32_t s = 0; s < model->head->sections; s++) {
		if (table[s].kind != MODEL_META)
			continue;
		if (meta)
			return error_set(err, E_DATA_LOSS, "it has two sections of metadata");
		meta = &table[s];
	}
	if (!meta)
		return error_set(err, E_DATA_LOSS, "it has no metadata");
	if (meta->bytes > MODEL_META_MAX)
		return error_set(err, E_DATA_LOSS, "metadata of %llu bytes; at most %u are allowed",
				 (unsigned long long)meta->bytes, MODEL_META_MAX);
	return model_meta_read(model, (const char *)model->head + meta->offset, meta->bytes, err);
}

int model_open_bytes(struct model **model, const void *bytes, uint64_t count, bool full, struct error *err)
{
	const struct model_head *head = bytes;
	int code = check_head(head, count, err);
	if (!code)
		code = check_section_table(head, err);
	if (code)
		return code;
	if (full && XXH3_64bits(head + 1, count - sizeof *head) != head->checksum)
		return error_set(err, E_DATA_LOSS, "its checksum is wrong: the file was damaged");

	struct model *made = calloc(1, sizeof *made);
	if (!made)
		return error_set(err, E_EXHAUSTED, "no memory for a model");
	made->head = head;
	made->file_bytes = count;
	code = read_meta(made, err);
	if (!code && full)
		code = model_sections_bind(made, bytes, err);
	if (code) {
		model_close(made);
		return code;
	}
	*model = made;
	return 0;
}

static int map_file(const char *path, void **map, uint64_t *count, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open");
	struct stat status;
	int code = 0;
	if (fstat(fd, &status) < 0)
		code = error_errno(err, errno, "stat");
	else if (!S_ISREG(status.st_mode))
		code = error_set(err, E_DATA_LOSS, "not a file");
	else if ((uint64_t)status.st_size < sizeof(struct model_head))
		code = error_set(err, E_DATA_LOSS, "%llu bytes are too few for a model",
				 (unsigned long long)status.st_size);
	if (!code) {
		*count = (uint64_t)status.st_size;
		*map = mmap(NULL, *count, PROT_READ, MAP_SHARED, fd, 0);
		if (*map == MAP_FAILED)
			code = error_errno(err, errno, "mmap");
	}
	close(fd);
	return code;
}

int model_open(struct model **model, const char *path, bool full, struct error *err)
{
	void *map = NULL;
	uint64_t count = 0;
	int code = map_file(path, &map, &count, err);
	if (!code) {
		if (full)
			madvise(map, count, MADV_WILLNEED);
		code = model_open_bytes(model, map, count, full, err);
		if (code)
			munmap(map, count);
		else
			(*model)->map = map;
	}
	if (code && err)
		return error_prefix(err, "model %s", path);
	return code;
}

void model_close(struct model *model)
{
	if (!model)
		return;
	model_meta_free(model);
	if (model->map)
		munmap(model->map, model->file_bytes);
	free(model);
}

/* --- questions --- */

const struct model_catalog *model_catalog_find(const struct model *model, const char *name)
{
	for (size_t c = 0; c < model->catalog_count; c++)
		if (strcmp(model->catalogs[c].name, name) == 0)
			return &model->catalogs[c];
	return NULL;
}

uint32_t model_best_weight(const struct model_relation *relation, uint32_t items)
{
	const uint64_t *offsets = relation->offsets;
	uint64_t sum = 0, count = 0;
	for (uint32_t item = 0; item < items; item++) {
		if (offsets[item] == offsets[item + 1])
			continue;
		sum += model_entry_weight(relation->entries[offsets[item]], relation->row_mask);
		count++;
	}
	return count ? (uint32_t)(sum / count) : 0;
}

const struct model_relation *model_relation_find(const struct model_catalog *catalog, const char *key)
{
	for (size_t r = 0; r < catalog->relation_count; r++)
		if (strcmp(catalog->relations[r].key, key) == 0)
			return &catalog->relations[r];
	return NULL;
}

struct model_place *model_index_make(const uint64_t *keys, uint32_t items, uint32_t *mask, uint32_t *repeated)
{
	uint64_t size = 2;
	while (size < 2 * (uint64_t)items)
		size *= 2;
	struct model_place *index = malloc(size * sizeof *index);
	if (!index)
		return NULL;
	for (uint64_t at = 0; at < size; at++)
		index[at] = (struct model_place){ .row = MODEL_NO_ROW };
	*mask = (uint32_t)(size - 1);
	if (repeated)
		*repeated = MODEL_NO_ROW;
	for (uint32_t row = 0; row < items; row++) {
		uint32_t at = (uint32_t)keys[row] & *mask;
		while (index[at].row != MODEL_NO_ROW) {
			if (repeated && index[at].key == keys[row])
				*repeated = row;
			at = (at + 1) & *mask;
		}
		index[at] = (struct model_place){ .key = keys[row], .row = row };
	}
	return index;
}

static struct text_view text_at(const uint64_t *offsets, const char *bytes, uint64_t index)
{
	return (struct text_view){ bytes + offsets[index], (uint32_t)(offsets[index + 1] - offsets[index]) };
}

struct text_view model_item_id(const struct model_catalog *catalog, uint32_t row)
{
	return text_at(catalog->id_offsets, catalog->id_bytes, row);
}

struct text_view model_item_name(const struct model_catalog *catalog, uint32_t row)
{
	return text_at(catalog->name_offsets, catalog->name_bytes, row);
}

struct text_view model_item_image(const struct model_catalog *catalog, uint32_t row)
{
	return text_at(catalog->image_offsets, catalog->image_bytes, row);
}

static struct text_view list_element(const void *context, uint64_t first, uint32_t index)
{
	const struct model_attribute *attribute = context;
	uint32_t code = attribute->list_codes[first + index];
	return text_at(attribute->dictionary_offsets, attribute->dictionary_bytes, code);
}

struct value model_value(const struct model_catalog *catalog, uint32_t row, uint32_t attribute)
{
	const struct model_attribute *a = &catalog->attributes[attribute];
	struct value value = { .type = VALUE_MISSING };
	switch (a->type) {
	case VALUE_MISSING:
		break;
	case VALUE_STRING:
		if (a->codes[row] == MODEL_NO_CODE)
			break;
		value.type = VALUE_STRING;
		value.string = text_at(a->dictionary_offsets, a->dictionary_bytes, a->codes[row]);
		break;
	case VALUE_NUMBER:
		if (a->numbers[row] != a->numbers[row])
			break;
		value.type = VALUE_NUMBER;
		value.number = a->numbers[row];
		break;
	case VALUE_BOOLEAN:
		if (a->booleans[row] > 1)
			break;
		value.type = VALUE_BOOLEAN;
		value.boolean = a->booleans[row] == 1;
		break;
	case VALUE_TIMESTAMP:
		if (a->timestamps[row] == MODEL_NO_TIME)
			break;
		value.type = VALUE_TIMESTAMP;
		value.timestamp_ms = a->timestamps[row];
		break;
	case VALUE_STRING_LIST:
		if (a->list_offsets[row] == a->list_offsets[row + 1])
			break; /* an empty list is stored as a missing one */
		value.type = VALUE_STRING_LIST;
		value.list.at = list_element;
		value.list.context = a;
		value.list.first = a->list_offsets[row];
		value.list.count = (uint32_t)(a->list_offsets[row + 1] - a->list_offsets[row]);
		break;
	}
	return value;
}

/* --- file names --- */

void model_path(char *path, size_t bytes, const char *models_directory, uint64_t generation)
{
	snprintf(path, bytes, "%s/%08llu.kindred", models_directory, (unsigned long long)generation);
}

uint64_t model_number(const char *file_name)
{
	uint64_t number = 0;
	size_t digits = 0;
	for (; file_name[digits] >= '0' && file_name[digits] <= '9'; digits++) {
		if (digits == 18)
			return 0;
		number = number * 10 + (uint64_t)(file_name[digits] - '0');
	}
	if (digits < 8 || strcmp(file_name + digits, ".kindred") != 0)
		return 0;
	if (digits > 8 && file_name[0] == '0')
		return 0; /* a second name of the same number */
	return number;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

int model_list(const char *models_directory, uint64_t **numbers, size_t *count, struct error *err)
{
	DIR *directory = opendir(models_directory);
	if (!directory)
		return error_errno(err, errno, "open %s", models_directory);
	uint64_t *found = NULL;
	size_t used = 0, room = 0;
	int code = 0;
	const struct dirent *entry;
	while ((errno = 0, entry = readdir(directory))) {
		uint64_t number = model_number(entry->d_name);
		if (number == 0)
			continue;
		if (used == room) {
			room = room ? 2 * room : 16;
			uint64_t *larger = realloc(found, room * sizeof *larger);
			if (!larger) {
				code = error_set(err, E_EXHAUSTED, "no memory to list %s", models_directory);
				break;
			}
			found = larger;
		}
		found[used++] = number;
	}
	if (!entry && errno)
		code = error_errno(err, errno, "read %s", models_directory);
	closedir(directory);
	if (code) {
		free(found);
		return code;
	}
	if (used)
		qsort(found, used, sizeof *found, compare_numbers);
	*numbers = found;
	*count = used;
	return 0;
}
