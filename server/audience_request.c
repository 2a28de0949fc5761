#include "server/audience_request.h"

#include "common/clock.h"
#include "common/wire.h"
#include "kindred/v1/recommend.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SPAN_MAX_S INT64_C(315576000000) /* google.protobuf.Duration: 10,000 years */

/* What calls that continue one another must have in common, packed. */
struct common {
	uint64_t definition; /* hash of the name */
	int64_t active_ms, inactive_ms;
	uint32_t count, fields; /* with_names, and 2: explain */
};

static int read_span(const char *name, const Google__Protobuf__Duration *span, int64_t *ms, struct error *err)
{
	*ms = 0;
	if (!span)
		return 0;
	if (span->seconds < 0 || span->seconds > SPAN_MAX_S || span->nanos < 0 || span->nanos > 999999999)
		return error_set(err, E_INVALID, "%s: not a time span of 0 to 10,000 years", name);
	*ms = span->seconds * 1000 + span->nanos / 1000000;
	if (!*ms)
		return error_set(err, E_INVALID, "%s: more than 0 is allowed; unset: all users", name);
	return 0;
}

static int read_as_of(const Google__Protobuf__Timestamp *as_of, int64_t *ms, struct error *err)
{
	*ms = -1;
	if (!as_of)
		return 0;
	if (as_of->seconds < 0 || as_of->seconds > TIME_MAX_MS / 1000 || as_of->nanos < 0 || as_of->nanos > 999999999)
		return error_set(err, E_INVALID, "as_of: not a time from 1970 to 9999");
	*ms = as_of->seconds * 1000 + as_of->nanos / 1000000;
	return 0;
}

/* The cursor decides; what the request says beside it must be the same. */
static int read_cursor(const ProtobufCBinaryData *bytes, uint32_t shards, struct audience_request *request,
		       struct error *err)
{
	struct audience_cursor asked = request->pinned;
	int rc = audience_cursor_read(bytes->data, bytes->len, shards, &request->pinned, &request->ranges,
				      &request->range_count, err);

	if (rc)
		return rc;
	request->continues = true;
	if (asked.request != request->pinned.request)
		rc = error_set(err, E_INVALID,
			       "cursor: of another request; definition, count, filter, explain, with_names, "
			       "active_within and inactive_for must be as in the call that it is from");
	else if (asked.generation && asked.generation != request->pinned.generation)
		rc = error_set(err, E_INVALID,
			       "generation: %" PRIu64 ", but the cursor is of %" PRIu64 "; leave it unset",
			       asked.generation, request->pinned.generation);
	else if (asked.as_of_ms >= 0 && asked.as_of_ms != request->pinned.as_of_ms)
		rc = error_set(err, E_INVALID, "as_of: not the cursor's; leave it unset");
	if (rc) {
		free(request->ranges);
		request->ranges = NULL;
	}
	return rc;
}

static int take(const Kindred__V1__RecommendAudienceRequest *message, uint32_t shards, struct audience_request *request,
		struct error *err)
{
	struct common common = { .count = message->count,
				 .fields = (message->with_names ? 1 : 0) | (message->explain ? 2 : 0) };
	int rc = read_span("active_within", message->active_within, &request->active_ms, err);

	if (!rc)
		rc = read_span("inactive_for", message->inactive_for, &request->inactive_ms, err);
	if (!rc && request->active_ms && request->inactive_ms >= request->active_ms)
		rc = error_set(err, E_INVALID,
			       "inactive_for: not less than active_within, so that no user can be both");
	if (!rc)
		rc = read_as_of(message->as_of, &request->pinned.as_of_ms, err);
	if (!rc && !request->definition_bytes)
		rc = error_set(err, E_INVALID, "definition: empty; the name of a definition is needed");
	if (rc)
		return rc;
	common.definition = XXH3_64bits(request->definition, request->definition_bytes);
	common.active_ms = request->active_ms;
	common.inactive_ms = request->inactive_ms;
	request->pinned.request = XXH3_64bits(&common, sizeof common);
	if (*message->filter) /* by itself: cursors of calls without one are as they were before there were filters */
		request->pinned.request ^= XXH3_64bits(message->filter, strlen(message->filter));
	request->pinned.generation = message->generation;
	return message->cursor.len ? read_cursor(&message->cursor, shards, request, err) : 0;
}

int audience_request_read(const uint8_t *bytes, size_t size, uint32_t shards, struct audience_request *request,
			  struct error *err)
{
	Kindred__V1__RecommendAudienceRequest *message;
	const uint8_t *name = NULL;
	int rc = wire_check_texts(&kindred__v1__recommend_audience_request__descriptor, bytes, size, err);

	*request = (struct audience_request){ 0 };
	if (rc)
		return rc;
	message = kindred__v1__recommend_audience_request__unpack(NULL, size, bytes);
	if (!message)
		return error_set(err, E_INVALID, "the request is not a kindred.v1.RecommendAudienceRequest");
	wire_find(bytes, size, 2, &name, &request->definition_bytes);
	request->definition = (const char *)name;
	rc = take(message, shards, request, err);
	kindred__v1__recommend_audience_request__free_unpacked(message, NULL);
	return rc;
}
