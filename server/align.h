/*
 * Gives one worker the active generation: one that has just started, or one that a swap has passed by.
 *
 *     LOAD -> catch up with the item changes since it was built (server/catchup.h) -> ACTIVATE -> worker_up()
 *
 * A swap that comes between starts it again, with the generation that is active then. What fails is
 * tried again a few times; a worker that cannot be given the generation serves without it: events come
 * in, and recommendations are answered with the one that it has, or with an error. One that dies
 * meanwhile is aligned when it is back. Loop thread.
 */
#ifndef KINDRED_SERVER_ALIGN_H
#define KINDRED_SERVER_ALIGN_H

struct worker;

/* worker_up() follows, perhaps within this call, unless the worker dies. */
void align_worker(struct worker *worker);

#endif
