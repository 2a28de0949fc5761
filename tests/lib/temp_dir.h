/* A folder of a test's own, gone when it ends. */
#ifndef KINDRED_TEST_TEMP_DIR_H
#define KINDRED_TEST_TEMP_DIR_H

struct temp_dir {
	char path[64];
};

/* 0, or -1. In $TMPDIR when it is set and short, else /tmp. */
int temp_dir_make(struct temp_dir *dir);
/* With everything in it. */
int temp_dir_remove(const struct temp_dir *dir);

#endif
