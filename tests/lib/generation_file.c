#include "lib/generation_file.h"

#include "common/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct generation_file generation_file_read(const char *path)
{
	struct generation_file file = { 0 };
	FILE *stream = fopen(path, "rb");
	assert_non_null(stream);
	fseek(stream, 0, SEEK_END);
	file.count = (size_t)ftell(stream);
	rewind(stream);
	file.bytes = malloc(file.count);
	assert_non_null(file.bytes);
	assert_int_equal(fread(file.bytes, 1, file.count, stream), file.count);
	fclose(stream);
	return file;
}

void generation_file_write(const char *path, const struct generation_file *file)
{
	FILE *stream = fopen(path, "wb");
	assert_non_null(stream);
	assert_int_equal(fwrite(file->bytes, 1, file->count, stream), file->count);
	assert_int_equal(fclose(stream), 0);
}

static const struct model_section *sections_of(const struct generation_file *file, uint32_t *count)
{
	const struct model_head *head = (const void *)file->bytes;
	*count = head->sections;
	return (const void *)(head + 1);
}

json_t *generation_file_meta(const struct generation_file *file)
{
	uint32_t count, s = 0;
	const struct model_section *sections = sections_of(file, &count);
	while (s + 1 < count && sections[s].kind != MODEL_META)
		s++;
	json_t *meta = json_loadb((const char *)file->bytes + sections[s].offset, sections[s].bytes, 0, NULL);
	assert_non_null(meta);
	return meta;
}

static json_t *meta_without_time(const struct generation_file *file, void (*forget)(json_t *meta))
{
	json_t *meta = generation_file_meta(file);
	json_object_del(meta, "time");
	json_object_del(meta, "generation");
	if (forget)
		forget(meta);
	return meta;
}

static void same_meta(const struct generation_file *a, const struct generation_file *b, void (*forget)(json_t *meta))
{
	json_t *meta = meta_without_time(a, forget), *other = meta_without_time(b, forget);
	if (!json_equal(meta, other)) {
		char *text = json_dumps(meta, JSON_SORT_KEYS), *other_text = json_dumps(other, JSON_SORT_KEYS);
		fail_msg("the metadata differs:\n%s\n%s", text, other_text);
	}
	json_decref(meta);
	json_decref(other);
}

void generation_file_same(const char *path, const char *other_path, void (*forget)(json_t *meta))
{
	struct generation_file a = generation_file_read(path), b = generation_file_read(other_path);
	uint32_t count, other_count;
	const struct model_section *x = sections_of(&a, &count), *y = sections_of(&b, &other_count);
	assert_int_equal(count, other_count);
	for (uint32_t s = 0; s < count; s++) {
		assert_int_equal(x[s].kind, y[s].kind);
		assert_int_equal(x[s].offset, y[s].offset);
		if (x[s].kind == MODEL_META)
			continue;
		assert_int_equal(x[s].bytes, y[s].bytes);
		if (memcmp(a.bytes + x[s].offset, b.bytes + y[s].offset, x[s].bytes) != 0)
			fail_msg("section of kind %u (catalog %u, relation %u) differs", x[s].kind, x[s].catalog,
				 x[s].relation);
	}
	same_meta(&a, &b, forget);
	free(a.bytes);
	free(b.bytes);
}

json_t *generation_file_relation(const json_t *meta, size_t catalog, size_t relation)
{
	json_t *found = json_array_get(
		json_object_get(json_array_get(json_object_get(meta, "catalogs"), catalog), "relations"), relation);
	assert_non_null(found);
	return found;
}
