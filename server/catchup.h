/*
 * Catching up: a generation was built from catalogs as they were then; before it serves, workers are sent
 * every item that changed since. Runs in portions on the control lane, and waits while the links are full.
 * Loop thread.
 */
#ifndef KINDRED_SERVER_CATCHUP_H
#define KINDRED_SERVER_CATCHUP_H

#include "common/error.h"
#include "server/generation.h"

struct server;
struct worker;

typedef void (*catchup_done)(void *context, uint64_t cookie, int code, const struct error *err);

/*
 * only: one worker, or NULL for all that have a model. done comes once, within this call when nothing
 * has to be asked; cookie is handed through.
 */
void catchup_start(struct server *server, struct generation *generation, struct worker *only, catchup_done done,
		   void *context, uint64_t cookie);

#endif
