/*
 * This process's accept4(), found before libc's, since gRPC's C core stops listening for good after any error of it
 * but EAGAIN: whoever opened as many connections as there may be open files would have closed the port to all.
 *
 * So the last of the open files are not for connections: one that gets such a number is closed at once, and what starts
 * workers and opens files of the data directory finds some. An error that is only of the one connection is passed over,
 * as accept(2) advises. Any thread.
 */
#ifndef KINDRED_SERVER_ACCEPT_H
#define KINDRED_SERVER_ACCEPT_H

#define ACCEPT_SPARED_MAX 256
#define ACCEPT_SPARED_SHARE 8 /* one of so many, where that is less */

/* From now on some are spared: the process has a port. (And who calls it has this file linked.) */
void accept_start(void);

#endif
