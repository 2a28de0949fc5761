/*
 * The server process, which is also the first front-end: one loop thread that owns everything here, and
 * a few threads of libuv's pool for disk work.
 *
 * Who knows what:
 *
 *     door (gRPC) -> methods -> route, many, audience, ingest    to workers, by link
 *                               catalogs, items, definitions, models   to lanes, which do the disk work
 *                               health, status
 *     supervisor, front_ends, builds    own processes: workers, further processes that take calls, the builder
 *     swap                              changes the generation that is served
 *     pins                              keeps other generations at hand
 *     registry                          what workers must know
 *
 * A further front-end (front_end.h) has one of these too, of which it uses what the handlers of its own
 * methods do: loop, config, dir.shards, door, supervisor (its links to the workers; it starts none),
 * pins, stats.
 */
#ifndef KINDRED_SERVER_H
#define KINDRED_SERVER_H

#include "common/config.h"
#include "common/control.h"
#include "common/datadir.h"
#include "common/event_types.h"
#include "common/turns.h"
#include "server/builds.h"
#include "server/door.h"
#include "server/front_ends.h"
#include "server/generation.h"
#include "server/health.h"
#include "server/kept.h"
#include "server/lane.h"
#include "server/pins.h"
#include "server/registry.h"
#include "server/round.h"
#include "server/stats.h"
#include "server/status.h"
#include "server/supervisor.h"
#include "server/swap.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define WORKERS_MAX 256
#define WORK_MAX_BYTES ((size_t)512 << 20) /* of requests in work and replies unsent, of one front-end */

enum server_state { SERVER_STARTING, SERVER_SERVING, SERVER_DRAINING, SERVER_STOPPED };

struct admin;

struct server {
	uv_loop_t loop;
	enum server_state state;
	struct config config;
	struct datadir dir;
	char models_directory[DATADIR_PATH_MAX];
	char program_directory[DATADIR_PATH_MAX]; /* where kindred-worker and kindred-builder are; absolute */
	char port_file[DATADIR_PATH_MAX]; /* absolute; empty: none is wanted */
	int64_t start_ms;
	uint64_t start_ns;
	int exit_code;
	bool signalled;
	bool door_stopped;

	struct control *control; /* used on control_lane only */
	struct lane control_lane, model_lane;
	struct registry registry;

	struct door *door;
	struct admin *admin; /* NULL: not wanted */
	struct health health;
	struct supervisor supervisor;
	struct front_ends front_ends;
	struct builds builds;
	struct swap swap;
	struct pins pins;
	struct rounds rounds;

	struct generation *active; /* what is served; NULL: nothing yet */
	struct kept kept; /* generations on disk */
	struct event_types event_types; /* that were ever taken, as far as a worker was asked; they only grow */

	struct turns turns;
	uv_prepare_t prepare; /* what a turn of the loop gave rise to is sent before it waits */
	uv_signal_t terminate, interrupt;
	uv_timer_t second; /* once a second: rates */
	uv_timer_t drain; /* while stopping: the end of patience, then until the lanes are idle */

	uint64_t walks; /* numbers given to walks through audiences */
	struct stats stats;
	uint64_t recommends; /* Recommend calls taken, from the start */
	struct stats_rates rates;
	struct shard_status *shards; /* dir.shards of them, as the workers said last */
};

static inline uint64_t server_active(const struct server *server)
{
	return server->active ? server->active->number : 0;
}

/*
 * Call order: config and data are set -> server_open -> server_run -> server_close. server_open binds the
 * ports and starts the workers; what fails is said in err, and server_close is due all the same.
 */
int server_open(struct server *server, struct error *err);
/* Until a signal ends it. Returns the process's exit code. */
int server_run(struct server *server);
void server_close(struct server *server);

/* supervisor: every worker is up. */
void server_workers_up(struct server *server);
/* supervisor: every worker has left, after supervisor_drain. */
void server_workers_left(struct server *server);
/* front_ends: all take calls; all have left, after front_ends_drain. */
void server_front_ends_up(struct server *server);
void server_front_ends_left(struct server *server);
/* The address with the port that was taken. Returns text. */
char *server_address(const struct server *server, char *text, size_t room);
/* supervisor: a worker found the active generation's file damaged. True: an older one is active now. */
bool server_active_damaged(struct server *server, uint64_t number);
/*
 * Something without which there is no point in running. Logs it and stops the process, unless it is stopping
 * already.
 */
void server_fatal(struct server *server, const struct error *err);
/* For the door, of the server or of a further front-end: a call was taken; it ended, code 0 or why it failed. */
void server_count_call(struct server *server, const struct method *method);
void server_count_end(struct server *server, const struct method *method, int code);
/* Takes over which generations are on disk. */
void server_kept(struct server *server, struct kept *kept);

#endif
