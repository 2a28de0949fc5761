/*
 * The shop of the sample: what is wanted, when, and what goes with what. Products come from shop.csv; how strongly
 * seasons, trends and companions act is in the tables of shop.c.
 */
#ifndef KINDRED_SAMPLE_SHOP_H
#define KINDRED_SAMPLE_SHOP_H

#include "sample.h"
#include "table.h"

#include <stdbool.h>

#define PRODUCTS_MAX 400

enum sport {
	SOCCER,
	RUNNING,
	HIKING,
	CAMPING,
	CYCLING,
	SWIMMING,
	TENNIS,
	BASKETBALL,
	FITNESS,
	YOGA,
	CLIMBING,
	SKIING,
	SPORTS,
	ANY_SPORT = SPORTS
};

enum audience { MEN, WOMEN, KIDS, UNISEX };

struct product {
	const char *id, *category;
	enum sport sport;
	enum audience audience;
	double price_class; /* standard deviations above the mean price of its kind: -1 cheap, 1 expensive */
	double popularity; /* the first of its kind in the catalog is the best known */
	double draw; /* how much people come to the shop for it */
	double season[366]; /* how much wanted by day of the year, about 1 on average */
	double trend_from, trend_height; /* days before now; height 0: no trend */
};

struct shop {
	struct table table;
	struct product products[PRODUCTS_MAX];
	size_t count;
};

void shop_init(struct shop *shop, const char *catalog);
void shop_fini(struct shop *shop);

/* Share of people whose first sport it is. */
double sport_share(enum sport sport);
/* How likely somebody of the one sport also does the other, against any other sport. */
double sport_affinity(enum sport first, enum sport second);
/* How much people do the sport on this day of the year; about 1 on average. */
double sport_season(enum sport sport, int day);
/* How much the product is wanted at that time, by season and trend. */
double product_demand(const struct product *product, double days_before_now, int day);
/* How well `other` goes with `anchor`, 0: not at all. */
double product_companion(const struct product *anchor, const struct product *other);

#endif
