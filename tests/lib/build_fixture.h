/*
 * A data directory made without a server, for tests of the builder: catalogs, definitions and events
 * are written as the server and its workers would.
 *
 *     struct build_fixture fixture;
 *     build_fixture_init(&fixture, 4);                                    4 shards
 *     build_fixture_catalog(&fixture, "shop", 10);                        items i0..i9
 *     build_fixture_define(&fixture, "next", "shop", "Viewed=1,Purchased=5", 0, false);
 *     build_fixture_event(&fixture, "anna", "shop", "i3", "Viewed", time_ms);
 *     code = build_fixture_build(&fixture, &options, &err);               commits, closes, builds
 *     struct model *model = build_fixture_open(&fixture);                 or read fixture.path
 *     build_fixture_fini(&fixture);
 *
 * More events may follow a build. What cannot fail in a test aborts it with a message.
 */
#ifndef KINDRED_TEST_BUILD_FIXTURE_H
#define KINDRED_TEST_BUILD_FIXTURE_H

#include "builder/build.h"
#include "common/control.h"
#include "common/datadir.h"
#include "common/model.h"
#include "common/shard.h"
#include "lib/temp_dir.h"

#define BUILD_FIXTURE_NOW_MS (INT64_C(20000) * 86400000) /* the day of the tests: 2024-10-04 */

struct build_fixture {
	struct temp_dir home;
	char data[96];
	char path[PATH_MAX]; /* of the last generation built */
	struct datadir dir;
	struct control *control; /* NULL: closed */
	struct shard *shards[16]; /* NULL: closed */
	uint32_t history_cap;
};

void build_fixture_init(struct build_fixture *fixture, uint32_t shards);
void build_fixture_fini(struct build_fixture *fixture);

/*
 * Items i0, i1 .. of category "c<number mod 3>" and price = number; the last one is hidden when there
 * are more than 2.
 */
void build_fixture_catalog(struct build_fixture *fixture, const char *name, unsigned items);
/* Deletes the catalog, and the definitions that use it, and makes it again, at the same time of the day as before. */
void build_fixture_remake(struct build_fixture *fixture, const char *name, unsigned items);
/* Item i<number> is put with such a name, category and price: a new one, or changed. */
void build_fixture_item(struct build_fixture *fixture, const char *catalog, unsigned number, const char *name,
			const char *category, double price);
void build_fixture_drop(struct build_fixture *fixture, const char *catalog, unsigned number);
/* events: "type=weight,type=weight" */
void build_fixture_define(struct build_fixture *fixture, const char *name, const char *catalog, const char *events,
			  int64_t window_s, bool popular_only);
/* From now on the definition shows so many items. */
void build_fixture_show(struct build_fixture *fixture, const char *definition, uint32_t count);
void build_fixture_event(struct build_fixture *fixture, const char *user, const char *catalog, const char *item,
			 const char *type, int64_t time_ms);
/* The same with a weight of its own. */
void build_fixture_weighed(struct build_fixture *fixture, const char *user, const char *catalog, const char *item,
			   const char *type, int64_t time_ms, float weight);
/* The same of "user-<number>" with "i<number>" of the catalog "shop". */
void build_fixture_numbered(struct build_fixture *fixture, unsigned user, unsigned item, const char *type,
			    int64_t time_ms);
/*
 * Users who view three of the items of their group of four (0..3, 4..7, ..), the first of it most
 * often, over 20 days.
 */
void build_fixture_shoppers(struct build_fixture *fixture, unsigned users, unsigned groups);
/* What is served is `generation` from now on; file: its file, from elsewhere, which is copied; NULL: it is there. */
void build_fixture_serve(struct build_fixture *fixture, uint64_t generation, const char *file);
/* A row of another user that no reader can make sense of. */
void build_fixture_damage(struct build_fixture *fixture, const char *user);

/* 2 threads, 256 MB, the next generation, parameters of every day, now = BUILD_FIXTURE_NOW_MS. */
struct build_options build_fixture_options(void);
/* options: NULL for those; data and progress_fd are set here. With options->refresh it is a refresh. */
int build_fixture_build(struct build_fixture *fixture, const struct build_options *options, struct error *err);
/* The generation built last, as a worker opens it. */
struct model *build_fixture_open(const struct build_fixture *fixture);
/* Row of an item, which must be there. */
uint32_t build_fixture_row(const struct model_catalog *catalog, const char *id);

#endif
