/*
 * Lanes: slow work (disk) done off the loop, one job at a time and in order, per lane. The server has two:
 * one for the control store, whose calls want one thread at a time, and one for the files of model
 * generations.
 *
 * A job that answers a call:  job_new -> lane_run -> work() on a thread: request unpacked, reply set ->
 * done() on the loop. When nobody waits for the call any more by the time its turn comes, work() is not
 * called and the job ends with E_CANCELLED or E_DEADLINE.
 */
#ifndef KINDRED_SERVER_LANE_H
#define KINDRED_SERVER_LANE_H

#include "common/arena.h"
#include "common/error.h"
#include "server/buffer.h"
#include "server/call.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <uv.h>

struct server;

struct job {
	struct server *server;
	struct call *call; /* NULL: none waits */
	/*
	 * On the lane's thread. Returns 0 or an error code with err set. May set reply and add frames for the
	 * workers. Must touch nothing of the loop's.
	 */
	int (*work)(struct job *job);
	/* On the loop, always; job_answer and job_free are its to call. NULL: job_answer and job_free. */
	void (*done)(struct job *job);
	void *context;

	const ProtobufCMessageDescriptor *type; /* of the request; NULL: none */
	uint8_t *bytes; /* of the request, a copy; with type NULL, what work() needs to know */
	size_t size;
	ProtobufCMessage *request; /* for work() */
	/* from work(), by job_reply; NULL with code 0: an empty message. Freed, with all it holds, by job_free */
	ProtobufCMessage *reply;
	struct buffer packed; /* the reply's bytes, before done() */
	struct buffer frames; /* for the workers */
	struct arena arena; /* lives until job_free */
	int code;
	struct error err;
	/* private */
	struct lane *lane;
	struct job *next;
	uv_work_t request_handle;
};

struct lane {
	uv_loop_t *loop;
	struct job *first, *last, *now;
};

void lane_init(struct lane *lane, uv_loop_t *loop);
bool lane_idle(const struct lane *lane);

/* call, type and data may be NULL. NULL: no memory. */
struct job *job_new(struct server *server, struct call *call, const ProtobufCMessageDescriptor *type,
		    const uint8_t *data, size_t bytes, int (*work)(struct job *job), void (*done)(struct job *job));
void lane_run(struct lane *lane, struct job *job);
/* The usual way from a handler: job_new and lane_run; without memory the call fails. */
void lane_call(struct lane *lane, struct call *call, const ProtobufCMessageDescriptor *type, const uint8_t *data,
	       size_t bytes, int (*work)(struct job *job), void (*done)(struct job *job));

/* For work(): makes the reply, an empty message of malloc'ed memory. NULL: none, err is set. */
void *job_reply(struct job *job, const ProtobufCMessageDescriptor *type);
/* Ends the call's message: the packed reply or the error. */
void job_answer(struct job *job);
void job_free(struct job *job);

#endif
