/*
 * Any bytes as the two calls about one user, ListUserEvents and DeleteUser. The server takes the user's id from the
 * bytes to find the worker, the worker reads the whole call in place: both must see what protobuf-c sees, or a history
 * would be looked for, or a user forgotten, that the client did not name.
 */
#include "common/ids.h"
#include "common/wire.h"
#include "kindred/v1/events.pb-c.h"
#include "worker/history_call.h"
#include "worker/write_call.h"

#include <stdlib.h>
#include <string.h>

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool same(struct text_view a, const char *b)
{
	return a.bytes == strlen(b) && memcmp(a.data, b, a.bytes) == 0;
}

static void check_error(int code, const struct error *err)
{
	check(code == err->code);
	check(code == 0 || (code == E_INVALID && err->text[0] && utf8_valid(err->text, strlen(err->text))));
}

/* The worker that is asked is that of the user who is meant. */
static void check_user(struct text_view user, const uint8_t *data, size_t bytes)
{
	const uint8_t *routed;
	size_t routed_bytes;
	check(id_check("user_id", user.data, user.bytes, USER_ID_MAX, NULL) == 0);
	int found = wire_find(data, bytes, 1, &routed, &routed_bytes);
	if (found < 0)
		return; /* such a call comes to no worker: an id is a number beside */
	check(found == 1 && routed_bytes == user.bytes && memcmp(routed, user.data, routed_bytes) == 0);
}

static void fuzz_list(const uint8_t *data, size_t bytes)
{
	struct page_request request;
	struct error err = { 0 };
	char token[PAGE_TOKEN_BYTES];
	int code = page_request_read(data, bytes, &request, &err);
	check_error(code, &err);
	if (code)
		return;
	check_user(request.user, data, bytes);
	check(request.size >= 1 && request.size <= PAGE_EVENTS_MAX);
	Kindred__V1__ListUserEventsRequest *message = kindred__v1__list_user_events_request__unpack(NULL, bytes, data);
	if (!message)
		return;
	check(same(request.user, message->user_id));
	check(request.size == (message->page_size ? message->page_size : PAGE_EVENTS_DEFAULT));
	if (message->page_token[0])
		check(page_token_format(request.place, token) == strlen(message->page_token) &&
		      strcmp(token, message->page_token) == 0);
	else
		check(request.place.time_ms == INT64_MAX && request.place.given == 0);
	kindred__v1__list_user_events_request__free_unpacked(message, NULL);
}

static void fuzz_delete(const uint8_t *data, size_t bytes)
{
	struct text_view user;
	struct error err = { 0 };
	int code = delete_request_read(data, bytes, &user, &err);
	check_error(code, &err);
	if (code)
		return;
	check_user(user, data, bytes);
	Kindred__V1__DeleteUserRequest *message = kindred__v1__delete_user_request__unpack(NULL, bytes, data);
	if (!message)
		return;
	check(same(user, message->user_id));
	kindred__v1__delete_user_request__free_unpacked(message, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	fuzz_list(data, bytes);
	fuzz_delete(data, bytes);
	return 0;
}
