/*
 * What the builder's tuner noted of a relation (builder/tune.h: JSON), as the API's message. Pure.
 */
#ifndef KINDRED_SERVER_TUNING_H
#define KINDRED_SERVER_TUNING_H

#include "kindred/v1/models.pb-c.h"

/* NULL: no memory, or the text is none of a tuner's. Freed by *__free_unpacked. */
Kindred__V1__Tuning *tuning_message(const char *json);

#endif
