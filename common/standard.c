#include "common/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void standard_hold(void)
{
	/* the wrong way round, so that reading and writing fail with EBADF */
	static const int ways[] = { O_WRONLY, O_RDONLY, O_RDONLY };

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", ways[fd]); /* takes the lowest number that is free */
}
