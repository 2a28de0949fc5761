#include "cli/export_packer.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define OUT_BYTES ((size_t)128 << 10)
/* The quickest of each: what is exported is read once, and the packer has a share of one core. */
#define GZIP_LEVEL 1
#define ZSTD_LEVEL 1
#define GZIP_WINDOW (15 + 16) /* +16: a gzip head, zlib.h */

struct export_packer {
	enum export_packing packing;
	z_stream gzip;
	ZSTD_CCtx *zstd;
	bool begun; /* a member or frame */
	char out[OUT_BYTES];
};

int export_packer_new(struct export_packer **made, enum export_packing packing, struct error *err)
{
	struct export_packer *packer = calloc(1, sizeof *packer);
	bool good = false;
	if (packer != NULL && packing == EXPORT_GZIP) {
		good = deflateInit2(&packer->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
	} else if (packer != NULL) {
		packer->zstd = ZSTD_createCCtx();
		good = packer->zstd != NULL &&
		       !ZSTD_isError(ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
		       !ZSTD_isError(ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_checksumFlag, 1));
	}
	if (!good) {
		free(packer);
		return error_set(err, E_EXHAUSTED, "no memory for packing");
	}
	packer->packing = packing;
	*made = packer;
	return 0;
}

void export_packer_free(struct export_packer *packer)
{
	if (packer == NULL)
		return;
	if (packer->packing == EXPORT_GZIP)
		deflateEnd(&packer->gzip);
	else
		ZSTD_freeCCtx(packer->zstd);
	free(packer);
}

static int pack_gzip(struct export_packer *packer, const char *bytes, size_t size, bool end, packed_write write,
		     void *context, struct error *err)
{
	z_stream *gzip = &packer->gzip;
	int got, code;
	gzip->next_in = (Bytef *)bytes;
	gzip->avail_in = (uInt)size;
	do {
		gzip->next_out = (Bytef *)packer->out;
		gzip->avail_out = OUT_BYTES;
		got = deflate(gzip, end ? Z_FINISH : Z_NO_FLUSH);
		if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
			return error_set(err, E_INTERNAL, "gzip: %s", gzip->msg != NULL ? gzip->msg : "cannot pack");
		code = write(context, packer->out, OUT_BYTES - gzip->avail_out, err);
		if (code != 0)
			return code;
	} while (gzip->avail_out == 0 || (end && got != Z_STREAM_END));
	if (end)
		deflateReset(gzip);
	return 0;
}

static int pack_zstd(struct export_packer *packer, const char *bytes, size_t size, bool end, packed_write write,
		     void *context, struct error *err)
{
	ZSTD_inBuffer in = { bytes, size, 0 };
	size_t left;
	do {
		ZSTD_outBuffer out = { packer->out, OUT_BYTES, 0 };
		left = ZSTD_compressStream2(packer->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return error_set(err, E_INTERNAL, "zstd: %s", ZSTD_getErrorName(left));
		int code = write(context, packer->out, out.pos, err);
		if (code != 0)
			return code;
	} while (in.pos < in.size || (end && left > 0));
	return 0;
}

void export_packer_begin(struct export_packer *packer)
{
	packer->begun = true;
}

int export_pack(struct export_packer *packer, const char *bytes, size_t size, bool end, packed_write write,
		void *context, struct error *err)
{
	if (size > 0)
		packer->begun = true;
	if (!packer->begun)
		return 0;
	if (end)
		packer->begun = false;
	return packer->packing == EXPORT_GZIP ? pack_gzip(packer, bytes, size, end, write, context, err)
					      : pack_zstd(packer, bytes, size, end, write, context, err);
}
