/* Values of an item's attributes from text and to text. Pure. */
#ifndef KINDRED_CLI_ITEM_VALUE_H
#define KINDRED_CLI_ITEM_VALUE_H

#include "cli/types.h"
#include "common/arena.h"

/*
 * Sets the attribute's value: a list's elements are separated by separator, empty ones are left out.
 * Texts are copied into the arena. E_INVALID: "'abc' is not a number (1299.95)", or too long; E_EXHAUSTED.
 */
int attribute_parse(Kindred__V1__Attribute *attribute, attribute_type type, const struct field *field,
		    const char *separator, const struct notation *notation, struct arena *arena, struct error *err);

/* The value as text, malloced; NULL: no memory. */
char *attribute_text(const Kindred__V1__Attribute *attribute);

#endif
