/* Packing of a stream into gzip members or zstd frames, which can be ended at any place. One thread. */
#ifndef KINDRED_CLI_EXPORT_PACKER_H
#define KINDRED_CLI_EXPORT_PACKER_H

#include "cli/export_file.h"

typedef int (*packed_write)(void *context, const char *bytes, size_t size, struct error *err);

/* packing: not EXPORT_PLAIN. E_EXHAUSTED. */
int export_packer_new(struct export_packer **packer, enum export_packing packing, struct error *err);
void export_packer_free(struct export_packer *packer);
/* A member or frame begins, also when nothing comes into it. */
void export_packer_begin(struct export_packer *packer);
/*
 * Packs bytes; what comes out goes to write(). end: ends the member or frame, if one was begun, so that all that
 * went in is out.
 */
int export_pack(struct export_packer *packer, const char *bytes, size_t size, bool end, packed_write write,
		void *context, struct error *err);

#endif
