#include "cli/import_source.h"

#include <stdio.h>
#include <string.h>

int import_source_open(struct source **source, struct input *input, const struct import_options *options,
		       const char *layout_columns, struct error *err)
{
	struct source_options options_now = options->source;
	if (options_now.columns == NULL && layout_columns != NULL) {
		options_now.columns = layout_columns;
		options_now.columns_unless_header = true;
	}
	int code = source_open(source, input_read, input, &options_now, err);
	return code == 0 ? 0 : error_prefix(err, "%s", input->name);
}

/* "comma", "tab", "'::'" */
static const char *delimiter_name(const char *delimiter, char *buffer, size_t room)
{
	if (strcmp(delimiter, "\t") == 0)
		return "tab";
	if (strcmp(delimiter, ",") == 0)
		return "comma";
	snprintf(buffer, room, "'%s'", delimiter);
	return buffer;
}

void import_source_say(const struct cli *cli, const struct input *input, const struct source *source,
		       const char *mapping)
{
	char delimiter[32];
	cli_say(cli, "%s: %s; %s", input->name,
		source_format(source) == SOURCE_NDJSON
			? "NDJSON"
			: delimiter_name(source_delimiter(source), delimiter, sizeof delimiter),
		mapping);
}

int import_no_rows(const struct import_options *options, const struct input *input, struct error *err)
{
	return error_set(err, E_DATA_LOSS,
			 options->source.columns != NULL ? "%s has no rows" : "%s has a header and no rows",
			 input->name);
}
