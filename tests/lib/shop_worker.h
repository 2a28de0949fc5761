/*
 * What tests of the worker's answers begin with: a real worker (lib/worker_process.h) that serves
 * "next" (lib/shop_rules.h) of the fixture shop (lib/model_fixture.h) from generation 1, in which
 * item-0's best neighbour is item-1, and so on.
 *
 *     cmocka_unit_test_setup_teardown(test, shop_worker_setup, shop_worker_teardown)
 *
 * *state is the shop_worker. Its first member is the process, so that a test that needs no more may take it for that.
 */
#ifndef KINDRED_TEST_SHOP_WORKER_H
#define KINDRED_TEST_SHOP_WORKER_H

#include "lib/shop_rules.h"
#include "lib/worker_calls.h"

#include <stdbool.h>
#include <stdint.h>

struct shop_worker {
	struct worker_process process;
	struct shop_rules rules; /* as the worker knows them, until a test changes them: shop_worker_update */
	char first_path[4096]; /* of generation 1 */
};

int shop_worker_setup(void **state);
/* The same, and it listens for further front-ends (worker_further_start). */
int shop_worker_setup_listening(void **state);
int shop_worker_teardown(void **state);

/* Writes a generation for the rules; turn: as in fixture_shop_new. path: 4096 bytes. */
void shop_worker_write(struct shop_worker *shop, uint64_t number, uint32_t turn, char *path);
/* The next version of the rules, as they are now. */
void shop_worker_update(struct shop_worker *shop);
/* A change of an item, to category "changed", "A new name" and "http://new". */
void shop_worker_set_item(struct worker_process *process, const char *id, double price, bool hidden, bool deleted,
			  uint64_t version);
/* items: as worker_recommends says them. */
void shop_worker_expect(struct worker_process *process, const char *user, uint32_t count, const char *items);

#endif
