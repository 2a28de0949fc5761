#include "cli/catalog_plan.h"

#include "cli/columns.h"
#include "cli/item_value.h"
#include "cli/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int column_find(const struct catalog_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (strcmp(plan->names[i], name) == 0)
			return (int)i;
	}
	return -1;
}

static int no_such_column(const struct catalog_plan *plan, const char *flag, const char *name, struct error *err)
{
	char known[300];
	return error_set(err, E_INVALID, "%s: the file has no column '%.64s'; it has %s", flag, name,
			 columns_text(plan->names, plan->count, known, sizeof known));
}

/* The column of a role: given, of the layout, or guessed; -1: none. */
static int role_column(struct catalog_plan *plan, enum role role, const char *given, const char *layout, int *column,
		       struct error *err)
{
	if (given == NULL && layout != NULL && column_find(plan, layout) >= 0)
		given = layout;
	*column = given != NULL ? column_find(plan, given) : columns_guess(role, plan->names, plan->count);
	if (given != NULL && *column < 0)
		return no_such_column(plan, role_flag(role), given, err);
	return 0;
}

static int roles_choose(struct catalog_plan *plan, const struct plan_options *options, struct error *err)
{
	const struct layout *layout = options->layout;
	int code = role_column(plan, ROLE_ID, options->id, layout != NULL ? layout->catalog.id : NULL, &plan->id, err);
	if (code == 0)
		code = role_column(plan, ROLE_NAME, options->name, layout != NULL ? layout->catalog.name : NULL,
				   &plan->name, err);
	if (code == 0)
		code = role_column(plan, ROLE_IMAGE, options->image, NULL, &plan->image, err);
	if (code != 0)
		return code;
	if (plan->id < 0) {
		char known[300];
		return error_set(err, E_INVALID,
				 "which column is the item's id? Say --id COLUMN (or --columns A,B,C when the file has "
				 "no header); the columns are %s",
				 columns_text(plan->names, plan->count, known, sizeof known));
	}
	if (plan->name == plan->id)
		plan->name = -1;
	plan->columns[plan->id].use = PLAN_ID;
	if (plan->name >= 0)
		plan->columns[plan->name].use = PLAN_NAME;
	if (plan->image >= 0)
		plan->columns[plan->image].use = PLAN_IMAGE;
	return 0;
}

static bool attribute_taken(const struct catalog_plan *plan, size_t before, const char *name)
{
	for (size_t i = 0; i < before; i++) {
		if (plan->columns[i].use == PLAN_ATTRIBUTE && strcmp(plan->columns[i].attribute, name) == 0)
			return true;
	}
	return false;
}

static int attribute_add(struct catalog_plan *plan, size_t column, const char *header, struct error *err)
{
	char *name = plan->columns[column].attribute;
	attribute_name_make(header, name);
	size_t bytes = strlen(name);
	if (bytes > NAME_MAX_BYTES - 5)
		bytes = NAME_MAX_BYTES - 5;
	for (unsigned i = 2; attribute_taken(plan, column, name); i++)
		snprintf(name + bytes, NAME_MAX_BYTES + 1 - bytes, "_%u", i);
	plan->columns[column].use = PLAN_ATTRIBUTE;
	if (++plan->attributes > PLAN_ATTRIBUTES_MAX)
		return error_set(err, E_INVALID, "more than %d attributes; leave some out with --ignore COLUMN",
				 PLAN_ATTRIBUTES_MAX);
	return 0;
}

static bool listed(const char **list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static bool ignored(const struct plan_options *options, const char *name)
{
	if (listed(options->ignore, options->ignore_count, name))
		return true;
	for (size_t i = 0; options->layout != NULL && i < 4 && options->layout->catalog.ignore[i] != NULL; i++) {
		if (strcmp(options->layout->catalog.ignore[i], name) == 0)
			return true;
	}
	return false;
}

static int types_apply(struct catalog_plan *plan, const struct plan_options *options, struct error *err)
{
	for (size_t i = 0; i < options->ignore_count; i++) {
		if (column_find(plan, options->ignore[i]) < 0)
			return no_such_column(plan, "--ignore", options->ignore[i], err);
	}
	for (size_t i = 0; i < options->type_count; i++) {
		int column = column_find(plan, options->types[i].column);
		if (column < 0)
			return no_such_column(plan, "--type", options->types[i].column, err);
		if (plan->columns[column].use != PLAN_ATTRIBUTE)
			return error_set(err, E_INVALID, "--type: column '%.64s' is no attribute of the catalog",
					 options->types[i].column);
		plan->columns[column].type = options->types[i].type;
		plan->columns[column].given = true;
	}
	return 0;
}

int catalog_plan_make(struct catalog_plan *plan, const char *const *names, size_t count,
		      const struct plan_options *options, struct error *err)
{
	const struct layout *layout = options->layout;
	memset(plan, 0, sizeof *plan);
	plan->names = names;
	plan->count = count;
	plan->year = -1;
	plan->notation = options->notation;
	plan->separator = options->separator;
	if (plan->separator == NULL)
		plan->separator = layout != NULL && layout->catalog.separator != NULL ? layout->catalog.separator : "|";
	plan->nothing = layout != NULL ? layout->catalog.nothing : NULL;
	int code = roles_choose(plan, options, err);
	for (size_t i = 0; i < count && code == 0; i++) {
		if (plan->columns[i].use == PLAN_IGNORED && !ignored(options, names[i]))
			code = attribute_add(plan, i, names[i], err);
	}
	if (code == 0)
		code = types_apply(plan, options, err);
	const char *year = layout != NULL ? layout->catalog.year_attribute : NULL;
	if (code == 0 && year != NULL && plan->name >= 0 && !attribute_taken(plan, count, year)) {
		code = attribute_add(plan, count, year, err);
		plan->columns[count].type = TYPE_NUMBER;
		plan->year = (int)count;
	}
	return code;
}

void catalog_plan_text(const struct catalog_plan *plan, char *text, size_t room)
{
	snprintf(text, room, "id is '%s', name is %s%s%s, image is %s%s%s", plan->names[plan->id],
		 plan->name >= 0 ? "'" : "", plan->name >= 0 ? plan->names[plan->name] : "not given",
		 plan->name >= 0 ? "'" : "", plan->image >= 0 ? "'" : "",
		 plan->image >= 0 ? plan->names[plan->image] : "not given", plan->image >= 0 ? "'" : "");
}

const char *catalog_plan_attribute_text(const struct catalog_plan *plan, size_t column, char *buffer)
{
	const struct plan_column *of = &plan->columns[column];
	const char *header = column == plan->count ? "the name" : plan->names[column];
	bool renamed = strcmp(header, of->attribute) != 0;
	snprintf(buffer, PLAN_ATTRIBUTE_TEXT_MAX, "%s: %s%s%s%s%s", of->attribute, type_name(of->type),
		 renamed ? " (from " : "", renamed ? header : "", renamed ? ")" : "",
		 of->known   ? ", as in the catalog"
		 : of->given ? ", as given"
			     : "");
	return buffer;
}

int catalog_plan_schema(struct catalog_plan *plan, const Kindred__V1__Catalog *catalog, struct error *err)
{
	for (size_t i = 0; i <= plan->count; i++) {
		struct plan_column *column = &plan->columns[i];
		if (column->use != PLAN_ATTRIBUTE)
			continue;
		for (size_t k = 0; k < catalog->n_attributes; k++) {
			const Kindred__V1__AttributeSchema *known = catalog->attributes[k];
			if (strcmp(known->name, column->attribute) != 0)
				continue;
			if (column->given && column->type != known->type)
				return error_set(err, E_INVALID,
						 "--type %s=%s: attribute '%s' of catalog '%s' is a %s, and a type "
						 "never changes; to begin anew, `kindred catalog delete %s --yes` and "
						 "import again",
						 plan->names[i], type_name(column->type), column->attribute,
						 catalog->name, type_name(known->type), catalog->name);
			column->type = known->type;
			column->known = true;
		}
	}
	return 0;
}

static bool is_nothing(const struct catalog_plan *plan, const struct field *field)
{
	return field->bytes == 0 || (plan->nothing != NULL && strcmp(field->text, plan->nothing) == 0);
}

static int roles_check(const struct catalog_plan *plan, const struct row *row, struct error *err)
{
	const struct field *id = &row->fields[plan->id];
	char quoted[TEXT_QUOTE_MAX];
	if (id->odd)
		return error_set(err, E_INVALID, "column '%s': an id is a string or a whole number; %s is neither",
				 plan->names[plan->id], text_quote(id->text, id->bytes, quoted));
	if (id->bytes == 0)
		return error_set(err, E_INVALID, "column '%s': the item has no id", plan->names[plan->id]);
	if (id->bytes > ITEM_ID_MAX)
		return error_set(err, E_INVALID, "column '%s': an id of %zu bytes; 1 to %d are allowed",
				 plan->names[plan->id], id->bytes, ITEM_ID_MAX);
	if (plan->name >= 0 && row->fields[plan->name].bytes > ITEM_NAME_MAX)
		return error_set(err, E_INVALID, "column '%s': a name of %zu bytes; up to %d are allowed",
				 plan->names[plan->name], row->fields[plan->name].bytes, ITEM_NAME_MAX);
	if (plan->image >= 0 && row->fields[plan->image].bytes > ITEM_IMAGE_MAX)
		return error_set(err, E_INVALID, "column '%s': an image URL of %zu bytes; up to %d are allowed",
				 plan->names[plan->image], row->fields[plan->image].bytes, ITEM_IMAGE_MAX);
	return 0;
}

int catalog_plan_see(struct catalog_plan *plan, const struct row *row, struct error *err)
{
	int code = roles_check(plan, row, err);
	if (code != 0)
		return code;
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_column *column = &plan->columns[i];
		const struct field *field = &row->fields[i];
		if (column->use == PLAN_ATTRIBUTE && !is_nothing(plan, field))
			type_see(&column->counts, field, plan->separator, &plan->notation);
	}
	return 0;
}

uint64_t catalog_plan_decide(struct catalog_plan *plan)
{
	uint64_t strangers = 0;
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_column *column = &plan->columns[i];
		if (column->use != PLAN_ATTRIBUTE)
			continue;
		if (column->type == TYPE_NONE)
			column->type = type_decide(&column->counts);
		strangers += type_strangers(&column->counts, column->type);
	}
	return strangers;
}

int name_year(const char *name, size_t bytes)
{
	int year = 0;
	if (bytes < 6 || name[bytes - 1] != ')' || name[bytes - 6] != '(')
		return 0;
	for (size_t i = bytes - 5; i < bytes - 1; i++) {
		if (!isdigit((unsigned char)name[i]))
			return 0;
		year = year * 10 + (name[i] - '0');
	}
	return year;
}

static Kindred__V1__Attribute *attribute_next(const struct catalog_plan *plan, size_t column, Kindred__V1__Item *item,
					      Kindred__V1__Attribute *storage)
{
	Kindred__V1__Attribute *attribute = &storage[item->n_attributes];
	kindred__v1__attribute__init(attribute);
	attribute->name = (char *)plan->columns[column].attribute;
	item->attributes[item->n_attributes++] = attribute;
	return attribute;
}

static char *text_of(const struct row *row, int column, struct arena *arena)
{
	if (column < 0 || row->fields[column].bytes == 0)
		return (char *)protobuf_c_empty_string;
	return arena_strndup(arena, row->fields[column].text, row->fields[column].bytes);
}

int catalog_plan_item(const struct catalog_plan *plan, const struct row *row, struct arena *arena,
		      Kindred__V1__Item **item, struct error *err)
{
	int code = roles_check(plan, row, err);
	if (code != 0)
		return code;
	Kindred__V1__Item *made = arena_alloc(arena, sizeof *made);
	Kindred__V1__Attribute *storage = arena_alloc(arena, (plan->attributes + 1) * sizeof *storage);
	Kindred__V1__Attribute **pointers = arena_alloc(arena, (plan->attributes + 1) * sizeof *pointers);
	if (made == NULL || storage == NULL || pointers == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for an item");
	kindred__v1__item__init(made);
	made->attributes = pointers;
	made->id = text_of(row, plan->id, arena);
	made->name = text_of(row, plan->name, arena);
	made->image_url = text_of(row, plan->image, arena);
	if (made->id == NULL || made->name == NULL || made->image_url == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for an item");
	for (size_t i = 0; i < plan->count; i++) {
		const struct field *field = &row->fields[i];
		if (plan->columns[i].use != PLAN_ATTRIBUTE || is_nothing(plan, field))
			continue;
		code = attribute_parse(attribute_next(plan, i, made, storage), plan->columns[i].type, field,
				       plan->separator, &plan->notation, arena, err);
		if (code != 0)
			return error_prefix(err, "column '%s'", plan->names[i]);
	}
	int year = plan->year >= 0 ? name_year(row->fields[plan->name].text, row->fields[plan->name].bytes) : 0;
	if (year > 0) {
		Kindred__V1__Attribute *attribute = attribute_next(plan, (size_t)plan->year, made, storage);
		attribute->value_case = KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE;
		attribute->number_value = year;
	}
	*item = made;
	return 0;
}
