#include "builder/attributes.h"

#include "builder/dictionary.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FEATURES_RAW_MAX 1024u /* of an item that are looked at */

/* Features are numbered: values of the columns one column after the other, then words. */
struct making {
	struct attributes *to;
	const struct model_catalog *catalog;
	uint32_t *bases; /* [columns + 1] number of a column's first value; the last: of the first word */
	struct dictionary words;
	struct pile raw, raw_offsets; /* every feature of every item, without repeats */
	uint32_t *users; /* [feature_count]: items that have it */
	struct error *err;
};

/* --- what an item has --- */

struct found {
	uint32_t features[FEATURES_RAW_MAX];
	uint32_t count;
};

static void add_found(struct found *found, uint32_t feature)
{
	if (found->count < FEATURES_RAW_MAX)
		found->features[found->count++] = feature;
}

static void find_values(const struct making *making, uint32_t row, struct found *found)
{
	for (size_t c = 0; c < making->catalog->attribute_count; c++) {
		const struct model_attribute *column = &making->catalog->attributes[c];
		if (column->type == VALUE_STRING && column->codes[row] != MODEL_NO_CODE)
			add_found(found, making->bases[c] + column->codes[row]);
		if (column->type == VALUE_STRING_LIST)
			for (uint64_t v = column->list_offsets[row]; v < column->list_offsets[row + 1]; v++)
				add_found(found, making->bases[c] + column->list_codes[v]);
	}
}

/* Letters and digits make words, and all that is not ASCII; capital and small ASCII letters are the same. */
static bool of_word(unsigned char c)
{
	return isalnum(c) || c >= 0x80;
}

static int find_words(struct making *making, uint32_t row, struct found *found)
{
	struct text_view name = model_item_name(making->catalog, row);
	uint32_t first = making->bases[making->catalog->attribute_count];
	for (size_t at = 0; at < name.bytes;) {
		char word[ATTRIBUTES_WORD_MAX];
		size_t bytes = 0;
		for (; at < name.bytes && of_word((unsigned char)name.data[at]); at++)
			if (bytes < sizeof word)
				word[bytes++] = (char)tolower((unsigned char)name.data[at]);
		at += bytes == 0;
		if (bytes < 2)
			continue;
		uint32_t code = dictionary_add(making->to->space, &making->words, word, bytes, making->err);
		if (code == DICTIONARY_NO_CODE)
			return E_EXHAUSTED;
		add_found(found, first + code);
	}
	return 0;
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void drop_repeats(struct found *found)
{
	uint32_t kept = 0;
	qsort(found->features, found->count, sizeof *found->features, compare_numbers);
	for (uint32_t f = 0; f < found->count; f++)
		if (f == 0 || found->features[f] != found->features[f - 1])
			found->features[kept++] = found->features[f];
	found->count = kept;
}

static int find_all(struct making *making)
{
	struct space *space = making->to->space;
	struct found *found = malloc(sizeof *found);
	uint64_t *offset = found ? pile_extend(space, &making->raw_offsets, sizeof *offset, making->err) : NULL;
	int code = offset ? 0 : E_EXHAUSTED;
	if (offset)
		*offset = 0;
	for (uint32_t row = 0; row < making->catalog->items && !code; row++) {
		found->count = 0;
		find_values(making, row, found);
		code = find_words(making, row, found);
		drop_repeats(found);
		size_t bytes = found->count * sizeof *found->features;
		uint32_t *place = code ? NULL : pile_extend(space, &making->raw, bytes, making->err);
		offset = place ? pile_extend(space, &making->raw_offsets, sizeof *offset, making->err) : NULL;
		if (!offset) {
			code = E_EXHAUSTED;
			break;
		}
		memcpy(place, found->features, bytes);
		*offset = making->raw.used / sizeof(uint32_t);
	}
	free(found);
	return code;
}

/* --- what of it counts --- */

static int weigh(struct making *making)
{
	struct attributes *to = making->to;
	const uint32_t *raw = making->raw.region.data;
	to->feature_count = making->bases[making->catalog->attribute_count] + making->words.count;
	making->users = calloc((size_t)to->feature_count + 1, sizeof *making->users);
	int code = region_make(to->space, &to->squares, to->feature_count * sizeof(float), making->err);
	if (code || !making->users)
		return E_EXHAUSTED;
	for (size_t f = 0; f < making->raw.used / sizeof *raw; f++)
		making->users[raw[f]]++;
	float *squares = to->squares.data;
	for (uint32_t f = 0; f < to->feature_count; f++) {
		uint32_t users = making->users[f];
		if (users < 2 || users > to->items / 2)
			continue; /* 0: does not count */
		double idf = log((double)to->items / users);
		squares[f] = (float)(idf * idf);
	}
	return 0;
}

static int compare_rarity(const void *a, const void *b, void *context)
{
	const uint32_t *users = context;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (users[x] != users[y])
		return users[x] < users[y] ? -1 : 1;
	return (x > y) - (x < y);
}

/* The rarest features of each item that count, and the lengths of its vector. */
static int keep_features(struct making *making)
{
	struct attributes *to = making->to;
	const uint64_t *raw_offsets = making->raw_offsets.region.data;
	const float *squares = to->squares.data;
	uint64_t *offset = pile_extend(to->space, &to->offsets, sizeof *offset, making->err);
	int code = region_make(to->space, &to->lengths, to->items * sizeof(float), making->err);
	if (code || !offset || !pile_extend(to->space, &to->features, 0, making->err))
		return E_EXHAUSTED;
	*offset = 0;
	float *lengths = to->lengths.data;
	for (uint32_t row = 0; row < to->items; row++) {
		uint32_t *raw = (uint32_t *)making->raw.region.data + raw_offsets[row], count = 0;
		for (uint64_t f = 0; f < raw_offsets[row + 1] - raw_offsets[row]; f++)
			if (squares[raw[f]] > 0)
				raw[count++] = raw[f];
		qsort_r(raw, count, sizeof *raw, compare_rarity, making->users);
		count = count < ATTRIBUTES_FEATURES ? count : ATTRIBUTES_FEATURES;
		uint32_t *place = pile_extend(to->space, &to->features, count * sizeof *place, making->err);
		offset = place ? pile_extend(to->space, &to->offsets, sizeof *offset, making->err) : NULL;
		if (!offset)
			return E_EXHAUSTED;
		double sum = 0;
		for (uint32_t f = 0; f < count; f++) {
			place[f] = raw[f];
			sum += (double)squares[raw[f]];
		}
		lengths[row] = (float)sqrt(sum);
		*offset = to->features.used / sizeof(uint32_t);
	}
	return 0;
}

static int make_postings(struct making *making)
{
	struct attributes *to = making->to;
	const uint32_t *features = to->features.region.data;
	const uint64_t *offsets = to->offsets.region.data;
	int code = region_make(to->space, &to->posting_offsets, ((size_t)to->feature_count + 1) * sizeof(uint64_t),
			       making->err);
	if (code)
		return code;
	uint64_t *ends = to->posting_offsets.data;
	memset(making->users, 0, to->feature_count * sizeof *making->users);
	for (uint64_t f = 0; f < offsets[to->items]; f++)
		making->users[features[f]]++;
	for (uint32_t f = 0; f < to->feature_count; f++)
		ends[f + 1] =
			ends[f] + (making->users[f] < ATTRIBUTES_POSTINGS ? making->users[f] : ATTRIBUTES_POSTINGS);
	code = region_make(to->space, &to->postings, ends[to->feature_count] * sizeof(uint32_t), making->err);
	if (code)
		return code;
	uint32_t *postings = to->postings.data;
	memset(making->users, 0, to->feature_count * sizeof *making->users);
	for (uint32_t row = 0; row < to->items; row++)
		for (uint64_t f = offsets[row]; f < offsets[row + 1]; f++) {
			uint64_t place = ends[features[f]] + making->users[features[f]];
			if (place < ends[features[f] + 1]) {
				postings[place] = row;
				making->users[features[f]]++;
			}
		}
	return 0;
}

static int number_columns(struct making *making)
{
	const struct model_catalog *catalog = making->catalog;
	uint64_t next = 0;
	making->bases = malloc((catalog->attribute_count + 1) * sizeof *making->bases);
	if (!making->bases)
		return E_EXHAUSTED;
	for (size_t c = 0; c <= catalog->attribute_count; c++) {
		making->bases[c] = (uint32_t)next;
		if (c < catalog->attribute_count)
			next += catalog->attributes[c].dictionary_count;
	}
	return next < UINT32_MAX / 2 ? 0 : E_EXHAUSTED;
}

int attributes_make(struct attributes *attributes, struct space *space, const struct model_catalog *catalog,
		    struct error *err)
{
	*attributes = (struct attributes){ .space = space, .items = catalog->items };
	struct making making = { .to = attributes, .catalog = catalog, .err = err };
	int code = number_columns(&making);
	if (!code)
		code = dictionary_init(space, &making.words, err);
	if (!code)
		code = find_all(&making);
	if (!code)
		code = weigh(&making);
	if (!code)
		code = keep_features(&making);
	if (!code)
		code = make_postings(&making);
	if (code)
		code = error_set(err, E_EXHAUSTED, "no memory or disk for the attributes that %u items of %s share",
				 catalog->items, catalog->name);
	dictionary_fini(space, &making.words);
	pile_free(space, &making.raw);
	pile_free(space, &making.raw_offsets);
	free(making.bases);
	free(making.users);
	return code;
}

void attributes_free(struct attributes *attributes)
{
	struct space *space = attributes->space;
	if (!space)
		return;
	pile_free(space, &attributes->offsets);
	pile_free(space, &attributes->features);
	region_free(space, &attributes->squares);
	region_free(space, &attributes->lengths);
	region_free(space, &attributes->posting_offsets);
	region_free(space, &attributes->postings);
	*attributes = (struct attributes){ 0 };
}

/* --- asking --- */

int attributes_asker_init(struct attributes_asker *asker, const struct attributes *attributes)
{
	asker->sums = calloc((size_t)attributes->items + 1, sizeof *asker->sums);
	asker->touched = malloc(((size_t)attributes->items + 1) * sizeof *asker->touched);
	return asker->sums && asker->touched ? 0 : E_EXHAUSTED;
}

void attributes_asker_fini(struct attributes_asker *asker)
{
	free(asker->sums);
	free(asker->touched);
}

static bool better(struct alike a, struct alike b)
{
	return a.likeness != b.likeness ? a.likeness > b.likeness : a.row < b.row;
}

/* Into its place of the best, which are few. */
static void keep_best(struct alike *best, uint32_t *count, uint32_t room, struct alike one)
{
	if (*count == room && !better(one, best[room - 1]))
		return;
	uint32_t at = *count < room ? (*count)++ : room - 1;
	for (; at > 0 && better(one, best[at - 1]); at--)
		best[at] = best[at - 1];
	best[at] = one;
}

uint32_t attributes_ask(const struct attributes *attributes, struct attributes_asker *asker, uint32_t row,
			struct alike *out, uint32_t room)
{
	const uint32_t *features = attributes->features.region.data, *postings = attributes->postings.data;
	const uint64_t *offsets = attributes->offsets.region.data, *ends = attributes->posting_offsets.data;
	const float *squares = attributes->squares.data, *lengths = attributes->lengths.data;
	uint32_t touched = 0, count = 0;
	for (uint64_t f = offsets[row]; f < offsets[row + 1]; f++)
		for (uint64_t p = ends[features[f]]; p < ends[features[f] + 1]; p++) {
			if (asker->sums[postings[p]] <= 0)
				asker->touched[touched++] = postings[p];
			asker->sums[postings[p]] += squares[features[f]];
		}
	for (uint32_t t = 0; t < touched; t++) {
		uint32_t other = asker->touched[t];
		struct alike one = { other, asker->sums[other] / (lengths[row] * lengths[other]) };
		asker->sums[other] = 0;
		if (other != row && one.likeness >= ATTRIBUTES_LEAST)
			keep_best(out, &count, room, one);
	}
	return count;
}
