/* Gives each frame to what serves it. Loop thread. */
#ifndef KINDRED_WORKER_DISPATCH_H
#define KINDRED_WORKER_DISPATCH_H

#include "common/frame.h"

struct worker;
struct uplink;

/*
 * from: who sent it, and gets the answer: the server, or a further front-end (worker/front_ends.h says
 * what it may send).
 */
void dispatch(struct worker *worker, struct uplink *from, const struct frame_head *head, const uint8_t *payload);

#endif
