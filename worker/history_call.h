/*
 * The call ListUserEvents, without what only catalogs know (the server adds ids and names of items). Loop
 * thread.
 */
#ifndef KINDRED_WORKER_HISTORY_CALL_H
#define KINDRED_WORKER_HISTORY_CALL_H

#include "common/error.h"
#include "common/frame.h"
#include "worker/decode.h"

#include <stdint.h>

struct worker;

#define PAGE_EVENTS_MAX 10000
#define PAGE_EVENTS_DEFAULT 100
/* A page ends early rather than pass this, with the names that are still to come: gRPC clients take 4 MB a message. */
#define PAGE_BYTES ((size_t)3 << 20)
#define PAGE_TOKEN_BYTES 32

void history_call(struct worker *worker, const struct frame_head *head, const uint8_t *payload);

/*
 * A place in a history, newest first: events before time_ms, and of those at time_ms all but the `given`
 * newest. It stays good while newer events come in and the oldest go.
 */
struct page_place {
	int64_t time_ms;
	uint32_t given;
};
/* token: PAGE_TOKEN_BYTES of room. Returns its length. */
size_t page_token_format(struct page_place place, char *token);
/* Empty: the start. E_INVALID: not one of ours. */
int page_token_parse(struct text_view token, struct page_place *place, struct error *err);

/* What a ListUserEventsRequest asks for. */
struct page_request {
	struct text_view user; /* of the payload */
	uint32_t size; /* 1 to PAGE_EVENTS_MAX */
	struct page_place place;
};
/* Reading and checking only; pure. E_INVALID: malformed, or a value that is not allowed. */
int page_request_read(const void *payload, size_t bytes, struct page_request *request, struct error *err);

#endif
