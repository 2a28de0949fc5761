#include "lib/shop_rules.h"

void shop_rules_init(struct shop_rules *rules)
{
	kindred__v1__definition__init(&rules->definition);
	kindred__v1__event_weight__init(&rules->viewed);
	kindred__v1__event_weight__init(&rules->purchased);
	kindred__v1__fallback__init(&rules->fallback);
	google__protobuf__duration__init(&rules->lookback);
	rules->viewed.type = (char *)"Viewed";
	rules->purchased.type = (char *)"Purchased";
	rules->purchased.weight = 5;
	rules->events[0] = &rules->viewed;
	rules->events[1] = &rules->purchased;
	rules->fallback.kind = KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_POPULAR;
	rules->exclude[0] = (char *)"Purchased";
	rules->definition.name = (char *)"next";
	rules->definition.catalog = (char *)"shop";
	rules->definition.n_events = 2;
	rules->definition.events = rules->events;
	rules->definition.fallback = &rules->fallback;
	rules->definition.version = 1;
}
