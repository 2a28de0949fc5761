/*
 * Preloaded into a process (LD_PRELOAD): while the file that FULL_DISK names is there, no file has room for what was
 * written to it, as a file system says that finds room only when it has to (ENOSPC by fsync).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int fd)
{
	const char *full = getenv("FULL_DISK");
	if (full && access(full, F_OK) == 0) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}
