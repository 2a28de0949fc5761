/*
 * Calls that are pinned to a generation which is not the newest: it is there as long as they may want
 * it, whatever is built, killed or restarted.
 */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"
#include "lib/victim.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SERVICE "/kindred.v1.RecommendationService/"
#define OPTIONS(kept) CLI("--workers", "2", "--build-every-minutes", "0", "--generations-kept", kept)

/*
 * Beside those of the shop. All answers together are 1.5 MB: more than a client takes unasked
 * (common/rpc/client.c), hardly more than the server asks workers for ahead.
 */
#define MORE_USERS 320
#define USERS (SMALL_SHOP_USERS + MORE_USERS)

static struct cluster cluster;
static struct rpc_client *client;
static struct rpc_client *reader; /* nothing is read from its connection but when it is asked to */

static void add_users(void)
{
	char path[256];
	snprintf(path, sizeof path, "%s/more.csv", cluster.home);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "user,item,event\n");
	for (unsigned i = 0; i < MORE_USERS; i++)
		fprintf(file, "x%u,a%u,Viewed\n", i, i % 10);
	fclose(file);
	cluster_ok(&cluster, CLI("events", "import", "shop", path));
}

static int setup(void **state)
{
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, OPTIONS("1"));
	small_shop_load(&cluster);
	add_users();
	client = api_open(&cluster);
	reader = api_open(&cluster);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rpc_close(reader);
	small_shop_close(&cluster, client);
	return 0;
}

/* One that takes the place of the active one, whose file nothing but a pin keeps then. */
static void build(void)
{
	cluster_ok(&cluster, CLI("model", "build", "--promote"));
}

static void start_again(const char *kept)
{
	rpc_close(client);
	rpc_close(reader);
	cluster_start(&cluster, OPTIONS(kept));
	client = api_open(&cluster);
	reader = api_open(&cluster);
}

/* --- an audience --- */

struct audience {
	struct rpc_stream *stream;
	uint8_t cursor[4096];
	size_t cursor_bytes;
	uint64_t generation;
	unsigned users;
};

static void call(struct audience *audience, struct rpc_client *by)
{
	Kindred__V1__RecommendAudienceRequest request = KINDRED__V1__RECOMMEND_AUDIENCE_REQUEST__INIT;
	struct error err;
	request.definition = (char *)"wanted-next";
	request.count = 40;
	request.with_names = true;
	request.cursor = (ProtobufCBinaryData){ audience->cursor_bytes, audience->cursor };
	if (rpc_stream_open(&audience->stream, by, SERVICE "RecommendAudience",
			    &kindred__v1__recommend_audience_response__descriptor, RPC_FOREVER, &err) != 0 ||
	    rpc_stream_send(audience->stream, &request.base, &err) != 0 ||
	    rpc_stream_half_close(audience->stream, &err) != 0)
		fail_msg("%s", err.text);
}

/* False: the end. */
static bool read_one(struct audience *audience)
{
	Kindred__V1__RecommendAudienceResponse *response = NULL;
	struct error err;
	int got = rpc_stream_receive(audience->stream, API_PATIENCE_MS, NULL, &response, NULL, &err);
	if (got < 0)
		fail_msg("%s: %s", error_name(got), err.text);
	if (got == 0)
		return false;
	audience->users += (unsigned)response->n_results;
	audience->generation = response->generation;
	assert_true(response->cursor.len <= sizeof audience->cursor);
	memcpy(audience->cursor, response->cursor.data, response->cursor.len);
	audience->cursor_bytes = response->cursor.len;
	kindred__v1__recommend_audience_response__free_unpacked(response, NULL);
	return true;
}

static void hang_up(struct audience *audience)
{
	rpc_stream_free(audience->stream);
	audience->stream = NULL;
}

static void read_to_the_end(struct audience *audience)
{
	while (read_one(audience))
		;
	hang_up(audience);
	assert_int_equal(audience->users, USERS);
}

/*
 * Everything is answered, and waits for a client that does not read: the generation is still there for
 * another that goes on.
 */
static void test_what_was_not_read_can_be_asked_again(void **state)
{
	struct audience audience = { 0 };
	(void)state;
	build();
	call(&audience, reader);
	assert_true(read_one(&audience));
	build();
	build();
	build();
	struct audience again = audience;
	call(&again, client);
	read_to_the_end(&again);
	hang_up(&audience);
}

/* A server that is killed knows of no calls when it is back; what it finds it keeps for a while. */
static void test_a_killed_server_keeps_what_it_finds(void **state)
{
	struct audience audience = { 0 };
	(void)state;
	build();
	call(&audience, client);
	assert_true(read_one(&audience));
	hang_up(&audience);
	cluster_kill(&cluster);
	start_again("1");
	build();
	build();
	call(&audience, client);
	read_to_the_end(&audience);
}

/* --- a generation that workers have to be given --- */

#define ASKED 200

/* A kept generation that no worker has, as the server has just been started. */
static uint64_t one_to_be_loaded(void)
{
	assert_int_equal(cluster_stop(&cluster), 0);
	start_again("2");
	uint64_t before = api_active_generation(client);
	build();
	assert_int_equal(cluster_stop(&cluster), 0);
	start_again("2");
	return before;
}

static struct rpc_stream *ask_many(uint64_t generation)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	struct rpc_stream *stream;
	struct error err;
	char ids[ASKED][16], *users[ASKED];
	for (unsigned i = 0; i < ASKED; i++) {
		snprintf(ids[i], sizeof ids[i], "u%u", i);
		users[i] = ids[i];
	}
	request.definition = (char *)"wanted-next";
	request.n_user_ids = ASKED;
	request.user_ids = users;
	request.generation = generation;
	assert_int_equal(rpc_stream_open(&stream, client, SERVICE "RecommendMany",
					 &kindred__v1__recommend_many_response__descriptor, RPC_FOREVER, &err),
			 0);
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	assert_int_equal(rpc_stream_half_close(stream, &err), 0);
	return stream;
}

/* How many users were answered from that generation; the others' worker was away. */
static unsigned read_many(struct rpc_stream *stream, uint64_t generation)
{
	Kindred__V1__RecommendManyResponse *response;
	struct error err;
	unsigned answered = 0, all = 0;
	int got;
	while ((got = rpc_stream_receive(stream, API_PATIENCE_MS, NULL, &response, NULL, &err)) == 1) {
		for (size_t i = 0; i < response->n_results; i++, all++) {
			int code = error_from_grpc_status((int)response->results[i]->error_code);
			assert_true(code == 0 || code == E_UNAVAILABLE);
			assert_true(code || response->generation == generation);
			answered += code == 0;
		}
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	}
	if (got != 0)
		fail_msg("%s: %s", error_name(got), err.text);
	rpc_stream_free(stream);
	assert_int_equal(all, ASKED);
	return answered;
}

static pid_t pid_of_first(void)
{
	Kindred__V1__GetStatusResponse *status = api_status(client);
	pid_t pid = (pid_t)status->workers[0]->pid;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return pid;
}

/* Beside the question how it is, which this asks too. */
static bool first_has_calls(void *context)
{
	(void)context;
	Kindred__V1__GetStatusResponse *status = api_status(client);
	bool has = status->workers[0]->calls_in_flight > 1;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return has;
}

static void test_a_worker_that_dies_while_it_loads(void **state)
{
	struct victim victim = { .number = 0 };
	(void)state;
	uint64_t before = one_to_be_loaded();
	assert_int_equal(kill(pid_of_first(), SIGSTOP), 0);
	struct rpc_stream *stream = ask_many(before);
	wait_until("the worker is asked to load it", first_has_calls, NULL);
	victim_kill(&victim, client);
	assert_true(read_many(stream, before) > 0);
	victim_await(&victim, client);
	assert_int_equal(read_many(ask_many(before), before), ASKED);
}

/* While one worker still loads the generation, another begins anew, and has to be given it as well. */
static void test_a_worker_that_comes_up_meanwhile_is_given_it(void **state)
{
	struct victim victim = { .number = 1 };
	(void)state;
	uint64_t before = one_to_be_loaded();
	pid_t slow = pid_of_first();
	assert_int_equal(kill(slow, SIGSTOP), 0);
	struct rpc_stream *stream = ask_many(before);
	wait_until("the worker is asked to load it", first_has_calls, NULL);
	victim_kill(&victim, client);
	victim_await(&victim, client);
	assert_int_equal(kill(slow, SIGCONT), 0);
	assert_int_equal(read_many(stream, before), ASKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_not_read_can_be_asked_again),
		cmocka_unit_test(test_a_killed_server_keeps_what_it_finds),
		cmocka_unit_test(test_a_worker_that_dies_while_it_loads),
		cmocka_unit_test(test_a_worker_that_comes_up_meanwhile_is_given_it),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
