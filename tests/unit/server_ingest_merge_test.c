/* A batch that was split by worker comes back in the order of the request. */
#include "server/ingest.h"

#include "kindred/v1/events.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * A worker's answer, packed as protobuf-c packs it. reasons[i]: of event `i` of the share, NULL when it
 * is not refused.
 */
static struct buffer answer_of(const Kindred__V1__Outcome *outcomes, size_t count, const char *const *reasons)
{
	Kindred__V1__IngestEventsResponse response = KINDRED__V1__INGEST_EVENTS_RESPONSE__INIT;
	Kindred__V1__Refusal refusals[16], *pointers[16];
	struct buffer packed = { 0 };

	response.outcomes = (Kindred__V1__Outcome *)outcomes;
	response.n_outcomes = count;
	response.refusals = pointers;
	for (size_t i = 0; reasons && i < count; i++) {
		if (!reasons[i])
			continue;
		kindred__v1__refusal__init(&refusals[i]);
		refusals[i].index = (uint32_t)i;
		refusals[i].reason = (char *)reasons[i];
		pointers[response.n_refusals++] = &refusals[i];
	}
	assert_int_equal(buffer_pack(&packed, &response.base), 0);
	return packed;
}

#define ACCEPTED KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED
#define DUPLICATE KINDRED__V1__OUTCOME__OUTCOME_DUPLICATE
#define DROPPED KINDRED__V1__OUTCOME__OUTCOME_DROPPED
#define REFUSED KINDRED__V1__OUTCOME__OUTCOME_REFUSED

static void test_order_of_the_request(void **state)
{
	const uint32_t first_indexes[] = { 0, 3, 4 }, second_indexes[] = { 1, 2, 5 };
	const Kindred__V1__Outcome first[] = { ACCEPTED, REFUSED, DUPLICATE }, second[] = { REFUSED, DROPPED, REFUSED };
	const char *first_reasons[] = { NULL, "user_id: empty", NULL };
	const char *second_reasons[] = { "type: empty", NULL, "time: 1969" };
	struct buffer one = answer_of(first, 3, first_reasons), two = answer_of(second, 3, second_reasons),
		      merged = { 0 };
	/* the second worker is listed first: shares come in any order */
	struct ingest_share shares[] = { { second_indexes, 3, two.data, two.bytes },
					 { first_indexes, 3, one.data, one.bytes } };
	const Kindred__V1__Outcome expected[] = { ACCEPTED, REFUSED, DROPPED, REFUSED, DUPLICATE, REFUSED };
	struct error err;

	(void)state;
	assert_int_equal(ingest_merge(shares, 2, 6, &merged, &err), 0);
	Kindred__V1__IngestEventsResponse *response =
		kindred__v1__ingest_events_response__unpack(NULL, merged.bytes, merged.data);
	assert_non_null(response);
	assert_int_equal(response->n_outcomes, 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(response->outcomes[i], expected[i]);
	assert_int_equal(response->n_refusals, 3);
	assert_int_equal(response->refusals[0]->index, 1);
	assert_string_equal(response->refusals[0]->reason, "type: empty");
	assert_int_equal(response->refusals[1]->index, 3);
	assert_string_equal(response->refusals[1]->reason, "user_id: empty");
	assert_int_equal(response->refusals[2]->index, 5);
	assert_string_equal(response->refusals[2]->reason, "time: 1969");
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);
	buffer_fini(&one);
	buffer_fini(&two);
	buffer_fini(&merged);
}

/* An answer that is not of the events a worker was given is our bug, never a wrong outcome for somebody. */
static void test_answers_that_do_not_fit(void **state)
{
	const uint32_t indexes[] = { 0, 1 };
	const Kindred__V1__Outcome three[] = { ACCEPTED, ACCEPTED, REFUSED };
	const char *reasons[] = { NULL, NULL, "type: empty" };
	struct buffer many = answer_of(three, 3, NULL), few = answer_of(three, 1, NULL), merged = { 0 };
	struct buffer beyond = answer_of(three, 3, reasons);
	struct ingest_share share = { indexes, 2, many.data, many.bytes };
	struct error err;

	(void)state;
	assert_int_equal(ingest_merge(&share, 1, 2, &merged, &err), E_INTERNAL);
	share.answer = few.data;
	share.answer_bytes = few.bytes;
	assert_int_equal(ingest_merge(&share, 1, 2, &merged, &err), E_INTERNAL);
	share.answer = beyond.data; /* without its first outcomes: the refusal's index is past the share */
	share.answer_bytes = beyond.bytes;
	assert_int_equal(ingest_merge(&share, 1, 2, &merged, &err), E_INTERNAL);
	share.answer = (const uint8_t *)"\x0a\x05\x01"; /* cut short */
	share.answer_bytes = 3;
	assert_int_equal(ingest_merge(&share, 1, 2, &merged, &err), E_INTERNAL);
	assert_int_equal(merged.bytes, 0);
	buffer_fini(&many);
	buffer_fini(&few);
	buffer_fini(&beyond);
	buffer_fini(&merged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_the_request),
		cmocka_unit_test(test_answers_that_do_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
