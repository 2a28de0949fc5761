/* The catalog that an import needs: made when it is missing, given the attributes that it lacks. */
#ifndef KINDRED_CLI_CATALOG_SCHEMA_H
#define KINDRED_CLI_CATALOG_SCHEMA_H

#include "cli/catalog_plan.h"
#include "cli/cli.h"

/* exists: the catalog is there; plan: decided (catalog_plan_decide). Errors as cli_call. */
int catalog_schema_send(struct cli *cli, const char *name, const struct catalog_plan *plan, bool exists,
			struct error *err);

#endif
