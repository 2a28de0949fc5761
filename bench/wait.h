/*
 * Waiting to the microsecond in C core's queue. It rounds a wait up to whole milliseconds, which would
 * start calls late. A look at the queue that does not wait comes down to an epoll_wait() without
 * waiting; the executable's own is found before libc's, and waits here until there is something to read
 * or the time given has come.
 *
 *     wait_begin(due_ns);
 *     event = grpc_completion_queue_next(queue, gpr_time_0(..), NULL);
 *                                     an event, or the time has come, or nothing yet
 *     if (!wait_end() && no event)
 *         nap();
 *
 * It is not waited when another thread waits in C core already, which lets only one do so, nor before Linux 5.11.
 */
#ifndef KINDRED_BENCH_WAIT_H
#define KINDRED_BENCH_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * By the monotonic clock, > 0. What this thread asks epoll without waiting is answered then at the
 * latest, and after a tenth of a second.
 */
void wait_begin(uint64_t due_ns);
/* From now on it is answered at once, as ever. Whether epoll was asked since wait_begin. */
bool wait_end(void);

#endif
