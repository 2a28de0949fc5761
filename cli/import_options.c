#include "cli/import_options.h"

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

void import_options_init(struct import_options *options)
{
	*options = (struct import_options){ .max_errors = UINT64_MAX };
}

static void layout_choose(struct import_options *options, const char *name, struct argp_state *state)
{
	options->layout = layout_find(name);
	if (options->layout != NULL)
		return;
	char known[200] = "";
	size_t count, at = 0;
	const struct layout *all = layouts(&count);
	for (size_t i = 0; i < count; i++)
		at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i > 0 ? ", " : "", all[i].name);
	argp_error(state, "--layout '%s': known are %s", name, known);
}

error_t import_option(struct import_options *options, int key, char *value, struct argp_state *state)
{
	struct error err;
	switch (key) {
	case IMPORT_DELIMITER:
		options->source.delimiter = value;
		return 0;
	case IMPORT_COLUMNS:
		options->source.columns = value;
		return 0;
	case IMPORT_NO_QUOTES:
		options->source.no_quotes = true;
		return 0;
	case IMPORT_LAYOUT:
		layout_choose(options, value, state);
		return 0;
	case IMPORT_ON_ERROR:
		if (strcmp(value, "skip") != 0 && strcmp(value, "abort") != 0)
			argp_error(state, "--on-error '%s': give skip or abort", value);
		options->abort_on_error = strcmp(value, "abort") == 0;
		return 0;
	case IMPORT_MAX_ERRORS:
		options->max_errors = (uint64_t)cli_number(state, "--max-errors", value, 0, INT64_MAX);
		return 0;
	case IMPORT_FORMAT:
		if (strcmp(value, "csv") == 0)
			options->source.format = SOURCE_CSV;
		else if (strcmp(value, "ndjson") == 0)
			options->source.format = SOURCE_NDJSON;
		else
			argp_error(state, "--format '%s': give csv or ndjson", value);
		return 0;
	case IMPORT_DECIMAL_COMMA:
		options->notation.decimal_comma = true;
		return 0;
	case IMPORT_THOUSANDS:
		if (notation_thousands_set(&options->notation, value, &err) != 0)
			cli_usage(state, &err);
		return 0;
	case ARGP_KEY_END:
		if (notation_check(&options->notation, &err) != 0)
			cli_usage(state, &err);
		return 0;
	case IMPORT_UNIT:
		if (notation_unit_add(&options->notation, value, &err) != 0)
			cli_usage(state, &err);
		return 0;
	case IMPORT_TIME_FORMAT:
		if (notation_time_format_add(&options->notation, value, &err) != 0)
			cli_usage(state, &err);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}
