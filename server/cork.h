/*
 * Write coalescing: C core does one sendmsg() a reply, which is the largest part of what a small call costs. The
 * executable's own sendmsg is found before libc's; while coalescing is on, it gives MSG_MORE to what goes to TCP
 * sockets (the kernel queues, and transmits full segments only), and pushes each touched socket once, with
 * TCP_NODELAY, before the thread waits (server/epoll_tap.c calls cork_before_wait).
 *
 * A push that is missed shows as a stall of up to 200 ms. Why none is:
 *
 *   - Coalescing is a property of one thread, the loop's. What any other thread sends (gRPC's timers and
 *     executor) goes out at once, and takes along what is held on that socket.
 *   - The push hangs on the wait, not on the callbacks: whatever wrote (a timer, an async, a work callback, a
 *     link's frames, the drain of the completion queue), the thread comes to no rest but in epoll_wait, of
 *     libuv or of C core. Only C core's look with no waiting passes without a push, and the loop's own
 *     epoll_wait follows every one of them.
 *   - It begins only when an epoll_wait on the loop's own descriptor has been seen here: with a libuv that waits
 *     in some other way nothing is held.
 *   - A socket that cannot be noted is written to without MSG_MORE.
 *   - A closed socket sends what it holds; a descriptor used anew meanwhile is pushed for nothing, or is no
 *     socket, which setsockopt refuses. Only TCP sockets are touched.
 *
 * No more than CORK_HELD_MAX writes are held, so that the first reply of a long turn does not wait for its end.
 */
#ifndef KINDRED_SERVER_CORK_H
#define KINDRED_SERVER_CORK_H

#include <stdbool.h>

#define CORK_HELD_MAX 32

/* On this thread, from its next wait on loop_fd on. polled_fd: C core's descriptor, looked at without waiting. */
void cork_start(int loop_fd, int polled_fd);
/* Pushes what is held; from now on writes of this thread go out at once. */
void cork_stop(void);
void cork_push(void);
/* Whether writes of this thread are held now. */
bool cork_holds(void);

/* For epoll_tap: this thread is about to wait. */
void cork_before_wait(int fd, int timeout_ms);

#endif
