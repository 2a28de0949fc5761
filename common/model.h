/*
 * A model generation: one immutable file, models/<number, 8 digits>.kindred, that serves all definitions of all
 * catalogs. This module is the format and its reader (worker, server, builder's own check, cli); the writer is
 * builder/publish.c.
 *
 * Format (little endian): struct model_head; struct model_section[sections]; then the sections' bytes, each aligned
 * to 64. The section MODEL_META is JSON (see builder/publish.c for its fields) that names catalogs, attributes and
 * relations, and says which sections are theirs by (catalog, relation, column) numbers. checksum is XXH3_64 of all
 * bytes after the head. model_open checks everything that a reader relies on: sizes, bounds of every row number and
 * offset, so that serving code indexes without checks.
 *
 * A file is never changed after its rename into place. A mapping may be read by any thread.
 */
#ifndef KINDRED_MODEL_H
#define KINDRED_MODEL_H

#include "common/error.h"
#include "common/filter.h"
#include "common/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_MAGIC "KINDRED\x01"
#define MODEL_FORMAT 3u
#define MODEL_FORMAT_OLDEST 3u /* that is read */
#define MODEL_NO_ROW UINT32_MAX
#define MODEL_NO_CODE UINT32_MAX
#define MODEL_NO_TIME INT64_MIN
#define MODEL_KEPT_DEFAULT 3
#define MODEL_POPULAR_MAX 10000u
#define MODEL_COLD_MAX 10000u
#define MODEL_META_MAX (64u << 20)
#define MODEL_ITEMS_MAX (1u << 26) /* leaves a neighbour's weight six bits */

struct model_head {
	char magic[8];
	uint32_t format;
	uint32_t sections;
	uint64_t file_bytes;
	uint64_t checksum;
	uint64_t generation;
	int64_t create_ms;
	uint8_t spare[16]; /* 0 */
};

enum model_section_kind {
	MODEL_META = 1, /* JSON, UTF-8 */
	/* per catalog; rows 0..items-1 in order of popularity (events of all its relations, then key) */
	MODEL_ITEM_KEYS = 16, /* uint64_t[items] */
	MODEL_ITEM_INDEX, /* struct model_place[power of two >= 2 x items]: open addressing by key, linear */
	MODEL_ITEM_ID_OFFSETS, /* uint64_t[items + 1] into the bytes */
	MODEL_ITEM_ID_BYTES,
	MODEL_ITEM_NAME_OFFSETS,
	MODEL_ITEM_NAME_BYTES,
	MODEL_ITEM_IMAGE_OFFSETS,
	MODEL_ITEM_IMAGE_BYTES,
	MODEL_ITEM_HIDDEN, /* uint8_t[items]: 1 hidden */
	/* per catalog and column (= number of the attribute in the schema) */
	MODEL_ATTRIBUTE_NUMBER = 32, /* double[items]; NaN: missing */
	MODEL_ATTRIBUTE_BOOLEAN, /* uint8_t[items]: 0, 1; 2: missing */
	MODEL_ATTRIBUTE_TIMESTAMP, /* int64_t[items]; MODEL_NO_TIME: missing */
	MODEL_ATTRIBUTE_STRING, /* uint32_t[items]: code in the column's dictionary; MODEL_NO_CODE: missing */
	MODEL_ATTRIBUTE_LIST_OFFSETS, /* uint64_t[items + 1] */
	MODEL_ATTRIBUTE_LIST_CODES, /* uint32_t[] */
	MODEL_ATTRIBUTE_DICTIONARY_OFFSETS, /* uint64_t[codes + 1] */
	MODEL_ATTRIBUTE_DICTIONARY_BYTES,
	/* per catalog and relation */
	MODEL_NEIGHBOUR_OFFSETS = 64, /* uint64_t[items + 1] */
	MODEL_NEIGHBOURS, /* uint32_t[], entries (model_entry): best first within an item, no weight 0 */
	MODEL_MULTIPLIERS, /* uint16_t[items], Q12: season and trend of the time of the build; absent: all 4096 */
	MODEL_POPULAR_ROWS, /* uint32_t[], best first: popular in the window; at most MODEL_POPULAR_MAX */
	MODEL_POPULAR_SCORES, /* uint32_t[] */
	MODEL_RECENT_ROWS, /* uint32_t[]: with newer events counting more */
	MODEL_RECENT_SCORES, /* uint32_t[] */
	/* absent in generations of builders that knew no cold items */
	MODEL_BY_ATTRIBUTES, /* uint64_t[(neighbours + 63) / 64], a bit a neighbour: by attributes alone; absent: none is */
	MODEL_COLD, /* uint64_t[(items + 63) / 64], a bit an item: too few events to learn from; absent: not told */
	MODEL_COLD_ROWS, /* uint32_t[]: the newest of them, at most MODEL_COLD_MAX; there with MODEL_COLD */
};

struct model_section {
	uint32_t kind; /* enum model_section_kind; unknown kinds are skipped */
	uint16_t catalog;
	uint16_t relation; /* within the catalog */
	uint32_t column;
	uint32_t element_bytes;
	uint64_t offset; /* from the file's start */
	uint64_t bytes;
};

/* Where an item's key leads to: key and row side by side, so that to look one up is to wait for memory once. */
struct model_place {
	uint64_t key; /* 0 where the place is free */
	uint32_t row; /* MODEL_NO_ROW: free */
	uint32_t spare; /* 0 */
};
_Static_assert(sizeof(struct model_head) == 64 && sizeof(struct model_section) == 32 &&
		       sizeof(struct model_place) == 16,
	       "these are the file format");

#define SERVING_SELF_MAX 16.0
#define SERVING_SLOPE_MAX 10.0
#define SERVING_BLEND_MAX 8.0 /* more would let a score pass 32 bits */

/* How a relation is served, as the builder chose it; from the JSON. */
struct model_serving {
	uint32_t profile_items; /* L: last distinct items of the user, 1..PROFILE_MAX */
	double rank_decay; /* 0 < d <= 1 */
	double rank_slope; /* the weight at rank r is divided by 1 + rank_slope x r, 0..SERVING_SLOPE_MAX */
	double half_life_days; /* of a profile item's age; 0: no decay */
	double self_weight; /* of a profile item itself, against its best neighbour, 0..SERVING_SELF_MAX; 0: only neighbours are shown */
	double self_newest; /* the same of the newest profile item, in shares of self_weight, 0..1 */
	double blend; /* of the items popular of late, against the best candidate: common/score.h; 0..SERVING_BLEND_MAX; 0: not blended */
	/* filled by serving_prepare */
	uint32_t decay[256]; /* Q12 decay^rank / (1 + slope x rank) */
	uint32_t self_q12, self_newest_q12, blend_q12;
};

struct model_evaluation {
	uint32_t queries;
	double cold_share, hit_rate, ndcg, mrr, coverage, popular_hit_rate, popular_ndcg;
};

/* What the builder's gate found when it held a relation against the generation that was served (builder/gate.h). */
enum model_verdict { MODEL_UNTESTED, MODEL_BETTER, MODEL_EQUAL, MODEL_WORSE };

#define MODEL_NOTE_MAX 240

struct model_gate {
	enum model_verdict verdict;
	uint64_t against; /* the generation that was served; 0: none */
	uint32_t queries, users; /* both were asked; whose they are */
	double ndcg, served_ndcg; /* at 20, means over users */
	double z; /* the difference over its standard error */
	char note[MODEL_NOTE_MAX]; /* how it was compared, or why not; empty: the build had no gate */
};

struct model_relation {
	char *key; /* common/relation.h */
	struct model_serving serving;
	struct model_evaluation evaluation;
	uint64_t events, users, items, neighbours; /* items: those with events */
	char **definitions; /* names at build time */
	size_t definition_count;
	/* the generation that learnt it, when this one took it over (builder/reuse.h); 0: this one did */
	uint64_t reused;
	char *tuning; /* JSON, what the builder's tuner noted (builder/tune.h); NULL: nothing */
	struct model_gate gate;
	uint32_t best_weight; /* model_best_weight() */
	const uint64_t *offsets; /* items + 1 */
	const uint32_t *entries; /* of neighbours, best first within an item */
	uint32_t row_mask; /* the bits of an entry that are its row: model_row_mask() */
	const uint16_t *multipliers; /* NULL: all SCORE_ONE */
	uint32_t multiplier_max; /* no greater one is among them; 0: not known */
	const uint64_t *by_attributes; /* a bit a neighbour; NULL: none is by attributes alone */
	const uint64_t *cold; /* a bit an item; NULL: not told */
	const uint32_t *cold_rows; /* the newest cold ones first */
	uint32_t cold_count;
	const uint32_t *popular_rows, *popular_scores;
	uint32_t popular_count;
	const uint32_t *recent_rows, *recent_scores;
	uint32_t recent_count;
};

/*
 * A neighbour in one word, so that a list is as few cache lines as can be: the row in the low bits, as many as the
 * catalog's rows need but at least 16; above them the weight, so that what is left of a word without its row is the
 * weight, 1..65535, in units of 1/65536. In catalogs of more than 65,536 items the weight's lowest bits have no room:
 * with 100,000 items 15 bits are left of it, with a million 12.
 */
static inline uint32_t model_row_mask(uint32_t items)
{
	uint32_t mask = UINT16_MAX;
	while (items && mask < items - 1)
		mask = mask << 1 | 1;
	return mask;
}

/* weight: 1..65535, rounded to what there is room for. */
static inline uint32_t model_entry(uint32_t row, uint32_t weight, uint32_t row_mask)
{
	uint64_t unit = (uint64_t)row_mask + 1, above = ((uint64_t)weight << 16) + unit / 2;
	above = above < unit ? unit : above < UINT32_MAX ? above : UINT32_MAX;
	return ((uint32_t)above & ~row_mask) | row;
}

static inline uint32_t model_entry_row(uint32_t entry, uint32_t row_mask)
{
	return entry & row_mask;
}

/* In units of 1/65536 of its full scale; not 0. */
static inline uint32_t model_entry_weight(uint32_t entry, uint32_t row_mask)
{
	return (entry & ~row_mask) >> 16;
}

/* Bit number n of an array of them. */
static inline bool model_bit(const uint64_t *bits, uint64_t n)
{
	return bits[n / 64] >> n % 64 & 1;
}

struct model_attribute {
	char *name;
	enum value_type type;
	const double *numbers;
	const uint8_t *booleans;
	const int64_t *timestamps;
	const uint32_t *codes; /* strings */
	const uint64_t *list_offsets;
	const uint32_t *list_codes;
	const uint64_t *dictionary_offsets;
	const char *dictionary_bytes;
	uint32_t dictionary_count;
};

struct model_catalog {
	char *name;
	uint64_t version; /* of the catalog, in the snapshot that was built from */
	uint32_t items;
	const uint64_t *keys;
	const struct model_place *index;
	uint32_t index_mask; /* its places - 1 */
	const uint64_t *id_offsets, *name_offsets, *image_offsets;
	const char *id_bytes, *name_bytes, *image_bytes;
	const uint8_t *hidden;
	struct model_attribute *attributes;
	size_t attribute_count;
	struct model_relation *relations;
	size_t relation_count;
};

struct model {
	const struct model_head *head;
	uint64_t file_bytes;
	void *map; /* what model_close unmaps; NULL: the bytes are the caller's */
	int64_t newest_event_ms; /* INT64_MIN: no events */
	uint64_t events, users;
	uint64_t refreshed; /* of which generation it is a refresh; 0: it is a build */
	uint64_t learnt; /* of a refresh: which build it was that learnt the neighbours; else 0 */
	double build_seconds;
	struct model_catalog *catalogs;
	size_t catalog_count;
};

/*
 * Maps and checks. `full`: also the checksum and every row number (reads the whole file, which prefaults it too; a
 * worker does it outside its serving loop); without it only the head and the JSON are read (model_list). E_NOT_FOUND,
 * E_DATA_LOSS (damaged, with what and where), E_UNIMPLEMENTED (a newer format).
 */
int model_open(struct model **model, const char *path, bool full, struct error *err);
/* The same over bytes in memory, 8-byte aligned, that the caller keeps until model_close. For tests and the fuzzer. */
int model_open_bytes(struct model **model, const void *bytes, uint64_t count, bool full, struct error *err);
void model_close(struct model *model);

/* "untested", "better", "equal", "worse" */
const char *model_verdict_name(enum model_verdict verdict);

const struct model_catalog *model_catalog_find(const struct model *model, const char *name);
const struct model_relation *model_relation_find(const struct model_catalog *catalog, const char *key);
/*
 * An index of the keys as MODEL_ITEM_INDEX has it, malloced; *mask: its places - 1. NULL: no memory. For writers.
 * *repeated: a row whose key an earlier row has too, MODEL_NO_ROW when all differ (may be NULL).
 */
struct model_place *model_index_make(const uint64_t *keys, uint32_t items, uint32_t *mask, uint32_t *repeated);
/*
 * Mean of the best neighbours' weights, of the items that have any; 0: none has. Of a relation's offsets, entries and
 * row_mask.
 */
uint32_t model_best_weight(const struct model_relation *relation, uint32_t items);
/* Of an index of model_index_make's, or of a model; MODEL_NO_ROW: not in it. */
static inline uint32_t model_index_row(const struct model_place *index, uint32_t mask, uint64_t key)
{
	uint32_t at = (uint32_t)key & mask;
	while (index[at].key != key && index[at].row != MODEL_NO_ROW)
		at = (at + 1) & mask;
	return index[at].row;
}
/* MODEL_NO_ROW: not in this generation. */
static inline uint32_t model_row(const struct model_catalog *catalog, struct item_key key)
{
	return model_index_row(catalog->index, catalog->index_mask, key.value);
}
/* Says that the key will be looked up, so that the waits for memory of many overlap. */
static inline void model_row_soon(const struct model_catalog *catalog, struct item_key key)
{
	__builtin_prefetch(catalog->index + ((uint32_t)key.value & catalog->index_mask));
}
struct text_view model_item_id(const struct model_catalog *catalog, uint32_t row);
struct text_view model_item_name(const struct model_catalog *catalog, uint32_t row);
struct text_view model_item_image(const struct model_catalog *catalog, uint32_t row);
/* Column by number; type VALUE_MISSING when the item has none. */
struct value model_value(const struct model_catalog *catalog, uint32_t row, uint32_t attribute);

/* "<directory>/00000007.kindred"; path: room for bytes. And back: the number of a file name, 0 when it is none. */
void model_path(char *path, size_t bytes, const char *models_directory, uint64_t generation);
uint64_t model_number(const char *file_name);
/* Numbers of the generation files in the directory, ascending; *numbers is malloced. */
int model_list(const char *models_directory, uint64_t **numbers, size_t *count, struct error *err);

#endif
