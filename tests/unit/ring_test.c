#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/ring.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Both ends in one process. */
struct ends {
	struct rings here, there;
};

static struct ends ends_make(void)
{
	struct ends ends;
	int fd;
	assert_int_equal(rings_make(&ends.here, &fd, NULL), 0);
	assert_true(rings_are(fd));
	assert_int_equal(rings_take(&ends.there, fd, NULL), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
	return ends;
}

static void ends_drop(struct ends *ends)
{
	rings_drop(&ends->here);
	rings_drop(&ends->there);
	assert_null(ends->here.in);
}

static void test_bytes_come_as_they_went_each_way(void **state)
{
	(void)state;
	static uint8_t sent[RING_BYTES], got[RING_BYTES];
	static const size_t sizes[] = { 1, 24, 4096, RING_BYTES - 1, RING_BYTES, 7, RING_BYTES / 2 + 1 };
	struct ends ends = ends_make();
	for (size_t i = 0; i < RING_BYTES; i++)
		sent[i] = (uint8_t)(i * 7 + i / 251);
	for (int turn = 0; turn < 20; turn++) {
		for (size_t s = 0; s < COUNT(sizes); s++) {
			assert_int_equal(ring_put(ends.here.out, sent, sizes[s]), sizes[s]);
			assert_int_equal(ring_get(ends.here.in, got, sizeof got), 0); /* the other ring */
			assert_int_equal(ring_get(ends.there.in, got, sizeof got), sizes[s]);
			assert_memory_equal(got, sent, sizes[s]);
			assert_int_equal(ring_put(ends.there.out, sent, sizes[s]), sizes[s]);
			assert_int_equal(ring_get(ends.here.in, got, sizeof got), sizes[s]);
			assert_memory_equal(got, sent, sizes[s]);
		}
	}
	ends_drop(&ends);
}

static void test_a_full_ring_takes_what_has_room(void **state)
{
	(void)state;
	static uint8_t bytes[RING_BYTES];
	struct ends ends = ends_make();
	assert_int_equal(ring_put(ends.here.out, bytes, 100), 100);
	assert_int_equal(ring_put(ends.here.out, bytes, sizeof bytes), RING_BYTES - 100);
	assert_int_equal(ring_put(ends.here.out, bytes, 1), 0);
	assert_int_equal(ring_get(ends.there.in, bytes, 10), 10);
	assert_int_equal(ring_put(ends.here.out, bytes, 100), 10);
	ends_drop(&ends);
}

static void test_who_waits_is_waked_once(void **state)
{
	(void)state;
	static uint8_t bytes[RING_BYTES];
	struct ends ends = ends_make();
	assert_false(rings_bell(&ends.here)); /* nobody waits */
	assert_true(rings_wait(&ends.there, true, false));
	assert_false(rings_bell(&ends.here)); /* for nothing */
	ring_put(ends.here.out, bytes, 1);
	assert_true(rings_bell(&ends.here));
	assert_false(rings_bell(&ends.here));
	assert_false(rings_wait(&ends.there, true, false)); /* it is there already */
	assert_false(rings_bell(&ends.here));
	assert_true(rings_wait(&ends.there, false, false)); /* it does not want it now */
	ring_put(ends.here.out, bytes, 1);
	assert_false(rings_bell(&ends.here));

	/* room: worth a bell once half of the ring is free */
	ring_put(ends.here.out, bytes, sizeof bytes);
	assert_true(rings_wait(&ends.here, true, true));
	ring_get(ends.there.in, bytes, RING_BYTES / 2 - 1);
	assert_false(rings_bell(&ends.there));
	ring_get(ends.there.in, bytes, 1);
	assert_true(rings_bell(&ends.there));
	assert_false(rings_bell(&ends.there));
	rings_awake(&ends.here);
	assert_false(rings_wait(&ends.here, false, true));
	ends_drop(&ends);
}

/* --- two threads --- */

#define TOTAL ((size_t)64 << 20) /* bytes each way */
#define PATIENCE_S 120 /* with a bell that comes: only a lost one takes it */

struct side {
	struct rings *rings;
	sem_t bell, *others_bell;
	uint32_t seed;
	size_t sent, got;
	atomic_size_t slept; /* times */
	bool lost; /* a bell, or a byte's value */
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static uint8_t byte_at(size_t at)
{
	return (uint8_t)(at ^ at >> 8 ^ at >> 16);
}

static void send_some(struct side *side)
{
	uint8_t bytes[5000];
	size_t want = next_random(&side->seed) % sizeof bytes + 1;
	if (want > TOTAL - side->sent)
		want = TOTAL - side->sent;
	for (size_t i = 0; i < want; i++)
		bytes[i] = byte_at(side->sent + i);
	side->sent += (size_t)ring_put(side->rings->out, bytes, want);
}

static void get_some(struct side *side)
{
	uint8_t bytes[9000];
	int64_t count = ring_get(side->rings->in, bytes, next_random(&side->seed) % sizeof bytes + 1);
	for (int64_t i = 0; i < count; i++)
		side->lost |= bytes[i] != byte_at(side->got + (size_t)i);
	side->got += (size_t)count;
}

/* Sends and gets in no order, and sleeps whenever it may. */
static void talk(void *argument)
{
	struct side *side = argument;
	while ((side->sent < TOTAL || side->got < TOTAL) && !side->lost) {
		struct timespec until;
		rings_awake(side->rings);
		for (unsigned i = next_random(&side->seed) % 8; i > 0 && side->sent < TOTAL; i--)
			send_some(side);
		for (unsigned i = next_random(&side->seed) % 8; i > 0; i--)
			get_some(side);
		if (rings_bell(side->rings))
			sem_post(side->others_bell);
		bool getting = side->got < TOTAL, sending = side->sent < TOTAL;
		if (next_random(&side->seed) % 4 || (!getting && !sending) ||
		    !rings_wait(side->rings, getting, sending))
			continue;
		side->slept++;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += PATIENCE_S;
		side->lost |= sem_clockwait(&side->bell, CLOCK_MONOTONIC, &until) != 0;
	}
	if (rings_bell(side->rings))
		sem_post(side->others_bell);
}

static void test_no_byte_and_no_bell_is_lost(void **state)
{
	(void)state;
	struct ends ends = ends_make();
	struct side sides[2] = { { .rings = &ends.here, .seed = 1 }, { .rings = &ends.there, .seed = 2 } };
	uv_thread_t threads[2];
	for (int s = 0; s < 2; s++) {
		sem_init(&sides[s].bell, 0, 0);
		sides[s].others_bell = &sides[1 - s].bell;
	}
	/* Two that run side by side may never have to sleep: the first is alone until it does. */
	assert_int_equal(uv_thread_create(&threads[0], talk, &sides[0]), 0);
	for (int i = 0; i < PATIENCE_S * 1000 && sides[0].slept == 0; i++)
		uv_sleep(1);
	assert_true(sides[0].slept > 0);
	assert_int_equal(uv_thread_create(&threads[1], talk, &sides[1]), 0);
	for (int s = 0; s < 2; s++)
		uv_thread_join(&threads[s]);
	for (int s = 0; s < 2; s++) {
		assert_false(sides[s].lost);
		assert_int_equal(sides[s].got, TOTAL);
		sem_destroy(&sides[s].bell);
	}
	ends_drop(&ends);
}

/* --- what is not as it should be --- */

static void test_nonsense_is_noticed(void **state)
{
	(void)state;
	struct rings here, there;
	uint8_t byte;
	int fd;
	assert_int_equal(rings_make(&here, &fd, NULL), 0);
	uint64_t *put = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0); /* the first word there is */
	assert_true(put != MAP_FAILED);
	assert_int_equal(ftruncate(fd, 4096), -1); /* sealed */
	assert_int_equal(rings_take(&there, fd, NULL), 0);
	assert_int_equal(ring_put(here.out, "a", 1), 1);
	assert_int_equal(*put, 1);
	*put = RING_BYTES + 1;
	assert_int_equal(ring_get(there.in, &byte, 1), E_INTERNAL);
	assert_int_equal(ring_put(here.out, "b", 1), E_INTERNAL);
	munmap(put, 4096);
	rings_drop(&here);
	rings_drop(&there);
}

static void test_another_descriptor_is_refused(void **state)
{
	(void)state;
	struct rings rings;
	struct error err;
	int fd = memfd_create("other", MFD_CLOEXEC);
	assert_false(rings_are(fd));
	assert_false(rings_are(-1));
	assert_int_equal(rings_take(&rings, fd, &err), E_INVALID);
	assert_non_null(strstr(err.text, "no link's memory"));
	assert_null(rings.in);
	rings_drop(&rings);
}

#define SEAL_OF_THE_SYSTEM 0x0008u /* MFD_NOEXEC_SEAL, since Linux 6.3; with vm.memfd_noexec the default */

/* Else the server would use the memory and the worker the socket. */
static void test_a_seal_of_the_system_does_no_harm(void **state)
{
	(void)state;
	struct rings rings;
	int made;
	int fd = memfd_create("more seals", MFD_CLOEXEC | MFD_ALLOW_SEALING | SEAL_OF_THE_SYSTEM);
	if (fd < 0)
		skip();
	assert_int_equal(rings_make(&rings, &made, NULL), 0);
	assert_int_equal(ftruncate(fd, lseek(made, 0, SEEK_END)), 0);
	assert_false(rings_are(fd));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_true(rings_are(fd));
	close(fd);
	close(made);
	rings_drop(&rings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_come_as_they_went_each_way),
		cmocka_unit_test(test_a_full_ring_takes_what_has_room),
		cmocka_unit_test(test_who_waits_is_waked_once),
		cmocka_unit_test(test_no_byte_and_no_bell_is_lost),
		cmocka_unit_test(test_nonsense_is_noticed),
		cmocka_unit_test(test_another_descriptor_is_refused),
		cmocka_unit_test(test_a_seal_of_the_system_does_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
