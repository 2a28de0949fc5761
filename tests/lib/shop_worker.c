#include "lib/shop_worker.h"
#include "common/ids.h"
#include "common/relation.h"
#include "lib/model_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

void shop_worker_write(struct shop_worker *shop, uint64_t number, uint32_t turn, char *path)
{
	char directory[128], key[RELATION_KEY_MAX];
	snprintf(directory, sizeof directory, "%s/models", shop->process.home.path);
	mkdir(directory, 0700);
	relation_key(&shop->rules.definition, key);
	struct fixture_model *fixture = fixture_shop_new(key, turn);
	fixture_model_write(fixture, directory, number, path);
	fixture_model_free(fixture);
}

static int set_up(void **state, bool listening)
{
	static struct shop_worker shop;
	worker_process_init(&shop.process);
	if (listening)
		worker_listen(&shop.process);
	shop_rules_init(&shop.rules);
	shop_worker_write(&shop, 1, 0, shop.first_path);
	worker_start(&shop.process);
	worker_set_shop(&shop.process);
	worker_set_definition(&shop.process, &shop.rules.definition);
	worker_serve_generation(&shop.process, shop.first_path, 1);
	*state = &shop;
	return 0;
}

int shop_worker_setup(void **state)
{
	return set_up(state, false);
}

int shop_worker_setup_listening(void **state)
{
	return set_up(state, true);
}

int shop_worker_teardown(void **state)
{
	struct shop_worker *shop = *state;
	worker_process_fini(&shop->process);
	return 0;
}

void shop_worker_update(struct shop_worker *shop)
{
	shop->rules.definition.version++;
	worker_set_definition(&shop->process, &shop->rules.definition);
}

void shop_worker_set_item(struct worker_process *process, const char *id, double price, bool hidden, bool deleted,
			  uint64_t version)
{
	Kindred__Internal__ItemSet set = KINDRED__INTERNAL__ITEM_SET__INIT;
	Kindred__V1__Item item = KINDRED__V1__ITEM__INIT;
	Kindred__V1__Attribute values[2], *list[2] = { &values[0], &values[1] };
	kindred__v1__attribute__init(&values[0]);
	kindred__v1__attribute__init(&values[1]);
	values[0].name = (char *)"price";
	values[0].value_case = KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE;
	values[0].number_value = price;
	values[1].name = (char *)"category";
	values[1].value_case = KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE;
	values[1].string_value = (char *)"changed";
	item.id = (char *)id;
	item.name = (char *)"A new name";
	item.image_url = (char *)"http://new";
	item.hidden = hidden;
	item.n_attributes = 2;
	item.attributes = list;
	set.catalog = (char *)"shop";
	set.item_key = item_key(catalog_seed("shop", 4), id, strlen(id)).value;
	set.item = deleted ? NULL : &item;
	set.deleted = deleted;
	set.version = version;
	worker_send_message(process, FRAME_ITEM_SET, &set.base);
}

void shop_worker_expect(struct worker_process *process, const char *user, uint32_t count, const char *items)
{
	assert_string_equal(worker_recommends(process, user, "next", count), items);
}
