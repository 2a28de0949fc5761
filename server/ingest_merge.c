#include "server/ingest.h"

#include "common/wire.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* IngestEventsResponse; Refusal */
#define OUTCOMES_FIELD 1
#define REFUSALS_FIELD 2
#define REFUSAL_INDEX_FIELD 1
#define REFUSAL_REASON_FIELD 2

struct refusal {
	uint32_t index;
	const uint8_t *reason;
	size_t reason_bytes;
};

struct merge {
	uint8_t *outcomes; /* one a request's event; an outcome is a varint of one byte */
	struct refusal *refusals;
	size_t refusal_count;
	uint32_t events;
};

static int not_its_own(struct error *err)
{
	return error_set(err, E_INTERNAL, "a worker's answer does not fit the events it was given");
}

/* Outcomes come packed, or one by one. */
static int take_outcomes(struct merge *merge, const struct ingest_share *share, const struct wire_field *field,
			 uint32_t *seen, struct error *err)
{
	for (size_t i = 0; i < field->data_bytes; i++) {
		if (*seen == share->count || field->data[i] >= 0x80)
			return not_its_own(err);
		merge->outcomes[share->indexes[(*seen)++]] = field->data[i];
	}
	return 0;
}

static int take_refusal(struct merge *merge, const struct ingest_share *share, const struct wire_field *field,
			struct error *err)
{
	struct refusal *refusal = &merge->refusals[merge->refusal_count];
	uint64_t index = 0;

	if (merge->refusal_count == merge->events ||
	    wire_find_number(field->data, field->data_bytes, REFUSAL_INDEX_FIELD, &index) < 0 || index >= share->count)
		return not_its_own(err);
	if (wire_find(field->data, field->data_bytes, REFUSAL_REASON_FIELD, &refusal->reason, &refusal->reason_bytes) !=
	    1)
		refusal->reason_bytes = 0;
	refusal->index = share->indexes[index];
	merge->refusal_count++;
	return 0;
}

static int take_share(struct merge *merge, const struct ingest_share *share, struct error *err)
{
	struct wire_cursor cursor = { share->answer, share->answer + share->answer_bytes };
	struct wire_field field;
	uint32_t seen = 0;
	int rc, failed = 0;

	while (!failed && (rc = wire_next(&cursor, &field)) == 1) {
		if (field.number == OUTCOMES_FIELD)
			failed = take_outcomes(merge, share, &field, &seen, err);
		else if (field.number == REFUSALS_FIELD && field.type == WIRE_BYTES)
			failed = take_refusal(merge, share, &field, err);
	}
	if (!failed && (rc || seen != share->count))
		failed = not_its_own(err);
	return failed;
}

static int by_index(const void *a, const void *b)
{
	const struct refusal *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static int write_answer(struct merge *merge, struct buffer *answer, struct error *err)
{
	struct buffer inner = { 0 };
	int failed = buffer_field(answer, OUTCOMES_FIELD, merge->outcomes, merge->events);

	qsort(merge->refusals, merge->refusal_count, sizeof *merge->refusals, by_index);
	for (size_t i = 0; i < merge->refusal_count && !failed; i++) {
		const struct refusal *refusal = &merge->refusals[i];

		inner.bytes = 0;
		failed = buffer_number(&inner, REFUSAL_INDEX_FIELD, refusal->index) ||
			 buffer_field(&inner, REFUSAL_REASON_FIELD, refusal->reason, refusal->reason_bytes) ||
			 buffer_field(answer, REFUSALS_FIELD, inner.data, inner.bytes);
	}
	buffer_fini(&inner);
	return failed ? error_set(err, E_EXHAUSTED, "out of memory for the answer") : 0;
}

int ingest_merge(const struct ingest_share *shares, size_t share_count, uint32_t events, struct buffer *answer,
		 struct error *err)
{
	struct merge merge = { .outcomes = calloc(events + 1u, 1), .events = events };
	int rc = 0;

	merge.refusals = calloc(events + 1u, sizeof *merge.refusals);
	if (!merge.outcomes || !merge.refusals)
		rc = error_set(err, E_EXHAUSTED, "out of memory for the answer");
	for (size_t i = 0; i < share_count && !rc; i++)
		rc = take_share(&merge, &shares[i], err);
	if (!rc)
		rc = write_answer(&merge, answer, err);
	free(merge.outcomes);
	free(merge.refusals);
	return rc;
}
