/*
 * Waiting to the microsecond in C core's queue. It rounds a wait up to whole milliseconds, which would start calls late. A look at the queue that does not
 * wait comes down to an epoll_wait() without waiting; the executable's own is found before libc's, and waits here until there is something to read or
 * the time given has come. Linux 5.11 and later; older ones are looked at again and again.
 *
 *     wait_until(due_ns);
 *     event = grpc_completion_queue_next(queue, gpr_time_0(..), NULL);    an event, or the time has come, or nothing yet
 *     wait_until(0);
 */
#ifndef KINDRED_BENCH_WAIT_H
#define KINDRED_BENCH_WAIT_H

#include <stdint.h>

/* By the monotonic clock. What this thread asks epoll without waiting is answered then at the latest, and after a tenth of a second; 0: at once, as ever. */
void wait_until(uint64_t due_ns);

#endif
