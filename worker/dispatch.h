/* Gives each frame from the server to what serves it. Loop thread. */
#ifndef KINDRED_WORKER_DISPATCH_H
#define KINDRED_WORKER_DISPATCH_H

#include "common/frame.h"

struct worker;

void dispatch(struct worker *worker, const struct frame_head *head, const uint8_t *payload);

#endif
