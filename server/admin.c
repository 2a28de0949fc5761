#include "server/admin.h"

#include "common/log.h"
#include "common/message_json.h"
#include "server/address.h"
#include "server/server.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 64 /* at one less the oldest has to go */
#define IDLE_SECONDS 30
#define AGAIN_MS 1 /* with 0 libuv runs a timer again in the same turn of the loop */

struct admin {
	struct server *server;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	uv_timer_t timer; /* timeouts of connections */
	int connections[CONNECTIONS_MAX]; /* their sockets, oldest first */
	unsigned connection_count;
	bool closed; /* a connection has ended */
};

/* --- pages --- */

struct page {
	const char *path;
	const char *type;
	/* malloc'ed text; NULL: no memory */
	char *(*make)(struct server *server, unsigned *status);
};

static char *make_health(struct server *server, unsigned *status)
{
	if (server->health.serving)
		return strdup("serving\n");
	*status = MHD_HTTP_SERVICE_UNAVAILABLE;
	return strdup(server->state == SERVER_STARTING ? "starting\n" : "stopping\n");
}

static char *make_status(struct server *server, unsigned *status)
{
	Kindred__V1__GetStatusResponse *message = status_message(server);
	json_t *json = message ? message_json(&message->base) : NULL;
	char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

	(void)status;
	status_ask_all(server, NULL, NULL); /* who does not answer is known for silent at the next look */
	json_decref(json);
	if (message)
		kindred__v1__get_status_response__free_unpacked(message, NULL);
	return text;
}

/* false: no memory */
static bool print_workers(const struct supervisor *supervisor, FILE *out)
{
	struct stats_worker *workers = calloc(supervisor->count, sizeof *workers);

	if (!workers)
		return false;
	for (uint32_t i = 0; i < supervisor->count; i++)
		workers[i] = (struct stats_worker){
			.worker_up = supervisor->workers[i].state == WORKER_UP,
			.worker_silent_seconds = (double)status_silent_ms(&supervisor->workers[i]) / 1000,
			.worker_calls_in_flight = status_worker_calls(&supervisor->workers[i]),
		};
	stats_workers_metrics(workers, supervisor->count, out);
	free(workers);
	return true;
}

static char *make_metrics(struct server *server, unsigned *status)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	bool whole;

	(void)status;
	if (!out)
		return NULL;
	status_ask_all(server, NULL, NULL); /* as in make_status */
	status_gauges(server);
	stats_metrics(&server->stats, out);
	whole = print_workers(&server->supervisor, out);
	if (fclose(out) || !whole) {
		free(text);
		return NULL;
	}
	return text;
}

static char *make_index(struct server *server, unsigned *status);

static const struct page pages[] = {
	{ "/healthz", "text/plain; charset=utf-8", make_health },
	{ "/status", "application/json", make_status },
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8", make_metrics },
	{ "/", "text/plain; charset=utf-8", make_index },
};

static char *make_index(struct server *server, unsigned *status)
{
	(void)server;
	(void)status;
	return strdup("Kindred\n\n/healthz\n/status\n/metrics\n");
}

/* --- HTTP --- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type, char *text)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	if (!text)
		return MHD_NO; /* closes the connection */
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_bytes, void **state)
{
	static char seen;
	struct admin *admin = context;
	unsigned status = MHD_HTTP_OK;

	(void)version;
	(void)upload;
	if (!*state) {
		*state = &seen; /* answered when the whole request is there */
		return MHD_YES;
	}
	if (*upload_bytes) {
		*upload_bytes = 0; /* a body is read and forgotten */
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain",
			      strdup("only GET is served here\n"));
	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
		if (!strcmp(url, pages[i].path)) {
			char *text = pages[i].make(admin->server, &status);

			return answer(connection, status, pages[i].type, text);
		}
	return answer(connection, MHD_HTTP_NOT_FOUND, "text/plain", strdup("no such page; / lists those there are\n"));
}

static void on_http_log(void *context, const char *format, va_list args)
{
	char text[300];

	(void)context;
	vsnprintf(text, sizeof text, format, args);
	text[strcspn(text, "\n")] = 0;
	log_debug("admin: %s", text);
}

/* --- connections --- */

/*
 * Who opens connections and says nothing on them may not keep a health check out. So there is always room for one
 * more: the oldest is shut down, which libmicrohttpd then sees. It would itself wait until one has been idle for
 * IDLE_SECONDS, also one whose client has gone in the middle of a line before it was accepted.
 */
static void on_connection(void *context, struct MHD_Connection *connection, void **socket,
			  enum MHD_ConnectionNotificationCode what)
{
	struct admin *admin = context;
	int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	unsigned at = 0;

	(void)socket;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		admin->connections[admin->connection_count++] = fd;
		if (admin->connection_count == CONNECTIONS_MAX)
			shutdown(admin->connections[0], SHUT_RDWR);
		return;
	}
	while (admin->connections[at] != fd)
		at++;
	admin->closed = true;
	admin->connection_count--;
	memmove(&admin->connections[at], &admin->connections[at + 1],
		(admin->connection_count - at) * sizeof admin->connections[0]);
}

/* --- polling --- */

static void on_timer(uv_timer_t *timer);

static void run(struct admin *admin)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	admin->closed = false;
	MHD_run(admin->daemon);
	/*
	 * At its limit it does not listen, and it looks whether there is room again at the beginning only. Not at
	 * once: who opens connections without end would never let the loop go on.
	 */
	if (admin->closed)
		uv_timer_start(&admin->timer, on_timer, AGAIN_MS, 0);
	else if (MHD_get_timeout(admin->daemon, &wait_ms) == MHD_YES)
		uv_timer_start(&admin->timer, on_timer, wait_ms, 0);
	else
		uv_timer_stop(&admin->timer);
}

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

/* "host:port", "[::1]:port"; resolved once, at the start. */
static int resolve(const char *listen, struct addrinfo **found, struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	const char *colon = strrchr(listen, ':');
	char host[256];
	int rc = address_check("admin_listen", listen, err);

	if (rc)
		return rc;
	if ((size_t)(colon - listen) >= sizeof host)
		return error_set(err, E_INVALID, "admin_listen: %s: a host of more than %zu bytes", listen,
				 sizeof host - 1);
	snprintf(host, sizeof host, "%.*s", (int)(colon - listen), listen);
	if (host[0] == '[' && colon[-1] == ']') {
		memmove(host, host + 1, strlen(host));
		host[strlen(host) - 1] = 0;
	}
	rc = getaddrinfo(*host ? host : NULL, colon + 1, &hints, found);
	if (rc)
		return error_set(err, E_INVALID, "admin_listen: %s: %s", listen, gai_strerror(rc));
	return 0;
}

static int open_daemon(struct admin *admin, const char *listen, struct error *err)
{
	struct addrinfo *address;
	unsigned flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG;
	int rc = resolve(listen, &address, err);

	if (rc)
		return rc;
	if (address->ai_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	admin->daemon =
		MHD_start_daemon(flags, 0, NULL, NULL, on_request, admin, MHD_OPTION_EXTERNAL_LOGGER, on_http_log, NULL,
				 MHD_OPTION_SOCK_ADDR, address->ai_addr, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
				 admin, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
				 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
	freeaddrinfo(address);
	if (!admin->daemon)
		return error_set(
			err, E_UNAVAILABLE,
			"admin_listen: cannot open %s: another program has it, or it is no address of this machine; "
			"--admin-listen HOST:PORT takes another",
			listen);
	return 0;
}

int admin_open(struct admin **opened, struct server *server, const char *listen, struct error *err)
{
	struct admin *admin = calloc(1, sizeof *admin);
	const union MHD_DaemonInfo *info;
	int rc;

	if (!admin)
		return error_set(err, E_EXHAUSTED, "out of memory");
	admin->server = server;
	rc = open_daemon(admin, listen, err);
	if (rc) {
		free(admin);
		return rc;
	}
	info = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || uv_poll_init(&server->loop, &admin->poll, info->epoll_fd)) {
		admin_close(admin);
		return error_set(err, E_INTERNAL, "admin: cannot watch libmicrohttpd's epoll descriptor");
	}
	uv_timer_init(&server->loop, &admin->timer);
	admin->poll.data = admin->timer.data = admin;
	uv_poll_start(&admin->poll, UV_READABLE, on_ready);
	*opened = admin;
	return 0;
}

uint16_t admin_port(const struct admin *admin)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_BIND_PORT);

	return info ? info->port : 0;
}

void admin_close(struct admin *admin)
{
	if (!admin)
		return;
	MHD_stop_daemon(admin->daemon);
	free(admin);
}
