/*
 * Further front-ends that come to this worker with calls, beside the server: each on a connection of
 * its own to the socket that the server made (FRONT_END_FD), with the memory of its link. They are let
 * in once the server says that the worker serves (FRAME_ADMIT), and are told so with FRAME_READY; those
 * that came before wait in the socket's queue. Loop thread.
 *
 * Failure: one that goes away, or sends what only the server may, is closed, and what it asked for is forgotten. The
 * worker's life hangs on the server's link alone.
 */
#ifndef KINDRED_WORKER_FRONT_ENDS_H
#define KINDRED_WORKER_FRONT_ENDS_H

#include "common/error.h"

#include <stdbool.h>
#include <uv.h>

struct worker;
struct front_end;

struct front_ends {
	struct worker *worker;
	struct front_end *first;
	struct arrival *arrivals;
	uv_poll_t socket;
	bool open, admitted;
};

/* Takes the socket; nobody is let in yet. */
int front_ends_open(struct front_ends *front_ends, struct worker *worker, struct error *err);
void front_ends_admit(struct front_ends *front_ends);
/* Now and then: those that could not be taken in, for want of file descriptors, are tried again. */
void front_ends_try_again(struct front_ends *front_ends);
/* Writes what was gathered for all of them. */
void front_ends_flush(struct front_ends *front_ends);
/* The loop must run once more. Does nothing when it was not opened. */
void front_ends_close(struct front_ends *front_ends);

#endif
