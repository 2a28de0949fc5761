/* What a `catalog import` did with its rows: counted while it runs, told at its end. */
#ifndef KINDRED_CLI_CATALOG_SUMMARY_H
#define KINDRED_CLI_CATALOG_SUMMARY_H

#include "cli/cli.h"
#include "kindred/v1/catalogs.pb-c.h"

#include <stdint.h>

/* Starts as all zero. */
struct catalog_summary {
	uint64_t rows; /* of the file */
	uint64_t skipped; /* with errors */
	uint64_t created, updated, unchanged, refused; /* the server's answers */
};

void catalog_summary_answer(struct catalog_summary *summary, const Kindred__V1__ImportItemsResponse *answer);

/* On stdout: a line, or JSON with cli->json. 0, or E_EXHAUSTED or E_UNAVAILABLE as json_print. */
int catalog_summary_print(const struct catalog_summary *summary, const struct cli *cli, const char *catalog,
			  double seconds);

#endif
