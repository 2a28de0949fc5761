#include "builder/workplace.h"

#include "common/log.h"
#include "common/model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Of the flag, what regions may take; the rest is for accumulators, the item index, LMDB and the C library. */
#define REGION_SHARE 0.85

/* One builder at a time a directory; whoever holds the lock may take away what others left half done. */
static int take_lock(struct workplace *place, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	datadir_models(&place->dir, path);
	place->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->lock_fd < 0)
		return error_errno(err, errno, "open %s", path);
	if (flock(place->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return error_set(err, E_UNAVAILABLE, "another builder works on the data directory; wait for it to end");
	return error_errno(err, errno, "lock %s", path);
}

static void remove_leftovers(const char *folder, const char *prefix)
{
	DIR *directory = opendir(folder);
	const struct dirent *entry;
	while (directory && (entry = readdir(directory))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(directory), entry->d_name, 0) == 0)
			log_info("build: removed %s/%s, which a builder that died had left", folder, entry->d_name);
	}
	if (directory)
		closedir(directory);
}

int workplace_number(const struct workplace *place, uint64_t *generation, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	uint64_t *numbers = NULL;
	size_t count = 0;
	if (*generation)
		return 0;
	int code = model_list(datadir_models(&place->dir, path), &numbers, &count, err);
	if (code)
		return code;
	*generation = count ? numbers[count - 1] + 1 : 1;
	free(numbers);
	return 0;
}

int workplace_open(struct workplace *place, const char *data, bool enter, uint64_t memory_mb, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	*place = (struct workplace){ .lock_fd = -1, .dir.lock_fd = -1 };
	int code = datadir_open(&place->dir, data, false, err);
	if (!code && enter)
		code = datadir_enter(&place->dir, err);
	if (!code)
		code = take_lock(place, err);
	if (code)
		return code;
	remove_leftovers(datadir_models(&place->dir, path), ".build-");
	remove_leftovers(datadir_tmp(&place->dir, path), "build-");
	space_init(&place->space, datadir_tmp(&place->dir, path), (uint64_t)((double)(memory_mb << 20) * REGION_SHARE));
	return 0;
}

void workplace_close(struct workplace *place)
{
	space_fini(&place->space);
	if (place->lock_fd >= 0)
		close(place->lock_fd);
	datadir_close(&place->dir);
}
