/*
 * One audience (RecommendAudience), through as many calls as it takes, of a server that all tests of a program share
 * (small_shop.h), with its crowd. Every response is checked: each user once, all of one generation and time.
 *
 *     audience_begin(); [audience.request...]
 *     audience_call(); audience_read(..) or audience_read_all(); audience_hang_up(); audience_call(); ..
 *     audience_expect_all();
 */
#ifndef KINDRED_TEST_AUDIENCE_H
#define KINDRED_TEST_AUDIENCE_H

#include "lib/small_shop.h"

#include <stdbool.h>
#include <stdint.h>

#define AUDIENCE_RESPONSES_MAX 4096

extern struct audience {
	Kindred__V1__RecommendAudienceRequest request;
	Google__Protobuf__Duration active, inactive;
	struct rpc_stream *stream; /* NULL: no call is under way */
	uint8_t cursor[65536];
	uint64_t generation, version;
	int64_t as_of_s;
	unsigned responses;
	uint64_t users;
	bool shop_user[SMALL_SHOP_USERS], user[SMALL_SHOP_CROWD];
} audience;
extern int64_t audience_loaded_ms; /* what small_shop_crowd returned */

/* cmocka's set-up of a group; small_shop_tear_down is its end. */
int audience_set_up(void **state);

/* Everybody, all items of the shop, with names: 40 MB in all, more than sockets and windows hold. */
void audience_begin(void);
/* Begins a call; behind the last cursor, when there is one. */
void audience_call(void);
void audience_hang_up(void);
/* Up to `most` responses. 1: there may be more; 0: the end; or the error that ended the call. */
int audience_read(unsigned most, struct error *err);
/* Checks a response that was received by hand; audience_read does it with each. */
void audience_take(const Kindred__V1__RecommendAudienceResponse *response);
/* To the end, and hangs up. */
void audience_read_all(void);
void audience_expect_all(void);
/* The code of a call that must fail with this in its text. */
int audience_fails_with(const char *text);

#endif
