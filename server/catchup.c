#include "server/catchup.h"

#include "common/log.h"
#include "kindred/internal/link.pb-c.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdlib.h>

#define PORTION 2000 /* items read and sent at a time, fewer when they are large */
#define PORTION_BYTES (1u << 20)
#define FULL 1 /* ends control_changes() before its limit */
#define UNSENT_MAX (8u << 20) /* bytes waiting at a link, beyond which no more are read */
#define WAIT_MS 2

struct catchup {
	struct server *server;
	struct generation *generation;
	struct worker *only;
	uint64_t incarnation;
	catchup_done done;
	void *context;
	uint64_t cookie;
	uv_timer_t timer;
	size_t catalog; /* of the generation's, being read */
	uint64_t version; /* read up to */
	size_t sent;
	struct error err;
};

struct portion {
	struct catchup *catchup;
	const char *catalog;
	uint64_t after, last;
	size_t count;
	bool failed; /* no memory for a frame */
	bool more; /* changes may be left */
	struct buffer *frames;
};

static void next(struct catchup *catchup);

static int add_change(void *context, struct item_key key, uint64_t version, const Kindred__V1__Item *item)
{
	struct portion *portion = context;
	Kindred__Internal__ItemSet set = KINDRED__INTERNAL__ITEM_SET__INIT;

	set.catalog = (char *)portion->catalog;
	set.item_key = key.value;
	set.item = (Kindred__V1__Item *)item;
	set.deleted = !item;
	set.version = version;
	portion->count++;
	portion->failed = buffer_frame(portion->frames, FRAME_ITEM_SET, &set.base) != 0;
	return portion->failed || portion->frames->bytes >= PORTION_BYTES ? FULL : 0;
}

static int read_portion(struct job *job)
{
	struct portion *portion = job->context;
	int rc;

	portion->frames = &job->frames;
	portion->last = portion->after;
	rc = control_changes(job->server->control, portion->catalog, portion->after, PORTION, add_change, portion,
			     &portion->last, &job->err);
	if (portion->failed)
		return error_set(&job->err, E_EXHAUSTED, "out of memory for item changes");
	portion->more = rc == FULL || portion->count == PORTION;
	/* E_NOT_FOUND: the catalog was deleted, and nothing of it is shown any more */
	return rc == FULL || rc == E_NOT_FOUND ? 0 : rc;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct catchup *catchup = handle->data;

	generation_release(catchup->generation);
	free(catchup);
}

static void finish(struct catchup *catchup, int code)
{
	if (!code)
		log_debug("catchup: %zu item changes since generation %" PRIu64, catchup->sent,
			  catchup->generation->number);
	catchup->done(catchup->context, catchup->cookie, code, &catchup->err);
	uv_close((uv_handle_t *)&catchup->timer, on_timer_closed);
}

/* The worker it was for is not the one that runs now. */
static bool stale(const struct catchup *catchup)
{
	return catchup->only && catchup->only->incarnation != catchup->incarnation;
}

static size_t unsent(const struct catchup *catchup)
{
	const struct supervisor *supervisor = &catchup->server->supervisor;
	size_t most = 0;

	if (catchup->only)
		return link_unsent(&catchup->only->link);
	for (uint32_t i = 0; i < supervisor->count; i++)
		if (supervisor->workers[i].link.open && link_unsent(&supervisor->workers[i].link) > most)
			most = link_unsent(&supervisor->workers[i].link);
	return most;
}

static void on_wait(uv_timer_t *timer)
{
	next(timer->data);
}

static void portion_read(struct job *job)
{
	struct portion *portion = job->context;
	struct catchup *catchup = portion->catchup;

	if (job->code) {
		catchup->err = job->err;
		finish(catchup, job->code);
	} else {
		if (catchup->only) {
			if (!stale(catchup))
				link_send(&catchup->only->link, job->frames.data, job->frames.bytes);
		} else {
			supervisor_tell_items(&catchup->server->supervisor, job->frames.data, job->frames.bytes);
		}
		catchup->sent += portion->count;
		catchup->version = portion->last;
		if (!portion->more) {
			catchup->catalog++;
			if (catchup->catalog < catchup->generation->catalog_count)
				catchup->version = catchup->generation->catalogs[catchup->catalog].version;
		}
		next(catchup);
	}
	free(portion);
	job_free(job);
}

static void next(struct catchup *catchup)
{
	struct generation *generation = catchup->generation;
	struct portion *portion;
	struct job *job;

	if (stale(catchup)) {
		finish(catchup, error_set(&catchup->err, E_UNAVAILABLE, "the worker went away"));
		return;
	}
	if (catchup->catalog == generation->catalog_count) {
		finish(catchup, 0);
		return;
	}
	if (unsent(catchup) > UNSENT_MAX) {
		uv_timer_start(&catchup->timer, on_wait, WAIT_MS, 0);
		return;
	}
	portion = calloc(1, sizeof *portion);
	job = portion ? job_new(catchup->server, NULL, NULL, NULL, 0, read_portion, portion_read) : NULL;
	if (!job) {
		free(portion);
		finish(catchup, error_set(&catchup->err, E_EXHAUSTED, "out of memory for item changes"));
		return;
	}
	portion->catchup = catchup;
	portion->catalog = generation->catalogs[catchup->catalog].name;
	portion->after = catchup->version;
	job->context = portion;
	lane_run(&catchup->server->control_lane, job);
}

void catchup_start(struct server *server, struct generation *generation, struct worker *only, catchup_done done,
		   void *context, uint64_t cookie)
{
	struct catchup *catchup = calloc(1, sizeof *catchup);
	struct error err;

	if (!catchup) {
		error_set(&err, E_EXHAUSTED, "out of memory for item changes");
		done(context, cookie, err.code, &err);
		return;
	}
	catchup->server = server;
	catchup->generation = generation_reference(generation);
	catchup->only = only;
	catchup->incarnation = only ? only->incarnation : 0;
	catchup->done = done;
	catchup->context = context;
	catchup->cookie = cookie;
	uv_timer_init(&server->loop, &catchup->timer);
	catchup->timer.data = catchup;
	if (generation->catalog_count)
		catchup->version = generation->catalogs[0].version;
	next(catchup);
}
