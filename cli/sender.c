#include "cli/sender.h"

#include "cli/cli.h"
#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 3000

/* A batch without an answer. */
struct flight {
	uint64_t number;
	uint8_t *packed;
	size_t size;
	void *batch;
};

struct sender {
	struct rpc_client *client;
	struct sender_options options;
	struct rpc_stream *stream; /* NULL: broken */
	struct flight flights[SENDER_WINDOW_MAX]; /* in order of sending */
	unsigned count;
	uint64_t resent;
	int64_t trouble_ms; /* since when nothing was answered; 0: all is well */
	int64_t backoff_ms;
	struct error said; /* so that the same trouble is not told at each try */
};

static int stream_open(struct sender *sender, struct error *err)
{
	return rpc_stream_open(&sender->stream, sender->client, sender->options.method, sender->options.answer,
			       RPC_FOREVER, err);
}

int sender_open(struct sender **sender, struct rpc_client *client, const struct sender_options *options,
		struct error *err)
{
	struct sender *made = calloc(1, sizeof *made);
	if (made == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for sending");
	made->client = client;
	made->options = *options;
	made->backoff_ms = BACKOFF_FIRST_MS;
	int code = stream_open(made, err);
	if (code != 0) {
		free(made);
		return code;
	}
	*sender = made;
	return 0;
}

void sender_close(struct sender *sender)
{
	if (sender == NULL)
		return;
	rpc_stream_free(sender->stream);
	for (unsigned i = 0; i < sender->count; i++) {
		sender->options.on_lost(sender->options.context, sender->flights[i].batch);
		free(sender->flights[i].packed);
	}
	free(sender);
}

uint64_t sender_resent(const struct sender *sender)
{
	return sender->resent;
}

static void flight_remove(struct sender *sender, unsigned at)
{
	free(sender->flights[at].packed);
	sender->count--;
	memmove(&sender->flights[at], &sender->flights[at + 1], (sender->count - at) * sizeof *sender->flights);
}

static void pause_ms(int64_t ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	while (nanosleep(&left, &left) != 0)
		;
}

static void trouble_say(struct sender *sender, const struct error *err)
{
	char remark[sizeof err->text + 120];
	if (strcmp(sender->said.text, err->text) == 0)
		return;
	sender->said = *err;
	snprintf(remark, sizeof remark, "%s; trying again for up to %lld s (%u batch%s to send again)", err->text,
		 (long long)sender->options.patience_ms / 1000, sender->count, sender->count == 1 ? "" : "es");
	sender->options.on_remark(sender->options.context, remark);
}

/*
 * The stream broke, err says why: opens it again and sends again what has no answer, until that goes
 * through or patience ends. That it went through shows only with the next answer, so patience counts
 * from the first failure to then.
 */
static int recover(struct sender *sender, struct error *err)
{
	for (;;) {
		int64_t now = (int64_t)(clock_monotonic_ns() / 1000000);
		if (!cli_worth_another_try(err->code))
			return err->code;
		rpc_stream_free(sender->stream);
		sender->stream = NULL;
		if (sender->trouble_ms == 0)
			sender->trouble_ms = now;
		if (now - sender->trouble_ms > sender->options.patience_ms)
			return err->code;
		trouble_say(sender, err);
		pause_ms(sender->backoff_ms);
		sender->backoff_ms *= 2;
		if (sender->backoff_ms > BACKOFF_LAST_MS)
			sender->backoff_ms = BACKOFF_LAST_MS;
		int code = stream_open(sender, err);
		for (unsigned i = 0; i < sender->count && code == 0; i++) {
			const struct flight *flight = &sender->flights[i];
			code = rpc_stream_send_packed(sender->stream, flight->packed, flight->size, err);
			sender->resent += code == 0;
		}
		if (code == 0)
			return 0;
	}
}

/* OK, although answers are due. */
static int ended_early(struct error *err)
{
	return error_set(err, E_UNAVAILABLE, "the server ended the stream before all was answered");
}

static int given_up(struct error *err)
{
	return error_set(err, E_UNAVAILABLE, "the server was given up");
}

/* Takes one answer, however often the stream must be opened again for it. */
static int take_answer(struct sender *sender, struct error *err)
{
	if (sender->stream == NULL)
		return given_up(err);
	for (;;) {
		ProtobufCMessage *answer;
		int code = rpc_stream_receive(sender->stream, RPC_FOREVER, NULL, &answer, NULL, err);
		if (code == 0)
			code = ended_early(err);
		if (code < 0) {
			code = recover(sender, err);
			if (code != 0)
				return code;
			continue;
		}
		sender->trouble_ms = 0;
		sender->said.text[0] = '\0';
		sender->backoff_ms = BACKOFF_FIRST_MS;
		uint64_t number = sender->options.answer_batch(answer);
		for (unsigned i = 0; i < sender->count; i++) {
			if (sender->flights[i].number != number)
				continue;
			void *batch = sender->flights[i].batch;
			flight_remove(sender, i);
			code = sender->options.on_answer(sender->options.context, answer, batch, err);
			protobuf_c_message_free_unpacked(answer, NULL);
			return code < 0 ? code : 0;
		}
		protobuf_c_message_free_unpacked(answer, NULL);
		return error_set(err, E_INTERNAL, "the server answered batch %llu, which was not sent",
				 (unsigned long long)number);
	}
}

int sender_send(struct sender *sender, uint64_t number, const ProtobufCMessage *message, void *batch, bool *taken,
		struct error *err)
{
	*taken = false;
	if (sender->stream == NULL)
		return given_up(err);
	while (sender->count >= sender->options.window) {
		int code = take_answer(sender, err);
		if (code != 0)
			return code;
	}
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(size + 1);
	if (packed == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for a batch of %zu bytes", size);
	protobuf_c_message_pack(message, packed);
	sender->flights[sender->count++] = (struct flight){ number, packed, size, batch };
	*taken = true;
	int code = rpc_stream_send_packed(sender->stream, packed, size, err);
	return code == 0 ? 0 : recover(sender, err);
}

int sender_finish(struct sender *sender, struct error *err)
{
	while (sender->count > 0) {
		int code = take_answer(sender, err);
		if (code != 0)
			return code;
	}
	/* Everything is answered: how the stream ends changes nothing any more. */
	rpc_stream_finish(sender->stream, NULL);
	return 0;
}
