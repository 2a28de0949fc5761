/* The real kindred-worker answering for thousands of users: RecommendMany beside everything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/ids.h"
#include "lib/shop_worker.h"
#include "worker/uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATUS_INVALID 3
#define STATUS_DEADLINE 4
#define STATUS_NOT_FOUND 5

#define USERS 10000
#define HELD_USERS 4000 /* three messages of so many fit into the link */

static uint64_t send_list(struct worker_process *process, char **list, size_t users, const char *definition,
			  uint32_t count)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	request.n_user_ids = users;
	request.user_ids = list;
	request.definition = (char *)definition;
	request.count = count;
	return worker_send_message(process, FRAME_CALL_RECOMMEND_MANY, &request.base);
}

static char **user_list(uint32_t users)
{
	static char ids[USERS][16];
	static char *list[USERS];
	for (uint32_t i = 0; i < users; i++) {
		snprintf(ids[i], sizeof ids[i], "user-%u", i);
		list[i] = ids[i];
	}
	return list;
}

static uint64_t send_many(struct worker_process *process, uint32_t users, const char *definition)
{
	return send_list(process, user_list(users), users, definition, 8);
}

/* The same as a call for this user alone. */
static void assert_as_alone(struct worker_process *process, const Kindred__V1__UserRecommendations *one)
{
	Kindred__V1__RecommendResponse *alone = worker_recommend(process, one->user_id, "next", 8);
	assert_int_equal(one->error_code, 0);
	assert_int_equal(one->n_items, alone->n_items);
	for (size_t j = 0; j < one->n_items; j++) {
		assert_string_equal(one->items[j]->item_id, alone->items[j]->item_id);
		assert_int_equal(one->items[j]->score, alone->items[j]->score);
		assert_int_equal(one->items[j]->source, alone->items[j]->source);
	}
	kindred__v1__recommend_response__free_unpacked(alone, NULL);
}

static void test_many_users_as_one_by_one(void **state)
{
	struct worker_process *process = *state;
	for (int i = 0; i < 8; i++) {
		char user[24], item[24];
		snprintf(user, sizeof user, "user-%d", i);
		snprintf(item, sizeof item, "item-%d", i);
		worker_ingest_one(process, user, item, "Viewed", 1000);
	}
	Kindred__V1__RecommendManyResponse *response = worker_many_reply(process, send_many(process, 200, "next"));
	assert_int_equal(response->n_results, 200);
	assert_int_equal(response->generation, 1);
	assert_int_equal(response->definition_version, 1);
	for (size_t i = 0; i < 200; i++)
		assert_as_alone(process, response->results[i]);
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);

	char *users[] = { (char *)"user-0", (char *)"", (char *)"bad\xff", (char *)"user-1" };
	response = worker_many_reply(process, send_list(process, users, 4, "next", 100));
	assert_int_equal(response->n_results, 4);
	uint32_t empty = 0, unreadable = 0, answered = 0;
	for (size_t i = 0; i < 4; i++) {
		const Kindred__V1__UserRecommendations *one = response->results[i];
		if (one->error_code == 0) {
			assert_int_equal(one->n_items, 8);
			assert_int_equal(one->shortfall->wanted, 100);
			answered += 1u << (one->user_id[strlen("user-")] - '0');
			continue;
		}
		assert_int_equal(one->error_code, STATUS_INVALID);
		assert_string_equal(one->user_id, "");
		if (strcmp(one->error, "user_id: empty; 1 to 256 bytes are allowed") == 0)
			empty++;
		else
			unreadable++;
	}
	assert_int_equal(answered, 3); /* user-0 and user-1, each once */
	assert_int_equal(empty, 1);
	assert_int_equal(unreadable, 1);
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);

	worker_expect_error(process, send_many(process, 5, "none"), STATUS_NOT_FOUND, "'none'");
	worker_expect_error(process, send_many(process, 0, "next"), STATUS_INVALID, "user_ids: 0; 1 to 10000");
}

/* Of items that lead to others, that exclude, and that nobody knows. */
static void ingest_history(struct worker_process *process, const char *user, unsigned events)
{
	static const char *const items[] = { "item-0", "item-1", "item-2", "item-3", "no-item" };
	for (unsigned i = 0; i < events; i++)
		worker_ingest_one(process, user, items[(i * 7 + events) % 5], i % 9 == 4 ? "Purchased" : "Viewed",
				  1000 + i);
}

/*
 * Users who are worked on together, with histories that are looked up in none, one and several portions; in between
 * such that nothing is known of, such that come again, and such that are none.
 */
static void test_histories_of_any_length_together(void **state)
{
	enum { LENGTHS = 12, ROUNDS = 3, EACH = 4 };
	static const unsigned lengths[LENGTHS] = { 0, 1, 31, 32, 33, 63, 64, 65, 2, 96, 97, 130 };
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	char ids[LENGTHS][16], *list[LENGTHS * ROUNDS * EACH];
	size_t users = 0, bad = 0;
	shop->rules.definition.n_exclude_events = 1;
	shop->rules.definition.exclude_events = shop->rules.exclude;
	shop_worker_update(shop);
	for (unsigned i = 0; i < LENGTHS; i++) {
		snprintf(ids[i], sizeof ids[i], "long-%u", lengths[i]);
		ingest_history(process, ids[i], lengths[i]);
	}
	for (unsigned i = 0; i < LENGTHS * ROUNDS; i++) {
		list[users++] = ids[i * 5 % LENGTHS];
		if (i % 3 == 0)
			list[users++] = ids[i * 7 % LENGTHS];
		if (i % 5 == 0)
			list[users++] = (char *)"nobody";
		if (i % 4 == 0)
			list[users++] = (char *)"long-\xff";
	}
	Kindred__V1__RecommendManyResponse *response =
		worker_many_reply(process, send_list(process, list, users, "next", 8));
	assert_int_equal(response->n_results, users);
	for (size_t i = 0; i < users; i++) {
		if (response->results[i]->error_code == STATUS_INVALID)
			bad++;
		else
			assert_as_alone(process, response->results[i]);
	}
	assert_int_equal(bad, LENGTHS * ROUNDS / 4);
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);
}

/*
 * Users come in any order, and are read in that in which they lie on disk: by shard, and there by id. Each message has
 * one user more than any before, so that there is never room for it yet.
 */
static void test_users_are_answered_by_shard_and_id(void **state)
{
	enum { TURNS = 4, MOST = 150 };
	struct worker_process *process = *state;
	char ids[MOST][8], *list[MOST];
	for (uint32_t i = 0; i < MOST; i++) /* in order, each second one the beginning of the next */
		snprintf(ids[i], sizeof ids[i], "u%03u%s", i / 2 % 1000, i % 2 ? "a" : "");
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		uint32_t count = MOST - TURNS + 1 + turn;
		for (uint32_t i = 0; i < count; i++) {
			/* in order; backwards; mixed; in order but for the last */
			const uint32_t places[TURNS] = { i, count - 1 - i, i * 37 % count, (i + 1) % count };
			list[i] = ids[places[turn]];
		}
		Kindred__V1__RecommendManyResponse *response =
			worker_many_reply(process, send_list(process, list, count, "next", 1));
		assert_int_equal(response->n_results, count);
		for (uint32_t i = 1; i < count; i++) {
			const char *before = response->results[i - 1]->user_id, *id = response->results[i]->user_id;
			uint32_t shard_before = user_shard(before, strlen(before), process->shard_total);
			uint32_t shard = user_shard(id, strlen(id), process->shard_total);
			assert_true(shard_before <= shard);
			if (shard_before == shard)
				assert_true(strcmp(before, id) < 0); /* so nobody is there twice */
		}
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	}
}

/*
 * A call for one user that comes after messages of thousands, of which none is answered yet, is answered before them.
 */
static void test_one_user_does_not_wait_for_many(void **state)
{
	struct worker_process *process = *state;
	worker_hold(process);
	uint64_t many = send_many(process, HELD_USERS, "next");
	uint64_t more = send_many(process, HELD_USERS, "next");
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)"john";
	request.definition = (char *)"next";
	uint64_t one = worker_send_message(process, FRAME_CALL_RECOMMEND, &request.base);
	worker_go_on(process);
	uint64_t order[3];
	for (int i = 0; i < 3;) {
		struct worker_frame *frame = worker_next(process);
		assert_non_null(frame);
		if (frame->head.kind == FRAME_REPLY)
			order[i++] = frame->head.call;
		free(frame);
	}
	assert_int_equal(order[0], one);
	assert_int_equal(order[1], many);
	assert_int_equal(order[2], more);
}

static uint64_t users_answered(struct worker_process *process)
{
	Kindred__Internal__WorkerStats *stats = worker_stats(process);
	uint64_t users = stats->recommend_users;
	kindred__internal__worker_stats__free_unpacked(stats, NULL);
	return users;
}

/*
 * Nor does anybody wait for the end of a message that is in work: asked how far it is, the worker says so. Whether it
 * is asked in time is luck, but not for ever.
 */
static void test_others_are_answered_in_the_middle_of_many(void **state)
{
	struct worker_process *process = *state;
	bool seen = false;
	for (uint64_t before = 0, rounds = 0; !seen && rounds < 2000; before += USERS, rounds++) {
		uint64_t many = send_many(process, USERS, "next"), users;
		while ((users = users_answered(process)) == before)
			;
		seen = users < before + USERS;
		kindred__v1__recommend_many_response__free_unpacked(worker_many_reply(process, many), NULL);
	}
	assert_true(seen);
}

/*
 * A swap, an update and a drop in the middle of a message of users: its answer is still of one generation
 * and one version.
 */
static void test_many_users_are_one_generation(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	char second_path[4096];
	shop_worker_write(shop, 2, 3, second_path);
	uint64_t many = send_many(process, USERS, "next");
	Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;
	worker_serve_generation(process, second_path, 2);
	shop->rules.definition.filter = (char *)"price < 15";
	shop_worker_update(shop);
	command.number = 1;
	worker_send_message(process, FRAME_GENERATION_DROP, &command.base);
	shop_worker_expect(process, "john", 8, "item-0*");
	Kindred__V1__RecommendManyResponse *response = worker_many_reply(process, many);
	assert_int_equal(response->generation, 1);
	assert_int_equal(response->definition_version, 1);
	assert_int_equal(response->n_results, USERS);
	for (size_t i = 0; i < USERS; i++)
		assert_int_equal(response->results[i]->n_items, 8);
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);
}

static void test_cancelled_and_late_messages_of_users(void **state)
{
	struct worker_process *process = *state;
	uint64_t cancelled[3];
	worker_hold(process); /* or it might have answered before */
	for (int i = 0; i < 3; i++)
		cancelled[i] = send_many(process, HELD_USERS, "next");
	for (int i = 2; i >= 0; i--) {
		struct frame_head head = { .kind = FRAME_CANCEL, .call = cancelled[i], .timeout_ms = UINT32_MAX };
		worker_send_head(process, head, "");
	}
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	char *users[] = { (char *)"john" };
	uint8_t packed[64];
	request.n_user_ids = 1;
	request.user_ids = users;
	request.definition = (char *)"next";
	struct frame_head late = { .kind = FRAME_CALL_RECOMMEND_MANY, .call = 999999, .timeout_ms = 0 };
	late.bytes = (uint32_t)kindred__v1__recommend_many_request__pack(&request, packed);
	worker_send_head(process, late, packed);
	worker_go_on(process);
	worker_expect_error(process, 999999, STATUS_DEADLINE, "deadline");
	/* and one that may be in work, or done */
	struct frame_head begun = { .kind = FRAME_CANCEL, .call = send_many(process, USERS, "next") };
	(void)users_answered(process);
	worker_send_head(process, begun, "");
	worker_send(process, FRAME_DRAIN, "", 0);
	for (;;) {
		struct worker_frame *frame = worker_next(process);
		assert_non_null(frame);
		bool drained = frame->head.kind == FRAME_DRAINED;
		for (int i = 0; i < 3; i++)
			assert_false(frame->head.kind == FRAME_REPLY && frame->head.call == cancelled[i]);
		free(frame);
		if (drained)
			break;
	}
	assert_int_equal(worker_wait(process), 0);
}

static void test_counts_what_it_answered(void **state)
{
	struct worker_process *process = *state;
	kindred__v1__recommend_many_response__free_unpacked(worker_many_reply(process, send_many(process, 300, "next")),
							    NULL);
	shop_worker_expect(process, "john", 1, "item-0*");
	Kindred__Internal__WorkerStats *stats = worker_stats(process);
	assert_int_equal(stats->recommend_users, 301);
	assert_int_equal(stats->generation, 1);
	kindred__internal__worker_stats__free_unpacked(stats, NULL);
}

/* Nothing to do, or waiting for room: its loop sleeps, and has not run for a while. */
static bool is_idle(const struct worker_process *process, uint64_t *spent_ns)
{
	char path[64], state = 0;
	clockid_t clock;
	struct timespec spent;
	assert_int_equal(clock_getcpuclockid(process->pid, &clock), 0);
	assert_int_equal(clock_gettime(clock, &spent), 0);
	uint64_t before_ns = *spent_ns;
	*spent_ns = (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
	snprintf(path, sizeof path, "/proc/%d/stat", process->pid);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
	fclose(file);
	return state == 'S' && *spent_ns == before_ns;
}

#define MESSAGES 22

static uint64_t read_answer(struct worker_process *process, uint64_t call)
{
	struct worker_frame *frame = worker_reply(process, call);
	uint64_t bytes = frame->head.bytes;
	assert_int_equal(frame->head.status, 0);
	free(frame);
	return bytes;
}

/*
 * The server has sent all its messages, and reads the answers late: those that found no room are worked on once there
 * is some. Where this process is slow to send, it has to read some before: a worker whose answers nobody takes reads
 * nothing.
 */
static void test_a_server_that_reads_late(void **state)
{
	enum { ID_BYTES = 250 };
	struct worker_process *process = *state;
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	char *ids = malloc((size_t)USERS * (ID_BYTES + 1)), **list = malloc(USERS * sizeof *list);
	uint64_t bytes = 0, spent_ns = 0;
	uint32_t read = 0;
	for (uint32_t i = 0; i < USERS; i++) {
		list[i] = ids + (size_t)i * (ID_BYTES + 1);
		snprintf(list[i], ID_BYTES + 1, "%0*u", ID_BYTES, i);
	}
	request.n_user_ids = USERS;
	request.user_ids = list;
	request.definition = (char *)"next";
	request.count = 8;
	struct frame_head head = { .kind = FRAME_CALL_RECOMMEND_MANY, .timeout_ms = UINT32_MAX };
	head.bytes = (uint32_t)kindred__v1__recommend_many_request__get_packed_size(&request);
	size_t whole = sizeof head + head.bytes;
	uint8_t *frame = malloc(whole);
	kindred__v1__recommend_many_request__pack(&request, frame + sizeof head);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		head.call = 1000000 + i;
		memcpy(frame, &head, sizeof head);
		for (size_t sent = 0, some; sent < whole; sent += some) {
			some = worker_send_some(process, frame + sent, whole - sent, 100);
			if (!some && is_idle(process, &spent_ns))
				bytes += read_answer(process, 1000000 + read++);
		}
	}
	while (!is_idle(process, &spent_ns))
		usleep(100000);
	print_message("%u of %u answers were read before the last message was sent\n", read, MESSAGES);
	while (read < MESSAGES)
		bytes += read_answer(process, 1000000 + read++);
	assert_true(bytes > UPLINK_OUT_HIGH + (8u << 20)); /* or there was room for all of them */
	free(frame);
	free(list);
	free(ids);
}

/*
 * A server that sleeps is waked when half of what waited is answered, not for each answer. What the worker says by
 * itself wakes it too, so does time that others have taken, and one that is waked for each may be slow to look: mostly
 * is what is asked for.
 */
static void test_a_server_that_sleeps_is_waked_for_several(void **state)
{
	enum { CALLS = 8, EACH = 20, TRIES = 9 };
	struct worker_process *process = *state;
	int several = 0;
	if (!process->rings.in)
		skip();
	for (int tries = 0; tries < TRIES; tries++) {
		uint64_t calls[CALLS];
		worker_hold(process);
		for (int i = 0; i < CALLS; i++)
			calls[i] = send_list(process, user_list(EACH), EACH, "next", 1);
		several += worker_wake_replies(process) >= CALLS / 2;
		for (int i = 0; i < CALLS; i++)
			free(worker_reply(process, calls[i]));
	}
	assert_in_range(several, TRIES / 2 + 1, TRIES);
}

/* It is waked for a small message while a large one behind it is worked on, for longer than MANY_TOLD_NS. */
static void test_a_small_message_does_not_wait_for_a_large_one(void **state)
{
	enum { TRIES = 9, EVENTS = 1000 };
	static const char *const items[] = { "item-1", "item-2", "item-5", "item-6" };
	static struct test_event events[EVENTS];
	static char *list[USERS];
	struct worker_process *process = *state;
	int early = 0;
	if (!process->rings.in)
		skip();
	for (int i = 0; i < EVENTS; i++)
		events[i] = (struct test_event){ "user", items[i % 4], "Viewed", NULL, 1000 + i };
	kindred__v1__ingest_events_response__free_unpacked(worker_ingest(process, events, EVENTS), NULL);
	for (int i = 0; i < USERS; i++)
		list[i] = "user";
	for (int tries = 0; tries < TRIES; tries++) {
		worker_hold(process);
		uint64_t small = send_list(process, list, 1, "next", 8);
		uint64_t large = send_list(process, list, USERS, "next", 8);
		early += worker_wake_replies(process) == 1;
		free(worker_reply(process, small));
		free(worker_reply(process, large));
	}
	assert_in_range(early, TRIES / 2 + 1, TRIES);
}

/* Whatever is cancelled meanwhile, or is an error. */
static void test_no_answer_is_left_untold(void **state)
{
	enum { CALLS = 60, MOST = 150 };
	struct worker_process *process = *state;
	uint64_t calls[CALLS];
	worker_hold(process);
	for (uint32_t i = 0; i < CALLS; i++) {
		uint32_t users = 1 + i * 37 % MOST;
		calls[i] = send_list(process, user_list(users), users, i % 7 ? "next" : "none", 1);
	}
	for (uint32_t i = 1; i < CALLS; i += 5) {
		struct frame_head head = { .kind = FRAME_CANCEL, .call = calls[i], .timeout_ms = UINT32_MAX };
		worker_send_head(process, head, "");
	}
	worker_go_on(process);
	for (uint32_t i = CALLS; i-- > 0;) {
		if (i % 5 != 1 || i % 7 == 0)
			free(worker_reply(process, calls[i]));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, shop_worker_setup, shop_worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_many_users_as_one_by_one),
		TEST(test_histories_of_any_length_together),
		TEST(test_users_are_answered_by_shard_and_id),
		TEST(test_one_user_does_not_wait_for_many),
		TEST(test_others_are_answered_in_the_middle_of_many),
		TEST(test_many_users_are_one_generation),
		TEST(test_cancelled_and_late_messages_of_users),
		TEST(test_counts_what_it_answered),
		TEST(test_a_server_that_reads_late),
		TEST(test_a_server_that_sleeps_is_waked_for_several),
		TEST(test_a_small_message_does_not_wait_for_a_large_one),
		TEST(test_no_answer_is_left_untold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
