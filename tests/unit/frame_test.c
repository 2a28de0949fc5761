#include "common/error.h"
#include "common/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static size_t write_frame(uint8_t *at, uint16_t kind, uint64_t call, uint32_t bytes)
{
	struct frame_head head = { .bytes = bytes, .kind = kind, .call = call, .timeout_ms = 50 };
	memcpy(at, &head, sizeof head);
	memset(at + sizeof head, (int)call, bytes);
	return sizeof head + bytes;
}

static void finds_whole_frames_in_a_buffer(void **state)
{
	(void)state;
	uint8_t buffer[256];
	size_t first = write_frame(buffer, FRAME_CALL_RECOMMEND, 7, 10);
	size_t second = write_frame(buffer + first, FRAME_DRAIN, 8, 0);
	struct frame_head head;
	assert_int_equal(frame_next(buffer, first + second, &head), first);
	assert_int_equal(head.kind, FRAME_CALL_RECOMMEND);
	assert_int_equal(head.call, 7);
	assert_int_equal(head.bytes, 10);
	assert_int_equal(head.timeout_ms, 50);
	assert_int_equal(frame_next(buffer + first, second, &head), second);
	assert_int_equal(head.kind, FRAME_DRAIN);
	assert_int_equal(frame_next(buffer + first + second, 0, &head), 0);
}

static void waits_for_the_rest(void **state)
{
	(void)state;
	uint8_t buffer[256];
	size_t whole = write_frame(buffer, FRAME_REPLY, 9, 100);
	struct frame_head head;
	for (size_t bytes = 0; bytes < whole; bytes++) {
		memset(&head, 0, sizeof head);
		assert_int_equal(frame_next(buffer, bytes, &head), 0);
		/* the head is there as soon as its bytes are, so that a reader can make room for the payload */
		assert_int_equal(head.bytes, bytes >= sizeof head ? 100 : 0);
	}
	assert_int_equal(frame_next(buffer, whole, &head), whole);
}

static void a_bad_head_is_refused_at_once(void **state)
{
	(void)state;
	uint8_t buffer[64];
	struct frame_head head = { .bytes = FRAME_PAYLOAD_MAX + 1, .kind = FRAME_REPLY }, read;
	memcpy(buffer, &head, sizeof head);
	assert_int_equal(frame_next(buffer, sizeof head, &read), E_INVALID);
	head.bytes = FRAME_PAYLOAD_MAX;
	memcpy(buffer, &head, sizeof head);
	assert_int_equal(frame_next(buffer, sizeof head, &read), 0);
	const uint16_t unknown[] = { 0, 40, FRAME_READY - 1, FRAME_DRAINED + 1, UINT16_MAX };
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		head = (struct frame_head){ .kind = unknown[i] };
		memcpy(buffer, &head, sizeof head);
		assert_int_equal(frame_next(buffer, sizeof head, &read), E_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_whole_frames_in_a_buffer),
		cmocka_unit_test(waits_for_the_rest),
		cmocka_unit_test(a_bad_head_is_refused_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
