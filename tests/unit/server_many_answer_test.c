/* RecommendMany: users nobody could answer are told so one by one; no answer outgrows what clients take. */
#include "common/error.h"
#include "server/many_answer.h"

#include "kindred/v1/recommend.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_failed_users_are_named(void **state)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	char *users[] = { "john", "jane", "", "caf\xe9" };
	const char *const read_back[] = { "john", "jane", "", "" }; /* what is not UTF-8 is left out */
	struct buffer packed = { 0 }, answer = { 0 };

	(void)state;
	request.user_ids = users;
	request.n_user_ids = 4;
	request.definition = "next";
	assert_int_equal(buffer_pack(&packed, &request.base), 0);
	assert_int_equal(many_answer_failed(&answer, packed.data, packed.bytes, E_UNAVAILABLE, "try again", 9), 0);
	Kindred__V1__RecommendManyResponse *response =
		kindred__v1__recommend_many_response__unpack(NULL, answer.bytes, answer.data);
	assert_non_null(response);
	assert_int_equal(response->n_results, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(response->results[i]->user_id, read_back[i]);
		assert_int_equal(response->results[i]->error_code, 14);
		assert_string_equal(response->results[i]->error, "try again");
	}
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	buffer_fini(&packed);
	buffer_fini(&answer);
}

struct pieces {
	unsigned count, results;
	size_t largest;
	char next[32]; /* the user expected next */
};

static void on_piece(void *context, const uint8_t *piece, size_t bytes)
{
	struct pieces *pieces = context;
	Kindred__V1__RecommendManyResponse *response = kindred__v1__recommend_many_response__unpack(NULL, bytes, piece);

	assert_non_null(response);
	assert_true(response->n_results > 0);
	assert_int_equal(response->generation, 7);
	assert_int_equal(response->definition_version, 3);
	for (size_t i = 0; i < response->n_results; i++) {
		snprintf(pieces->next, sizeof pieces->next, "user-%u", pieces->results++);
		assert_string_equal(response->results[i]->user_id, pieces->next);
	}
	pieces->count++;
	if (bytes > pieces->largest)
		pieces->largest = bytes;
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);
}

#define RESULTS 100

static struct buffer large_answer(void)
{
	static Kindred__V1__UserRecommendations results[RESULTS];
	Kindred__V1__UserRecommendations *pointers[RESULTS];
	Kindred__V1__RecommendManyResponse response = KINDRED__V1__RECOMMEND_MANY_RESPONSE__INIT;
	static char users[RESULTS][16];
	struct buffer packed = { 0 };

	for (unsigned i = 0; i < RESULTS; i++) {
		kindred__v1__user_recommendations__init(&results[i]);
		snprintf(users[i], sizeof users[i], "user-%u", i);
		results[i].user_id = users[i];
		pointers[i] = &results[i];
	}
	response.results = pointers;
	response.n_results = RESULTS;
	response.generation = 7;
	response.definition_version = 3;
	assert_int_equal(buffer_pack(&packed, &response.base), 0);
	return packed;
}

static void test_cut_at_results(void **state)
{
	struct buffer answer = large_answer();
	const size_t most[] = { 4 << 20, 1000, 200, 1 };

	(void)state;
	for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
		struct pieces pieces = { 0 };

		assert_int_equal(many_answer_cut(answer.data, answer.bytes, most[i], on_piece, &pieces), 0);
		assert_int_equal(pieces.results, RESULTS);
		if (most[i] > 20)
			assert_true(pieces.largest <= most[i]);
	}
	buffer_fini(&answer);
}

static void test_small_is_passed_as_it_is(void **state)
{
	struct buffer answer = large_answer();
	struct pieces pieces = { 0 };

	(void)state;
	assert_int_equal(many_answer_cut(answer.data, answer.bytes, answer.bytes, on_piece, &pieces), 0);
	assert_int_equal(pieces.count, 1);
	assert_int_equal(pieces.largest, answer.bytes);
	/* larger than allowed and cut short: not sent on */
	assert_int_equal(many_answer_cut(answer.data, answer.bytes - 1, 10, on_piece, &(struct pieces){ 0 }),
			 E_INVALID);
	buffer_fini(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed_users_are_named),
		cmocka_unit_test(test_cut_at_results),
		cmocka_unit_test(test_small_is_passed_as_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
