/*
 * Distinct texts with codes 0, 1, 2 .. in the order in which they came.
 */
#ifndef KINDRED_BUILDER_DICTIONARY_H
#define KINDRED_BUILDER_DICTIONARY_H

#include "builder/space.h"

#define DICTIONARY_NO_CODE UINT32_MAX

struct dictionary {
	struct pile offsets; /* uint64_t[count + 1] */
	struct pile bytes;
	struct region slots; /* uint32_t[mask + 1], code + 1; 0: free */
	uint32_t mask;
	uint32_t count;
};

/* All zero is not enough: the offsets have a first element. */
int dictionary_init(struct space *space, struct dictionary *dictionary, struct error *err);
void dictionary_fini(struct space *space, struct dictionary *dictionary);

/* The code of the text, which is added when new. DICTIONARY_NO_CODE: no memory (err is set). */
uint32_t dictionary_add(struct space *space, struct dictionary *dictionary, const char *text, size_t bytes,
			struct error *err);

#endif
