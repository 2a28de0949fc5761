/*
 * A small model generation made by hand, for tests of whatever reads models. One catalog, one relation.
 *
 *     struct fixture_model *fixture = fixture_model_new("shop", "Viewed=1|window=0");
 *     fixture_attribute(fixture, "price", VALUE_NUMBER);                     attributes before items
 *     uint32_t ball = fixture_item(fixture, "ball", "A ball");               rows count from 0, in call order
 *     fixture_number(fixture, ball, "price", 9.5);                           the last item only
 *     fixture_neighbour(fixture, ball, shoe, 40000);                         best first is seen to
 *     fixture_popular(fixture, ball, 900); fixture_recent(fixture, shoe, 70);   best first, as called
 *     fixture_model_write(fixture, directory, 7, path);
 *     fixture_model_free(fixture);
 *
 * Everything here calls abort() with a message when it is used wrongly or memory is short: it serves tests.
 */
#ifndef KINDRED_TESTS_MODEL_FIXTURE_H
#define KINDRED_TESTS_MODEL_FIXTURE_H

#include "common/model.h"

#include <limits.h>

#define FIXTURE_ITEMS_MAX 4096
#define FIXTURE_ATTRIBUTES_MAX 16

struct fixture_model;

struct fixture_model *fixture_model_new(const char *catalog, const char *relation_key);
void fixture_model_free(struct fixture_model *fixture);

void fixture_attribute(struct fixture_model *fixture, const char *name, enum value_type type);
uint32_t fixture_item(struct fixture_model *fixture, const char *id, const char *name);
void fixture_hidden(struct fixture_model *fixture, uint32_t row);
void fixture_image(struct fixture_model *fixture, uint32_t row, const char *url);
void fixture_number(struct fixture_model *fixture, uint32_t row, const char *attribute, double number);
void fixture_boolean(struct fixture_model *fixture, uint32_t row, const char *attribute, bool boolean);
void fixture_timestamp(struct fixture_model *fixture, uint32_t row, const char *attribute, int64_t time_ms);
void fixture_string(struct fixture_model *fixture, uint32_t row, const char *attribute, const char *text);
/* elements: separated by '|' */
void fixture_list(struct fixture_model *fixture, uint32_t row, const char *attribute, const char *elements);

void fixture_neighbour(struct fixture_model *fixture, uint32_t from, uint32_t to, uint16_t weight);
/* The same by attributes alone. */
void fixture_alike(struct fixture_model *fixture, uint32_t from, uint32_t to, uint16_t weight);
/* Cold, the newest first, as called. */
void fixture_cold(struct fixture_model *fixture, uint32_t row);
void fixture_popular(struct fixture_model *fixture, uint32_t row, uint32_t score);
void fixture_recent(struct fixture_model *fixture, uint32_t row, uint32_t score);
/* Q12; all items are 4096 until the first call */
void fixture_multiplier(struct fixture_model *fixture, uint32_t row, uint16_t multiplier);
/* At first 20 items, no rank decay, no half-life. */
void fixture_serving(struct fixture_model *fixture, uint32_t profile_items, double rank_decay, double half_life_days);
/* Of the items a user has, against their best neighbours; at first 0. After fixture_serving. */
void fixture_self_weight(struct fixture_model *fixture, double self_weight);
/* All that a build may note beside what it learnt: a definition, figures, a gate, the tuner's words, a refresh. */
void fixture_notes(struct fixture_model *fixture);
/* The catalog's version in the snapshot; at first 1. */
void fixture_version(struct fixture_model *fixture, uint64_t version);

/* Writes directory/NNNNNNNN.kindred by builder/publish.c; path may be NULL, else PATH_MAX bytes. */
void fixture_model_write(struct fixture_model *fixture, const char *directory, uint64_t generation, char *path);

/*
 * A ready one: catalog "shop" of 8 items "item-0".."item-7" (names "Item 0"..), attributes price
 * (number: 10, 20 .. 80), in_stock (boolean: all but item-3), category (string: "even" or "odd") and
 * tags (list: "all", and "low" for the first four); row i has as neighbours all others, row j with
 * weight 60000 - 1000 x ((j - i - 1 - turn) mod 8). So item-0's best is item-(1 + turn), turn 0..6: use
 * it to tell generations apart. Popular and recent lists: rows 0..7 and 7..0.
 */
struct fixture_model *fixture_shop_new(const char *relation_key, uint32_t turn);

#endif
