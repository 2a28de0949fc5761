/*
 * Processes with something before their own C library (tests/preload/NAME.c), under AddressSanitizer too.
 *
 *     preload_begin("failing_disk") -> start the process -> preload_end()
 */
#ifndef KINDRED_TEST_PRELOAD_H
#define KINDRED_TEST_PRELOAD_H

/* What is started from here on has it, and what that starts. A CMake target that the test depends on builds it. */
void preload_begin(const char *name);
void preload_end(void);

#endif
