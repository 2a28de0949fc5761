#include "common/relation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPES_MAX 16

struct writer {
	char *key;
	size_t bytes;
};

/* A definition that was not checked by control.c may hold anything: what does not fit is left out, never overrun. */
static void put_char(struct writer *out, char c)
{
	if (out->bytes + 1 < RELATION_KEY_MAX)
		out->key[out->bytes++] = c;
}

static void put_text(struct writer *out, const char *text)
{
	while (*text)
		put_char(out, *text++);
}

static void put_type(struct writer *out, const char *type)
{
	char escaped[4];

	for (; *type; type++) {
		if (strchr("=;|%", *type)) {
			snprintf(escaped, sizeof escaped, "%%%02X", (unsigned char)*type);
			put_text(out, escaped);
		} else {
			put_char(out, *type);
		}
	}
}

static int by_type(const void *a, const void *b)
{
	const Kindred__V1__EventWeight *const *left = a;
	const Kindred__V1__EventWeight *const *right = b;

	return strcmp((*left)->type, (*right)->type);
}

size_t relation_key(const Kindred__V1__Definition *definition, char *key)
{
	const Kindred__V1__EventWeight *sorted[TYPES_MAX];
	size_t count = definition->n_events < TYPES_MAX ? definition->n_events : TYPES_MAX;
	struct writer out = { .key = key };
	char number[32];

	for (size_t i = 0; i < count; i++)
		sorted[i] = definition->events[i];
	qsort(sorted, count, sizeof sorted[0], by_type);

	for (size_t i = 0; i < count; i++) {
		float weight = sorted[i]->weight;

		if (i > 0)
			put_char(&out, ';');
		put_type(&out, sorted[i]->type);
		snprintf(number, sizeof number, "=%g", weight == 0 ? 1.0 : (double)weight);
		put_text(&out, number);
	}
	snprintf(number, sizeof number, "|window=%" PRId64,
		 definition->model_window ? definition->model_window->seconds : (int64_t)0);
	put_text(&out, number);
	if (definition->occasion == KINDRED__V1__OCCASION__OCCASION_VISIT)
		put_text(&out, "|occasion=visit");
	else if (definition->occasion == KINDRED__V1__OCCASION__OCCASION_AGAIN)
		put_text(&out, "|occasion=again");
	if (definition->session_pause && definition->session_pause->seconds > 0) {
		snprintf(number, sizeof number, "|session=%" PRId64, definition->session_pause->seconds);
		put_text(&out, number);
	}
	key[out.bytes] = '\0';
	return out.bytes;
}
