#include "lib/small_shop.h"

#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define GROUPS 4
#define ITEMS_A_GROUP 10
#define USERS SMALL_SHOP_USERS

static FILE *create(const struct cluster *cluster, const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", cluster->home, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	return file;
}

/*
 * Users 0..159 are of group a, then b 120, c 80, d 40; item k of a group is chosen by every user whose
 * number is a multiple of k + 1.
 */
static unsigned write_events(FILE *file, int64_t newest)
{
	unsigned count = 0;
	fprintf(file, "user,item,event,time,event_id\n");
	for (unsigned user = 0; user < USERS; user++) {
		unsigned group = user < 160 ? 0 : user < 280 ? 1 : user < 360 ? 2 : 3;
		for (unsigned item = 0; item < ITEMS_A_GROUP; item++) {
			if (user % (item + 1) != 0)
				continue;
			int64_t time = newest - (int64_t)((USERS - user) * 600 + (ITEMS_A_GROUP - item) * 10);
			fprintf(file, "u%u,%c%u,Viewed,%lld,v%u\n", user, 'a' + group, item, (long long)time, count++);
			if ((user + item) % 3 == 0)
				fprintf(file, "u%u,%c%u,Purchased,%lld,p%u\n", user, 'a' + group, item,
					(long long)time + 5, count++);
		}
	}
	return count;
}

unsigned small_shop_write(const struct cluster *cluster, int64_t newest)
{
	FILE *catalog = create(cluster, "shop.csv");
	fprintf(catalog, "Identity,Name,ImageURL,category,price,in_stock\n");
	for (unsigned group = 0; group < GROUPS; group++)
		for (unsigned item = 0; item < ITEMS_A_GROUP; item++)
			fprintf(catalog, "%c%u,Item %c%u,https://images.example/%c%u.jpg,%c,%u,true\n", 'a' + group,
				item, 'A' + group, item, 'a' + group, item, 'a' + group, item + 1);
	fclose(catalog);
	FILE *events = create(cluster, "events.csv");
	unsigned count = write_events(events, newest);
	fclose(events);
	return count;
}

unsigned small_shop_load(struct cluster *cluster)
{
	char catalog[256], events[256];
	unsigned count = small_shop_write(cluster, clock_wall_ms() / 1000 - 3600);
	snprintf(catalog, sizeof catalog, "%s/shop.csv", cluster->home);
	snprintf(events, sizeof events, "%s/events.csv", cluster->home);
	cluster_ok(cluster, CLI("catalog", "import", "shop", catalog));
	cluster_ok(cluster,
		   CLI("define", "wanted-next", "--catalog", "shop", "--event", "Purchased=5", "--event", "Viewed=1",
		       "--filter", "in_stock = true", "--exclude", "Purchased", "--fallback", "popular"));
	cluster_ok(cluster, CLI("events", "import", "shop", events));
	cluster_ok(cluster, CLI("model", "build"));
	return count;
}

void small_shop_open(struct cluster *cluster, struct rpc_client **client)
{
	cluster_init(cluster);
	cluster_start(cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	small_shop_load(cluster);
	if (client)
		*client = api_open(cluster);
}

void small_shop_close(struct cluster *cluster, struct rpc_client *client)
{
	if (client)
		rpc_close(client);
	cluster_fini(cluster);
}

struct shop shop;

int small_shop_set_up(void **state)
{
	(void)state;
	small_shop_open(&shop.cluster, &shop.client);
	return 0;
}

int small_shop_tear_down(void **state)
{
	(void)state;
	small_shop_close(&shop.cluster, shop.client);
	return 0;
}

int64_t small_shop_crowd(struct cluster *cluster)
{
	char path[256];
	FILE *file = create(cluster, "crowd.csv");
	int64_t now_ms = clock_wall_ms();
	fprintf(file, "user,item,event,time\n");
	for (unsigned i = 0; i < SMALL_SHOP_CROWD; i++) {
		long long newest = now_ms / 1000 - (long long)(i % SMALL_SHOP_AGES) * 86400 - 3600;
		if (i % 2)
			fprintf(file, "m%u,%c%u,Viewed,%lld\n", i, 'a' + (i / 11) % 4, i % 10, newest - 200 * 86400);
		fprintf(file, "m%u,%c%u,Viewed,%lld\n", i, 'a' + (i / 7) % 4, i % 10, newest);
	}
	fclose(file);
	snprintf(path, sizeof path, "%s/crowd.csv", cluster->home);
	cluster_ok(cluster, CLI("events", "import", "shop", path));
	cluster_ok(cluster, CLI("model", "build"));
	return now_ms;
}
