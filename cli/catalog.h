/* What the commands on catalogs share. */
#ifndef KINDRED_CLI_CATALOG_H
#define KINDRED_CLI_CATALOG_H

#include "cli/cli.h"
#include "kindred/v1/catalogs.pb-c.h"

/* The catalog's schema, as cli_call. */
int catalog_fetch(struct cli *cli, const char *name, Kindred__V1__GetCatalogResponse **response, struct error *err);
/* One item for people. */
void item_print(const Kindred__V1__Item *item);

#endif
