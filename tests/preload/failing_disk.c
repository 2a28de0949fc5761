/*
 * Preloaded into a process (LD_PRELOAD): once the file that FAILING_DISK names is there, the next write
 * to one of LMDB's two meta pages fails with EIO, and the file is removed. So a test can have a disk
 * that fails for a moment, just where LMDB forgives least.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define META_BYTES 8192

static int fails(off_t offset)
{
	const char *trigger = getenv("FAILING_DISK");
	return offset < META_BYTES && trigger && unlink(trigger) == 0;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	if (fails(offset)) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, bytes, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t offset) __attribute__((alias("pwrite")));
