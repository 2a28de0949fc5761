/*
 * Preloaded into a process (LD_PRELOAD): the time of day is a day ahead, as of a machine whose clock nobody has set
 * yet. Other clocks are as they are.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, now);
	if (rc == 0 && clock == CLOCK_REALTIME)
		now->tv_sec += 86400;
	return rc;
}
