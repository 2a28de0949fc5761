#include "lib/temp_dir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int temp_dir_make(struct temp_dir *dir)
{
	const char *base = getenv("TMPDIR");
	if (!base || strlen(base) > sizeof dir->path - sizeof "/kindred-test-XXXXXX")
		base = "/tmp";
	snprintf(dir->path, sizeof dir->path, "%s/kindred-test-XXXXXX", base);
	return mkdtemp(dir->path) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

int temp_dir_remove(const struct temp_dir *dir)
{
	return nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
