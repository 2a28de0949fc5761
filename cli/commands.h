/* The commands, each in the file of its group; main.c has the table of them. */
#ifndef KINDRED_CLI_COMMANDS_H
#define KINDRED_CLI_COMMANDS_H

struct cli;

int cmd_init(struct cli *cli, int argc, char **argv);
int cmd_serve(struct cli *cli, int argc, char **argv);
int cmd_catalog_import(struct cli *cli, int argc, char **argv);
int cmd_catalog_create(struct cli *cli, int argc, char **argv);
int cmd_catalog_list(struct cli *cli, int argc, char **argv);
int cmd_catalog_get(struct cli *cli, int argc, char **argv);
int cmd_catalog_items(struct cli *cli, int argc, char **argv);
int cmd_catalog_set(struct cli *cli, int argc, char **argv);
int cmd_catalog_delete(struct cli *cli, int argc, char **argv);
int cmd_events_import(struct cli *cli, int argc, char **argv);
int cmd_events_add(struct cli *cli, int argc, char **argv);
int cmd_events_list(struct cli *cli, int argc, char **argv);
int cmd_user_delete(struct cli *cli, int argc, char **argv);
int cmd_define(struct cli *cli, int argc, char **argv);
int cmd_definitions_list(struct cli *cli, int argc, char **argv);
int cmd_definitions_get(struct cli *cli, int argc, char **argv);
int cmd_definitions_delete(struct cli *cli, int argc, char **argv);
int cmd_export(struct cli *cli, int argc, char **argv);
int cmd_recommend(struct cli *cli, int argc, char **argv);
int cmd_model_build(struct cli *cli, int argc, char **argv);
int cmd_model_refresh(struct cli *cli, int argc, char **argv);
int cmd_model_tune(struct cli *cli, int argc, char **argv);
int cmd_model_show(struct cli *cli, int argc, char **argv);
int cmd_model_list(struct cli *cli, int argc, char **argv);
int cmd_model_activate(struct cli *cli, int argc, char **argv);
int cmd_model_rollback(struct cli *cli, int argc, char **argv);
int cmd_model_status(struct cli *cli, int argc, char **argv);
int cmd_status(struct cli *cli, int argc, char **argv);

#endif
