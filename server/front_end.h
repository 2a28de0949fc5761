/*
 * A further front-end: a process of its own, started by the server (server/front_ends.h), that listens
 * on the same address and has the way of the data to itself: route.c, many.c and ingest.c over links of
 * its own to the workers. Every other call it passes on (server/door_pass.c). It knows no disk, no
 * catalog and no definition.
 *
 *     SETUP from the server -> connecting to all workers -> each has let it in: opens the port, takes calls, says
 *     FRAME_READY
 *     DRAIN from the server -> no new calls; when the last one is over, FRAME_DRAINED and the end
 *
 * A worker that goes away is connected to again at once; its users' calls get UNAVAILABLE until it lets the front-end
 * in. When the link to the server ends, so does the process.
 */
#ifndef KINDRED_SERVER_FRONT_END_H
#define KINDRED_SERVER_FRONT_END_H

/* On LINK_FD and FRONT_END_FD. Returns the process's exit code. */
int front_end_run(void);

#endif
