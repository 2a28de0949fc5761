/*
 * Which model generations are kept, and which of them are held back: built, but not served, because the
 * builder's gate found them worse than what was served then (builder/gate.h). A mark beside the file
 * says so, "00000007.held", with the reason as its text; it goes when somebody serves the generation
 * all the same. Losing it costs the mark, it never changes what is served.
 *
 * Pure, but for kept_read, which blocks: on a lane.
 */
#ifndef KINDRED_SERVER_KEPT_H
#define KINDRED_SERVER_KEPT_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HELD_WHY_MAX 1000

struct kept_generation {
	uint64_t number;
	bool held_back;
};

struct kept {
	struct kept_generation *list; /* ascending */
	size_t count;
	/* Of the newest one, when it is held back: */
	char held_why[HELD_WHY_MAX];
	uint64_t held_accepted; /* events that had ever been accepted when its build began; 0: not known */
};

/* kept is to be freed after an error too. */
int kept_read(struct kept *kept, const char *models_directory, struct error *err);
void kept_free(struct kept *kept);

/* 0: none. */
uint64_t kept_newest(const struct kept *kept);
bool kept_has(const struct kept *kept, uint64_t number);
/* The newest one, when it is held back; else 0: there is nothing to tell people of. */
uint64_t kept_held(const struct kept *kept);
/* The newest one before `below` that is not held back; 0: there is none. */
uint64_t kept_before(const struct kept *kept, uint64_t below);

/* What may go. */
struct kept_rules {
	uint64_t active; /* always stays */
	uint64_t replaced; /* goes, because a refresh has taken its place; 0: none */
	uint64_t limit; /* of those that are not held back the newest so many stay */
	const uint64_t *pinned; /* stay: calls are pinned to them */
	size_t pinned_count;
};

/*
 * Takes out of the list, and gives back in removed (room for kept->count), what goes by the rules. Of
 * those held back only the newest stays, beside the limit. Returns how many go.
 */
size_t kept_cut(struct kept *kept, const struct kept_rules *rules, uint64_t *removed);

#endif
