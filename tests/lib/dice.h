/* Chance for tests that try many things: the same numbers in every run of a program. */
#ifndef KINDRED_TEST_DICE_H
#define KINDRED_TEST_DICE_H

#include <stdint.h>

/* 0 to below - 1; below: > 0 */
uint32_t chance(uint32_t below);

#endif
