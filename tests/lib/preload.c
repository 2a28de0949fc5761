#include "lib/preload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *asan_before; /* NULL: not set */

void preload_begin(const char *name)
{
	char path[512], asan[512];
	const char *options = getenv("ASAN_OPTIONS");
	asan_before = options ? strdup(options) : NULL;
	snprintf(asan, sizeof asan, "%s%sverify_asan_link_order=0", options ? options : "", options ? ":" : "");
	snprintf(path, sizeof path, "%s/%s.so", TEST_BIN, name);
	setenv("ASAN_OPTIONS", asan, 1);
	setenv("LD_PRELOAD", path, 1);
}

void preload_end(void)
{
	unsetenv("LD_PRELOAD");
	if (asan_before)
		setenv("ASAN_OPTIONS", asan_before, 1);
	else
		unsetenv("ASAN_OPTIONS");
	free(asan_before);
}
