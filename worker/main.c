/*
 * Welcome to kindred-worker, the process that keeps histories and answers for them.
 *
 * A server starts several of these, gives each a contiguous run of shards and a link, a socket on file
 * descriptor 3 and memory on 5 (common/ring.h), and sends it frames (common/frame.h). A worker listens
 * on no network and reads no other file than its shards and the model generations it is told of.
 *
 *     uplink.c         the link: whole frames in, replies gathered and written at once
 *     front_ends.c     the sockets of further front-ends, when there are any
 *     dispatch.c       one switch over all kinds of frames
 *     instructions.c   what the server tells us: setup, catalogs and definitions (rules.c), items (overlay.c),
 *                      generations (generations.c)
 *     recommend_call.c one user's recommendations: request.c -> recipe.c, call_filter.c -> recommend.c,
 *                      explain.c -> answer.c
 *     many.c           the same for thousands of users, in slices
 *     write_call.c     events in: ingest.c checks, writer.c is the thread, group.c the group commit,
 *                      common/turns.c who goes first
 *     history_call.c   events out
 *     stats.c          what was counted
 *     worker.c         beginning and end
 *
 * Two threads matter: the loop thread, which does all of the above and never waits for a disk, and the
 * writer thread, which waits for little else.
 */
#include "common/error.h"
#include "common/fault.h"
#include "common/frame.h"
#include "common/log.h"
#include "common/slice.h"
#include "common/standard.h"
#include "version.h"
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char help[] = "kindred-worker is started by kindred-server, which gives it a socket on file\n"
			   "descriptor %d. There is nothing to do for it alone. To start everything:\n"
			   "\n"
			   "    kindred init DIRECTORY\n"
			   "    kindred serve --data DIRECTORY\n"
			   "\n"
			   "    --version   print the version\n"
			   "    --help      print this\n";

static bool is_stream_socket(int fd)
{
	int type = 0;
	socklen_t bytes = sizeof type;
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_STREAM;
}

/*
 * The server says when to stop, by FRAME_DRAIN or by closing the link; a signal to the whole group must not
 * come before it.
 */
static void ignore_signals(void)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

/*
 * The front-end wakes a worker once for all the calls it has for it. A worker that took the core from
 * it at that moment would send it home with the rest of its work undone, to be woken in its turn for
 * every few answers. As a batch process a worker begins when a core is free or its time has come; on an
 * idle core that is at once. While it writes, common/turns.c has it otherwise.
 */
static void let_front_end_finish(void)
{
	if (!slice_take(SLICE_BATCH))
		log_debug("no batch scheduling: %s", strerror(errno));
}

static enum log_level log_level_given(void)
{
	const char *name = getenv("KINDRED_LOG_LEVEL");
	int level = name ? log_level_parse(name) : -1;
	return level < 0 ? LOG_INFO : (enum log_level)level;
}

int main(int argc, char **argv)
{
	standard_hold();
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("kindred-worker %s (%s)\n", KINDRED_VERSION, KINDRED_REVISION);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		printf(help, LINK_FD);
		return 0;
	}
	if (argc > 1 || !is_stream_socket(LINK_FD)) {
		fprintf(stderr, help, LINK_FD);
		return error_exit_code(E_INVALID);
	}
	log_init("worker", log_level_given());
	fault_init();
	ignore_signals();
	let_front_end_finish();
	return worker_run(LINK_FD);
}
