/*
 * The real kindred-worker, driven with frames as the server would: what is promised about acks, order and deaths.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/shard.h"
#include "lib/preload.h"
#include "lib/worker_calls.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_INVALID 3
#define STATUS_DEADLINE 4
#define STATUS_NOT_FOUND 5
#define STATUS_EXHAUSTED 8
#define STATUS_INTERNAL 13
#define STATUS_UNAVAILABLE 14

static void test_every_event_gets_its_outcome(void **state)
{
	struct worker_process *process = *state;
	char long_id[300];
	memset(long_id, 'x', sizeof long_id - 1);
	long_id[sizeof long_id - 1] = '\0';
	const struct test_event events[] = {
		{ "john", "shoes", "Viewed", "e1", 1000 },
		{ "john", "shoes", "Viewed", "e1", 1000 },
		{ "", "shoes", "Viewed", "e2", 1000 },
		{ "john", long_id, "Viewed", "e3", 1000 },
		{ "john", "ball", "Purchased", NULL, 2000 },
		{ "jane", "ball", "Vie\xffwed", NULL, 2000 },
		{ "jane", "ball", "Viewed", NULL, clock_wall_ms() + 2 * DAY_MS },
		{ "jane", "ball", "Viewed", NULL, clock_wall_ms() + DAY_MS / 2 },
	};
	worker_start_shop(process);
	Kindred__V1__IngestEventsResponse *response = worker_ingest(process, events, 8);
	static const int expected[] = { 1, 2, 4, 4, 1, 4, 4, 1 };
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(response->outcomes[i], expected[i]);
	assert_int_equal(response->n_refusals, 4);
	assert_int_equal(response->refusals[0]->index, 2);
	assert_string_equal(response->refusals[0]->reason, "user_id: empty; 1 to 256 bytes are allowed");
	assert_int_equal(response->refusals[1]->index, 3);
	assert_string_equal(response->refusals[1]->reason, "item_id: 299 bytes; 1 to 256 are allowed");
	assert_non_null(strstr(response->refusals[2]->reason, "UTF-8"));
	assert_int_equal(response->refusals[3]->index, 6);
	assert_non_null(strstr(response->refusals[3]->reason, "a day from now"));
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);
	assert_int_equal(worker_kept_events(process, "john"), 2);
	assert_int_equal(worker_kept_events(process, "jane"), 1);

	Kindred__Internal__WorkerStats *stats = worker_stats(process);
	uint64_t accepted = 0, refused = 0, duplicates = 0;
	assert_int_equal(stats->n_shards, 4);
	for (size_t i = 0; i < stats->n_shards; i++) {
		accepted += stats->shards[i]->accepted;
		refused += stats->shards[i]->refused;
		duplicates += stats->shards[i]->duplicates;
	}
	assert_int_equal(accepted, 3);
	assert_int_equal(refused, 4);
	assert_int_equal(duplicates, 1);
	assert_true(stats->resident_bytes > 1000000);
	kindred__internal__worker_stats__free_unpacked(stats, NULL);
	assert_int_equal(worker_end(process), 0);
}

static void test_bad_batches_change_nothing(void **state)
{
	struct worker_process *process = *state;
	const struct test_event event = { "john", "shoes", "Viewed", NULL, 1000 };
	worker_start(process);
	uint64_t call = worker_send_events(process, &event, 1);
	worker_expect_error(process, call, STATUS_NOT_FOUND, "there is no catalog shop");
	worker_set_shop(process);
	call = worker_send(process, FRAME_CALL_INGEST, "\x0a\x05zz", 4);
	worker_expect_error(process, call, STATUS_INVALID, "not a kindred.v1.IngestEventsRequest");
	call = worker_send_events(process, &event, 0);
	worker_expect_error(process, call, STATUS_INVALID, "events: 0; 1 to 10000 a request are allowed");
	struct test_event *many = calloc(10001, sizeof *many);
	for (size_t i = 0; i < 10001; i++)
		many[i] = event;
	call = worker_send_events(process, many, 10001);
	worker_expect_error(process, call, STATUS_INVALID, "events: 10001");
	free(many);
	/* "john\0x" is another user than "john": nobody's, for ids hold no NUL */
	static const char nul[] = "\x0a\x15\x0a\x06john\0x\x12\x01i\x1a\x01V\x22\x02\x08\x01\x2a\x01"
				  "a"
				  "\x12\x04shop";
	call = worker_send(process, FRAME_CALL_INGEST, nul, sizeof nul - 1);
	struct worker_frame *frame = worker_reply(process, call);
	assert_int_equal(frame->head.status, 0);
	Kindred__V1__IngestEventsResponse *response =
		kindred__v1__ingest_events_response__unpack(NULL, frame->head.bytes, frame->payload);
	assert_int_equal(response->outcomes[0], KINDRED__V1__OUTCOME__OUTCOME_REFUSED);
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);
	free(frame);
	assert_int_equal(worker_kept_events(process, "john"), 0);
}

/* The server routes by the user's hash; a mistake there must not put a history where nobody looks for it. */
static void test_refuses_users_of_other_workers(void **state)
{
	struct worker_process *process = *state;
	process->shard_total = 4;
	process->first_shard = 1;
	process->shard_count = 2;
	worker_start_shop(process);
	unsigned taken = 0, refused = 0;
	for (int i = 0; i < 40; i++) {
		char user[24];
		snprintf(user, sizeof user, "user-%d", i);
		const struct test_event event = { user, "shoes", "Viewed", NULL, 1000 };
		struct worker_frame *frame = worker_reply(process, worker_send_events(process, &event, 1));
		taken += frame->head.status == 0;
		if (frame->head.status) {
			assert_int_equal(frame->head.status, STATUS_INTERNAL);
			assert_non_null(strstr((char *)frame->payload, "this worker has shards 1 to 2"));
			refused++;
		}
		free(frame);
	}
	assert_true(taken > 5 && refused > 5);
}

/*
 * Many calls are under way when it dies; a call answered before must be found afterwards, once, however
 * often it is sent again.
 */
static void test_acked_events_survive_kill(void **state)
{
	enum { CALLS = 300, ACKED = 120 };
	struct worker_process *process = *state;
	uint64_t calls[CALLS];
	char users[CALLS][24], ids[CALLS][24];
	worker_start_shop(process);
	for (int i = 0; i < CALLS; i++) {
		snprintf(users[i], sizeof users[i], "user-%d", i % 50);
		snprintf(ids[i], sizeof ids[i], "event-%d", i);
		const struct test_event event = { users[i], "shoes", "Viewed", ids[i], 1000 + i };
		calls[i] = worker_send_events(process, &event, 1);
	}
	for (int i = 0; i < ACKED; i++) {
		struct worker_frame *frame = worker_reply(process, calls[i]);
		assert_int_equal(frame->head.status, 0);
		free(frame);
	}
	worker_kill(process);

	worker_start_shop(process);
	unsigned duplicates = 0;
	for (int i = 0; i < CALLS; i++) {
		const struct test_event event = { users[i], "shoes", "Viewed", ids[i], 1000 + i };
		Kindred__V1__IngestEventsResponse *response = worker_ingest(process, &event, 1);
		if (i < ACKED)
			assert_int_equal(response->outcomes[0], KINDRED__V1__OUTCOME__OUTCOME_DUPLICATE);
		else
			assert_true(response->outcomes[0] == KINDRED__V1__OUTCOME__OUTCOME_DUPLICATE ||
				    response->outcomes[0] == KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED);
		duplicates += response->outcomes[0] == KINDRED__V1__OUTCOME__OUTCOME_DUPLICATE;
		kindred__v1__ingest_events_response__free_unpacked(response, NULL);
	}
	assert_true(duplicates >= ACKED);
	for (int i = 0; i < 50; i++)
		assert_int_equal(worker_kept_events(process, users[i]), CALLS / 50);
}

/* What a call sent after the ack says, whatever else is going on. */
static void test_reads_see_acked_writes(void **state)
{
	struct worker_process *process = *state;
	worker_start_shop(process);
	for (uint32_t i = 1; i <= 200; i++) {
		worker_ingest_one(process, "john", "shoes", "Viewed", 1000 + i);
		assert_int_equal(worker_kept_events(process, "john"), i);
	}
}

static void test_writes_of_one_user_keep_their_order(void **state)
{
	struct worker_process *process = *state;
	const struct test_event before[] = { { "john", "shoes", "Viewed", "e1", 1000 },
					     { "jane", "shoes", "Viewed", "e1", 1000 },
					     { "john", "ball", "Viewed", "e2", 2000 } };
	const struct test_event after = { "john", "ball", "Viewed", NULL, 0 };
	Kindred__V1__DeleteUserRequest forget = KINDRED__V1__DELETE_USER_REQUEST__INIT;
	forget.user_id = (char *)"john";
	worker_start_shop(process);
	/* without waiting in between: they meet in one group */
	uint64_t first = worker_send_events(process, before, 3);
	uint64_t deletion = worker_send_message(process, FRAME_CALL_DELETE_USER, &forget.base);
	uint64_t replay = worker_send_events(process, before, 3);
	free(worker_reply(process, first));
	struct worker_frame *frame = worker_reply(process, deletion);
	Kindred__V1__DeleteUserResponse *deleted =
		kindred__v1__delete_user_response__unpack(NULL, frame->head.bytes, frame->payload);
	assert_true(deleted->existed);
	assert_int_equal(deleted->deleted_events, 2);
	kindred__v1__delete_user_response__free_unpacked(deleted, NULL);
	free(frame);
	frame = worker_reply(process, replay);
	Kindred__V1__IngestEventsResponse *replayed =
		kindred__v1__ingest_events_response__unpack(NULL, frame->head.bytes, frame->payload);
	assert_int_equal(replayed->outcomes[0], KINDRED__V1__OUTCOME__OUTCOME_DROPPED);
	assert_int_equal(replayed->outcomes[1], KINDRED__V1__OUTCOME__OUTCOME_DUPLICATE);
	assert_int_equal(replayed->outcomes[2], KINDRED__V1__OUTCOME__OUTCOME_DROPPED);
	kindred__v1__ingest_events_response__free_unpacked(replayed, NULL);
	free(frame);
	assert_int_equal(worker_kept_events(process, "john"), 0);
	assert_int_equal(worker_kept_events(process, "jane"), 1);
	/* a new life, from a later moment on */
	for (int64_t start = clock_wall_ms(); clock_wall_ms() <= start;)
		;
	Kindred__V1__IngestEventsResponse *response = worker_ingest(process, &after, 1);
	assert_int_equal(response->outcomes[0], KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED);
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);

	forget.user_id = (char *)"";
	deletion = worker_send_message(process, FRAME_CALL_DELETE_USER, &forget.base);
	worker_expect_error(process, deletion, STATUS_INVALID, "user_id: empty");
}

/*
 * More than the disk takes: what does not fit the queue is refused at once, and what was acked, and only
 * that, is there.
 */
static void test_a_flood_is_refused(void **state)
{
	enum { FRAMES = 60, EVENTS = 10000 };
	struct worker_process *process = *state;
	static char users[1000][24];
	struct test_event *events = calloc(EVENTS, sizeof *events);
	uint64_t calls[FRAMES];
	for (int i = 0; i < 1000; i++)
		snprintf(users[i], sizeof users[i], "user-%d", i);
	for (int i = 0; i < EVENTS; i++)
		events[i] = (struct test_event){ users[i % 1000], "shoes", "Viewed", NULL, 1000 + i };
	worker_start_shop(process);

	/* as long as we write to a shard, the worker cannot, as if the disk took its time */
	char path[128];
	MDB_env *shard;
	MDB_txn *writing;
	snprintf(path, sizeof path, "%s/shards/000", process->home.path);
	assert_int_equal(mdb_env_create(&shard), 0);
	assert_int_equal(mdb_env_open(shard, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(shard, NULL, 0, &writing), 0);
	for (int i = 0; i < FRAMES; i++)
		calls[i] = worker_send_events(process, events, EVENTS);
	free(events);
	worker_expect_error(process, calls[FRAMES - 1], STATUS_EXHAUSTED, "wait to be written already");
	mdb_txn_abort(writing);
	mdb_env_close(shard);

	uint64_t acked = 0, refused = 1;
	for (int i = 0; i < FRAMES - 1; i++) {
		struct worker_frame *frame = worker_reply(process, calls[i]);
		acked += frame->head.status == 0;
		if (frame->head.status) {
			assert_int_equal(frame->head.status, STATUS_EXHAUSTED);
			assert_non_null(strstr((char *)frame->payload, "wait to be written already"));
			refused++;
		}
		free(frame);
	}
	/* the queue's, and the one that the writer has, if it had it in time */
	assert_in_range(acked, 10, 11);
	assert_int_equal(acked + refused, FRAMES);
	Kindred__Internal__WorkerStats *stats = worker_stats(process);
	uint64_t accepted = 0;
	for (size_t i = 0; i < stats->n_shards; i++)
		accepted += stats->shards[i]->accepted;
	assert_int_equal(accepted, acked * EVENTS);
	kindred__internal__worker_stats__free_unpacked(stats, NULL);
}

static void test_a_full_shard_fails_its_calls_alone(void **state)
{
	struct worker_process *process = *state;
	struct test_event events[100];
	uint32_t acked = 0;
	bool full = false;
	process->shard_total = process->shard_count = 1;
	process->shard_map_bytes = 1 << 20;
	worker_start_shop(process);
	char user[24];
	for (int i = 0; i < 10000 && !full; i++) {
		snprintf(user, sizeof user, "user-%d", i);
		for (int j = 0; j < 100; j++)
			events[j] = (struct test_event){ user, "shoes", "Viewed", NULL, 1000 + j };
		struct worker_frame *frame = worker_reply(process, worker_send_events(process, events, 100));
		full = frame->head.status != 0;
		if (full) {
			assert_int_equal(frame->head.status, STATUS_EXHAUSTED);
			assert_non_null(strstr((char *)frame->payload, "shard 0: "));
			assert_non_null(strstr((char *)frame->payload, "shard_map_gb"));
		} else {
			acked++;
		}
		free(frame);
	}
	assert_true(full && acked > 10);
	/* what was there can be read, and with more room it goes on */
	assert_int_equal(worker_kept_events(process, "user-0"), 100);
	assert_int_equal(worker_kept_events(process, user), 0);
	assert_int_equal(worker_end(process), 0);
	process->shard_map_bytes = 64 << 20;
	worker_start_shop(process);
	for (uint32_t i = 0; i < acked; i++) {
		snprintf(user, sizeof user, "user-%u", i);
		assert_int_equal(worker_kept_events(process, user), 100);
	}
	snprintf(user, sizeof user, "user-%u", acked);
	kindred__v1__ingest_events_response__free_unpacked(worker_ingest(process, events, 100), NULL);
	assert_int_equal(worker_kept_events(process, user), 100);
}

/* The worker's environment is the test's at that moment. */
static void start_with_failing_disk(struct worker_process *process, const char *trigger)
{
	setenv("FAILING_DISK", trigger, 1);
	preload_begin("failing_disk");
	worker_start_shop(process);
	preload_end();
	unsetenv("FAILING_DISK");
}

/*
 * LMDB reads nothing any more once writing its meta page has failed: the worker ends by itself, and the
 * next one opens the shard.
 */
static void test_a_passing_error_of_the_disk(void **state)
{
	struct worker_process *process = *state;
	const struct test_event event = { "john", "shoes", "Viewed", "second", 2000 };
	char trigger[160];
	snprintf(trigger, sizeof trigger, "%s/fail", process->home.path);
	start_with_failing_disk(process, trigger);
	worker_ingest_one(process, "john", "shoes", "Viewed", 1000);
	FILE *file = fopen(trigger, "w");
	assert_non_null(file);
	fclose(file);
	worker_expect_error(process, worker_send_events(process, &event, 1), 15,
			    "the disk is full or reports an error");
	assert_int_equal(worker_wait(process), 69);

	worker_start_shop(process);
	assert_int_equal(worker_kept_events(process, "john"), 1);
	worker_ingest_one(process, "john", "shoes", "Viewed", 3000);
	assert_int_equal(worker_kept_events(process, "john"), 2);
	assert_int_equal(worker_end(process), 0);
}

static void test_too_many_types_are_refused_one_by_one(void **state)
{
	enum { TYPES = 1002 };
	struct worker_process *process = *state;
	static char types[TYPES][24];
	struct test_event events[TYPES + 1];
	worker_start_shop(process);
	for (int i = 0; i < TYPES; i++) {
		snprintf(types[i], sizeof types[i], "type %d", i);
		events[i] = (struct test_event){ "john", "shoes", types[i], NULL, 1000 + i };
	}
	events[TYPES] = events[0];
	Kindred__V1__IngestEventsResponse *response = worker_ingest(process, events, TYPES + 1);
	for (int i = 0; i <= TYPES; i++)
		assert_int_equal(response->outcomes[i], i == 1000 || i == 1001 ? 4 : 1);
	assert_int_equal(response->n_refusals, 2);
	assert_int_equal(response->refusals[0]->index, 1000);
	assert_non_null(strstr(response->refusals[0]->reason, "\"type 1000\""));
	assert_int_equal(response->refusals[1]->index, 1001);
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);
	assert_int_equal(worker_kept_events(process, "john"), 1000); /* the cap */
}

static void test_lists_events_in_pages(void **state)
{
	struct worker_process *process = *state;
	worker_start_shop(process);
	struct test_event events[25];
	for (int i = 0; i < 25; i++)
		/* five at each time, so that pages end between equal times */
		events[i] = (struct test_event){ "john", "shoes", i % 2 ? "Viewed" : "Purchased", NULL,
						 1000 * (1 + i / 5) };
	kindred__v1__ingest_events_response__free_unpacked(worker_ingest(process, events, 25), NULL);
	char token[64] = "";
	uint32_t seen = 0;
	int64_t last_ms = INT64_MAX;
	do {
		Kindred__V1__ListUserEventsResponse *list = worker_list(process, "john", 7, token);
		assert_true(list->n_events <= 7);
		assert_int_equal(list->total_size, seen < 7 ? 25 : 25 + seen / 7);
		for (size_t i = 0; i < list->n_events; i++, seen++) {
			int64_t time_ms = list->events[i]->time->seconds * 1000;
			int number = 24 - (int)seen;
			assert_int_equal(time_ms, 1000 * (1 + number / 5));
			assert_string_equal(list->events[i]->type, number % 2 ? "Viewed" : "Purchased");
			assert_int_equal(strlen(list->events[i]->item_key), 16);
			assert_true(time_ms <= last_ms);
			last_ms = time_ms;
		}
		snprintf(token, sizeof token, "%s", list->next_page_token);
		kindred__v1__list_user_events_response__free_unpacked(list, NULL);
		/* newer events that come in between do not move the pages */
		worker_ingest_one(process, "john", "ball", "Viewed", 100000 + seen);
	} while (token[0]);
	assert_int_equal(seen, 25);

	Kindred__V1__ListUserEventsRequest request = KINDRED__V1__LIST_USER_EVENTS_REQUEST__INIT;
	request.user_id = (char *)"john";
	request.page_token = (char *)"7-1 ";
	uint64_t call = worker_send_message(process, FRAME_CALL_LIST_EVENTS, &request.base);
	worker_expect_error(process, call, STATUS_INVALID, "page_token");
	request.page_token = (char *)"";
	request.page_size = 10001;
	call = worker_send_message(process, FRAME_CALL_LIST_EVENTS, &request.base);
	worker_expect_error(process, call, STATUS_INVALID, "page_size: 10001");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_event_gets_its_outcome, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_bad_batches_change_nothing, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_refuses_users_of_other_workers, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_acked_events_survive_kill, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_reads_see_acked_writes, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_writes_of_one_user_keep_their_order, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_a_flood_is_refused, worker_process_setup, worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_a_full_shard_fails_its_calls_alone, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_a_passing_error_of_the_disk, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_too_many_types_are_refused_one_by_one, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_lists_events_in_pages, worker_process_setup,
						worker_process_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
