/*
 * The metadata (section MODEL_META), the last section of the file. Fields that a reader needs (common/model_meta.c)
 * and notes for people:
 *
 * {
 *   "builder": "kindred-builder 0.1.0 (6f2c1d0)",
 *   "generation": 7,
 *   "newest_event_ms": 1700000000000,      null: no events
 *   "events": 1000209, "users": 6040,      read from the shards, of all catalogs
 *   "build": {..},                         what it noticed: see builder/build.c
 *   "time": {"build_seconds": 12.5, "scan": 3.1, ..},  with notes' "reused", all that differs between two builds of the same
 *   "catalogs": [{
 *     "name": "shop", "version": 12, "items": 300,
 *     "attributes": [{"name": "price", "type": "string|number|boolean|timestamp|string_list"}],   numbers are the sections' columns
 *     "notes": {..},
 *     "relations": [{                      numbers are the sections' relations
 *       "key": "Viewed=1|window=0",        common/relation.h
 *       "definitions": ["shoes"],          that used it at build time
 *       "events": .., "users": .., "items": .., "neighbours": ..,   in its window; items: those with events; neighbours: stored pairs
 *       "serving": {"profile_items": 20, "rank_decay": 0.9, "rank_slope": 0, "half_life_days": 0, "self_weight": 0, "self_newest": 1, "blend": 0},
 *       "evaluation": {"queries": .., "cold_share": .., "hit_rate": .., "ndcg": .., "mrr": .., "coverage": .., "popular_hit_rate": .., "popular_ndcg": ..},
 *       "gate": {"verdict": "untested|better|equal|worse", "against": generation, "queries": .., "users": .., "ndcg": .., "served_ndcg": .., "z": .., "note": ".."},
 *                                          builder/gate.h; absent: the build had no gate
 *       "notes": {..}                      parameters learnt with, caps that acted, why there is no evaluation: see builder/relation_notes.h
 *     }]
 *   }]
 * }
 */
#include "builder/publish.h"

#include "builder/parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* The sections in the order in which they are written. */
struct layout {
	struct model_section *sections;
	const void **data;
	size_t count, room;
	uint64_t end; /* of the sections so far, counted from the first one */
	bool failed;
};

static void add_section(struct layout *layout, struct model_section section, const void *data, uint64_t elements)
{
	if (layout->count == layout->room) {
		layout->room = layout->room ? 2 * layout->room : 64;
		struct model_section *sections = realloc(layout->sections, layout->room * sizeof *layout->sections);
		if (sections)
			layout->sections = sections;
		const void **all_data = realloc(layout->data, layout->room * sizeof *layout->data);
		if (all_data)
			layout->data = all_data;
		if (!sections || !all_data) {
			layout->failed = true;
			layout->room = 0;
			return;
		}
	}
	section.bytes = elements * section.element_bytes;
	section.offset = layout->end;
	layout->end = (layout->end + section.bytes + 63) / 64 * 64;
	layout->sections[layout->count] = section;
	layout->data[layout->count++] = data;
}

#define SECTION(layout, place, section_kind, data, elements)                                                           \
	do {                                                                                                           \
		struct model_section section_ = (place);                                                               \
		section_.kind = (section_kind);                                                                        \
		section_.element_bytes = sizeof *(data);                                                               \
		add_section((layout), section_, (data), (elements));                                                   \
	} while (0)

static void add_texts(struct layout *layout, struct model_section place, uint32_t offsets_kind, uint32_t bytes_kind,
		      const uint64_t *offsets, const char *bytes, uint64_t ranges)
{
	SECTION(layout, place, offsets_kind, offsets, ranges + 1);
	SECTION(layout, place, bytes_kind, bytes, offsets[ranges]);
}

static void add_attribute(struct layout *layout, struct model_section place, const struct model_attribute *a,
			  uint64_t items)
{
	switch (a->type) {
	case VALUE_MISSING:
		return;
	case VALUE_NUMBER:
		SECTION(layout, place, MODEL_ATTRIBUTE_NUMBER, a->numbers, items);
		return;
	case VALUE_BOOLEAN:
		SECTION(layout, place, MODEL_ATTRIBUTE_BOOLEAN, a->booleans, items);
		return;
	case VALUE_TIMESTAMP:
		SECTION(layout, place, MODEL_ATTRIBUTE_TIMESTAMP, a->timestamps, items);
		return;
	case VALUE_STRING:
		SECTION(layout, place, MODEL_ATTRIBUTE_STRING, a->codes, items);
		break;
	case VALUE_STRING_LIST:
		SECTION(layout, place, MODEL_ATTRIBUTE_LIST_OFFSETS, a->list_offsets, items + 1);
		SECTION(layout, place, MODEL_ATTRIBUTE_LIST_CODES, a->list_codes, a->list_offsets[items]);
		break;
	}
	add_texts(layout, place, MODEL_ATTRIBUTE_DICTIONARY_OFFSETS, MODEL_ATTRIBUTE_DICTIONARY_BYTES,
		  a->dictionary_offsets, a->dictionary_bytes, a->dictionary_count);
}

static void add_relation(struct layout *layout, struct model_section place, const struct model_relation *r,
			 uint64_t items)
{
	uint64_t neighbours = r->offsets[items];
	SECTION(layout, place, MODEL_NEIGHBOUR_OFFSETS, r->offsets, items + 1);
	SECTION(layout, place, MODEL_NEIGHBOURS, r->entries, neighbours);
	if (r->multipliers)
		SECTION(layout, place, MODEL_MULTIPLIERS, r->multipliers, items);
	if (r->by_attributes)
		SECTION(layout, place, MODEL_BY_ATTRIBUTES, r->by_attributes, (neighbours + 63) / 64);
	if (r->cold) {
		SECTION(layout, place, MODEL_COLD, r->cold, (items + 63) / 64);
		SECTION(layout, place, MODEL_COLD_ROWS, r->cold_rows, r->cold_count);
	}
	SECTION(layout, place, MODEL_POPULAR_ROWS, r->popular_rows, r->popular_count);
	SECTION(layout, place, MODEL_POPULAR_SCORES, r->popular_scores, r->popular_count);
	SECTION(layout, place, MODEL_RECENT_ROWS, r->recent_rows, r->recent_count);
	SECTION(layout, place, MODEL_RECENT_SCORES, r->recent_scores, r->recent_count);
}

static void add_catalog(struct layout *layout, struct model_section place, const struct model_catalog *catalog)
{
	uint64_t items = catalog->items;
	SECTION(layout, place, MODEL_ITEM_KEYS, catalog->keys, items);
	SECTION(layout, place, MODEL_ITEM_INDEX, catalog->index, (uint64_t)catalog->index_mask + 1);
	add_texts(layout, place, MODEL_ITEM_ID_OFFSETS, MODEL_ITEM_ID_BYTES, catalog->id_offsets, catalog->id_bytes,
		  items);
	add_texts(layout, place, MODEL_ITEM_NAME_OFFSETS, MODEL_ITEM_NAME_BYTES, catalog->name_offsets,
		  catalog->name_bytes, items);
	add_texts(layout, place, MODEL_ITEM_IMAGE_OFFSETS, MODEL_ITEM_IMAGE_BYTES, catalog->image_offsets,
		  catalog->image_bytes, items);
	SECTION(layout, place, MODEL_ITEM_HIDDEN, catalog->hidden, items);
	for (size_t a = 0; a < catalog->attribute_count; a++) {
		place.column = (uint32_t)a;
		add_attribute(layout, place, &catalog->attributes[a], items);
	}
	place.column = 0;
	for (size_t r = 0; r < catalog->relation_count; r++) {
		place.relation = (uint16_t)r;
		add_relation(layout, place, &catalog->relations[r], items);
	}
}

/* --- metadata --- */

static json_t *attributes_json(const struct model_catalog *catalog)
{
	static const char *const names[] = { "missing", "string", "number", "boolean", "timestamp", "string_list" };
	json_t *array = json_array();
	for (size_t a = 0; a < catalog->attribute_count; a++)
		json_array_append_new(array, json_pack("{ss ss}", "name", catalog->attributes[a].name, "type",
						       names[catalog->attributes[a].type]));
	return array;
}

static json_t *gate_json(const struct model_gate *gate)
{
	if (!gate->note[0])
		return NULL;
	return json_pack("{ss sI sI sI sf sf sf ss}", "verdict", model_verdict_name(gate->verdict), "against",
			 (json_int_t)gate->against, "queries", (json_int_t)gate->queries, "users",
			 (json_int_t)gate->users, "ndcg", gate->ndcg, "served_ndcg", gate->served_ndcg, "z", gate->z,
			 "note", gate->note);
}

static json_t *relation_json(const struct model_relation *r, json_t *notes)
{
	json_t *definitions = json_array();
	for (size_t d = 0; d < r->definition_count; d++)
		json_array_append_new(definitions, json_string(r->definitions[d]));
	json_t *serving = json_pack("{sI sf sf sf sf sf sf}", "profile_items", (json_int_t)r->serving.profile_items,
				    "rank_decay", r->serving.rank_decay, "rank_slope", r->serving.rank_slope,
				    "half_life_days", r->serving.half_life_days, "self_weight", r->serving.self_weight,
				    "self_newest", r->serving.self_newest, "blend", r->serving.blend);
	const struct model_evaluation *e = &r->evaluation;
	json_t *evaluation =
		json_pack("{sI sf sf sf sf sf sf sf}", "queries", (json_int_t)e->queries, "cold_share", e->cold_share,
			  "hit_rate", e->hit_rate, "ndcg", e->ndcg, "mrr", e->mrr, "coverage", e->coverage,
			  "popular_hit_rate", e->popular_hit_rate, "popular_ndcg", e->popular_ndcg);
	return json_pack("{ss so sI sI sI sI so so so* sO*}", "key", r->key, "definitions", definitions, "events",
			 (json_int_t)r->events, "users", (json_int_t)r->users, "items", (json_int_t)r->items,
			 "neighbours", (json_int_t)r->neighbours, "serving", serving, "evaluation", evaluation, "gate",
			 gate_json(&r->gate), "notes", notes);
}

static json_t *catalogs_json(const struct publication *p)
{
	json_t *array = json_array();
	size_t relation = 0;
	for (size_t c = 0; c < p->model->catalog_count; c++) {
		const struct model_catalog *catalog = &p->model->catalogs[c];
		json_t *relations = json_array();
		for (size_t r = 0; r < catalog->relation_count; r++, relation++)
			json_array_append_new(relations,
					      relation_json(&catalog->relations[r],
							    p->relation_notes ? p->relation_notes[relation] : NULL));
		json_array_append_new(array,
				      json_pack("{ss sI sI so so sO*}", "name", catalog->name, "version",
						(json_int_t)catalog->version, "items", (json_int_t)catalog->items,
						"attributes", attributes_json(catalog), "relations", relations, "notes",
						p->catalog_notes ? p->catalog_notes[c] : NULL));
	}
	return array;
}

/* malloced text; NULL: no memory, or a text in it that is not UTF-8. */
static char *meta_text(const struct publication *p)
{
	json_t *time = p->time ? json_copy(p->time) : json_object();
	json_object_set_new(time, "build_seconds", json_real(p->model->build_seconds));
	json_t *newest = p->model->newest_event_ms == INT64_MIN ? json_null() : json_integer(p->model->newest_event_ms);
	json_t *catalogs = catalogs_json(p);
	size_t made = json_array_size(catalogs);
	json_t *root =
		json_pack("{ss sI so sI sI sO* so so}", "builder", p->builder ? p->builder : "", "generation",
			  (json_int_t)p->generation, "newest_event_ms", newest, "events", (json_int_t)p->model->events,
			  "users", (json_int_t)p->model->users, "build", p->build, "time", time, "catalogs", catalogs);
	char *text = root && made == p->model->catalog_count ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9))
							     : NULL;
	json_decref(root);
	return text;
}

/* --- the file --- */

/*
 * The file is written in pieces of a large page, each at a multiple of it: a file system that can (ext4, XFS) keeps
 * them in such pages, and who maps the file spares looking up where small ones are.
 */
#define PIECE_BYTES ((size_t)2 << 20)

struct output {
	FILE *file;
	const struct layout *layout;
	uint64_t table_bytes;
	XXH3_state_t *checksum;
	int errnum; /* of the first failure */
};

static void write_bytes(struct output *output, const void *data, uint64_t bytes)
{
	/* what is empty may be NULL, which fwrite may not be given */
	if (bytes > 0 && !output->errnum && fwrite(data, 1, bytes, output->file) != bytes)
		output->errnum = errno;
}

static void sum_bytes(struct output *output, const void *data, uint64_t bytes)
{
	if (bytes > 0)
		XXH3_64bits_update(output->checksum, data, bytes);
}

/* All that follows the head, each part up to a multiple of 64 bytes. */
static void put_all(struct output *output, void (*put)(struct output *output, const void *data, uint64_t bytes))
{
	static const uint8_t zeros[64];
	const struct layout *layout = output->layout;
	put(output, layout->sections, output->table_bytes);
	put(output, zeros, -(sizeof(struct model_head) + output->table_bytes) & 63);
	for (size_t s = 0; s < layout->count; s++) {
		put(output, layout->data[s], layout->sections[s].bytes);
		put(output, zeros, -layout->sections[s].bytes & 63);
	}
}

static int put_part(void *context, uint32_t thread, uint64_t part, uint64_t end)
{
	(void)thread;
	(void)end;
	put_all(context, part == 0 ? write_bytes : sum_bytes);
	return 0;
}

static int write_sections(FILE *file, const struct publication *p, struct layout *layout, const char *path,
			  struct error *err)
{
	struct model_head head = { .magic = MODEL_MAGIC,
				   .format = MODEL_FORMAT,
				   .sections = (uint32_t)layout->count,
				   .generation = p->generation,
				   .create_ms = p->create_ms };
	struct output output = { .file = file,
				 .layout = layout,
				 .table_bytes = layout->count * sizeof *layout->sections,
				 .checksum = XXH3_createState() };
	if (!output.checksum)
		return error_set(err, E_EXHAUSTED, "no memory to write %s", path);
	uint64_t first = (sizeof head + output.table_bytes + 63) / 64 * 64;
	for (size_t s = 0; s < layout->count; s++)
		layout->sections[s].offset += first;
	head.file_bytes = first + layout->end;

	XXH3_64bits_reset(output.checksum);
	write_bytes(&output, &head, sizeof head); /* again when the checksum is known */
	parallel_parts(p->threads, 2, 1, put_part, &output);
	head.checksum = XXH3_64bits_digest(output.checksum);
	if (!output.errnum && fseeko(file, 0, SEEK_SET) < 0)
		output.errnum = errno;
	write_bytes(&output, &head, sizeof head);
	if (!output.errnum && fflush(file))
		output.errnum = errno;
	XXH3_freeState(output.checksum);
	return output.errnum ? error_errno(err, output.errnum, "write %s", path) : 0;
}

/* As a worker will: what cannot be served is not published. */
static int check_file(const char *path, struct error *err)
{
	struct model *model = NULL;
	int code = model_open(&model, path, true, err);
	model_close(model);
	return code;
}

/* While the disk takes the file it can be read back. */
struct settling {
	int fd;
	const char *path;
	int sync_errnum, check_code;
	struct error check_error;
};

static int settle_part(void *context, uint32_t thread, uint64_t part, uint64_t end)
{
	struct settling *s = context;
	(void)thread;
	(void)end;
	if (part == 0)
		s->check_code = check_file(s->path, &s->check_error);
	else if (fsync(s->fd) < 0)
		s->sync_errnum = errno;
	return 0;
}

static int settle(int fd, const char *path, uint32_t threads, struct error *err)
{
	struct settling settling = { .fd = fd, .path = path };
	parallel_parts(threads, 2, 1, settle_part, &settling);
	if (settling.sync_errnum)
		return error_errno(err, settling.sync_errnum, "write %s", path);
	if (settling.check_code && err)
		*err = settling.check_error;
	return settling.check_code;
}

static int sync_folder(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open %s", path);
	int code = fsync(fd) < 0 ? error_errno(err, errno, "sync %s", path) : 0;
	close(fd);
	return code;
}

/* A generation is never replaced. Not every file system knows RENAME_NOREPLACE. */
static int rename_new(const char *from, const char *to, struct error *err)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EINVAL || errno == ENOSYS) {
		if (access(to, F_OK) == 0)
			errno = EEXIST;
		else if (rename(from, to) == 0)
			return 0;
	}
	if (errno == EEXIST)
		return error_set(err, E_EXISTS, "%s is there already; a generation is never replaced", to);
	return error_errno(err, errno, "rename %s to %s", from, to);
}

/* For PIECE_BYTES at a time into `piece`, which lives as long as the file is open. NULL: with errno. */
static FILE *open_new(const char *path, char *piece)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (file)
		setvbuf(file, piece, _IOFBF, PIECE_BYTES);
	else if (fd >= 0)
		close(fd);
	return file;
}

static int write_file(const struct publication *p, struct layout *layout, const char *models_directory,
		      const char *path, struct error *err)
{
	char temporary[PATH_MAX];
	int length = snprintf(temporary, sizeof temporary, "%s/.build-%08llu.%d", models_directory,
			      (unsigned long long)p->generation, (int)getpid());
	if (length < 0 || (size_t)length >= sizeof temporary)
		return error_set(err, E_INVALID, "the path %s is too long", models_directory);
	char *piece = malloc(PIECE_BYTES);
	FILE *file = piece ? open_new(temporary, piece) : NULL;
	int code =
		file ? write_sections(file, p, layout, temporary, err) : error_errno(err, errno, "make %s", temporary);
	if (!code)
		code = settle(fileno(file), temporary, p->threads, err);
	if (file && fclose(file) && !code)
		code = error_errno(err, errno, "write %s", temporary);
	free(piece);
	if (!code)
		code = rename_new(temporary, path, err);
	if (code) {
		unlink(temporary);
		return code;
	}
	code = sync_folder(models_directory, err);
	if (code)
		unlink(path);
	return code;
}

int publish_write(const struct publication *p, const char *models_directory, char *path, struct error *err)
{
	struct layout layout = { 0 };
	for (size_t c = 0; c < p->model->catalog_count; c++)
		add_catalog(&layout, (struct model_section){ .catalog = (uint16_t)c }, &p->model->catalogs[c]);
	int code = 0;
	char *meta = meta_text(p);
	if (meta)
		SECTION(&layout, (struct model_section){ 0 }, MODEL_META, meta, strlen(meta));
	else
		code = error_set(err, E_INTERNAL,
				 "the metadata could not be written: no memory, or a name that is not UTF-8");
	if (!code && layout.failed)
		code = error_set(err, E_EXHAUSTED, "no memory for the list of sections");
	if (!code) {
		model_path(path, PATH_MAX, models_directory, p->generation);
		code = write_file(p, &layout, models_directory, path, err);
	}
	free(meta);
	free(layout.sections);
	free(layout.data);
	return code;
}
