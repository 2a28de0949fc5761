#include "builder/params.h"

#include "common/prose.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct parameter {
	const char *name;
	double standard, least, most;
	size_t offset;
	const char *prose;
} table[] = {
#define PARAMS_ROW(name, standard, least, most, prose)                                                                 \
	{ #name, standard, least, most, offsetof(struct params, name), prose },
	PARAMS_TABLE(PARAMS_ROW)
#undef PARAMS_ROW
};
#define TABLE_ROWS (sizeof table / sizeof *table)

static double *field(struct params *params, const struct parameter *parameter)
{
	return (double *)((char *)params + parameter->offset);
}

struct params params_default(void)
{
	struct params params;
	for (size_t p = 0; p < TABLE_ROWS; p++)
		*field(&params, &table[p]) = table[p].standard;
	return params;
}

int params_set(struct params *params, const char *assignment, struct error *err)
{
	const char *equals = strchr(assignment, '=');
	size_t length = equals ? (size_t)(equals - assignment) : strlen(assignment);
	for (size_t p = 0; p < TABLE_ROWS; p++) {
		if (strlen(table[p].name) != length || memcmp(table[p].name, assignment, length) != 0)
			continue;
		char *end = NULL;
		double value = equals ? strtod(equals + 1, &end) : 0;
		if (!equals || end == equals + 1 || *end || !(value >= table[p].least && value <= table[p].most))
			return error_set(err, E_INVALID, "parameter %s: a number from %g to %g is wanted, as in %s=%g",
					 table[p].name, table[p].least, table[p].most, table[p].name,
					 table[p].standard);
		*field(params, &table[p]) = value;
		return 0;
	}
	char names[400] = "";
	for (size_t p = 0; p < TABLE_ROWS; p++) {
		strncat(names, p ? " " : "", sizeof names - strlen(names) - 1);
		strncat(names, table[p].name, sizeof names - strlen(names) - 1);
	}
	return error_set(err, E_INVALID, "no parameter \"%.*s\"; there are: %s", (int)(length < 40 ? length : 40),
			 assignment, names);
}

json_t *params_json(const struct params *params)
{
	json_t *object = json_object();
	for (size_t p = 0; p < TABLE_ROWS; p++)
		json_object_set_new(object, table[p].name, json_real(*field((struct params *)params, &table[p])));
	return object;
}

void params_changes(const struct params *params, const struct params *from, char *text, size_t bytes)
{
	size_t used = 0;
	text[0] = '\0';
	for (size_t p = 0; p < TABLE_ROWS && used < bytes; p++) {
		double value = *field((struct params *)params, &table[p]);
		if (value != *field((struct params *)from, &table[p]))
			used += (size_t)snprintf(text + used, bytes - used, "%s%s=%g", used ? " " : "", table[p].name,
						 value);
	}
}

void params_read(struct params *params, const json_t *object)
{
	for (size_t p = 0; p < TABLE_ROWS; p++) {
		const json_t *value = json_object_get(object, table[p].name);
		double number = json_number_value(value);
		if (json_is_number(value) && number >= table[p].least && number <= table[p].most)
			*field(params, &table[p]) = number;
	}
}

char *params_help(const char *before)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	if (!out)
		return NULL;
	fprintf(out, "%s\n", before);
	for (size_t p = 0; p < TABLE_ROWS; p++) {
		int at = fprintf(out, "  %-16s %-6g", table[p].name, table[p].standard);
		prose_fill(out, table[p].prose, (size_t)at, (size_t)at + 1);
	}
	fclose(out);
	return text;
}
