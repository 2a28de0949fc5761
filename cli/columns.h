/*
 * Which column of a file plays which role: by its name, the way such files usually name it; and names
 * of attributes made from headers. Pure.
 */
#ifndef KINDRED_CLI_COLUMNS_H
#define KINDRED_CLI_COLUMNS_H

#include "common/error.h"
#include "common/ids.h"

#include <stdbool.h>
#include <stddef.h>

enum role {
	/* of an event */
	ROLE_USER,
	ROLE_ITEM,
	ROLE_EVENT, /* its type */
	ROLE_TIME,
	ROLE_EVENT_ID,
	ROLE_WEIGHT,
	/* of a catalog's item */
	ROLE_ID,
	ROLE_NAME,
	ROLE_IMAGE,
};

/* "user", "event id", ... as in messages; and the flag that chooses the column: "--user". */
const char *role_name(enum role role);
const char *role_flag(enum role role);

/*
 * The column whose name is the likeliest for the role, -1: none looks like it. Case, spaces, '_', '-'
 * and '.' do not matter: "Customer ID" is "customer_id". Of several, the name that stands first in the
 * role's list (columns.c) wins, then the leftmost column.
 */
int columns_guess(enum role role, const char *const *columns, size_t count);

/* The same under the role's names: whether a name could be a header's. */
bool columns_known(enum role role, const char *column);

/*
 * The attribute's name for a header: the header itself when it is a valid name; else in lower case,
 * each run of other characters an underscore ("In Stock (pcs)" -> "in_stock_pcs"), "c_" before a digit,
 * "_" behind a word of the filter language. name: room for NAME_MAX_BYTES + 1.
 */
void attribute_name_make(const char *header, char *name);

/* E_INVALID: a name has a line end in it that is a CR alone, so that the file's first line is all of it. */
int columns_check_lines(const char *const *columns, size_t count, struct error *err);

/* ", "-joined list of the columns in quotes, for messages: "'a', 'b'"; cut with "..." when it gets long. */
const char *columns_text(const char *const *columns, size_t count, char *buffer, size_t room);

#endif
