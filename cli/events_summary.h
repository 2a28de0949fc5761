/* What an `events import` did with its rows: counted while it runs, told at its end. */
#ifndef KINDRED_CLI_EVENTS_SUMMARY_H
#define KINDRED_CLI_EVENTS_SUMMARY_H

#include "cli/cli.h"
#include "cli/found.h"
#include "kindred/v1/events.pb-c.h"

#include <stdint.h>

/* Starts as all zero. */
struct events_summary {
	uint64_t rows; /* of the file; each is one of the following, or was not answered */
	uint64_t skipped; /* with errors */
	uint64_t no_user, left_out; /* left_out: of another type than --only */
	uint64_t accepted, duplicate, dropped, refused; /* the server's answers */
	uint64_t resent; /* batches that were sent again after a break */
	int64_t newest_s; /* time of the newest event; 0: none has one */
	struct found found;
};

/* An event that is going to be sent. */
void events_summary_event(struct events_summary *summary, const Kindred__V1__Event *event);
void events_summary_outcome(struct events_summary *summary, Kindred__V1__Outcome outcome);

/* On stdout: a table, or JSON with cli->json; remarks on stderr. */
void events_summary_print(struct events_summary *summary, const struct cli *cli, const char *catalog, double seconds);

#endif
