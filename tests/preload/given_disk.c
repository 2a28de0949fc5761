/*
 * Preloaded into a process (LD_PRELOAD): every file system has as many MiB free, and in all, as stand in the file that
 * GIVEN_DISK names ("511 10240"); where they do not, nothing is known of it. Root has some more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

int statvfs(const char *path, struct statvfs *disk)
{
	const char *given = getenv("GIVEN_DISK");
	FILE *file = given ? fopen(given, "re") : NULL;
	unsigned long free_mib, mib;
	int count = file ? fscanf(file, "%lu %lu", &free_mib, &mib) : 0;
	(void)path;
	if (file)
		fclose(file);
	if (count != 2) {
		errno = EIO;
		return -1;
	}
	memset(disk, 0, sizeof *disk);
	disk->f_bsize = 4096;
	disk->f_frsize = 1 << 20;
	disk->f_bavail = free_mib;
	disk->f_bfree = free_mib + 64;
	disk->f_blocks = mib;
	return 0;
}
