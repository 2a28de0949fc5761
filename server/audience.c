#include "server/audience.h"

#include "common/clock.h"
#include "kindred/internal/link.pb-c.h"
#include "server/audience_request.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AUDIENCE_ASKED 2u
#define AUDIENCE_UNSENT ((size_t)1 << 20)
#define KEEP_BYTES ((size_t)1 << 20)

struct walk;
struct walk_ask {
	struct ask ask;
	struct walk *walk;
};

/* Through a run of one worker's shards. */
struct walk {
	struct audience *audience;
	struct worker *worker;
	uint64_t number;
	uint64_t incarnation; /* of the worker, at the opening */
	struct audience_range left; /* still to come */
	bool open, over;
	struct walk_ask asks[AUDIENCE_ASKED];
};

struct audience {
	struct call *call;
	uint8_t *request;
	size_t bytes;
	struct audience_cursor cursor;
	int64_t newest_after_ms, newest_until_ms;
	bool held; /* the generation */
	struct pin_wait wait;
	struct walk *walks; /* in order of shards */
	size_t walk_count, left; /* of them not over */
	struct buffer out; /* what follows the results in a response */
	bool may_continue; /* the client has a cursor */
	bool ended; /* the message is done */
};

/* --- the end --- */

static void close_walk(struct walk *walk)
{
	struct {
		struct frame_head head;
		uint64_t number;
	} frame = { { .bytes = sizeof frame.number, .kind = FRAME_AUDIENCE_CLOSE, .timeout_ms = UINT32_MAX },
		    walk->number };

	for (uint32_t i = 0; i < AUDIENCE_ASKED; i++)
		ask_forget(&walk->asks[i].ask);
	if (walk->open && !walk->over && walk->worker->link.open)
		link_send(&walk->worker->link, &frame, sizeof frame);
	walk->over = true;
}

/* Lets go of everything but the memory and the generation, which audience_release does. */
static void end(struct audience *audience)
{
	if (audience->ended)
		return;
	audience->ended = true;
	for (size_t i = 0; i < audience->walk_count; i++)
		close_walk(&audience->walks[i]);
	pins_forget(&audience->wait);
	call_message_done(audience->call, audience->bytes);
}

static void fail(struct audience *audience, const struct error *err)
{
	call_fail_error(audience->call, err);
	end(audience);
}

void audience_stop(struct call *call)
{
	end(call->state);
}

void audience_release(struct call *call)
{
	struct audience *audience = call->state;

	if (!audience)
		return;
	/* Not before: what the walks gave may have waited for the client until now. */
	if (audience->held)
		pins_release(&call->server->pins, audience->cursor.generation,
			     audience->may_continue && !call_went_through(call));
	buffer_fini(&audience->out);
	free(audience->walks);
	free(audience->request);
	free(audience);
	call->state = NULL;
}

/* --- responses --- */

static int add_as_of(struct buffer *out, int64_t as_of_ms)
{
	uint8_t bytes[32];
	struct buffer inner = { .data = bytes, .room = sizeof bytes }; /* large enough: it never grows */

	if (buffer_number(&inner, 1, (uint64_t)(as_of_ms / 1000)) ||
	    buffer_number(&inner, 2, (uint64_t)(as_of_ms % 1000) * 1000000))
		return E_EXHAUSTED;
	return buffer_field(out, 4, inner.data, inner.bytes);
}

static int add_cursor(struct audience *audience)
{
	struct buffer cursor = { 0 };
	size_t start;
	int rc = audience_cursor_begin(&cursor, &audience->cursor, &start);

	for (size_t i = 0; i < audience->walk_count && !rc; i++)
		if (!audience->walks[i].over)
			rc = audience_cursor_range(&cursor, &audience->walks[i].left);
	if (!rc) {
		audience_cursor_end(&cursor, start);
		rc = buffer_field(&audience->out, 5, cursor.data, cursor.bytes);
	}
	buffer_fini(&cursor);
	return rc;
}

/* results: fields 1, packed; a quarter of a megabyte, so it is copied once and no more. */
static int respond(struct audience *audience, const uint8_t *results, size_t bytes, struct error *err)
{
	struct buffer *out = &audience->out;
	const struct audience_cursor *cursor = &audience->cursor;

	buffer_clear(out, KEEP_BYTES);
	if (buffer_number(out, 2, cursor->generation) || buffer_number(out, 3, cursor->definition_version) ||
	    add_as_of(out, cursor->as_of_ms) || add_cursor(audience) || buffer_number(out, 6, cursor->users_seen) ||
	    buffer_number(out, 7, cursor->users_total))
		return error_set(err, E_EXHAUSTED, "out of memory for a response");
	call_send_two(audience->call, results, bytes, out->data, out->bytes);
	audience->may_continue = true;
	return 0;
}

/* --- asking the workers --- */

static void on_portion(struct ask *ask, int code, const uint8_t *data, size_t bytes);

static int ask_open(struct walk *walk, struct walk_ask *ask, struct error *err)
{
	struct audience *audience = walk->audience;
	Kindred__Internal__AudienceOpen open = KINDRED__INTERNAL__AUDIENCE_OPEN__INIT;
	struct buffer packed = { 0 };
	int rc;

	walk->number = ++audience->call->server->walks;
	open.walk = walk->number;
	open.request = (ProtobufCBinaryData){ audience->bytes, audience->request };
	open.generation = audience->cursor.generation;
	open.definition_version = audience->cursor.definition_version;
	open.as_of_ms = audience->cursor.as_of_ms;
	open.newest_after_ms = audience->newest_after_ms;
	open.newest_until_ms = audience->newest_until_ms;
	open.first_shard = walk->left.first;
	open.end_shard = walk->left.end;
	open.after_user = (ProtobufCBinaryData){ walk->left.user_bytes, walk->left.user };
	if (buffer_pack(&packed, &open.base))
		return error_set(err, E_EXHAUSTED, "out of memory");
	rc = worker_ask(walk->worker, &ask->ask, FRAME_CALL_AUDIENCE, audience->call->deadline_ns, false, packed.data,
			packed.bytes, err);
	buffer_fini(&packed);
	walk->open = rc == 0;
	walk->incarnation = walk->worker->incarnation;
	return rc;
}

static int ask_portion(struct walk *walk, struct walk_ask *ask, struct error *err)
{
	ask->walk = walk;
	ask->ask.answered = on_portion;
	if (!walk->open)
		return ask_open(walk, ask, err);
	/* It may have died, and be back, while nothing was asked of it. */
	if (walk->incarnation != walk->worker->incarnation)
		return error_set(err, E_UNAVAILABLE, "%s", walk->worker->link.down_text);
	return worker_ask(walk->worker, &ask->ask, FRAME_CALL_AUDIENCE_NEXT, walk->audience->call->deadline_ns, false,
			  &walk->number, sizeof walk->number, err);
}

static bool may_ask(const struct audience *audience)
{
	size_t unsent = call_unsent(audience->call);

	return unsent == 0 || (unsent < AUDIENCE_UNSENT && unsent <= call_unsent_max(audience->call));
}

/* Asks for portions as far as the client keeps up. A worker is asked for one of its walks after the other. */
static void feed(struct audience *audience)
{
	const struct worker *busy = NULL;
	struct error err;

	for (size_t i = 0; i < audience->walk_count; i++) {
		struct walk *walk = &audience->walks[i];

		if (walk->over || walk->worker == busy)
			continue;
		busy = walk->worker;
		for (uint32_t j = 0; j < AUDIENCE_ASKED && may_ask(audience); j++) {
			if (walk->asks[j].ask.link || !ask_portion(walk, &walk->asks[j], &err))
				continue;
			if (err.code == E_UNAVAILABLE)
				error_set(&err, E_UNAVAILABLE, "%s; go on with the last cursor",
					  walk->worker->link.down_text);
			fail(audience, &err);
			return;
		}
	}
}

void audience_room(struct call *call)
{
	struct audience *audience = call->state;

	if (audience && !audience->ended && audience->walks)
		feed(audience);
}

/* --- portions come in --- */

/* Splits a worker's answer. False: it is none. */
static bool read_portion(struct walk *walk, const uint8_t *data, size_t bytes, const uint8_t **results,
			 size_t *result_bytes)
{
	struct audience *audience = walk->audience;
	struct stats *stats = &audience->call->server->stats;
	Kindred__Internal__AudiencePortion *head;
	size_t head_bytes = 0, at = 0;
	bool valid;

	for (unsigned shift = 0; at < bytes && shift < 21; shift += 7) {
		head_bytes |= (size_t)(data[at] & 0x7f) << shift;
		if (!(data[at++] & 0x80))
			break;
	}
	if (head_bytes > bytes - at)
		return false;
	head = kindred__internal__audience_portion__unpack(NULL, head_bytes, data + at);
	if (!head)
		return false;
	valid = head->shard >= walk->left.first && head->shard <= walk->left.end && head->after_user.len <= USER_ID_MAX;
	if (valid) {
		walk->left.first = head->shard;
		walk->left.user_bytes = (uint32_t)head->after_user.len;
		if (head->after_user.len)
			memcpy(walk->left.user, head->after_user.data, head->after_user.len);
		audience->cursor.users_seen += head->users_seen;
		stats->recommend_users += head->users_answered;
		stats->recommend_failed_users += head->users_failed;
	}
	kindred__internal__audience_portion__free_unpacked(head, NULL);
	*results = data + at + head_bytes;
	*result_bytes = bytes - at - head_bytes;
	return valid;
}

static int take_portion(struct walk *walk, const uint8_t *data, size_t bytes, struct error *err)
{
	struct audience *audience = walk->audience;
	const uint8_t *results;
	size_t result_bytes;

	if (!read_portion(walk, data, bytes, &results, &result_bytes))
		return error_set(err, E_INTERNAL, "a worker's answer cannot be read");
	if (walk->left.first == walk->left.end) {
		walk->over = true;
		close_walk(walk);
		audience->left--;
	}
	return respond(audience, results, result_bytes, err);
}

static void on_portion(struct ask *answered, int code, const uint8_t *data, size_t bytes)
{
	struct walk *walk = ((struct walk_ask *)answered)->walk;
	struct audience *audience = walk->audience;
	struct error err;

	if (code)
		error_set(&err, code, "%.*s%s", (int)bytes, (const char *)data,
			  code == E_UNAVAILABLE ? "; go on with the last cursor" : "");
	else if (!take_portion(walk, data, bytes, &err))
		err.code = 0;
	/* Whoever continues loses nothing, so a stopping server need not wait for the end. */
	if (!err.code && audience->left && audience->call->server->state >= SERVER_DRAINING)
		error_set(&err, E_UNAVAILABLE, "the server is stopping; go on with the last cursor in another call");
	if (err.code)
		fail(audience, &err);
	else if (!audience->left || call_is_over(audience->call)) /* over: there was no memory for a reply */
		end(audience);
	else
		feed(audience);
}

/* --- a call begins --- */

/* The ranges, cut where one worker's shards end. */
static int make_walks(struct audience *audience, const struct audience_range *ranges, size_t count, struct error *err)
{
	struct server *server = audience->call->server;
	struct supervisor *supervisor = &server->supervisor;

	audience->walks = calloc(count + supervisor->count, sizeof *audience->walks);
	if (!audience->walks)
		return error_set(err, E_EXHAUSTED, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct audience_range left = ranges[i];

		while (left.first < left.end) {
			uint32_t number = shard_worker(left.first, supervisor->count, server->dir.shards);
			uint32_t worker_end = shard_run_first(number + 1, supervisor->count, server->dir.shards);
			struct walk *walk = &audience->walks[audience->walk_count++];

			walk->audience = audience;
			walk->worker = &supervisor->workers[number];
			walk->left = left;
			if (worker_end < left.end)
				walk->left.end = worker_end;
			left.first = walk->left.end;
			left.user_bytes = 0;
		}
	}
	audience->left = audience->walk_count;
	return 0;
}

/* The generation is at hand. */
static void begin(struct audience *audience)
{
	struct error err;

	if (respond(audience, NULL, 0, &err))
		fail(audience, &err);
	else if (!audience->left)
		end(audience);
	else
		feed(audience);
}

static void on_pinned(struct pin_wait *wait, int code, const struct error *err)
{
	struct audience *audience = (struct audience *)((char *)wait - offsetof(struct audience, wait));

	if (code)
		fail(audience, err);
	else
		begin(audience);
}

static uint64_t all_users(const struct server *server)
{
	uint64_t users = 0;

	for (uint32_t i = 0; i < server->dir.shards; i++)
		users += server->shards[i].users;
	return users;
}

/* What the call, and those that will continue it, are pinned to. */
static int pin(struct audience *audience, const struct audience_request *request, struct error *err)
{
	struct server *server = audience->call->server;
	struct audience_cursor *cursor = &audience->cursor;
	uint64_t version =
		registry_definition_version(&server->registry, request->definition, request->definition_bytes);

	*cursor = request->pinned;
	if (!version)
		return error_set(err, E_NOT_FOUND,
				 "definition '%.*s': none of that name; `kindred definitions list` shows them",
				 (int)request->definition_bytes, request->definition);
	if (!request->continues) {
		cursor->definition_version = version;
		cursor->shards = server->dir.shards;
		cursor->users_total = all_users(server);
		if (!cursor->generation)
			cursor->generation = server_active(server);
		if (cursor->as_of_ms < 0)
			cursor->as_of_ms = clock_wall_ms();
	} else if (version != cursor->definition_version) {
		return error_set(err, E_PRECONDITION,
				 "cursor: of version %" PRIu64
				 " of the definition, which was changed or made again since (%" PRIu64
				 "); begin again without one",
				 cursor->definition_version, version);
	}
	if (!cursor->generation)
		return error_set(err, E_PRECONDITION, "no model yet: `kindred model build`");
	audience->newest_after_ms = request->active_ms ? cursor->as_of_ms - request->active_ms : INT64_MIN;
	audience->newest_until_ms = cursor->as_of_ms - request->inactive_ms;
	return 0;
}

static int prepare(struct audience *audience, const struct audience_request *request, struct error *err)
{
	struct pins *pins = &audience->call->server->pins;
	uint32_t shards = audience->call->server->dir.shards;
	const struct audience_range all = { .end = shards };
	int rc = pin(audience, request, err);

	if (!rc)
		rc = make_walks(audience, request->continues ? request->ranges : &all,
				request->continues ? request->range_count : 1, err);
	if (!rc)
		rc = pins_hold(pins, audience->cursor.generation, request->continues, err);
	audience->held = rc == 0;
	audience->may_continue = request->continues;
	if (!rc)
		rc = pins_want(pins, audience->cursor.generation, &audience->wait, err);
	return rc;
}

static struct audience *audience_new(struct call *call, const uint8_t *data, size_t bytes)
{
	struct audience *audience = calloc(1, sizeof *audience);

	if (!audience)
		return NULL;
	audience->call = call;
	audience->bytes = bytes;
	audience->wait.ready = on_pinned;
	audience->request = malloc(bytes + 1);
	if (!audience->request) {
		free(audience);
		return NULL;
	}
	memcpy(audience->request, data, bytes);
	call->state = audience;
	return audience;
}

void audience_message(struct call *call, const uint8_t *data, size_t bytes)
{
	struct audience_request request = { 0 };
	struct audience *audience;
	struct error err;
	int rc;

	if (call->state) {
		call_fail(call, E_INVALID, "one request a call");
		end(call->state);
		call_message_done(call, bytes);
		return;
	}
	call->server->stats.recommend_calls++;
	audience = audience_new(call, data, bytes);
	if (!audience) {
		call_fail(call, E_EXHAUSTED, "out of memory");
		call_message_done(call, bytes);
		return;
	}
	rc = audience_request_read(audience->request, bytes, call->server->dir.shards, &request, &err);
	if (!rc)
		rc = prepare(audience, &request, &err);
	free(request.ranges);
	if (rc < 0)
		fail(audience, &err);
	else if (rc == 0)
		begin(audience);
}
