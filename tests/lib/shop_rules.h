/*
 * A definition that tests change to their needs: "next" of catalog "shop" (lib/model_fixture.h), over
 * Viewed=1 and Purchased=5, filled up with popular items. Parts that are not used yet (lookback,
 * exclude) are there to be pointed at.
 */
#ifndef KINDRED_TESTS_SHOP_RULES_H
#define KINDRED_TESTS_SHOP_RULES_H

#include "kindred/v1/definitions.pb-c.h"

struct shop_rules {
	Kindred__V1__Definition definition;
	Kindred__V1__EventWeight viewed, purchased, *events[2];
	Kindred__V1__Fallback fallback;
	Google__Protobuf__Duration lookback;
	char *exclude[1]; /* Purchased */
};

/* It points into itself: it stays where it is. */
void shop_rules_init(struct shop_rules *rules);

#endif
