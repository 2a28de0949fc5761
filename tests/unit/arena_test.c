#include "common/arena.h"
#include "common/error.h"
#include "kindred/v1/events.pb-c.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void memory_is_aligned_and_apart(void **state)
{
	(void)state;
	struct arena arena;
	assert_int_equal(arena_init(&arena, 256, 0), 0);
	unsigned char *pieces[200];
	for (size_t i = 0; i < 200; i++) {
		pieces[i] = arena_alloc(&arena, i);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % 16, 0);
		memset(pieces[i], (int)i, i);
	}
	for (size_t i = 0; i < 200; i++)
		for (size_t j = 0; j < i; j++)
			assert_int_equal(pieces[i][j], (unsigned char)i);
	arena_fini(&arena);
}

static void zalloc_and_strndup(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 64, 0);
	memset(arena_alloc(&arena, 64), 0xff, 64);
	arena_reset(&arena);
	const unsigned char *zeros = arena_zalloc(&arena, 48);
	for (size_t i = 0; i < 48; i++)
		assert_int_equal(zeros[i], 0);
	assert_string_equal(arena_strndup(&arena, "recommendation", 9), "recommend");
	assert_string_equal(arena_strndup(&arena, "", 0), "");
	arena_fini(&arena);
}

static void the_cap_is_kept_and_comes_back_with_a_reset(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 128, 1000);
	assert_null(arena_alloc(&arena, 1001));
	assert_non_null(arena_alloc(&arena, 600));
	assert_null(arena_alloc(&arena, 600));
	assert_non_null(arena_alloc(&arena, 300));
	arena_reset(&arena);
	assert_int_equal(arena.used, 0);
	assert_non_null(arena_alloc(&arena, 992));
	arena_fini(&arena);
}

static void absurd_sizes_answer_null(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 128, 0);
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_alloc(&arena, SIZE_MAX - 8));
	assert_null(arena_strndup(&arena, "x", SIZE_MAX));
	assert_non_null(arena_alloc(&arena, 0));
	arena_fini(&arena);
}

static void one_request(struct arena *arena, size_t order)
{
	for (size_t i = 0; i < 50; i++)
		assert_non_null(arena_alloc(arena, (i * 37 + order * 101) % 3000));
}

/* Separate heap blocks are the very thing under address sanitizer, which has no mallinfo2 either. */
static void after_warm_up_the_heap_is_left_alone(void **state)
{
	(void)state;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
	struct arena arena;
	arena_init(&arena, 256, 0);
	for (size_t order = 0; order < 50; order++) {
		one_request(&arena, order);
		arena_reset(&arena);
	}
	const struct arena_block *warm = arena.first;
	size_t in_use = mallinfo2().uordblks;
	for (size_t order = 0; order < 50; order++) {
		one_request(&arena, order);
		assert_int_equal(mallinfo2().uordblks, in_use);
		arena_reset(&arena);
	}
	assert_ptr_equal(arena.first, warm);
	arena_fini(&arena);
#else
	(void)one_request;
	skip();
#endif
}

static void unpacks_protobuf_within_its_cap(void **state)
{
	(void)state;
	Kindred__V1__Event event = KINDRED__V1__EVENT__INIT, *events[100];
	event.user_id = "john";
	event.item_id = "soccer-shoes";
	for (size_t i = 0; i < 100; i++)
		events[i] = &event;
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	request.n_events = 100;
	request.events = events;
	uint8_t packed[8192];
	size_t bytes = kindred__v1__ingest_events_request__pack(&request, packed);
	struct arena arena;
	arena_init(&arena, 4096, 64 << 10);
	Kindred__V1__IngestEventsRequest *read =
		kindred__v1__ingest_events_request__unpack(&arena.protobuf, bytes, packed);
	assert_non_null(read);
	assert_int_equal(read->n_events, 100);
	assert_string_equal(read->events[99]->item_id, "soccer-shoes");
	arena_fini(&arena);
	arena_init(&arena, 4096, 8 << 10);
	assert_null(kindred__v1__ingest_events_request__unpack(&arena.protobuf, bytes, packed));
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_aligned_and_apart),
		cmocka_unit_test(zalloc_and_strndup),
		cmocka_unit_test(the_cap_is_kept_and_comes_back_with_a_reset),
		cmocka_unit_test(absurd_sizes_answer_null),
		cmocka_unit_test(after_warm_up_the_heap_is_left_alone),
		cmocka_unit_test(unpacks_protobuf_within_its_cap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
