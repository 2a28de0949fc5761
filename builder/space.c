#include "builder/space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define HUGE_BYTES (4u << 20) /* from here on in pages of 2 MB */
#define FIRST_PILE_BYTES (64u << 10)

void space_init(struct space *space, const char *folder, uint64_t limit_bytes)
{
	memset(space, 0, sizeof *space);
	snprintf(space->folder, sizeof space->folder, "%s", folder);
	space->limit = limit_bytes;
}

static void raise_peak(_Atomic uint64_t *peak, uint64_t value)
{
	uint64_t seen = atomic_load(peak);
	while (seen < value && !atomic_compare_exchange_weak(peak, &seen, value))
		;
}

/* Whether there is room for `more` in memory; then it is taken. */
static bool take_memory(struct space *space, size_t more)
{
	uint64_t now = atomic_fetch_add(&space->in_memory, more) + more;
	if (now > space->limit) {
		atomic_fetch_sub(&space->in_memory, more);
		return false;
	}
	raise_peak(&space->peak_memory, now);
	return true;
}

static void count_file(struct space *space, size_t more)
{
	raise_peak(&space->peak_files, atomic_fetch_add(&space->in_files, more) + more);
}

static size_t whole_pages(size_t bytes)
{
	return bytes ? (bytes + PAGE - 1) / PAGE * PAGE : PAGE;
}

static int make_file(struct space *space, size_t bytes, int *fd, struct error *err)
{
	char path[DATADIR_PATH_MAX + 32];
	snprintf(path, sizeof path, "%s/build-XXXXXX", space->folder);
	*fd = mkostemp(path, O_CLOEXEC);
	if (*fd < 0)
		return error_errno(err, errno, "make a file in %s", space->folder);
	unlink(path);
	/* Room is taken now: a full disk is an error here, not a SIGBUS later. */
	int errnum = posix_fallocate(*fd, 0, (off_t)bytes);
	if (errnum) {
		close(*fd);
		*fd = -1;
		return error_errno(err, errnum, "%zu MB in %s (the builder's memory limit is %llu MB)", bytes >> 20,
				   space->folder, (unsigned long long)(space->limit >> 20));
	}
	return 0;
}

/* Large arrays are read here and there: with small pages a build takes a tenth longer. Only a wish, which the system may not grant. */
static void want_huge_pages(const struct region *region)
{
	if (region->bytes >= HUGE_BYTES)
		madvise(region->data, region->bytes, MADV_HUGEPAGE);
}

int region_make(struct space *space, struct region *region, size_t bytes, struct error *err)
{
	struct region made = { .bytes = whole_pages(bytes), .fd = -1 };
	bool in_memory = take_memory(space, made.bytes);
	if (!in_memory) {
		int code = make_file(space, made.bytes, &made.fd, err);
		if (code)
			return code;
	}
	int flags = in_memory ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	made.data = mmap(NULL, made.bytes, PROT_READ | PROT_WRITE, flags, made.fd, 0);
	if (made.data == MAP_FAILED) {
		int errnum = errno;
		if (in_memory)
			atomic_fetch_sub(&space->in_memory, made.bytes);
		else
			close(made.fd);
		return error_errno(err, errnum, "%zu MB of memory", made.bytes >> 20);
	}
	if (in_memory)
		want_huge_pages(&made);
	else
		count_file(space, made.bytes);
	*region = made;
	return 0;
}

static int remap(struct region *region, size_t bytes, struct error *err)
{
	void *data = mremap(region->data, region->bytes, bytes, MREMAP_MAYMOVE);
	if (data == MAP_FAILED)
		return error_errno(err, errno, "%zu MB of memory", bytes >> 20);
	region->data = data;
	region->bytes = bytes;
	return 0;
}

static int move_to_larger(struct space *space, struct region *region, size_t bytes, struct error *err)
{
	struct region larger;
	int code = region_make(space, &larger, bytes, err);
	if (code)
		return code;
	memcpy(larger.data, region->data, region->bytes);
	region_free(space, region);
	*region = larger;
	return 0;
}

int region_grow(struct space *space, struct region *region, size_t bytes, struct error *err)
{
	if (!region->data)
		return region_make(space, region, bytes, err);
	bytes = whole_pages(bytes);
	if (bytes <= region->bytes)
		return 0;
	size_t more = bytes - region->bytes;
	if (region->fd < 0) {
		if (!take_memory(space, more))
			return move_to_larger(space, region, bytes, err);
		int code = remap(region, bytes, err);
		if (code)
			atomic_fetch_sub(&space->in_memory, more);
		else
			want_huge_pages(region);
		return code;
	}
	int errnum = posix_fallocate(region->fd, (off_t)region->bytes, (off_t)more);
	if (errnum)
		return error_errno(err, errnum, "%zu MB in %s", bytes >> 20, space->folder);
	int code = remap(region, bytes, err);
	if (!code)
		count_file(space, more);
	return code;
}

void region_free(struct space *space, struct region *region)
{
	if (region->data) {
		munmap(region->data, region->bytes);
		if (region->fd < 0) {
			atomic_fetch_sub(&space->in_memory, region->bytes);
		} else {
			atomic_fetch_sub(&space->in_files, region->bytes);
			close(region->fd);
		}
	}
	*region = (struct region){ 0 };
}

void *pile_extend(struct space *space, struct pile *pile, size_t bytes, struct error *err)
{
	size_t needed = pile->used + bytes;
	if (needed > pile->region.bytes || !pile->region.data) {
		size_t room = pile->region.bytes + pile->region.bytes / 2;
		if (room < FIRST_PILE_BYTES)
			room = FIRST_PILE_BYTES;
		if (region_grow(space, &pile->region, room > needed ? room : needed, err))
			return NULL;
	}
	void *place = (char *)pile->region.data + pile->used;
	pile->used = needed;
	return place;
}

void pile_free(struct space *space, struct pile *pile)
{
	region_free(space, &pile->region);
	pile->used = 0;
}
