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
	pthread_mutex_init(&space->mutex, NULL);
}

/* --- what is kept --- */

static void forget_oldest(struct space *space)
{
	munmap(space->kept[0].data, space->kept[0].bytes);
	space->kept_bytes -= space->kept[0].bytes;
	memmove(space->kept, space->kept + 1, --space->kept_count * sizeof *space->kept);
}

void space_fini(struct space *space)
{
	while (space->kept_count > 0)
		forget_oldest(space);
	pthread_mutex_destroy(&space->mutex);
}

/* After more memory came to be in regions. */
static void make_way(struct space *space)
{
	pthread_mutex_lock(&space->mutex);
	while (space->kept_count > 0 &&
	       atomic_load(&space->in_memory) + space->kept_bytes > atomic_load(&space->peak_memory))
		forget_oldest(space);
	pthread_mutex_unlock(&space->mutex);
}

/* Instead of giving it back to the system. */
static void keep(struct space *space, const struct region *region)
{
	pthread_mutex_lock(&space->mutex);
	if (space->kept_count == SPACE_KEPT)
		forget_oldest(space);
	space->kept[space->kept_count++] = *region;
	space->kept_bytes += region->bytes;
	atomic_fetch_sub(&space->in_memory, region->bytes);
	pthread_mutex_unlock(&space->mutex);
}

/* The smallest one of those kept that is large enough and not far too large, which then counts as memory in use. */
static bool take_kept(struct space *space, struct region *region, size_t bytes)
{
	pthread_mutex_lock(&space->mutex);
	uint32_t found = space->kept_count;
	for (uint32_t k = 0; k < space->kept_count; k++)
		if (space->kept[k].bytes >= bytes && space->kept[k].bytes <= bytes + bytes / 4 &&
		    (found == space->kept_count || space->kept[k].bytes < space->kept[found].bytes))
			found = k;
	bool taken =
		found < space->kept_count && atomic_load(&space->in_memory) + space->kept[found].bytes <= space->limit;
	if (taken) {
		*region = space->kept[found];
		space->kept_bytes -= region->bytes;
		atomic_fetch_add(&space->in_memory, region->bytes);
		memmove(space->kept + found, space->kept + found + 1,
			(--space->kept_count - found) * sizeof *space->kept);
	}
	pthread_mutex_unlock(&space->mutex);
	return taken;
}

/* --- what is used --- */

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
	make_way(space);
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

/*
 * Large arrays are read here and there: with small pages a build takes a tenth longer. Only a wish,
 * which the system may not grant.
 */
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

int region_take(struct space *space, struct region *region, size_t bytes, struct error *err)
{
	bytes = whole_pages(bytes);
	if (bytes >= HUGE_BYTES && take_kept(space, region, bytes))
		return 0;
	return region_make(space, region, bytes, err);
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
	struct region kept;
	if (region->fd < 0 && bytes >= HUGE_BYTES && take_kept(space, &kept, bytes)) {
		memcpy(kept.data, region->data, region->bytes);
		region_free(space, region);
		*region = kept;
		return 0;
	}
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
	if (region->data && region->fd < 0 && region->bytes >= HUGE_BYTES) {
		keep(space, region);
	} else if (region->data) {
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
