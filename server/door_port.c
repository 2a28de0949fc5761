/*
 * The door's port: gRPC's server on it, alone or shared with our own further front-ends, and why it
 * cannot be opened.
 */
#include "server/door_private.h"

#include "common/log.h"
#include "server/accept.h"
#include "server/address.h"

#include <grpc/support/log.h>
#include <stdio.h>
#include <string.h>

#define METADATA_MAX_BYTES (16 << 10)
#define ARRIVING_TIMES 2 /* what gRPC may hold, for each byte that requests in work may take */

/*
 * absl::SetMutexDeadlockDetectionMode. Abseil looks for deadlocks at every lock, as a help for who
 * writes code with it, unless it was built otherwise than Debian's is. Weak: another abseil (it has
 * another inline namespace) keeps what it does.
 */
extern void set_deadlock_detection(int mode) __asm__(
	"_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE") __attribute__((weak));
#define DEADLOCKS_IGNORED 0 /* absl::OnDeadlockCycle::kIgnore */

/* What C core complained of last before clients could come: why a port could not be opened. */
static char complaint[160];
static bool listening_in; /* only then: later C core complains from threads of its own */

/* C core logs an error for much that a client does wrong, which may not fill the log; and why it cannot open a port. */
static void on_grpc_log(gpr_log_func_args *args)
{
	log_debug("grpc: %s", args->message);
	if (args->severity == GPR_LOG_SEVERITY_ERROR && listening_in)
		address_cause(args->message, complaint, sizeof complaint);
}

/*
 * What gRPC may hold of requests, also of those that have not come whole. It looks at the size of a message, which
 * may be announced as 4 GiB, only when all of it is there; and calls are counted only then. Near the quota it lets
 * clients send less. Beyond it it closes idle connections and ends calls, with RESOURCE_EXHAUSTED, until there is
 * room: not those that fill it first, but of any connection, so that campaigns of others may have to be continued. It
 * is a last resort, instead of no memory for anybody. Replies do not count, nor does what the handlers have taken.
 */
static grpc_arg make_quota(const struct door_options *options)
{
	grpc_resource_quota *quota = grpc_resource_quota_create("requests");
	grpc_arg arg = { .type = GRPC_ARG_POINTER, .key = (char *)GRPC_ARG_RESOURCE_QUOTA };

	grpc_resource_quota_resize(quota, options->work_max_bytes * ARRIVING_TIMES);
	arg.value.pointer.p = quota;
	arg.value.pointer.vtable = grpc_resource_quota_arg_vtable();
	return arg;
}

/* With a queue of its own. shared: SO_REUSEPORT. */
static void make_server(struct door *door, bool shared)
{
	const struct door_options *options = &door->options;
	struct {
		const char *name;
		int value;
	} limits[] = {
		{ GRPC_ARG_ALLOW_REUSEPORT, shared },
		{ GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)options->message_max_bytes },
		/* one for all connections: C core knows no other */
		{ GRPC_ARG_MAX_CONCURRENT_STREAMS,
		  shared && options->upstream_fd < 0 ? DOOR_PASSED_MAX : DOOR_STREAMS_MAX },
		{ GRPC_ARG_MAX_METADATA_SIZE, METADATA_MAX_BYTES },
		{ GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10 * 1000 },
		/*
		 * Peers that are gone are found by pings. A limit of idle time would cost every call
		 * 4,000 instructions.
		 */
		{ GRPC_ARG_KEEPALIVE_TIME_MS, 60 * 1000 },
		{ GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20 * 1000 },
		{ GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1 },
		{ GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10 * 1000 },
		/* Inflating happens before any limit is looked at: a megabyte of gzip can cost a gigabyte. */
		{ GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0 },
		{ GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE },
		{ GRPC_ARG_ENABLE_CHANNELZ, 0 },
	};
	const size_t quota = sizeof limits / sizeof limits[0];
	grpc_arg args[sizeof limits / sizeof limits[0] + 1];
	grpc_channel_args list = { quota + 1, args };

	args[quota] = make_quota(options);
	for (size_t i = 0; i < quota; i++) {
		args[i].type = GRPC_ARG_INTEGER;
		args[i].key = (char *)limits[i].name;
		args[i].value.integer = limits[i].value;
	}
	door->queue = grpc_completion_queue_create_for_next(NULL);
	door->grpc = grpc_server_create(&list, NULL);
	grpc_resource_quota_unref(args[quota].value.pointer.p);
	grpc_server_register_completion_queue(door->grpc, door->queue, NULL);
}

static int bind_port(struct door *door, const char *listen, struct error *err)
{
	int port;
	int rc = address_check("listen", listen, err);

	if (rc)
		return rc;
	complaint[0] = 0;
	listening_in = true;
	port = grpc_server_add_http2_port(door->grpc, listen, door->plain);
	listening_in = false;
	if (port <= 0)
		return error_set(
			err, E_UNAVAILABLE, "listen: cannot open %s: %s; --listen HOST:PORT takes another", listen,
			*complaint ? complaint : "another program has it, or it is no address of this machine");
	door->port = (uint16_t)port;
	return 0;
}

static void turn_away(void *state, grpc_auth_context *context, const grpc_metadata *metadata, size_t count,
		      grpc_process_auth_metadata_done_cb done, void *call)
{
	(void)state;
	(void)context;
	(void)metadata;
	(void)count;
	done(call, NULL, 0, NULL, 0, GRPC_STATUS_UNAVAILABLE, DOOR_STOPPING);
}

/*
 * A server that is shut down ends calls that still come with CANCELLED, until its clients have heard of it: of that
 * C core leaves no choice (Server::CallData::StartNewRpc, KillZombie). But whoever is to check callers is asked
 * before, and may refuse with any status. Not from the beginning, since each call's metadata are copied for it; C core
 * looks for it at each call, and the one pointer that is set here goes from none to this only.
 */
void door_port_turn_away(struct door *door)
{
	const grpc_auth_metadata_processor processor = { .process = turn_away };

	grpc_server_credentials_set_auth_metadata_processor(door->plain, processor);
}

void door_await_stopped(struct door *door)
{
	grpc_event event;

	do
		event = grpc_completion_queue_next(door->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	while (event.tag != &door->stopped_tag);
}

void door_await_queue_end(struct door *door)
{
	grpc_event event;

	do
		event = grpc_completion_queue_next(door->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	while (event.type != GRPC_QUEUE_SHUTDOWN);
}

/* One that was not started. */
static void drop_server(struct door *door)
{
	grpc_server_shutdown_and_notify(door->grpc, door->queue, &door->stopped_tag);
	door_await_stopped(door);
	grpc_server_destroy(door->grpc);
	grpc_completion_queue_shutdown(door->queue);
	door_await_queue_end(door);
	grpc_completion_queue_destroy(door->queue);
}

/*
 * A second server on the port is to fail, instead of taking half the calls of the first. Sharing it
 * among our own processes would let it: so the port is first taken alone.
 */
static int take_port(struct door *door, struct error *err)
{
	const char *listen = door->options.listen, *colon = strrchr(listen, ':');
	char address[300];
	int rc;

	make_server(door, false);
	rc = bind_port(door, listen, err);
	if (rc || !door->options.shared)
		return rc;
	drop_server(door);
	make_server(door, true);
	snprintf(address, sizeof address, "%.*s:%u", (int)(colon - listen), listen, door->port);
	return bind_port(door, address, err);
}

int door_port_open(struct door *door, struct error *err)
{
	gpr_set_log_function(on_grpc_log);
	if (set_deadlock_detection)
		set_deadlock_detection(DEADLOCKS_IGNORED);
	accept_start();
	grpc_init();
	door->plain = grpc_insecure_server_credentials_create();
	if (door->options.upstream_fd < 0)
		return take_port(door, err);
	make_server(door, true);
	return bind_port(door, door->options.listen, err);
}
