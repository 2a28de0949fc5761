#include "lib/audience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define METHOD "/kindred.v1.RecommendationService/RecommendAudience"
#define RESPONSE_BYTES ((256 << 10) + 8192) /* a portion, its last user beyond it, and the cursor */

struct audience audience;
int64_t audience_loaded_ms;

int audience_set_up(void **state)
{
	small_shop_set_up(state);
	audience_loaded_ms = small_shop_crowd(&shop.cluster);
	return 0;
}

void audience_begin(void)
{
	memset(&audience, 0, sizeof audience);
	kindred__v1__recommend_audience_request__init(&audience.request);
	google__protobuf__duration__init(&audience.active);
	google__protobuf__duration__init(&audience.inactive);
	audience.request.definition = (char *)"wanted-next";
	audience.request.count = 40;
	audience.request.with_names = true;
}

void audience_call(void)
{
	struct error err;
	if (rpc_stream_open(&audience.stream, shop.client, METHOD,
			    &kindred__v1__recommend_audience_response__descriptor, RPC_FOREVER, &err) != 0 ||
	    rpc_stream_send(audience.stream, &audience.request.base, &err) != 0 ||
	    rpc_stream_half_close(audience.stream, &err) != 0)
		fail_msg("%s", err.text);
}

void audience_hang_up(void)
{
	rpc_stream_free(audience.stream);
	audience.stream = NULL;
}

/* For the filter price < 5; the price of an item is its number and one. */
static void expect_cheap_and_explained(const Kindred__V1__RecommendedItem *item)
{
	int64_t sum = 0;
	for (size_t i = 0; i < item->n_parts; i++)
		sum += item->parts[i]->amount;
	assert_true(item->item_id[1] < '4');
	assert_true(item->n_parts > 0 && sum == item->score);
}

static void take_user(const Kindred__V1__UserRecommendations *result)
{
	unsigned number = (unsigned)strtoul(result->user_id + 1, NULL, 10);
	bool *seen = result->user_id[0] == 'm' ? &audience.user[number] : &audience.shop_user[number];
	if (result->user_id[0] == 'x')
		return; /* they come while it runs */
	assert_int_equal(result->error_code, 0);
	assert_true(result->n_items > 0);
	assert_true(number < (result->user_id[0] == 'm' ? SMALL_SHOP_CROWD : SMALL_SHOP_USERS));
	if (*seen)
		fail_msg("user %s comes a second time", result->user_id);
	*seen = true;
	for (size_t i = 0; i < result->n_items && audience.request.explain; i++)
		expect_cheap_and_explained(result->items[i]);
	audience.users++;
}

/* Everything of all calls is pinned to the same. */
void audience_take(const Kindred__V1__RecommendAudienceResponse *response)
{
	assert_true(response->generation > 0 && response->definition_version > 0 && response->as_of);
	if (audience.responses++ == 0) {
		audience.generation = response->generation;
		audience.version = response->definition_version;
		audience.as_of_s = response->as_of->seconds;
	}
	assert_int_equal(response->generation, audience.generation);
	assert_int_equal(response->definition_version, audience.version);
	assert_int_equal(response->as_of->seconds, audience.as_of_s);
	for (size_t i = 0; i < response->n_results; i++)
		take_user(response->results[i]);
	assert_true(kindred__v1__recommend_audience_response__get_packed_size(response) <= RESPONSE_BYTES);
	assert_true(response->cursor.len > 0 && response->cursor.len <= sizeof audience.cursor);
	memcpy(audience.cursor, response->cursor.data, response->cursor.len);
	audience.request.cursor = (ProtobufCBinaryData){ response->cursor.len, audience.cursor };
}

int audience_read(unsigned most, struct error *err)
{
	for (unsigned i = 0; i < most; i++) {
		Kindred__V1__RecommendAudienceResponse *response = NULL;
		int got = rpc_stream_receive(audience.stream, RPC_FOREVER, NULL, &response, NULL, err);
		if (got <= 0)
			return got;
		audience_take(response);
		kindred__v1__recommend_audience_response__free_unpacked(response, NULL);
	}
	return 1;
}

void audience_read_all(void)
{
	struct error err;
	int got = audience_read(AUDIENCE_RESPONSES_MAX, &err);
	if (got != 0)
		fail_msg("%s", got > 0 ? "it does not end" : err.text);
	audience_hang_up();
}

void audience_expect_all(void)
{
	assert_int_equal(audience.users, SMALL_SHOP_CROWD + SMALL_SHOP_USERS);
}

int audience_fails_with(const char *text)
{
	struct error err = { 0 };
	audience_call();
	int got = audience_read(AUDIENCE_RESPONSES_MAX, &err);
	audience_hang_up();
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
	return got;
}
