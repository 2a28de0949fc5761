#include "lib/build_fixture.h"

#include "builder/refresh.h"
#include "common/clock.h"
#include "common/shard_private.h"
#include "lib/generation_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE 60000

static void need(bool good, const char *format, ...)
{
	if (good)
		return;
	va_list arguments;
	va_start(arguments, format);
	fputs("build fixture: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	abort();
}

void build_fixture_init(struct build_fixture *f, uint32_t shards)
{
	struct error err = { 0 };
	memset(f, 0, sizeof *f);
	f->history_cap = 1000;
	need(shards <= sizeof f->shards / sizeof *f->shards, "too many shards");
	need(temp_dir_make(&f->home) == 0, "no folder");
	snprintf(f->data, sizeof f->data, "%s/data", f->home.path);
	need(datadir_init(f->data, shards, &err) == 0, "%s", err.text);
	need(datadir_open(&f->dir, f->data, true, &err) == 0, "%s", err.text);
}

static void close_all(struct build_fixture *f)
{
	struct error err = { 0 };
	for (size_t s = 0; s < sizeof f->shards / sizeof *f->shards; s++) {
		if (!f->shards[s])
			continue;
		need(shard_write_commit(f->shards[s], &err) == 0, "%s", err.text);
		shard_close(f->shards[s]);
		f->shards[s] = NULL;
	}
	if (f->control)
		control_close(f->control);
	f->control = NULL;
}

void build_fixture_fini(struct build_fixture *f)
{
	close_all(f);
	datadir_close(&f->dir);
	temp_dir_remove(&f->home);
}

static struct control *control_of(struct build_fixture *f)
{
	struct error err = { 0 };
	char path[DATADIR_PATH_MAX];
	if (!f->control)
		need(control_open(&f->control, datadir_control(&f->dir, path), 64 << 20, false, &err) == 0, "%s",
		     err.text);
	return f->control;
}

static struct shard *shard_of(struct build_fixture *f, const char *user)
{
	struct error err = { 0 };
	char path[DATADIR_PATH_MAX];
	uint32_t number = user_shard(user, strlen(user), f->dir.shards);
	if (!f->shards[number]) {
		struct shard_options options = { .map_bytes = 256 << 20, .durability = SHARD_NOSYNC };
		need(shard_open(&f->shards[number], datadir_shard(&f->dir, number, path), &options, &err) == 0, "%s",
		     err.text);
		need(shard_write_begin(f->shards[number], &err) == 0, "%s", err.text);
	}
	return f->shards[number];
}

/* What one item of a batch points to. */
struct made_item {
	char id[24], name[32], category[8];
	Kindred__V1__Attribute price, kind, *attributes[2];
	Kindred__V1__Item item;
};

static Kindred__V1__Item *make_item(struct made_item *made, unsigned number, bool hidden)
{
	snprintf(made->id, sizeof made->id, "i%u", number);
	snprintf(made->name, sizeof made->name, "Item %u", number);
	snprintf(made->category, sizeof made->category, "c%u", number % 3);
	kindred__v1__attribute__init(&made->price);
	kindred__v1__attribute__init(&made->kind);
	made->price.name = (char *)"price";
	made->price.value_case = KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE;
	made->price.number_value = number;
	made->kind.name = (char *)"category";
	made->kind.value_case = KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE;
	made->kind.string_value = made->category;
	made->attributes[0] = &made->price;
	made->attributes[1] = &made->kind;
	kindred__v1__item__init(&made->item);
	made->item.id = made->id;
	made->item.name = made->name;
	made->item.hidden = hidden;
	made->item.attributes = made->attributes;
	made->item.n_attributes = 2;
	return &made->item;
}

static void put_items(struct build_fixture *f, const char *catalog, unsigned count)
{
	struct made_item *made = calloc(count, sizeof *made);
	Kindred__V1__Item **items = calloc(count, sizeof *items);
	enum control_change *changes = calloc(count, sizeof *changes);
	char **reasons = calloc(count, sizeof *reasons);
	need(made && items && changes && reasons, "no memory");
	for (unsigned i = 0; i < count; i++)
		items[i] = make_item(&made[i], i, count > 2 && i == count - 1);
	struct error err = { 0 };
	need(control_items_put(control_of(f), catalog, count, items, 1, changes, reasons, &err) == 0, "%s", err.text);
	for (unsigned i = 0; i < count; i++)
		need(changes[i] == CONTROL_CREATED, "item %s: %s", items[i]->id,
		     reasons[i] ? reasons[i] : "not created");
	free(made);
	free(items);
	free(changes);
	free(reasons);
}

void build_fixture_item(struct build_fixture *f, const char *catalog, unsigned number, const char *name,
			const char *category, double price)
{
	struct made_item made;
	Kindred__V1__Item *item = make_item(&made, number, false);
	enum control_change change;
	char *reason = NULL;
	struct error err = { 0 };
	snprintf(made.name, sizeof made.name, "%s", name);
	snprintf(made.category, sizeof made.category, "%s", category);
	made.price.number_value = price;
	need(control_items_put(control_of(f), catalog, 1, &item, 2, &change, &reason, &err) == 0, "%s", err.text);
	need(change == CONTROL_CREATED || change == CONTROL_UPDATED, "item %u: not put", number);
}

void build_fixture_drop(struct build_fixture *f, const char *catalog, unsigned number)
{
	char id[24];
	uint64_t version;
	struct error err = { 0 };
	snprintf(id, sizeof id, "i%u", number);
	need(control_item_delete(control_of(f), catalog, id, 2, &version, &err) == 0, "%s", err.text);
}

void build_fixture_catalog(struct build_fixture *f, const char *name, unsigned items)
{
	Kindred__V1__AttributeSchema price = KINDRED__V1__ATTRIBUTE_SCHEMA__INIT,
				     kind = KINDRED__V1__ATTRIBUTE_SCHEMA__INIT, *schema[] = { &price, &kind };
	price.name = "price";
	price.type = KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_NUMBER;
	kind.name = "category";
	kind.type = KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING;
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT, *made = NULL;
	catalog.name = (char *)name;
	catalog.attributes = schema;
	catalog.n_attributes = 2;
	struct error err = { 0 };
	need(control_catalog_create(control_of(f), &catalog, 1, &made, &err) == 0, "%s", err.text);
	kindred__v1__catalog__free_unpacked(made, NULL);
	if (items)
		put_items(f, name, items);
}

void build_fixture_remake(struct build_fixture *f, const char *name, unsigned items)
{
	struct error err;
	Kindred__V1__Definition **definitions;
	size_t count;
	bool more;
	need(control_definition_list(control_of(f), "", 1000, &definitions, &count, &more, &err) == 0, "%s", err.text);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(definitions[i]->catalog, name) == 0)
			need(control_definition_delete(f->control, definitions[i]->name, &err) == 0, "%s", err.text);
		kindred__v1__definition__free_unpacked(definitions[i], NULL);
	}
	free(definitions);
	need(control_catalog_delete(f->control, name, &err) == 0, "%s", err.text);
	build_fixture_catalog(f, name, items);
}

void build_fixture_define(struct build_fixture *f, const char *name, const char *catalog, const char *events,
			  int64_t window_s, bool popular_only)
{
	Kindred__V1__Definition definition = KINDRED__V1__DEFINITION__INIT, *made = NULL;
	Kindred__V1__EventWeight weights[16], *pointers[16];
	char *copy = strdup(events), *rest = copy;
	need(copy, "no memory");
	for (char *part; (part = strsep(&rest, ","));) {
		Kindred__V1__EventWeight *weight = &weights[definition.n_events];
		kindred__v1__event_weight__init(weight);
		weight->type = strsep(&part, "=");
		weight->weight = strtof(part, NULL);
		pointers[definition.n_events++] = weight;
	}
	Google__Protobuf__Duration window = GOOGLE__PROTOBUF__DURATION__INIT;
	window.seconds = window_s;
	definition.name = (char *)name;
	definition.catalog = (char *)catalog;
	definition.events = pointers;
	definition.model_window = window_s ? &window : NULL;
	if (popular_only)
		definition.strategy = KINDRED__V1__STRATEGY__STRATEGY_POPULAR;
	struct error err = { 0 };
	need(control_definition_create(control_of(f), &definition, 1, &made, &err) == 0, "%s", err.text);
	kindred__v1__definition__free_unpacked(made, NULL);
	free(copy);
}

void build_fixture_show(struct build_fixture *f, const char *definition, uint32_t count)
{
	Kindred__V1__Definition *was = NULL, *made = NULL;
	struct error err = { 0 };
	need(control_definition_get(control_of(f), definition, 0, &was, &err) == 0, "%s", err.text);
	was->count = count;
	need(control_definition_update(f->control, was, 2, &made, &err) == 0, "%s", err.text);
	kindred__v1__definition__free_unpacked(was, NULL);
	kindred__v1__definition__free_unpacked(made, NULL);
}

void build_fixture_event(struct build_fixture *f, const char *user, const char *catalog, const char *item,
			 const char *type, int64_t time_ms)
{
	build_fixture_weighed(f, user, catalog, item, type, time_ms, 1);
}

void build_fixture_weighed(struct build_fixture *f, const char *user, const char *catalog, const char *item,
			   const char *type, int64_t time_ms, float weight)
{
	struct history_rules rules = { .cap = f->history_cap };
	struct shard_event event = { .user = user,
				     .user_bytes = strlen(user),
				     .type = type,
				     .type_bytes = strlen(type),
				     .item = item_key(catalog_seed(catalog, strlen(catalog)), item, strlen(item)),
				     .time_ms = time_ms,
				     .weight = weight };
	struct error err = { 0 };
	need(shard_write_event(shard_of(f, user), &rules, &event, &err) > 0, "%s", err.text);
}

void build_fixture_numbered(struct build_fixture *fixture, unsigned user, unsigned item, const char *type,
			    int64_t time_ms)
{
	char user_id[24], item_id[24];
	snprintf(user_id, sizeof user_id, "user-%u", user);
	snprintf(item_id, sizeof item_id, "i%u", item);
	build_fixture_event(fixture, user_id, "shop", item_id, type, time_ms);
}

void build_fixture_shoppers(struct build_fixture *fixture, unsigned users, unsigned groups)
{
	for (unsigned u = 0; u < users; u++) {
		unsigned first = u % groups * 4;
		int64_t time_ms = BUILD_FIXTURE_NOW_MS - 20 * DAY_MS + (int64_t)u * 20 * DAY_MS / users;
		build_fixture_numbered(fixture, u, first, "Viewed", time_ms);
		build_fixture_numbered(fixture, u, first + 1 + u / groups % 3, "Viewed", time_ms + MINUTE);
		build_fixture_numbered(fixture, u, first + 1 + (u / groups + 1) % 3, "Viewed", time_ms + 2 * MINUTE);
	}
}

void build_fixture_serve(struct build_fixture *f, uint64_t generation, const char *file)
{
	char folder[DATADIR_PATH_MAX], path[DATADIR_PATH_MAX + 32];
	struct error err = { 0 };
	if (file) {
		model_path(path, sizeof path, datadir_models(&f->dir, folder), generation);
		struct generation_file bytes = generation_file_read(file);
		generation_file_write(path, &bytes);
		free(bytes.bytes);
	}
	need(datadir_active_write(&f->dir, generation, &err) == 0, "%s", err.text);
}

void build_fixture_damage(struct build_fixture *f, const char *user)
{
	struct shard *shard = shard_of(f, user);
	need(mdb_put(shard->writer->txn, shard->databases[SHARD_HISTORY], &(MDB_val){ strlen(user), (void *)user },
		     &(MDB_val){ 7, "garbage" }, 0) == 0,
	     "cannot write the row of %s", user);
}

struct build_options build_fixture_options(void)
{
	return (struct build_options){
		.memory_mb = 256, .threads = 2, .now_ms = BUILD_FIXTURE_NOW_MS, .params = params_default()
	};
}

int build_fixture_build(struct build_fixture *f, const struct build_options *options, struct error *err)
{
	close_all(f);
	struct build_options own = options ? *options : build_fixture_options();
	own.data = f->data;
	own.progress_fd = -1;
	return own.refresh ? refresh_run(&own, f->path, err) : build_run(&own, f->path, err);
}

struct model *build_fixture_open(const struct build_fixture *f)
{
	struct model *model = NULL;
	struct error err = { 0 };
	need(model_open(&model, f->path, true, &err) == 0, "%s", err.text);
	return model;
}

uint32_t build_fixture_row(const struct model_catalog *catalog, const char *id)
{
	uint32_t row = model_row(catalog, item_key(catalog_seed(catalog->name, strlen(catalog->name)), id, strlen(id)));
	need(row != MODEL_NO_ROW, "no item %s in catalog %s", id, catalog->name);
	return row;
}
