#include "server/many.h"

#include "common/wire.h"
#include "server/many_answer.h"
#include "server/server.h"
#include "server/wire.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define USERS_MAX 10000
#define USERS_FIELD 1 /* of the request */
#define GENERATION_FIELD 7 /* of the request */
#define REST_MAX_BYTES (8u << 10) /* they are copied to every part */
/* Users of a part: as many as PART_BYTES of answers are of, when answers to the same have told; else PART_USERS. */
#define PART_USERS 256u
#define PART_USERS_LEAST 64u
#define PART_USERS_MOST 1024u /* some milliseconds of a worker's time */
#define PART_BYTES (256u << 10)
#define GUESSED_USER_BYTES (PART_BYTES / PART_USERS) /* while nothing has told */
#define ANSWER_BYTES (1u << 20) /* clients take 4 MiB unless told otherwise */

struct many;
struct many_message;

/* Some of a message's users, with one worker. */
struct many_part {
	struct ask ask;
	struct many_message *message;
	struct worker *worker;
	const struct wire_part *users;
};

struct many_message {
	struct many_message *next, *previous;
	struct call *call;
	struct pin_wait wait; /* for the generation it asks for */
	bool ready; /* that is at hand */
	size_t bytes;
	uint64_t wish;
	struct wire_split split;
	uint32_t unanswered; /* users */
	uint32_t asked, answered; /* parts; they are asked in order */
	uint32_t part_count;
	struct many_part parts[]; /* workers take turns */
};

/* A stream. */
struct many {
	struct many_message *first, *last; /* in work, in order of arrival */
	uint32_t asked; /* parts with workers */
	size_t asked_users; /* of these */
	size_t user_bytes; /* of an answer, the largest so far; 0: there was none */
	uint64_t wish; /* what the newest message asks for of each user: a hash */
	size_t wish_user_bytes; /* as user_bytes, of answers to that */
};

/* --- answers --- */

static void send_piece(void *context, const uint8_t *piece, size_t bytes)
{
	call_send(context, piece, bytes);
}

/* --- messages in work --- */

/* Whatever it ended by: whoever was not answered until now will not be. */
static void message_free(struct many_message *message)
{
	message->call->server->stats.recommend_failed_users += message->unanswered;
	wire_split_free(&message->split);
	free(message);
}

static void message_unlink(struct many_message *message)
{
	struct many *many = message->call->state;

	if (message->previous)
		message->previous->next = message->next;
	else
		many->first = message->next;
	if (message->next)
		message->next->previous = message->previous;
	else
		many->last = message->previous;
}

/* True: that was the last part of the last message in work, and the call may be gone. */
static bool part_done(struct many_message *message)
{
	struct call *call = message->call;
	struct many *many = call->state;
	size_t bytes = message->bytes;
	bool last;

	if (++message->answered < message->part_count)
		return false;
	message_unlink(message);
	message_free(message);
	last = !many->first;
	call_message_done(call, bytes);
	return last;
}

void many_stop(struct call *call)
{
	struct many *many = call->state;
	struct many_message *message, *next;

	if (!many)
		return;
	message = many->first;
	many->first = many->last = NULL; /* the call may be gone after its last message is done */
	many->asked = 0;
	many->asked_users = 0;
	call_expect(call, 0);
	for (; message; message = next) {
		size_t bytes = message->bytes;

		next = message->next;
		for (uint32_t i = 0; i < message->part_count; i++)
			ask_forget(&message->parts[i].ask);
		pins_forget(&message->wait);
		message_free(message);
		call_message_done(call, bytes);
	}
}

void many_release(struct call *call)
{
	free(call->state);
	call->state = NULL;
}

/* Whether other users' answers may still come: else the whole stream is in error. */
static bool of_these_users_only(int code)
{
	return code == E_UNAVAILABLE || code == E_EXHAUSTED || code == E_DEADLINE;
}

/* After a reply. False: there was no memory for it, which has ended the stream, and now its messages. */
static bool goes_on(struct call *call)
{
	if (!call_is_over(call))
		return true;
	many_stop(call);
	return false;
}

/* False: the stream was ended, and the message with it. */
static bool part_failed(struct many_part *part, int code, const char *text, size_t text_bytes)
{
	struct call *call = part->message->call;
	struct buffer answer = { 0 };
	int rc = 0;

	if (of_these_users_only(code)) {
		rc = many_answer_failed(&answer, part->users->message, part->users->bytes, code, text, text_bytes);
		if (!rc)
			call_send(call, answer.data, answer.bytes);
		buffer_fini(&answer);
		if (!rc)
			return goes_on(call);
	}
	call_fail(call, code, "%.*s", (int)text_bytes, text);
	many_stop(call);
	return false;
}

/* --- asking --- */

/*
 * Of the newest message. Each stream is answered one part at least, also where no room is left: then the first of
 * thousands of streams may not be as large as it comes.
 */
static uint32_t part_users(const struct call *call)
{
	const struct many *many = call->state;
	size_t users = many->wish_user_bytes ? PART_BYTES / many->wish_user_bytes : PART_USERS;

	if (!many->wish_user_bytes && call_unsent_max(call) < PART_BYTES)
		users = PART_USERS_LEAST;
	if (users < PART_USERS_LEAST)
		return PART_USERS_LEAST;
	return users < PART_USERS_MOST ? (uint32_t)users : PART_USERS_MOST;
}

static size_t user_bytes(const struct many *many)
{
	return many->user_bytes ? many->user_bytes : GUESSED_USER_BYTES;
}

/*
 * Whether one more part may be with a worker: its answer, with users as large as the largest so far, has to find room
 * among what the client has not read yet. Until the first has come, no more than there are workers; and always one,
 * when there is nothing else.
 */
static bool may_ask(const struct call *call)
{
	const struct many *many = call->state;
	size_t unsent = call_unsent(call);

	if (!many->asked && !unsent)
		return true;
	if (!many->user_bytes && many->asked >= call->server->supervisor.count)
		return false;
	return unsent + (many->asked_users + part_users(call)) * user_bytes(many) <= call_unsent_max(call);
}

/* A part has gone to its worker, or has come back. */
static void count_asked(struct call *call, const struct many_part *part, bool gone)
{
	struct many *many = call->state;

	many->asked += gone ? 1 : -1;
	many->asked_users += gone ? part->users->count : -(size_t)part->users->count;
	call_expect(call, many->asked_users * user_bytes(many));
}

static void on_answered(struct ask *ask, int code, const uint8_t *data, size_t bytes);

static int ask_worker(struct many_part *part, struct error *err)
{
	part->ask.answered = on_answered;
	return worker_ask(part->worker, &part->ask, FRAME_CALL_RECOMMEND_MANY, part->message->call->deadline_ns, false,
			  part->users->message, part->users->bytes, err);
}

/* Of the oldest message that can go on. NULL: there is none. */
static struct many_part *next_part(const struct many *many)
{
	for (struct many_message *message = many->first; message; message = message->next)
		if (message->ready && message->asked < message->part_count)
			return &message->parts[message->asked++];
	return NULL;
}

/* As far as the client keeps up. */
static void feed(struct call *call)
{
	struct many *many = call->state;
	struct many_part *part;
	struct error err;

	while (may_ask(call) && (part = next_part(many))) {
		int rc = ask_worker(part, &err);

		if (!rc)
			count_asked(call, part, true);
		else if (!part_failed(part, rc, err.text, strlen(err.text)) || part_done(part->message))
			return;
	}
}

void many_room(struct call *call)
{
	if (call->state)
		feed(call);
}

static void count_answered(struct many_part *part)
{
	struct many_message *message = part->message;
	uint32_t users = part->users->count, failed = part->ask.failed_users;
	uint32_t answered = users - (failed < users ? failed : users);

	message->unanswered -= answered;
	message->call->server->stats.recommend_users += answered;
}

/* How large answers are. What failed may have been too large, so one does not go on with large parts. */
static void learn(struct many *many, const struct many_part *part, int code, size_t bytes)
{
	size_t user_bytes = bytes / part->users->count + 1;

	if (code) {
		many->wish_user_bytes = 0;
		return;
	}
	if (user_bytes > many->user_bytes)
		many->user_bytes = user_bytes;
	if (part->message->wish == many->wish && user_bytes > many->wish_user_bytes)
		many->wish_user_bytes = user_bytes;
}

static void on_answered(struct ask *ask, int code, const uint8_t *data, size_t bytes)
{
	struct many_part *part = (struct many_part *)ask;
	struct call *call = part->message->call;
	struct many *many = call->state;

	learn(many, part, code, bytes);
	count_asked(call, part, false);
	if (code) {
		if (!part_failed(part, code, (const char *)data, bytes))
			return;
	} else if (many_answer_cut(data, bytes, ANSWER_BYTES, send_piece, call)) {
		call_fail(call, E_INTERNAL, "a worker's answer cannot be read");
		many_stop(call);
		return;
	} else {
		count_answered(part);
		if (!goes_on(call))
			return;
	}
	if (!part_done(part->message))
		feed(call);
}

/* --- a message comes in --- */

/* A hash of all but the users. */
static uint64_t wish_of(const uint8_t *data, size_t bytes)
{
	struct wire_cursor cursor = { data, data + bytes };
	struct wire_field field;
	uint64_t wish = 0;

	while (wire_next(&cursor, &field) == 1)
		if (field.number != USERS_FIELD)
			wish = XXH3_64bits_withSeed(field.whole, field.whole_bytes, wish);
	return wish;
}

/* The newest message's; of another one than before no answer has told anything. */
static void set_wish(struct many *many, uint64_t wish)
{
	if (wish != many->wish)
		many->wish_user_bytes = 0;
	many->wish = wish;
}

struct splitting {
	struct server *server;
	uint32_t part_users, parts_each; /* for one worker */
	uint32_t users[256]; /* so far, by worker */
};

static int part_of(void *context, const uint8_t *user, size_t bytes, struct error *err)
{
	struct splitting *splitting = context;
	uint32_t worker = supervisor_worker(&splitting->server->supervisor, user, bytes)->number;

	(void)err; /* a bad user id is its worker's to complain about */
	return (int)(worker * splitting->parts_each + splitting->users[worker]++ / splitting->part_users);
}

static struct many_message *message_new(struct call *call, struct wire_split *split, uint32_t parts_each, size_t bytes)
{
	struct supervisor *supervisor = &call->server->supervisor;
	uint32_t workers = supervisor->count, used = 0;
	struct many_message *message;

	for (uint32_t i = 0; i < workers * parts_each; i++)
		used += split->parts[i].count > 0;
	message = calloc(1, sizeof *message + used * sizeof message->parts[0]);
	if (!message)
		return NULL;
	message->call = call;
	message->bytes = bytes;
	message->wish = ((const struct many *)call->state)->wish;
	message->split = *split;
	message->unanswered = split->elements;
	for (uint32_t i = 0; i < parts_each; i++)
		for (uint32_t worker = 0; worker < workers; worker++) {
			struct wire_part *users = &split->parts[worker * parts_each + i];

			if (users->count)
				message->parts[message->part_count++] = (struct many_part){
					.message = message, .worker = &supervisor->workers[worker], .users = users
				};
		}
	return message;
}

/* The split has put what is not a user in front. */
static uint64_t generation_of(const struct many_message *message)
{
	const struct wire_part *part = message->parts[0].users;
	struct wire_cursor cursor = { part->message, part->message + part->bytes };
	struct wire_field field;
	uint64_t generation = 0;

	while (wire_next(&cursor, &field) == 1 && field.number != USERS_FIELD)
		if (field.number == GENERATION_FIELD)
			wire_find_number(field.whole, field.whole_bytes, GENERATION_FIELD, &generation);
	return generation;
}

static void pin_failed(struct call *call, const struct error *err)
{
	call_fail_error(call, err);
	many_stop(call);
}

static void on_pinned(struct pin_wait *wait, int code, const struct error *err)
{
	struct many_message *message = (struct many_message *)((char *)wait - offsetof(struct many_message, wait));

	message->ready = true;
	if (code)
		pin_failed(message->call, err);
	else
		feed(message->call);
}

/* Asks, once the generation that is asked for is at hand. */
static void begin(struct many_message *message)
{
	uint64_t generation = generation_of(message);
	struct error err;
	int rc;

	message->wait.ready = on_pinned;
	rc = generation ? pins_want(&message->call->server->pins, generation, &message->wait, &err) : 0;
	if (rc < 0) {
		pin_failed(message->call, &err);
		return;
	}
	message->ready = rc == 0;
	if (rc == 0)
		feed(message->call);
}

/* NULL: the call was failed. */
static struct many_message *split_message(struct call *call, const uint8_t *data, size_t bytes)
{
	struct server *server = call->server;
	struct many *many = call->state;
	/* A user takes two bytes at the least. */
	size_t users_most = bytes / 2 < USERS_MAX ? bytes / 2 : USERS_MAX;
	struct splitting splitting = { .server = server };
	struct wire_split_rule rule = {
		.field = USERS_FIELD,
		.name = "user_ids",
		.elements_max = USERS_MAX,
		.rest_max = REST_MAX_BYTES,
		.part_of = part_of,
	};
	struct many_message *message;
	struct wire_split split;
	struct error err;

	set_wish(many, wish_of(data, bytes));
	splitting.part_users = part_users(call);
	splitting.parts_each = (uint32_t)users_most / splitting.part_users + 1;
	rule.parts = server->supervisor.count * splitting.parts_each;
	if (wire_split(&rule, &splitting, data, bytes, &split, &err)) {
		call_fail_error(call, &err);
		return NULL;
	}
	message = split.elements ? message_new(call, &split, splitting.parts_each, bytes) : NULL;
	if (message)
		return message;
	if (!split.elements)
		call_fail(call, E_INVALID, "user_ids: none; 1 to 10,000 users a message are allowed");
	else
		call_fail(call, E_EXHAUSTED, "out of memory");
	wire_split_free(&split);
	return NULL;
}

void many_message(struct call *call, const uint8_t *data, size_t bytes)
{
	struct server *server = call->server;
	struct many_message *message = NULL;
	struct many *many = call->state;

	if (!many) {
		server->stats.recommend_calls++;
		call->state = many = calloc(1, sizeof *many);
	}
	if (many)
		message = split_message(call, data, bytes);
	else
		call_fail(call, E_EXHAUSTED, "out of memory");
	if (!message) {
		if (many)
			many_stop(call);
		call_message_done(call, bytes);
		return;
	}
	message->previous = many->last;
	if (message->previous)
		message->previous->next = message;
	else
		many->first = message;
	many->last = message;
	begin(message);
}
