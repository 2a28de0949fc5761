/* The link to a worker: every question is answered exactly once, whatever happens at the other end. */
#include "server/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	uv_loop_t loop;
	struct link link;
	int worker; /* its end of the socket; -1: closed */
	uint64_t *memory; /* of the link; NULL: it has none */
	unsigned broken, closed, stats;
};

struct question {
	struct ask ask;
	unsigned answers;
	int code;
	char text[128];
	size_t bytes;
	struct fixture *then_ask; /* asks anew from within its answer */
	int then_code;
};

static void on_answered(struct ask *ask, int code, const uint8_t *data, size_t bytes)
{
	struct question *question = (struct question *)ask;

	question->answers++;
	question->code = code;
	question->bytes = bytes;
	snprintf(question->text, sizeof question->text, "%.*s", (int)(bytes < 100 ? bytes : 100), (const char *)data);
	if (question->then_ask) {
		struct fixture *fixture = question->then_ask;

		question->then_ask = NULL;
		question->then_code = link_ask(&fixture->link, ask, FRAME_CALL_RECOMMEND, 1000, 0, "again", 5, NULL);
	}
}

static bool on_frame(struct link *link, const struct frame_head *head, const uint8_t *data)
{
	struct fixture *fixture = link->owner;

	(void)data;
	fixture->stats += head->kind == FRAME_STATS;
	return head->kind == FRAME_STATS;
}

static void on_broken(struct link *link, const char *why)
{
	struct fixture *fixture = link->owner;

	assert_non_null(why);
	fixture->broken++;
}

static void on_closed(struct link *link)
{
	((struct fixture *)link->owner)->closed++;
}

static void give_memory(struct fixture *fixture)
{
	int fd = link_memory(&fixture->link);

	fixture->memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(fixture->memory != MAP_FAILED);
	close(fd);
}

static int make(void **state, bool memory)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	int ends[2];

	assert_int_equal(uv_loop_init(&fixture->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	fixture->link.owner = fixture;
	fixture->link.on_frame = on_frame;
	fixture->link.on_broken = on_broken;
	fixture->link.on_closed = on_closed;
	strcpy(fixture->link.down_text, "worker 1 is restarting; try again");
	assert_int_equal(link_init(&fixture->link, &fixture->loop), 0);
	if (memory)
		give_memory(fixture);
	assert_int_equal(uv_pipe_open(&fixture->link.pipe, ends[0]), 0);
	assert_int_equal(link_open(&fixture->link, NULL), 0);
	fixture->worker = ends[1];
	*state = fixture;
	return 0;
}

static int set_up(void **state)
{
	return make(state, false);
}

static int set_up_memory(void **state)
{
	return make(state, true);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	link_close(&fixture->link);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(fixture->closed, 1);
	link_fini(&fixture->link);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	if (fixture->worker >= 0)
		close(fixture->worker);
	if (fixture->memory)
		munmap(fixture->memory, 4096);
	free(fixture);
	return 0;
}

static void ask(struct fixture *fixture, struct question *question, const char *text)
{
	memset(question, 0, sizeof *question);
	question->ask.answered = on_answered;
	assert_int_equal(
		link_ask(&fixture->link, &question->ask, FRAME_CALL_RECOMMEND, 1000, 0, text, strlen(text), NULL), 0);
}

/* What the worker reads next. */
static struct frame_head worker_reads(struct fixture *fixture, char *payload)
{
	struct frame_head head;

	link_flush(&fixture->link);
	assert_int_equal(recv(fixture->worker, &head, sizeof head, MSG_WAITALL), sizeof head);
	if (head.bytes)
		assert_int_equal(recv(fixture->worker, payload, head.bytes, MSG_WAITALL), head.bytes);
	payload[head.bytes] = 0;
	return head;
}

static void worker_says(struct fixture *fixture, enum frame_kind kind, uint64_t call, uint16_t status, const void *data,
			size_t bytes)
{
	struct frame_head head = { .kind = (uint16_t)kind, .call = call, .status = status, .bytes = (uint32_t)bytes };

	assert_int_equal(send(fixture->worker, &head, sizeof head, 0), sizeof head);
	if (bytes)
		assert_int_equal(send(fixture->worker, data, bytes, 0), bytes);
}

static void test_answers_find_their_questions(void **state)
{
	struct fixture *fixture = *state;
	struct question first, second;
	struct frame_head heads[2];
	char text[64];

	ask(fixture, &first, "one");
	ask(fixture, &second, "two");
	heads[0] = worker_reads(fixture, text);
	assert_string_equal(text, "one");
	assert_int_equal(heads[0].kind, FRAME_CALL_RECOMMEND);
	assert_int_equal(heads[0].timeout_ms, 1000);
	heads[1] = worker_reads(fixture, text);
	assert_string_equal(text, "two");
	/* in the other order, one with an error; and statistics between, which answer nobody */
	worker_says(fixture, FRAME_REPLY, heads[1].call, 5, "no such", 7);
	worker_says(fixture, FRAME_STATS, 0, 0, NULL, 0);
	worker_says(fixture, FRAME_REPLY, heads[0].call, 0, "fine", 4);
	while (!first.answers)
		uv_run(&fixture->loop, UV_RUN_ONCE);
	assert_int_equal(second.answers, 1);
	assert_int_equal(second.code, E_NOT_FOUND);
	assert_string_equal(second.text, "no such");
	assert_int_equal(first.code, 0);
	assert_string_equal(first.text, "fine");
	assert_int_equal(fixture->stats, 1);
	assert_int_equal(link_asked(&fixture->link), 0);
}

static void test_the_forgotten_are_not_answered(void **state)
{
	struct fixture *fixture = *state;
	struct question forgotten, next;
	struct frame_head head;
	uint64_t old;
	char text[64];

	ask(fixture, &forgotten, "one");
	old = worker_reads(fixture, text).call;
	ask_forget(&forgotten.ask);
	head = worker_reads(fixture, text);
	assert_int_equal(head.kind, FRAME_CANCEL);
	assert_int_equal(head.call, old);
	/* its place is used again: the late answer to the first must not reach the second */
	ask(fixture, &next, "two");
	head = worker_reads(fixture, text);
	assert_true(head.call != old);
	worker_says(fixture, FRAME_REPLY, old, 0, "late", 4);
	worker_says(fixture, FRAME_REPLY, head.call, 0, "right", 5);
	while (!next.answers)
		uv_run(&fixture->loop, UV_RUN_ONCE);
	assert_string_equal(next.text, "right");
	assert_int_equal(forgotten.answers, 0);
}

static void test_death_answers_all(void **state)
{
	struct fixture *fixture = *state;
	struct question questions[300];
	struct error err;
	char text[64];
	uint64_t answered;

	for (size_t i = 0; i < 300; i++)
		ask(fixture, &questions[i], "hello");
	answered = worker_reads(fixture, text).call;
	questions[7].then_ask = fixture;
	/* what it wrote before its death still counts */
	worker_says(fixture, FRAME_REPLY, answered, 0, "just in time", 12);
	close(fixture->worker);
	fixture->worker = -1;
	while (!fixture->broken)
		uv_run(&fixture->loop, UV_RUN_ONCE);
	assert_int_equal(questions[0].code, 0);
	for (size_t i = 1; i < 300; i++) {
		assert_int_equal(questions[i].answers, 1);
		assert_int_equal(questions[i].code, E_UNAVAILABLE);
		assert_string_equal(questions[i].text, "worker 1 is restarting; try again");
	}
	assert_int_equal(questions[7].then_code, E_UNAVAILABLE);
	assert_int_equal(fixture->broken, 1);
	assert_int_equal(link_ask(&fixture->link, &questions[0].ask, FRAME_CALL_RECOMMEND, 1, 0, "x", 1, &err),
			 E_UNAVAILABLE);
	assert_string_equal(err.text, "worker 1 is restarting; try again");
}

static void test_nonsense_breaks_it(void **state)
{
	struct fixture *fixture = *state;
	struct question question;

	ask(fixture, &question, "hello");
	assert_int_equal(send(fixture->worker, "this is not a frame, not by far", 31, 0), 31);
	while (!fixture->broken)
		uv_run(&fixture->loop, UV_RUN_ONCE);
	assert_int_equal(question.answers, 1);
	assert_int_equal(question.code, E_UNAVAILABLE);
}

static void test_bound(void **state)
{
	struct fixture *fixture = *state;
	struct question first, second;
	struct error err;

	ask(fixture, &first, "hello");
	memset(&second, 0, sizeof second);
	second.ask.answered = on_answered;
	assert_int_equal(link_ask(&fixture->link, &second.ask, FRAME_CALL_RECOMMEND, 1, 1, "x", 1, &err), E_EXHAUSTED);
	assert_int_equal(link_asked(&fixture->link), 1);
	ask_forget(&first.ask);
	assert_int_equal(link_ask(&fixture->link, &second.ask, FRAME_CALL_RECOMMEND, 1, 1, "x", 1, &err), 0);
	ask_forget(&second.ask); /* it is on this stack, and the tear-down answers what is still asked */
}

/* Frames larger than any buffer pass both ways, while the other side is slow to read. */
static void test_large_frames(void **state)
{
	enum { LARGE = 5 << 20 };
	struct fixture *fixture = *state;
	struct question question;
	struct frame_head head;
	char *payload = malloc(LARGE + 1), *back = malloc(LARGE + 1);
	size_t got = 0, sent = 0;

	for (size_t i = 0; i < LARGE; i++)
		payload[i] = (char)('a' + i % 23);
	memset(&question, 0, sizeof question);
	question.ask.answered = on_answered;
	assert_int_equal(link_ask(&fixture->link, &question.ask, FRAME_CALL_INGEST, 1, 0, payload, LARGE, NULL), 0);
	link_flush(&fixture->link);
	while (got < sizeof head + LARGE) {
		char *to = got < sizeof head ? (char *)&head + got : back + (got - sizeof head);
		size_t most = got < sizeof head ? sizeof head - got : sizeof head + LARGE - got;
		ssize_t n = recv(fixture->worker, to, most, MSG_DONTWAIT);

		if (n > 0)
			got += (size_t)n;
		uv_run(&fixture->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(head.bytes, LARGE);
	assert_memory_equal(back, payload, LARGE);
	assert_int_equal(link_unsent(&fixture->link), 0);
	head.kind = FRAME_REPLY;
	assert_int_equal(send(fixture->worker, &head, sizeof head, 0), sizeof head);
	while (!question.answers) {
		ssize_t n = send(fixture->worker, payload + sent, LARGE - sent, MSG_DONTWAIT);

		if (n > 0)
			sent += (size_t)n;
		uv_run(&fixture->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(question.bytes, LARGE);
	assert_memory_equal(question.text, payload, 100);
	free(payload);
	free(back);
}

/* The counts of a ring are no counts any more: of what was put there, more has been taken than there was. */
static void test_nonsense_in_the_memory_breaks_it(void **state)
{
	struct fixture *fixture = *state;
	struct question question;

	ask(fixture, &question, "john");
	fixture->memory[64 / sizeof *fixture->memory] = 1; /* common/ring.c: `got` of the ring to the worker */
	link_flush(&fixture->link);
	assert_int_equal(fixture->broken, 1);
	assert_int_equal(question.answers, 1);
	assert_int_equal(question.code, E_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers_find_their_questions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_forgotten_are_not_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_death_answers_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nonsense_breaks_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_large_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nonsense_in_the_memory_breaks_it, set_up_memory, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
