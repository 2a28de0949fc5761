#include "worker/call_filter.h"

#include <stdlib.h>
#include <string.h>

enum { UNKNOWN, PASSES, FAILS };

int call_filter_make(struct call_filter **made, const struct rules *rules, const struct recipe *recipe,
		     struct text_view text, bool many, struct error *err)
{
	*made = NULL;
	if (!text.bytes)
		return 0;
	/* the schema that the recipe was made with: the recipe is made again when that changes */
	const char *name = recipe->catalog->name;
	const struct catalog *catalog = rules_catalog(rules, name, strlen(name));
	if (!catalog)
		return error_set(err, E_PRECONDITION, "catalog '%s' is gone", name);
	struct call_filter *filter = calloc(1, sizeof *filter);
	if (!filter)
		return error_set(err, E_EXHAUSTED, "filter: no memory");
	int code = filter_compile(&filter->filter, text.data, text.bytes, catalog->attributes, catalog->attribute_count,
				  err);
	if (!code && many && !filter_uses_last(filter->filter)) {
		filter->asked = calloc((size_t)recipe->catalog->items / 4 + 1, 1);
		if (!filter->asked)
			code = error_set(err, E_EXHAUSTED, "filter: no memory");
	}
	if (code) {
		call_filter_free(filter);
		return code;
	}
	*made = filter;
	return 0;
}

void call_filter_free(struct call_filter *filter)
{
	if (!filter)
		return;
	filter_free(filter->filter);
	free(filter->asked);
	free(filter);
}

bool call_filter_passes(struct call_filter *filter, const struct recipe_item *item, const struct recipe_item *last)
{
	/* what changed since it was built may change again */
	if (!filter->asked || item->change)
		return filter_match(filter->filter, recipe_value, item, last);
	uint8_t *byte = &filter->asked[item->row / 4];
	unsigned shift = item->row % 4 * 2, known = *byte >> shift & 3;
	if (known == UNKNOWN) {
		known = filter_match(filter->filter, recipe_value, item, NULL) ? PASSES : FAILS;
		*byte |= (uint8_t)(known << shift);
	}
	return known == PASSES;
}
