/*
 * What items have in common apart from what users did: values of string attributes, elements of lists,
 * words of the name. An inverted index from which cold.c takes neighbours for items with too few
 * events.
 *
 * A feature of an item counts by its rarity: idf = ln(items / items that have it). Features that only
 * one item has, or more than half of all, say nothing and are left out; of an item the rarest
 * ATTRIBUTES_FEATURES are kept, of a feature the ATTRIBUTES_POSTINGS most popular items (rows are in
 * order of popularity), so that the work of a question is bounded. Likeness of two items is the cosine
 * of their idf vectors, 0..1.
 *
 * Made once a catalog, then read by any thread. The result does not depend on the number of threads.
 */
#ifndef KINDRED_BUILDER_ATTRIBUTES_H
#define KINDRED_BUILDER_ATTRIBUTES_H

#include "builder/space.h"
#include "common/error.h"
#include "common/model.h"

#define ATTRIBUTES_FEATURES 32u
#define ATTRIBUTES_POSTINGS 500u
#define ATTRIBUTES_WORD_MAX 64u /* bytes of a word; the rest of a longer one does not count */
#define ATTRIBUTES_LEAST 0.1f /* likeness below it is none */

struct attributes {
	struct space *space;
	uint32_t items, feature_count;
	struct pile offsets; /* uint64_t[items + 1] into features */
	struct pile features; /* uint32_t: of an item, rarest first */
	struct region squares; /* float[feature_count]: idf x idf */
	struct region lengths; /* float[items]: of the idf vectors; 0: the item has no feature that counts */
	struct region posting_offsets; /* uint64_t[feature_count + 1] */
	struct region postings; /* uint32_t: rows, ascending */
};

/* catalog: rows, names and attributes are read. attributes is to be freed after an error too. */
int attributes_make(struct attributes *attributes, struct space *space, const struct model_catalog *catalog,
		    struct error *err);
void attributes_free(struct attributes *attributes);

/* An item that is like another. */
struct alike {
	uint32_t row;
	float likeness; /* ATTRIBUTES_LEAST..1 */
};

/* Memory of one thread that asks. */
struct attributes_asker {
	float *sums; /* [items], all 0 between questions */
	uint32_t *touched; /* [items] */
};
int attributes_asker_init(struct attributes_asker *asker, const struct attributes *attributes); /* 0 or E_EXHAUSTED */
void attributes_asker_fini(struct attributes_asker *asker);

/* The items most alike `row`, best first, equal ones by row; out: room for that many. Returns how many. */
uint32_t attributes_ask(const struct attributes *attributes, struct attributes_asker *asker, uint32_t row,
			struct alike *out, uint32_t room);

#endif
