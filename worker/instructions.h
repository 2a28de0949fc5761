/*
 * What the server tells a worker beside calls: the setup, catalogs, definitions, items and generations
 * (proto/kindred/internal/link.proto). The server has checked all of it; a message that cannot be read
 * means that the two are not of one build, and ends the worker. Loop thread.
 */
#ifndef KINDRED_WORKER_INSTRUCTIONS_H
#define KINDRED_WORKER_INSTRUCTIONS_H

#include <stddef.h>
#include <stdint.h>

struct worker;
struct error;
struct generation;

void on_setup(struct worker *worker, const uint8_t *payload, size_t bytes);
void on_catalog_set(struct worker *worker, const uint8_t *payload, size_t bytes);
void on_catalog_drop(struct worker *worker, const uint8_t *payload, size_t bytes);
void on_definition_set(struct worker *worker, const uint8_t *payload, size_t bytes);
void on_definition_drop(struct worker *worker, const uint8_t *payload, size_t bytes);
void on_item_set(struct worker *worker, const uint8_t *payload, size_t bytes);
void on_generation_load(struct worker *worker, uint64_t call, const uint8_t *payload, size_t bytes);
void on_generation_activate(struct worker *worker, uint64_t call, const uint8_t *payload, size_t bytes);
void on_generation_drop(struct worker *worker, const uint8_t *payload, size_t bytes);

#endif
