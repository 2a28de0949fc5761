/*
 * A real Kindred for a test: a data directory of its own under /tmp, a kindred-server with its workers
 * on free ports, and the command line pointed at it. Used by the integration tests.
 *
 *     cluster_start -> { cluster_run / cluster_json / cluster_call }.. -> cluster_stop -> cluster_fini
 *
 * Functions that cannot do what a test needs fail the test (cmocka's fail_msg) with the server's log.
 */
#ifndef KINDRED_TEST_CLUSTER_H
#define KINDRED_TEST_CLUSTER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cluster {
	char home[128]; /* everything of this cluster: data/, server.log, ports */
	char address[64]; /* 127.0.0.1:PORT */
	char admin[64];
	pid_t server; /* 0: not running */
};

/* Makes the home. */
void cluster_init(struct cluster *cluster);
/*
 * Starts kindred-server with these options beside the ports, its builds without a tuner (what is learnt
 * is then the same for all); NULL-terminated; waits until it serves.
 */
void cluster_start(struct cluster *cluster, const char *const *options);
/* SIGTERM and wait; returns the exit code, or 128 + signal. */
int cluster_stop(struct cluster *cluster);
/* kill -9 of the server alone; waits until it is gone and its workers are too. */
void cluster_kill(struct cluster *cluster);
/*
 * Stops what runs, which must end with 0 and without a sanitizer's report, and removes the home (kept,
 * and said, when the environment has KEEP).
 */
void cluster_fini(struct cluster *cluster);

/* The metric of that name, such as "kindred_users", as the admin port has it; fails the test when it has none. */
uint64_t cluster_metric(const struct cluster *cluster, const char *name);

/* A TCP connection to HOST:PORT of this machine, such as cluster.admin. */
int address_connect(const char *address);

/* A file of the home with this text; the path is valid until the next call. */
const char *cluster_file(const struct cluster *cluster, const char *name, const char *text);

/* What a program printed and how it ended. */
struct output {
	char *out; /* NUL-terminated; freed by output_free */
	char *err;
	int code; /* exit code, or 128 + signal */
};
void output_free(struct output *output);

/* Runs `kindred ARGS..` against the cluster. arguments: NULL-terminated. */
struct output cluster_run(struct cluster *cluster, const char *const *arguments);
/*
 * The same without a cluster: program is the path or the name of one of ours. environment
 * KINDRED_SERVER is set when address is not NULL.
 */
struct output program_run(const char *program, const char *address, const char *const *arguments);
/* Starts it and returns its pid; its output goes to home/NAME.log */
pid_t cluster_spawn(struct cluster *cluster, const char *name, const char *const *arguments);
int process_wait(pid_t pid);
long process_resident_kb(pid_t pid);
/* The most that was resident since it began. */
long process_peak_kb(pid_t pid);

/* Runs it, fails the test unless it exits with 0; returns standard output as JSON (decref it). */
json_t *cluster_json(struct cluster *cluster, const char *const *arguments);
/* Runs it and fails the test unless it exits with 0. */
void cluster_ok(struct cluster *cluster, const char *const *arguments);
/* Fails unless it exits with another code than 0 and says `text` on standard error. */
void cluster_fails(struct cluster *cluster, const char *text, const char *const *arguments);

/* Shorthand: CLI("status", "--json") */
#define CLI(...) ((const char *const[]){ __VA_ARGS__, NULL })

/*
 * Waits until condition(context) is true; polls; fails the test with what when it has waited so long that it is in
 * vain on the slowest machine.
 */
void wait_until(const char *what, bool (*condition)(void *context), void *context);

/* <source>/tests/sample/NAME; <shared data>/NAME or NULL when the folder is not there. Static buffers, one each. */
const char *sample_path(const char *name);
const char *real_data_path(const char *name);

#endif
