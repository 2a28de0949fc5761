#include "worker/source.h"
#include "kindred/v1/recommend.pb-c.h"

enum lead { LEADS_NOT, LEADS_BY_ATTRIBUTES, LEADS_AS_LEARNT };

static enum lead lead_of(const struct model_relation *relation, uint32_t from, uint32_t to)
{
	for (uint64_t at = relation->offsets[from]; at < relation->offsets[from + 1]; at++)
		if (relation->rows[at] == to)
			return relation->by_attributes && model_bit(relation->by_attributes, at) ? LEADS_BY_ATTRIBUTES
												 : LEADS_AS_LEARNT;
	return LEADS_NOT;
}

/* Only cold items have neighbours by attributes, or are such neighbours. */
static bool may_be_similar(const struct model_relation *relation, const struct profile_item *profile, uint32_t count,
			   uint32_t row)
{
	if (!relation->by_attributes || !relation->cold)
		return false;
	if (model_bit(relation->cold, row))
		return true;
	for (uint32_t p = 0; p < count; p++)
		if (model_bit(relation->cold, profile[p].row) &&
		    lead_of(relation, profile[p].row, row) == LEADS_BY_ATTRIBUTES)
			return true;
	return false;
}

uint32_t source_of(const struct model_relation *relation, const struct profile_item *profile, uint32_t count,
		   uint32_t context_row, uint32_t row)
{
	if (context_row == MODEL_NO_ROW && !may_be_similar(relation, profile, count, row))
		return KINDRED__V1__SOURCE__SOURCE_PERSONAL;
	for (uint32_t p = 0; p < count; p++)
		if (profile[p].row != context_row &&
		    (profile[p].row == row || lead_of(relation, profile[p].row, row) == LEADS_AS_LEARNT))
			return KINDRED__V1__SOURCE__SOURCE_PERSONAL;
	return KINDRED__V1__SOURCE__SOURCE_SIMILAR;
}
