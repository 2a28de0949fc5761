#include "server/kept.h"

#include "common/model.h"
#include "server/generation.h"

#include <stdlib.h>

int kept_read(struct kept *kept, const char *models_directory, struct error *err)
{
	uint64_t *numbers = NULL;
	size_t count = 0;
	int rc;

	*kept = (struct kept){ 0 };
	rc = model_list(models_directory, &numbers, &count, err);
	if (rc)
		return rc;
	kept->list = calloc(count + 1, sizeof *kept->list);
	if (!kept->list) {
		free(numbers);
		return error_set(err, E_EXHAUSTED, "out of memory");
	}
	for (size_t i = 0; i < count; i++) {
		bool newest = i + 1 == count;

		kept->list[i].number = numbers[i];
		kept->list[i].held_back = generation_held_read(models_directory, numbers[i],
							       newest ? kept->held_why : NULL, sizeof kept->held_why);
		if (newest && kept->list[i].held_back)
			kept->held_accepted = generation_accepted_read(models_directory, numbers[i]);
	}
	kept->count = count;
	free(numbers);
	return 0;
}

void kept_free(struct kept *kept)
{
	free(kept->list);
	*kept = (struct kept){ 0 };
}

uint64_t kept_newest(const struct kept *kept)
{
	return kept->count ? kept->list[kept->count - 1].number : 0;
}

bool kept_has(const struct kept *kept, uint64_t number)
{
	for (size_t i = 0; i < kept->count; i++)
		if (kept->list[i].number == number)
			return true;
	return false;
}

uint64_t kept_held(const struct kept *kept)
{
	return kept->count && kept->list[kept->count - 1].held_back ? kept->list[kept->count - 1].number : 0;
}

uint64_t kept_before(const struct kept *kept, uint64_t below)
{
	for (size_t i = kept->count; i > 0; i--)
		if (kept->list[i - 1].number < below && !kept->list[i - 1].held_back)
			return kept->list[i - 1].number;
	return 0;
}

static bool must_stay(const struct kept_rules *rules, uint64_t number)
{
	for (size_t i = 0; i < rules->pinned_count; i++)
		if (rules->pinned[i] == number)
			return true;
	return number == rules->active;
}

size_t kept_cut(struct kept *kept, const struct kept_rules *rules, uint64_t *removed)
{
	size_t plain = 0, held = 0, to = kept->count, gone = 0;

	for (size_t i = kept->count; i > 0; i--) {
		struct kept_generation one = kept->list[i - 1];
		bool within = one.number != rules->replaced && (one.held_back ? held++ == 0 : plain++ < rules->limit);

		if (within || must_stay(rules, one.number))
			kept->list[--to] = one;
		else
			removed[gone++] = one.number;
	}
	kept->count -= gone;
	for (size_t i = 0; i < kept->count; i++)
		kept->list[i] = kept->list[to + i];
	return gone;
}
