#include "common/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define ROOM_WORTH (RING_BYTES / 2) /* who waits for room is waked for so much */

/* A cache line for what each end writes. Counts go up for ever; a byte's place is its count modulo RING_BYTES. */
struct ring {
	_Alignas(64) _Atomic uint64_t put;
	_Atomic uint32_t writer_waits;
	_Alignas(64) _Atomic uint64_t got;
	_Atomic uint32_t reader_waits;
	_Alignas(64) uint8_t data[RING_BYTES];
};
_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "a place is found by a mask");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "two processes share them");

static int map(struct rings *rings, int fd, bool made, struct error *err)
{
	struct ring *pair = mmap(NULL, 2 * sizeof *pair, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pair == MAP_FAILED)
		return error_errno(err, errno, "the link's memory");
	*rings = made ? (struct rings){ .in = pair + 1, .out = pair } : (struct rings){ .in = pair, .out = pair + 1 };
	return 0;
}

int rings_make(struct rings *rings, int *fd, struct error *err)
{
	*rings = (struct rings){ 0 };
	*fd = memfd_create("kindred-link", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return error_errno(err, errno, "the link's memory");
	int code = 0;
	/* sealed: no end can take the memory away from under the other */
	if (ftruncate(*fd, 2 * sizeof(struct ring)) || fcntl(*fd, F_ADD_SEALS, SEALS))
		code = error_errno(err, errno, "the link's memory");
	if (!code)
		code = map(rings, *fd, true, err);
	if (code) {
		close(*fd);
		*fd = -1;
	}
	return code;
}

bool rings_are(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	/* the system may add seals of its own (vm.memfd_noexec) */
	return seals >= 0 && (seals & SEALS) == SEALS && lseek(fd, 0, SEEK_END) == (off_t)(2 * sizeof(struct ring));
}

int rings_take(struct rings *rings, int fd, struct error *err)
{
	*rings = (struct rings){ 0 };
	int code = rings_are(fd) ? map(rings, fd, false, err)
				 : error_set(err, E_INVALID, "file descriptor %d is no link's memory", fd);
	close(fd);
	return code;
}

void rings_drop(struct rings *rings)
{
	if (rings->in)
		munmap(rings->in < rings->out ? rings->in : rings->out, 2 * sizeof(struct ring));
	*rings = (struct rings){ 0 };
}

int64_t ring_put(struct ring *out, const void *data, size_t bytes)
{
	uint64_t put = atomic_load_explicit(&out->put, memory_order_relaxed);
	uint64_t taken = put - atomic_load_explicit(&out->got, memory_order_acquire);
	if (taken > RING_BYTES)
		return E_INTERNAL;
	size_t room = RING_BYTES - (size_t)taken;
	size_t count = bytes < room ? bytes : room, at = put % RING_BYTES;
	size_t first = count < RING_BYTES - at ? count : RING_BYTES - at;
	memcpy(out->data + at, data, first);
	memcpy(out->data, (const char *)data + first, count - first);
	atomic_store_explicit(&out->put, put + count, memory_order_release);
	return (int64_t)count;
}

int64_t ring_get(struct ring *in, void *to, size_t room)
{
	uint64_t got = atomic_load_explicit(&in->got, memory_order_relaxed);
	uint64_t there = atomic_load_explicit(&in->put, memory_order_acquire) - got;
	if (there > RING_BYTES)
		return E_INTERNAL;
	size_t count = there < room ? (size_t)there : room, at = got % RING_BYTES;
	size_t first = count < RING_BYTES - at ? count : RING_BYTES - at;
	memcpy(to, in->data + at, first);
	memcpy((char *)to + first, in->data, count - first);
	atomic_store_explicit(&in->got, got + count, memory_order_release);
	return (int64_t)count;
}

/* --- waiting --- */

/*
 * This end stores its count and then reads whether the other waits; that stores that it waits and then
 * reads the count. All four are in the one order of sequentially consistent operations, so one of the
 * two sees the other. The count is stored again for that, as putting and getting themselves need less.
 */
static void settle(_Atomic uint64_t *count)
{
	atomic_store(count, atomic_load_explicit(count, memory_order_relaxed));
}

static bool answer_wait(_Atomic uint32_t *waits)
{
	return atomic_load(waits) && atomic_exchange(waits, 0);
}

/* Bytes put and not got. */
static uint64_t held(const struct ring *ring)
{
	uint64_t got = atomic_load(&ring->got);
	return atomic_load(&ring->put) - got;
}

bool rings_bell(struct rings *rings)
{
	settle(&rings->out->put);
	settle(&rings->in->got);
	bool bytes = held(rings->out) > 0 && answer_wait(&rings->out->reader_waits);
	bool room = held(rings->in) <= ROOM_WORTH && answer_wait(&rings->in->writer_waits);
	return bytes || room;
}

bool rings_wait(struct rings *rings, bool for_bytes, bool for_room)
{
	atomic_store(&rings->in->reader_waits, for_bytes);
	atomic_store(&rings->out->writer_waits, for_room);
	bool bytes = for_bytes && held(rings->in) > 0;
	bool room = for_room && held(rings->out) <= ROOM_WORTH;
	if (!bytes && !room)
		return true;
	rings_awake(rings);
	return false;
}

void rings_awake(struct rings *rings)
{
	atomic_store_explicit(&rings->in->reader_waits, 0, memory_order_relaxed);
	atomic_store_explicit(&rings->out->writer_waits, 0, memory_order_relaxed);
}
