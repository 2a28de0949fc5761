/*
 * Any text as a filter over a schema with every type: it compiles or says why, in one line with a
 * place, and what compiles runs on items with and without values. The first byte is the item: it
 * chooses which values are there.
 */
#include "common/filter.h"
#include "common/ids.h"

#include <stdlib.h>
#include <string.h>

static const struct filter_attribute schema[] = {
	{ "in_stock", VALUE_BOOLEAN },   { "price", VALUE_NUMBER },       { "category", VALUE_STRING },
	{ "genres", VALUE_STRING_LIST }, { "released", VALUE_TIMESTAMP }, { "timestamp", VALUE_NUMBER },
};

static const char *const elements[] = { "Drama", "Crime", "", "a", "b", "c", "d", "e", "f", "g", "h", "i" };

static struct text_view element(const void *context, uint64_t first, uint32_t index)
{
	(void)context;
	const char *text = elements[first + index];
	return (struct text_view){ text, (uint32_t)strlen(text) };
}

/* item: a byte of flags; bit N: attribute N is there; bit 7: its list is long. */
static struct value get(const void *item, uint32_t attribute)
{
	struct value value = { .type = VALUE_MISSING };
	if (attribute >= sizeof schema / sizeof *schema)
		abort();
	if (!(*(const uint8_t *)item & (1u << attribute)))
		return value;
	value.type = schema[attribute].type;
	switch (value.type) {
	case VALUE_STRING:
		value.string = (struct text_view){ "shoes", 5 };
		break;
	case VALUE_NUMBER:
		value.number = 50;
		break;
	case VALUE_BOOLEAN:
		value.boolean = true;
		break;
	case VALUE_TIMESTAMP:
		value.timestamp_ms = 1577836800000;
		break;
	case VALUE_STRING_LIST:
		value.list.at = element;
		value.list.first = 1;
		value.list.count = *(const uint8_t *)item & 0x80 ? 11 : 2;
		break;
	case VALUE_MISSING:
		break;
	}
	return value;
}

static void check_error(const struct error *err)
{
	size_t bytes = strlen(err->text);
	if (strncmp(err->text, "filter", 6) != 0 || strchr(err->text, '\n') || !utf8_valid(err->text, bytes))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes == 0)
		return 0;
	struct filter *filter;
	struct error err = { 0 };
	int code = filter_compile(&filter, (const char *)data + 1, bytes - 1, schema, sizeof schema / sizeof *schema,
				  &err);
	if (code) {
		if (filter || code != E_INVALID)
			abort();
		check_error(&err);
		return 0;
	}
	uint8_t all = 0xff, none = 0;
	bool first = filter_match(filter, get, data, &all);
	if (first != filter_match(filter, get, data, &all))
		abort();
	filter_match(filter, get, &all, NULL);
	filter_match(filter, get, &none, &none);
	if (filter_always(filter) && !filter_match(filter, get, &none, NULL))
		abort();
	/* What reads nothing of the last item cannot depend on it. */
	if (!filter_uses_last(filter) && first != filter_match(filter, get, data, NULL))
		abort();
	filter_free(filter);
	return 0;
}
