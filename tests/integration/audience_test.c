/*
 * A campaign to everybody: RecommendAudience gives every user exactly once, from one generation,
 * whatever happens meanwhile: ingest, swaps, dead workers, a restart with other workers, a client that
 * does not read.
 */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"
#include "lib/victim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define METHOD "/kindred.v1.RecommendationService/RecommendAudience"
#define USERS SMALL_SHOP_CROWD
#define SHOP_USERS SMALL_SHOP_USERS
#define AGES SMALL_SHOP_AGES
#define RESPONSES_MAX 4096
#define RESPONSE_BYTES ((256 << 10) + 8192) /* a portion, its last user beyond it, and the cursor */

static struct cluster cluster;
static struct rpc_client *client;
static int64_t loaded_ms;

static int setup(void **state)
{
	(void)state;
	small_shop_open(&cluster, &client);
	loaded_ms = small_shop_crowd(&cluster);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	small_shop_close(&cluster, client);
	return 0;
}

/* --- one audience, through as many calls as it takes --- */

struct audience {
	Kindred__V1__RecommendAudienceRequest request;
	Google__Protobuf__Duration active, inactive;
	struct rpc_stream *stream; /* NULL: no call is under way */
	uint8_t cursor[65536];
	uint64_t generation, version;
	int64_t as_of_s;
	unsigned responses;
	uint64_t users;
	bool shop_user[SHOP_USERS], user[USERS];
};

static struct audience audience;

static void audience_begin(void)
{
	memset(&audience, 0, sizeof audience);
	kindred__v1__recommend_audience_request__init(&audience.request);
	google__protobuf__duration__init(&audience.active);
	google__protobuf__duration__init(&audience.inactive);
	audience.request.definition = (char *)"wanted-next";
	/* All items of the shop, with names: 40 MB in all, more than sockets and windows hold. */
	audience.request.count = 40;
	audience.request.with_names = true;
}

static void call_again(void)
{
	struct error err;
	if (rpc_stream_open(&audience.stream, client, METHOD, &kindred__v1__recommend_audience_response__descriptor,
			    RPC_FOREVER, &err) != 0 ||
	    rpc_stream_send(audience.stream, &audience.request.base, &err) != 0 ||
	    rpc_stream_half_close(audience.stream, &err) != 0)
		fail_msg("%s", err.text);
}

static void hang_up(void)
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
	assert_true(number < (result->user_id[0] == 'm' ? USERS : SHOP_USERS));
	if (*seen)
		fail_msg("user %s comes a second time", result->user_id);
	*seen = true;
	for (size_t i = 0; i < result->n_items && audience.request.explain; i++)
		expect_cheap_and_explained(result->items[i]);
	audience.users++;
}

/* Everything of all calls is pinned to the same. */
static void take(const Kindred__V1__RecommendAudienceResponse *response)
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

/* Up to `most` responses. 1: there may be more; 0: the end; or the error that ended the call. */
static int read_some(unsigned most, struct error *err)
{
	for (unsigned i = 0; i < most; i++) {
		Kindred__V1__RecommendAudienceResponse *response = NULL;
		int got = rpc_stream_receive(audience.stream, RPC_FOREVER, NULL, &response, NULL, err);
		if (got <= 0)
			return got;
		take(response);
		kindred__v1__recommend_audience_response__free_unpacked(response, NULL);
	}
	return 1;
}

static void read_to_the_end(void)
{
	struct error err;
	int got = read_some(RESPONSES_MAX, &err);
	if (got != 0)
		fail_msg("%s", got > 0 ? "it does not end" : err.text);
	hang_up();
}

static void expect_all(void)
{
	assert_int_equal(audience.users, USERS + SHOP_USERS);
}

static int fails_with(const char *text)
{
	struct error err = { 0 };
	call_again();
	int got = read_some(RESPONSES_MAX, &err);
	hang_up();
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
	return got;
}

/* --- every user once --- */

/* And what the audience says of a user is what Recommend says, asked for the same generation and time. */
static void test_everybody_once(void **state)
{
	Kindred__V1__RecommendAudienceResponse *response = NULL;
	struct error err;
	(void)state;
	audience_begin();
	call_again();
	assert_int_equal(rpc_stream_receive(audience.stream, RPC_FOREVER, NULL, &response, NULL, &err), 1);
	assert_int_equal(response->n_results, 0);
	take(response);
	kindred__v1__recommend_audience_response__free_unpacked(response, NULL);
	assert_int_equal(rpc_stream_receive(audience.stream, RPC_FOREVER, NULL, &response, NULL, &err), 1);
	take(response);
	for (size_t i = 0; i < response->n_results; i += 50) {
		const Kindred__V1__UserRecommendations *result = response->results[i];
		Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
		Kindred__V1__RecommendResponse *answer = NULL;
		request.user_id = result->user_id;
		request.definition = audience.request.definition;
		request.count = audience.request.count;
		request.generation = response->generation;
		request.as_of = response->as_of;
		assert_int_equal(api_try(client, "/kindred.v1.RecommendationService/Recommend", &request.base,
					 &kindred__v1__recommend_response__descriptor, &answer, &err),
				 0);
		Kindred__V1__RecommendResponse same = { .n_items = result->n_items, .items = result->items };
		assert_true(api_same_items(answer, &same));
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	kindred__v1__recommend_audience_response__free_unpacked(response, NULL);
	read_to_the_end();
	expect_all();
	assert_true(audience.responses > 10);
	/* The last cursor is the end of it. */
	call_again();
	read_to_the_end();
	expect_all();
}

static void test_filter_and_explain(void **state)
{
	struct error err;
	(void)state;
	audience_begin();
	audience.request.filter = (char *)"price < 5";
	audience.request.explain = true;
	call_again();
	assert_int_equal(read_some(2, &err), 1);
	hang_up();
	call_again(); /* goes on behind the cursor */
	read_to_the_end();
	expect_all();
	struct output output = cluster_run(
		&cluster, CLI("export", "wanted-next", "--filter", "price < 5", "--format", "csv", "--quiet"));
	unsigned lines = 0;
	char *save = NULL;
	assert_int_equal(output.code, 0);
	for (char *line = strtok_r(output.out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char item = 0;
		if (sscanf(line, "%*[^,],%*u,%*c%c", &item) == 1)
			assert_in_range(item, '0', '3');
		lines++;
	}
	assert_in_range(lines, USERS + SHOP_USERS + 1, UINT32_MAX);
	output_free(&output);
}

static void test_by_activity(void **state)
{
	(void)state;
	audience_begin();
	audience.request.active_within = &audience.active;
	audience.active.seconds = 30 * 86400;
	call_again();
	read_to_the_end();
	assert_int_equal(audience.users, USERS / AGES * 30 + SHOP_USERS);
	for (unsigned i = 0; i < USERS; i++)
		assert_int_equal(audience.user[i], i % AGES < 30);

	audience_begin();
	audience.request.inactive_for = &audience.inactive;
	audience.inactive.seconds = 30 * 86400;
	call_again();
	read_to_the_end();
	assert_int_equal(audience.users, USERS / AGES * 70);
	for (unsigned i = 0; i < USERS; i++)
		assert_int_equal(audience.user[i], i % AGES >= 30);

	/* Lapsed: active within 90 days and not in the last 60. */
	audience_begin();
	audience.request.active_within = &audience.active;
	audience.active.seconds = 90 * 86400;
	audience.request.inactive_for = &audience.inactive;
	audience.inactive.seconds = 60 * 86400;
	call_again();
	read_to_the_end();
	for (unsigned i = 0; i < USERS; i++)
		assert_int_equal(audience.user[i], i % AGES >= 60 && i % AGES < 90);

	/* Forty days ago, a user who has done more since is who he was then. */
	Google__Protobuf__Timestamp as_of = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	audience_begin();
	audience.request.as_of = &as_of;
	as_of.seconds = loaded_ms / 1000 - 40 * 86400;
	call_again();
	read_to_the_end();
	for (unsigned i = 0; i < USERS; i++)
		assert_int_equal(audience.user[i], i % 2 || i % AGES >= 40);
}

/* Broken off after every few responses; the server restarted with other workers in the middle. */
static void test_goes_on_behind_every_response(void **state)
{
	struct error err;
	int got = 1;
	(void)state;
	audience_begin();
	for (unsigned calls = 0; got > 0; calls++) {
		call_again();
		got = read_some(1 + calls % 4, &err);
		if (got < 0)
			fail_msg("%s", err.text);
		hang_up();
		if (calls == 5 || calls == 10) {
			rpc_close(client);
			assert_int_equal(cluster_stop(&cluster), 0);
			cluster_start(&cluster, CLI("--workers", calls == 5 ? "5" : "2", "--build-every-minutes", "0"));
			client = api_open(&cluster);
		}
	}
	expect_all();
}

/* --- while other things happen --- */

static bool pinned_is_gone(void *context)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Kindred__V1__RecommendResponse *answer = NULL;
	struct error err;
	request.user_id = (char *)"m1";
	request.definition = (char *)"wanted-next";
	request.generation = *(uint64_t *)context;
	int code = api_try(client, "/kindred.v1.RecommendationService/Recommend", &request.base,
			   &kindred__v1__recommend_response__descriptor, &answer, &err);
	if (code == 0)
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	return code == E_PRECONDITION && strstr(err.text, "not kept");
}

/*
 * Four builds, of which three are kept, and events, while a client reads slowly: all is of the
 * generation it began with.
 */
static void test_swaps_and_ingest_beside(void **state)
{
	struct error err;
	(void)state;
	/*
	 * what was there when the server started stays for some minutes: calls that its end broke off
	 * may be pinned to it
	 */
	cluster_ok(&cluster, CLI("model", "build"));
	audience_begin();
	call_again();
	assert_int_equal(read_some(2, &err), 1);
	uint64_t generation = audience.generation;
	for (unsigned i = 0; i < 4; i++) {
		char user[16];
		for (unsigned j = 0; j < 50; j++) {
			snprintf(user, sizeof user, "x%u", i * 50 + j);
			api_ingest(client, "shop", user, "a1", "Viewed", NULL);
			snprintf(user, sizeof user, "m%u", (i * 50 + j) * 37);
			api_ingest(client, "shop", user, "b2", "Viewed", NULL);
		}
		cluster_ok(&cluster, CLI("model", "build"));
		assert_int_equal(read_some(1, &err), 1);
	}
	assert_true(api_active_generation(client) >= generation + 4);
	assert_false(pinned_is_gone(&generation)); /* it is held */
	/* A worker that never had it is given it: the call goes on after its death. */
	struct victim victim = { 0 };
	victim_kill(&victim, client);
	int got;
	while ((got = read_some(1, &err)) != 0) {
		if (got > 0)
			continue;
		if (got != E_UNAVAILABLE)
			fail_msg("%s: %s", error_name(got), err.text);
		hang_up();
		call_again();
	}
	hang_up();
	expect_all();
	assert_int_equal(audience.generation, generation);
	wait_until("the generation is not kept any more", pinned_is_gone, &generation);
	assert_int_equal(fails_with("not kept"), E_PRECONDITION);
}

/* RecommendMany of a kept generation: what it said before the next was built. */
static void test_many_of_a_kept_generation(void **state)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	Kindred__V1__RecommendManyResponse *response;
	uint64_t before = api_active_generation(client);
	char *users[] = { (char *)"m1", (char *)"m2", (char *)"m3", (char *)"m4", (char *)"m5" };
	struct rpc_stream *stream;
	struct error err;
	(void)state;
	cluster_ok(&cluster, CLI("model", "build"));
	request.definition = (char *)"wanted-next";
	request.n_user_ids = 5;
	request.user_ids = users;
	request.generation = before;
	assert_int_equal(rpc_stream_open(&stream, client, "/kindred.v1.RecommendationService/RecommendMany",
					 &kindred__v1__recommend_many_response__descriptor, RPC_FOREVER, &err),
			 0);
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	for (size_t results = 0; results < 5;) {
		assert_int_equal(rpc_stream_receive(stream, RPC_FOREVER, NULL, &response, NULL, &err), 1);
		assert_int_equal(response->generation, before);
		results += response->n_results;
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	}
	request.generation = 12345;
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	assert_int_equal(rpc_stream_receive(stream, RPC_FOREVER, NULL, &response, NULL, &err), E_PRECONDITION);
	rpc_stream_free(stream);
}

static void test_workers_killed(void **state)
{
	struct victim victims[] = { { .number = 0 }, { .number = 1 } };
	struct error err;
	unsigned broken = 0, round = 0;
	int got;
	(void)state;
	audience_begin();
	call_again();
	while ((got = read_some(1, &err)) != 0) {
		if (got > 0 && ++round % 12 == 0 && round < 60)
			victim_kill(&victims[round / 12 % 2], client);
		if (got > 0)
			continue;
		if (got != E_UNAVAILABLE || !strstr(err.text, "last cursor"))
			assert_true(got == E_UNAVAILABLE && strstr(err.text, "restarting"));
		broken++;
		hang_up();
		call_again();
	}
	hang_up();
	assert_true(broken > 0);
	expect_all();
	for (unsigned i = 0; i < 2; i++)
		victim_await(&victims[i], client);
}

static long resident_kb(pid_t pid)
{
	char path[64], line[256];
	long kb = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		sscanf(line, "VmRSS: %ld", &kb);
	fclose(file);
	return kb;
}

static unsigned long long users_answered(void)
{
	static const char name[] = "\nkindred_recommend_users_total ";
	char url[128];
	snprintf(url, sizeof url, "http://%s/metrics", cluster.admin);
	struct output metrics = program_run("/usr/bin/curl", NULL, CLI("-sf", url));
	const char *at = strstr(metrics.out, name);
	assert_non_null(at);
	unsigned long long users = strtoull(at + strlen(name), NULL, 10);
	output_free(&metrics);
	return users;
}

/* A client that stops reading holds the work back, and nobody else. */
static void test_slow_client(void **state)
{
	struct error err;
	(void)state;
	long before = resident_kb(cluster.server);
	unsigned long long users_before = users_answered();
	audience_begin();
	call_again();
	assert_int_equal(read_some(2, &err), 1);
	for (unsigned i = 0; i < 300; i++) {
		Kindred__V1__RecommendResponse *answer = api_recommend(client, "wanted-next", "m7", 5);
		assert_int_equal(answer->n_items, 5);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	long grown = resident_kb(cluster.server) - before;
	print_message("a client that does not read: %ld kB more in the server\n", grown);
	assert_true(grown < 24 * 1024); /* of 40 MB that it would get */
	/* The connection takes little ahead: the tests below reckon with a call that is far from over. */
	unsigned long long ahead = users_answered() - users_before;
	print_message("and %llu users answered ahead\n", ahead);
	assert_true(ahead < (USERS + SHOP_USERS) / 4);
	/* Another one beside it goes through all. */
	char out[256];
	snprintf(out, sizeof out, "%s/beside.ndjson.gz", cluster.home);
	cluster_ok(&cluster, CLI("export", "wanted-next", "--out", out, "--compress", "gzip"));
	read_to_the_end();
	expect_all();
}

/*
 * It dies and is back while the client does not read, so that nothing is asked of it: the walk it had
 * is not there any more.
 */
static void test_worker_back_before_it_is_asked(void **state)
{
	struct error err;
	int got;
	(void)state;
	audience_begin();
	call_again();
	assert_int_equal(read_some(2, &err), 1);
	Kindred__V1__RecommendResponse *answer =
		api_recommend(client, "wanted-next", "m7", 5); /* the stream is full by now */
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	struct victim victim = { 0 };
	victim_kill(&victim, client);
	victim_await(&victim, client);
	while ((got = read_some(RESPONSES_MAX, &err)) < 0) {
		if (got != E_UNAVAILABLE)
			fail_msg("%s: %s", error_name(got), err.text);
		hang_up();
		call_again();
	}
	hang_up();
	expect_all();
}

/* --- a disk that turned a byte --- */

#define DAMAGED 12345

/* Of the user's id, in the shard's file. */
static unsigned damage_shard(unsigned shard)
{
	char path[256], id[16];
	char *bytes, *at;
	unsigned found = 0;
	int length = snprintf(id, sizeof id, "m%u", DAMAGED);
	snprintf(path, sizeof path, "%s/data/shards/%03u/data.mdb", cluster.home, shard);
	FILE *file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size_t count = (size_t)ftell(file);
	rewind(file);
	bytes = malloc(count);
	assert_int_equal(fread(bytes, 1, count, file), count);
	for (char *from = bytes; (at = memmem(from, count - (size_t)(from - bytes), id, (size_t)length));
	     from = at + 1) {
		at[length - 1] = '\xff';
		found++;
	}
	rewind(file);
	assert_int_equal(fwrite(bytes, 1, count, file), count);
	assert_int_equal(fclose(file), 0);
	free(bytes);
	return found;
}

/* Text that is none makes many clients throw away the whole response: that user alone is missing. */
static void test_a_damaged_id_is_left_out(void **state)
{
	unsigned found = 0;
	(void)state;
	rpc_close(client);
	assert_int_equal(cluster_stop(&cluster), 0);
	for (unsigned shard = 0; shard < 16; shard++)
		found += damage_shard(shard);
	assert_true(found > 0);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	client = api_open(&cluster);
	audience_begin();
	call_again();
	read_to_the_end();
	assert_int_equal(audience.users, USERS + SHOP_USERS - 1);
	assert_false(audience.user[DAMAGED]);
}

/* --- what is refused --- */

static void test_cursors_are_checked(void **state)
{
	struct error err;
	(void)state;
	cluster_ok(&cluster,
		   CLI("define", "changing", "--catalog", "shop", "--event", "Purchased=5", "--event", "Viewed=1"));
	audience_begin();
	audience.request.definition = (char *)"changing";
	call_again();
	assert_int_equal(read_some(2, &err), 1);
	hang_up();
	audience.request.count = 39;
	assert_int_equal(fails_with("another request"), E_INVALID);
	audience.request.count = 40;
	audience.request.filter = (char *)"price < 5";
	assert_int_equal(fails_with("another request"), E_INVALID);
	audience.request.filter = (char *)"";
	audience.cursor[20] ^= 1;
	assert_int_equal(fails_with("damaged"), E_INVALID);
	audience.cursor[20] ^= 1;
	audience.cursor[0]++;
	assert_int_equal(fails_with("format"), E_INVALID);
	audience.cursor[0]--;
	audience.request.generation = audience.generation + 1;
	assert_int_equal(fails_with("generation"), E_INVALID);
	audience.request.generation = 0;
	cluster_ok(&cluster, CLI("define", "changing", "--catalog", "shop", "--event", "Purchased=5", "--event",
				 "Viewed=1", "--count", "3"));
	assert_int_equal(fails_with("begin again"), E_PRECONDITION);
	audience_begin();
	audience.request.definition = (char *)"none";
	assert_int_equal(fails_with("none of that name"), E_NOT_FOUND);
	audience_begin();
	audience.request.filter = (char *)"price < true";
	assert_int_equal(fails_with("filter, character"), E_INVALID);
	audience_begin();
	audience.request.generation = 9999;
	assert_int_equal(fails_with("not kept"), E_PRECONDITION);
}

/* Another definition, though it is alike and was never changed; its version goes on. */
static void test_a_definition_made_again_is_noticed(void **state)
{
	struct error err;
	(void)state;
	cluster_ok(&cluster,
		   CLI("define", "again", "--catalog", "shop", "--event", "Purchased=5", "--event", "Viewed=1"));
	audience_begin();
	audience.request.definition = (char *)"again";
	call_again();
	assert_int_equal(read_some(2, &err), 1);
	hang_up();
	assert_int_equal(audience.version, 1);
	cluster_ok(&cluster, CLI("definitions", "delete", "again", "--yes"));
	assert_int_equal(fails_with("none of that name"), E_NOT_FOUND);
	cluster_ok(&cluster,
		   CLI("define", "again", "--catalog", "shop", "--event", "Purchased=5", "--event", "Viewed=1"));
	assert_int_equal(fails_with("made again"), E_PRECONDITION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everybody_once),
		cmocka_unit_test(test_filter_and_explain),
		cmocka_unit_test(test_by_activity),
		cmocka_unit_test(test_goes_on_behind_every_response),
		cmocka_unit_test(test_slow_client),
		cmocka_unit_test(test_workers_killed),
		cmocka_unit_test(test_worker_back_before_it_is_asked),
		cmocka_unit_test(test_cursors_are_checked),
		cmocka_unit_test(test_a_definition_made_again_is_noticed),
		cmocka_unit_test(test_many_of_a_kept_generation),
		cmocka_unit_test(test_swaps_and_ingest_beside),
		cmocka_unit_test(test_a_damaged_id_is_left_out),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
