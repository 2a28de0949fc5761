/*
 * A small shop that tests can reason about: catalog "shop" of 40 items in 4 groups (a0..a9, b0..b9,
 * c0..c9, d0..d9; price = number + 1; in_stock; category = the letter), and 400 users who each viewed
 * and bought within one group, so that an item's neighbours are its group. a0, b0, c0, d0 are the most
 * popular of their group, a the most popular group.
 */
#ifndef KINDRED_TEST_SMALL_SHOP_H
#define KINDRED_TEST_SMALL_SHOP_H

#include "lib/api.h"
#include "lib/cluster.h"

#include <stdint.h>

#define SMALL_SHOP_USERS 400
#define SMALL_SHOP_CROWD 20000
#define SMALL_SHOP_AGES 100 /* days */

/*
 * Files <home>/shop.csv and <home>/events.csv, written; number of events returned. newest: epoch
 * seconds of the newest event.
 */
unsigned small_shop_write(const struct cluster *cluster, int64_t newest);
/*
 * Writes them, imports both, defines "wanted-next" (Purchased=5, Viewed=1; filter in_stock = true;
 * excludes Purchased; fallback popular), builds.
 */
unsigned small_shop_load(struct cluster *cluster);

/*
 * What most tests begin with: a server with two workers and without builds on schedule, the shop
 * loaded, and a client of it (NULL: none is wanted).
 */
void small_shop_open(struct cluster *cluster, struct rpc_client **client);
void small_shop_close(struct cluster *cluster, struct rpc_client *client);

/* Such a server for all tests of a program: cmocka's set-up and tear-down of a group. */
extern struct shop {
	struct cluster cluster;
	struct rpc_client *client;
} shop;
int small_shop_set_up(void **state);
int small_shop_tear_down(void **state);

/*
 * SMALL_SHOP_CROWD users more, m0.., and a build. m<i> was active i mod SMALL_SHOP_AGES days and an
 * hour before the time returned (milliseconds); every second one 200 days before that, too.
 */
int64_t small_shop_crowd(struct cluster *cluster);

#endif
