/*
 * A mapping file says how a data set is read in its own columns. Text, one setting a line, '#' begins a comment line:
 *
 *     file events.csv            the files, in order; each is looked for with .zst behind it too. Several may be given
 *     delimiter comma            comma, tab, space or the very characters, as in ::
 *     quotes yes                 fields may be in "quotes" (no)
 *     header yes                 the first line of each file names the columns; without it they are
 *                                numbers from 1 (no)
 *     user session_id            columns: whose events, of what, when (number of seconds or milliseconds, or ISO 8601)
 *     item item_id
 *     time ts_est
 *     order seq                  a column of numbers that orders events of the same time; else the
 *                                order in the file does
 *     type event                 the column of the event's type; with it, only types that have a weight are read
 *     weight purchase 1          of a type; the rest of the line but the last word is its name
 *     item_digit yes             only items whose id begins with a digit: shops have postage and the
 *                                like among their codes
 *     recent_days 7              window of the recent popularity that is shown beside
 *     own_mode session           a mode in which the files below are the split, not a time
 *     own_train train.txt        each of them one of `file`
 *     own_tune valid.txt
 *     own_test test.txt
 *
 * Lines of which a field is missing or empty are left out and counted.
 */
#ifndef KINDRED_EVAL_MAP_H
#define KINDRED_EVAL_MAP_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define MAP_FILES_MAX 16
#define MAP_TYPES_MAX 16
#define MAP_TEXT_MAX 128

struct map {
	char files[MAP_FILES_MAX][MAP_TEXT_MAX];
	uint32_t file_count;
	char delimiter[8];
	bool quotes, header, item_digit;
	char user[MAP_TEXT_MAX], item[MAP_TEXT_MAX], time[MAP_TEXT_MAX];
	char order[MAP_TEXT_MAX], type[MAP_TEXT_MAX]; /* "": none */
	char types[MAP_TYPES_MAX][MAP_TEXT_MAX];
	float weights[MAP_TYPES_MAX];
	uint32_t type_count;
	double recent_days;
	char own_mode[MAP_TEXT_MAX], own_train[MAP_TEXT_MAX], own_tune[MAP_TEXT_MAX], own_test[MAP_TEXT_MAX];
};

/* E_INVALID: line and what is wrong with it. */
int map_parse(struct map *map, const char *text, struct error *err);
int map_load(struct map *map, const char *path, struct error *err);

#endif
