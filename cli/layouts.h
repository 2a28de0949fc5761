/*
 * Layouts: well-known data sets, so that `--layout NAME` says at once what would take a line of flags.
 * One table (layouts.c); a flag that is given wins over the layout. Pure.
 */
#ifndef KINDRED_CLI_LAYOUTS_H
#define KINDRED_CLI_LAYOUTS_H

#include <stddef.h>

struct layout_pair {
	const char *from, *to;
};

struct layout {
	const char *name, *prose;
	struct {
		const char *columns; /* when the file has no header */
		const char *user, *item, *event, *time; /* columns; NULL: guessed */
		const char *event_type; /* the type of every row when the file has no column of types */
		const char *time_format; /* strptime, for times that are neither ISO 8601 nor numbers */
		const char *negative_column; /* a row whose number here is below 0 is of negative_type instead */
		const char *negative_type;
		struct layout_pair map[8]; /* event names */
	} events;
	struct {
		const char *columns;
		const char *id, *name;
		const char *separator; /* of lists */
		const char *ignore[4];
		const char *year_attribute; /* made from "(1995)" at the end of the name; NULL: not */
		const char *nothing; /* this value means: none */
	} catalog;
};

/* NULL: there is none of this name. */
const struct layout *layout_find(const char *name);
const struct layout *layouts(size_t *count);

#endif
