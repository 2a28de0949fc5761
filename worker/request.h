/*
 * What a recommendation call asks for: kindred.v1.RecommendRequest, RecommendManyRequest and
 * RecommendAudienceRequest, whose fields have the same numbers. Reading and checking only; pure.
 */
#ifndef KINDRED_WORKER_REQUEST_H
#define KINDRED_WORKER_REQUEST_H

#include "common/error.h"
#include "worker/context.h"
#include "worker/decode.h"

#include <stdbool.h>
#include <stdint.h>

#define REQUEST_USERS_MAX 10000

/* Which message it is. */
enum request_kind { REQUEST_ONE, REQUEST_MANY, REQUEST_AUDIENCE };

struct request {
	enum request_kind kind;
	struct text_view user; /* the last one, when there are many; not checked */
	uint32_t users;
	struct text_view definition;
	uint32_t count; /* 0: the definition's */
	bool timed; /* as_of was given */
	int64_t as_of_ms; /* now_ms when it was not */
	uint64_t generation; /* 0: the active one */
	struct text_view filter; /* of this call alone; empty: none */
	bool with_names, explain;
	struct context context; /* to be resolved */
};

/*
 * Views point into the payload. E_INVALID: malformed, or a value that is not allowed. Users are only counted
 * (1 for a RecommendRequest, 1 to 10,000 when many, none for an audience).
 */
int request_read(const void *payload, size_t bytes, enum request_kind kind, int64_t now_ms, struct request *request,
		 struct error *err);

/* The users of a RecommendManyRequest, one after the other. 1, or 0 at the end. */
int request_next_user(struct wire_cursor *cursor, struct text_view *user);

#endif
