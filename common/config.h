/*
 * The configuration: one table of parameters from which the file's schema, the options of
 * kindred-server, the environment variables and the reference in the README come. To add a parameter,
 * add a line to CONFIG_TABLE; nothing else.
 *
 * A value is taken from, last wins: the default; the YAML file (--config F, or <data>/kindred.yaml when
 * it exists), read by libcyaml; the environment (KINDRED_HISTORY_CAP for history_cap); the command line
 * (--history-cap).
 */
#ifndef KINDRED_CONFIG_H
#define KINDRED_CONFIG_H

#include "common/error.h"

#include <stdint.h>
#include <stdio.h>

/*
 * TEXT(name, default, unit, prose) NUMBER(name, default, min, max, unit, prose) CHOICE(name, default,
 * "a|b|c", prose)
 */
#define CONFIG_TABLE(TEXT, NUMBER, CHOICE)                                                                             \
	TEXT(listen, "127.0.0.1:7600", "host:port", "Where gRPC is served; port 0 takes a free one")                   \
	TEXT(admin_listen, "127.0.0.1:7601", "host:port",                                                              \
	     "Where /healthz, /status and /metrics are served over HTTP; empty: not at all")                           \
	TEXT(port_file, "", "path",                                                                                    \
	     "Written once the ports are open: \"grpc PORT\" and \"admin PORT\", a line each; for scripts that let "   \
	     "the system choose ports")                                                                                \
	NUMBER(front_ends, 1, 1, 64, "processes",                                                                      \
	       "Processes that take calls on the port, each on one core; 1: the server alone")                         \
	NUMBER(workers, 0, 0, 256, "processes",                                                                        \
	       "Worker processes; 0: one for each core it may use, at most one a shard")                               \
	NUMBER(history_cap, 1000, 1, 10000, "events", "Events kept of a user, the newest")                             \
	NUMBER(retention_days, 400, 0, 36500, "days",                                                                  \
	       "Events this much older than the user's newest one are not kept; 0: no limit")                          \
	CHOICE(durability, "sync", "sync|nometasync|nosync",                                                           \
	       "What an ack means: on disk; on disk but the last moments on power loss; safe from kill -9 only")       \
	NUMBER(shard_map_gb, 16, 1, 4096, "GiB",                                                                       \
	       "Largest size of one shard's file, and of the catalogs' (address space, not memory)")                   \
	NUMBER(calls_limit, 4096, 16, 1000000, "calls",                                                                \
	       "Calls in work at once, in each front-end; beyond it RESOURCE_EXHAUSTED is answered at once")           \
	NUMBER(stream_window, 8, 1, 1024, "messages",                                                                  \
	       "Messages of one stream in work at once; beyond it the server stops reading the stream")                \
	NUMBER(message_max_mb, 4, 1, 64, "MiB", "Largest request message")                                             \
	NUMBER(build_every_minutes, 10, 0, 525600, "minutes",                                                          \
	       "Shortest time between builds on schedule; 0: none on schedule")                                        \
	NUMBER(build_min_events, 1000, 1, 1000000000, "events",                                                        \
	       "New events that must have come since the last build for one on schedule")                              \
	NUMBER(refresh_every_minutes, 60, 0, 525600, "minutes",                                                        \
	       "Time between refreshes of popularity, season and trend when events came and no build did it; 0: none " \
	       "on schedule")                                                                                          \
	NUMBER(build_memory_mb, 1024, 64, 1048576, "MiB", "Memory of the builder; beyond it, it works through files")  \
	NUMBER(build_threads, 0, 0, 256, "threads", "Threads of the builder; 0: one a core")                           \
	NUMBER(build_tune_seconds, 600, 0, 86400, "seconds",                                                           \
	       "Most time every build takes for finding a relation's parameters, and never more than about five "      \
	       "builds "                                                                                               \
	       "without it; 0: it learns with the last choice, else with the defaults")                                \
	CHOICE(gate, "on", "on|off",                                                                                   \
	       "Whether a generation that is worse than the one being served, on the same questions, is held back: "   \
	       "kept, but not served by itself")                                                                       \
	NUMBER(generations_kept, 3, 1, 100, "generations",                                                             \
	       "Model generations kept for rollback, the active one among them; the newest one held back is kept "     \
	       "beside")                                                                                               \
	NUMBER(drain_seconds, 20, 0, 3600, "seconds",                                                                  \
	       "After SIGTERM, time for calls in work to end before they are cancelled")                               \
	NUMBER(silent_seconds, 60, 0, 86400, "seconds",                                                                \
	       "A worker or front-end that has not answered for so long is killed and started again; 0: never")        \
	CHOICE(grpc_polling, "shared", "shared|thread",                                                                \
	       "Who drives gRPC: the libuv loop itself through gRPC's epoll, or a thread that hands over (portable)")  \
	CHOICE(log_level, "info", "error|warning|info|debug", "How much is logged to stderr")

struct config {
#define CONFIG_TEXT(name, def, unit, prose) char *name;
#define CONFIG_NUMBER(name, def, min, max, unit, prose) int64_t name;
#define CONFIG_CHOICE(name, def, choices, prose) char *name;
	CONFIG_TABLE(CONFIG_TEXT, CONFIG_NUMBER, CONFIG_CHOICE)
#undef CONFIG_TEXT
#undef CONFIG_NUMBER
#undef CONFIG_CHOICE
};

/* Defaults. config_fini frees. */
int config_init(struct config *config, struct error *err);
void config_fini(struct config *config);
/* E_NOT_FOUND: no such file. E_PRECONDITION: libcyaml's or our complaint, with file and line where known. */
int config_load_file(struct config *config, const char *path, struct error *err);
/* E_PRECONDITION: a value that is not allowed. */
int config_load_environment(struct config *config, struct error *err);
/*
 * "KINDRED_WORKER=4": the next variable of the environment that looks like ours and that nothing reads,
 * a slip perhaps; NULL: there is no further. *at: 0 at first.
 */
const char *config_unknown_variable(size_t *at);
/* name as in the table or with '-' for '_'. E_NOT_FOUND: no such parameter. E_INVALID: value, and what is allowed. */
int config_set(struct config *config, const char *name, const char *value, struct error *err);

/* For help and docs: one row a parameter, in the order of the table. */
enum config_kind { CONFIG_KIND_TEXT, CONFIG_KIND_NUMBER, CONFIG_KIND_CHOICE };
struct config_parameter {
	const char *name, *unit, *prose;
	const char *fallback; /* the default, as text */
	const char *choices; /* NULL but for CHOICE */
	enum config_kind kind;
	int64_t min, max;
};
const struct config_parameter *config_parameters(unsigned *count);
/* The README's table, in Markdown. */
void config_reference(FILE *out);

#endif
