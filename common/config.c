#include "common/config.h"

#include <ctype.h>
#include <cyaml/cyaml.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARAMETER_NAME_MAX 64
#define PLACE_MAX 320

#define TEXT_ROW(parameter, def, unit_, prose_)                                                                        \
	{ .name = #parameter, .fallback = def, .unit = unit_, .prose = prose_, .kind = CONFIG_KIND_TEXT },
#define NUMBER_ROW(parameter, def, min_, max_, unit_, prose_)                                                          \
	{ .name = #parameter,                                                                                          \
	  .fallback = #def,                                                                                            \
	  .unit = unit_,                                                                                               \
	  .prose = prose_,                                                                                             \
	  .kind = CONFIG_KIND_NUMBER,                                                                                  \
	  .min = min_,                                                                                                 \
	  .max = max_ },
#define CHOICE_ROW(parameter, def, choices_, prose_)                                                                   \
	{ .name = #parameter, .fallback = def, .choices = choices_, .prose = prose_, .kind = CONFIG_KIND_CHOICE },

static const struct config_parameter parameters[] = { CONFIG_TABLE(TEXT_ROW, NUMBER_ROW, CHOICE_ROW) };
#define PARAMETERS (sizeof parameters / sizeof parameters[0])

#define ANY_OFFSET(parameter, ...) offsetof(struct config, parameter),
static const size_t offsets[] = { CONFIG_TABLE(ANY_OFFSET, ANY_OFFSET, ANY_OFFSET) };

/*
 * What the file gives, as text: every value then goes through assign(), as those of the environment and
 * the command line do.
 */
struct file_values {
#define ANY_TEXT(parameter, ...) char *parameter;
	CONFIG_TABLE(ANY_TEXT, ANY_TEXT, ANY_TEXT)
};

#define ANY_FIELD(parameter, ...)                                                                                      \
	CYAML_FIELD_STRING_PTR(#parameter, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_values, parameter, 0, \
			       4096),
static const cyaml_schema_field_t file_fields[] = { CONFIG_TABLE(ANY_FIELD, ANY_FIELD, ANY_FIELD) CYAML_FIELD_END };
static const cyaml_schema_value_t file_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file_values,
								      file_fields) };

static void *member(struct config *config, size_t parameter)
{
	return (char *)config + offsets[parameter];
}

static bool is_choice(const char *choices, const char *value)
{
	size_t bytes = strlen(value);

	for (const char *p = choices;; p++) {
		size_t length = strcspn(p, "|");

		if (length == bytes && memcmp(p, value, bytes) == 0)
			return true;
		p += length;
		if (!*p)
			return false;
	}
}

static int assign_text(char **text, const char *value, struct error *err)
{
	char *copy = strdup(value);

	if (!copy)
		return error_set(err, E_EXHAUSTED, "out of memory");
	free(*text);
	*text = copy;
	return 0;
}

/* source: where the value was given, for the error: "kindred.yaml", "the environment (KINDRED_WORKERS)" ... */
static int assign(struct config *config, size_t index, const char *value, const char *source, struct error *err)
{
	const struct config_parameter *parameter = &parameters[index];
	long long number;
	char *end;

	switch (parameter->kind) {
	case CONFIG_KIND_TEXT:
		return assign_text(member(config, index), value, err);
	case CONFIG_KIND_CHOICE:
		if (!is_choice(parameter->choices, value))
			return error_set(err, E_INVALID, "%s: \"%.80s\", from %s; one of %s is allowed",
					 parameter->name, value, source, parameter->choices);
		return assign_text(member(config, index), value, err);
	case CONFIG_KIND_NUMBER:
		errno = 0;
		number = strtoll(value, &end, 10);
		if (end == value || *end || isspace((unsigned char)*value) || errno != 0 || number < parameter->min ||
		    number > parameter->max)
			return error_set(err, E_INVALID,
					 "%s: \"%.80s\", from %s; a whole number of %s from %" PRId64 " to %" PRId64
					 " is allowed",
					 parameter->name, value, source, parameter->unit, parameter->min,
					 parameter->max);
		*(int64_t *)member(config, index) = number;
		return 0;
	}
	return error_set(err, E_INTERNAL, "%s: no such kind of parameter", parameter->name);
}

int config_init(struct config *config, struct error *err)
{
	memset(config, 0, sizeof *config);
	for (size_t i = 0; i < PARAMETERS; i++) {
		int rc = assign(config, i, parameters[i].fallback, "the table of parameters", err);

		if (rc != 0) {
			config_fini(config);
			return rc;
		}
	}
	return 0;
}

void config_fini(struct config *config)
{
	for (size_t i = 0; i < PARAMETERS; i++)
		if (parameters[i].kind != CONFIG_KIND_NUMBER)
			free(*(char **)member(config, i));
	memset(config, 0, sizeof *config);
}

/* libcyaml's first complaint, and the line of the field it is about, from its log. */
struct complaint {
	char text[256];
	unsigned line; /* 0: not known */
};

static void on_cyaml_log(cyaml_log_t level, void *context, const char *format, va_list args)
{
	struct complaint *complaint = context;
	char line[256];
	const char *place;

	(void)level;
	vsnprintf(line, sizeof line, format, args);
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "Load: Backtrace:") == 0)
		return;
	/* Without a field the position is that of the token before: not worth telling. */
	place = strstr(line, "(line: ");
	if (place && strstr(line, "in mapping field"))
		complaint->line = (unsigned)strtoul(place + strlen("(line: "), NULL, 10);
	else if (!place && !complaint->text[0])
		snprintf(complaint->text, sizeof complaint->text, "%s",
			 strncmp(line, "Load: ", 6) == 0 ? line + 6 : line);
}

/*
 * "kindred.yaml, line 3": libcyaml does not keep where a value stood. A file in flow style ({workers:
 * 4}) gets no line.
 */
static const char *place_of(const char *path, const char *key, char *place, size_t room)
{
	FILE *in = fopen(path, "r");
	size_t bytes = strlen(key), space = 0;
	char *line = NULL;
	bool found = false;

	snprintf(place, room, "%s", path);
	for (unsigned number = 1; !found && in && getline(&line, &space, in) >= 0; number++) {
		const char *at = line + strspn(line, " \"'");

		found = strncmp(at, key, bytes) == 0 && at[bytes + strspn(at + bytes, " \"'")] == ':';
		if (found)
			snprintf(place, room, "%s, line %u", path, number);
	}
	free(line);
	if (in)
		fclose(in);
	return place;
}

static int refuse_file(const char *path, cyaml_err_t rc, const struct complaint *complaint, struct error *err)
{
	const char *text = complaint->text[0] ? complaint->text : cyaml_strerror(rc);
	const char *key = "Unexpected key: ";
	char place[PLACE_MAX];

	if (rc == CYAML_ERR_OOM)
		return error_set(err, E_EXHAUSTED, "%s: out of memory", path);
	if (strncmp(text, key, strlen(key)) == 0)
		return error_set(err, E_PRECONDITION,
				 "%s: \"%s\" is not a parameter; `kindred-server --help` lists them",
				 place_of(path, text + strlen(key), place, sizeof place), text + strlen(key));
	if (strncmp(text, "Expecting STRING", strlen("Expecting STRING")) == 0)
		text = "one value is wanted, as in \"workers: 4\"";
	else if (strncmp(text, "Expecting MAPPING", strlen("Expecting MAPPING")) == 0)
		return error_set(err, E_PRECONDITION, "%s: it must be lines of \"parameter: value\"", path);
	if (complaint->line > 0)
		return error_set(err, E_PRECONDITION, "%s, line %u: %s", path, complaint->line, text);
	return error_set(err, E_PRECONDITION, "%s: %s; it must be lines of \"parameter: value\"", path, text);
}

/* What is wrong with the configuration is not wrong with the command (EX_CONFIG, not EX_USAGE). */
static int not_usage(int code, struct error *err)
{
	if (code != E_INVALID)
		return code;
	if (err)
		err->code = E_PRECONDITION;
	return E_PRECONDITION;
}

static int assign_from_file(struct config *config, size_t index, const char *value, const char *path, struct error *err)
{
	char place[PLACE_MAX];
	int rc = assign(config, index, value, path, err);

	/* said again with the line, which takes a reading of the file to find */
	if (rc != 0)
		rc = assign(config, index, value, place_of(path, parameters[index].name, place, sizeof place), err);
	return not_usage(rc, err);
}

int config_load_file(struct config *config, const char *path, struct error *err)
{
	struct complaint complaint = { 0 };
	struct stat status;
	const cyaml_config_t settings = {
		.log_fn = on_cyaml_log,
		.log_ctx = &complaint,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_WARNING,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	struct file_values *values = NULL;
	char *const *texts;
	cyaml_err_t loaded;
	int rc = 0;

	if (access(path, R_OK) != 0)
		return error_errno(err, errno, "configuration file %s", path);
	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return error_set(err, E_PRECONDITION, "configuration file %s: it is a folder; give a file", path);
	loaded = cyaml_load_file(path, &settings, &file_schema, (cyaml_data_t **)&values, NULL);
	/* A warning, too, means that something in the file would not be heeded. */
	if (loaded != CYAML_OK || complaint.text[0])
		rc = refuse_file(path, loaded, &complaint, err);
	texts = (char *const *)values;
	for (size_t i = 0; rc == 0 && values && i < PARAMETERS; i++)
		if (texts[i])
			rc = assign_from_file(config, i, texts[i], path, err);
	cyaml_free(&settings, &file_schema, values, 0);
	return rc;
}

/* variable: room for PARAMETER_NAME_MAX + 8 */
static void variable_name(const struct config_parameter *parameter, char *variable)
{
	snprintf(variable, PARAMETER_NAME_MAX + 8, "KINDRED_%s", parameter->name);
	for (char *p = variable; *p; p++)
		*p = (char)toupper((unsigned char)*p);
}

static bool is_known(const char *name, size_t bytes)
{
	/* of our programs and their tests */
	static const char *const others[] = { "KINDRED_DATA", "KINDRED_SERVER", "KINDRED_BIN", "KINDRED_REVISION",
					      "KINDRED_REAL_DATA" };
	/* tests, and what Kubernetes tells every container about a service that is called kindred */
	static const char *const beginnings[] = { "KINDRED_TEST_", "KINDRED_SERVICE_", "KINDRED_PORT_" };
	char variable[PARAMETER_NAME_MAX + 8];

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (strlen(others[i]) == bytes && memcmp(name, others[i], bytes) == 0)
			return true;
	for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
		if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	for (size_t i = 0; i < PARAMETERS; i++) {
		variable_name(&parameters[i], variable);
		if (strlen(variable) == bytes && memcmp(name, variable, bytes) == 0)
			return true;
	}
	return strncmp(name + bytes, "=tcp://", strlen("=tcp://")) == 0; /* Kubernetes' KINDRED_PORT */
}

const char *config_unknown_variable(size_t *at)
{
	const char *const ours = "KINDRED_";

	while (environ && environ[*at]) {
		const char *variable = environ[(*at)++];

		if (strncmp(variable, ours, strlen(ours)) == 0 && !is_known(variable, strcspn(variable, "=")))
			return variable;
	}
	return NULL;
}

int config_load_environment(struct config *config, struct error *err)
{
	char source[PARAMETER_NAME_MAX + 64];
	char variable[PARAMETER_NAME_MAX + 8];

	for (size_t i = 0; i < PARAMETERS; i++) {
		const char *value;
		int rc;

		variable_name(&parameters[i], variable);
		value = getenv(variable);
		if (!value)
			continue;
		snprintf(source, sizeof source, "the environment (%s)", variable);
		rc = not_usage(assign(config, i, value, source, err), err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static bool same_name(const char *name, const char *given)
{
	for (; *name && *given; name++, given++)
		if (*name != *given && !(*name == '_' && *given == '-'))
			return false;
	return *name == *given;
}

int config_set(struct config *config, const char *name, const char *value, struct error *err)
{
	for (size_t i = 0; i < PARAMETERS; i++)
		if (same_name(parameters[i].name, name))
			return assign(config, i, value, "the command line", err);
	return error_set(err, E_NOT_FOUND, "\"%s\" is not a parameter; `kindred-server --help` lists them", name);
}

const struct config_parameter *config_parameters(unsigned *count)
{
	*count = PARAMETERS;
	return parameters;
}

static void print_choices(FILE *out, const char *choices)
{
	const char *comma = "";

	for (;;) {
		size_t length = strcspn(choices, "|");

		fprintf(out, "%s`%.*s`", comma, (int)length, choices);
		comma = ", ";
		if (!choices[length])
			return;
		choices += length + 1;
	}
}

void config_reference(FILE *out)
{
	fprintf(out, "| parameter | default | allowed | meaning |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < PARAMETERS; i++) {
		const struct config_parameter *p = &parameters[i];

		fprintf(out, "| `%s` | ", p->name);
		fprintf(out, *p->fallback ? "`%s` | " : "%sempty | ", p->fallback);
		if (p->kind == CONFIG_KIND_NUMBER)
			fprintf(out, "%" PRId64 " to %" PRId64 " %s", p->min, p->max, p->unit);
		else if (p->kind == CONFIG_KIND_CHOICE)
			print_choices(out, p->choices);
		else
			fprintf(out, "%s", p->unit);
		fprintf(out, " | %s |\n", p->prose);
	}
}
