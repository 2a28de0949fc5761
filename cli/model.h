/* What the commands of `kindred model` share. */
#ifndef KINDRED_CLI_MODEL_H
#define KINDRED_CLI_MODEL_H

#include "cli/cli.h"
#include "kindred/v1/models.pb-c.h"

/* Errors: those of cli_call. *response: to be freed. */
int model_status_get(struct cli *cli, Kindred__V1__GetModelStatusResponse **response, struct error *err);

#endif
