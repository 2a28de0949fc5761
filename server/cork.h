/*
 * The cork: what the loop's thread sends to TCP sockets in one turn leaves together, in one system call a socket.
 * C core does a sendmsg() a reply; here, for a thread that asked for it, the bytes of those are kept until the
 * thread waits again. The executable's own sendmsg(), shutdown() and close() are found before libc's.
 *
 *     cork_start() -> [sendmsg .. sendmsg -> cork_push()] .. -> cork_stop()
 *
 * A push that is missed would be a client that waits for good. Why none is:
 *
 *   - It hangs on the wait, not on who wrote: epoll_wait() of a thread that keeps bytes pushes them first
 *     (server/epoll_tap.c), whether libuv or C core calls it, and nothing else makes the loop's thread rest.
 *   - What any other thread sends on such a socket (C core's timers do) goes out at once, and what is kept for that
 *     socket goes before it. A lock keeps the order.
 *   - shutdown() and close() push first.
 *   - A socket that is full keeps the rest, and answers EAGAIN to whoever sends more, as it would have without
 *     the cork. The kernel's "writable" then wakes C core's epoll, so the loop, and every wait pushes anew.
 *
 * The one difference to the kernel's own buffer: a socket that is full when it is closed loses what is kept for it, at
 * most CORK_KEPT_MAX bytes behind megabytes that its reader has not read.
 *
 * What a sendmsg() told is what it would have told: bytes it took go out in order or the connection has failed, which
 * shows as an error of the next sendmsg() and of the reading side, as it does for bytes in the kernel's own buffer.
 *
 * Not kept, but sent at once behind what is: messages longer than CORK_KEPT_MAX, messages with control
 * data, sockets that are not TCP.
 */
#ifndef KINDRED_SERVER_CORK_H
#define KINDRED_SERVER_CORK_H

#include <stdbool.h>

#define CORK_KEPT_MAX (16u << 10) /* of one socket */

/* From now on what this thread sends is kept. One thread a process. */
void cork_start(void);
/* Pushes, and keeps nothing any more. */
void cork_stop(void);
/* Sends what is kept. Cheap when nothing is. */
void cork_push(void);

#endif
