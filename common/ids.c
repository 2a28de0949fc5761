#include "common/ids.h"

#include <string.h>
#include <strings.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct catalog_seed catalog_seed(const char *name, size_t bytes)
{
	return (struct catalog_seed){ XXH3_64bits(name, bytes) };
}

struct item_key item_key(struct catalog_seed seed, const char *id, size_t bytes)
{
	uint64_t hash = XXH3_64bits_withSeed(id, bytes, seed.value);
	return (struct item_key){ hash ? hash : 1 };
}

struct event_key event_key(const char *id, size_t bytes)
{
	if (bytes == 0)
		return (struct event_key){ 0 };
	uint64_t hash = XXH3_64bits(id, bytes);
	return (struct event_key){ hash ? hash : 1 };
}

struct user_key user_key(const char *user_id, size_t bytes)
{
	XXH128_hash_t hash = XXH3_128bits(user_id, bytes);
	return (struct user_key){ hash.high64, hash.low64 };
}

uint32_t user_shard(const char *user_id, size_t bytes, uint32_t shards)
{
	return (uint32_t)(XXH3_64bits(user_id, bytes) % shards);
}

uint32_t shard_run_first(uint32_t worker, uint32_t workers, uint32_t shards)
{
	return (uint32_t)((uint64_t)worker * shards / workers);
}

uint32_t shard_worker(uint32_t shard, uint32_t workers, uint32_t shards)
{
	/* the largest w with floor(w x shards / workers) <= shard */
	return (uint32_t)((((uint64_t)shard + 1) * workers - 1) / shards);
}

static bool continues(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

size_t utf8_step(const char *text, size_t bytes)
{
	const unsigned char *p = (const unsigned char *)text;
	if (bytes == 0 || p[0] == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		return bytes >= 2 && continues(p[1]) ? 2 : 0;
	if ((p[0] & 0xf0) == 0xe0) {
		if (bytes < 3 || !continues(p[1]) || !continues(p[2]))
			return 0;
		bool overlong = p[0] == 0xe0 && p[1] < 0xa0;
		bool surrogate = p[0] == 0xed && p[1] > 0x9f;
		return overlong || surrogate ? 0 : 3;
	}
	if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		if (bytes < 4 || !continues(p[1]) || !continues(p[2]) || !continues(p[3]))
			return 0;
		bool overlong = p[0] == 0xf0 && p[1] < 0x90;
		bool beyond = p[0] == 0xf4 && p[1] > 0x8f;
		return overlong || beyond ? 0 : 4;
	}
	return 0;
}

bool utf8_valid(const char *text, size_t bytes)
{
	size_t at = 0;
	while (at < bytes) {
		size_t step = utf8_step(text + at, bytes - at);
		if (step == 0)
			return false;
		at += step;
	}
	return true;
}

int id_check(const char *field, const char *id, size_t bytes, size_t max, struct error *err)
{
	if (bytes == 0)
		return error_set(err, E_INVALID, "%s: empty; 1 to %zu bytes are allowed", field, max);
	if (bytes > max)
		return error_set(err, E_INVALID, "%s: %zu bytes; 1 to %zu are allowed", field, bytes, max);
	if (!utf8_valid(id, bytes))
		return error_set(err, E_INVALID, "%s: \"%.*s\" is not valid UTF-8 without NUL bytes", field, (int)bytes,
				 id);
	return 0;
}

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

int name_check(const char *field, const char *name, size_t bytes, struct error *err)
{
	int code = id_check(field, name, bytes, NAME_MAX_BYTES, err);
	if (code)
		return code;
	for (size_t i = 0; i < bytes; i++) {
		char c = name[i];
		bool lower = c >= 'a' && c <= 'z';
		if (!lower && !digit(c) && (i == 0 || (c != '_' && c != '-')))
			return error_set(err, E_INVALID,
					 "%s: \"%.*s\" is not allowed; use a to z, 0 to 9, '-' and '_', and start with "
					 "a letter or a digit",
					 field, (int)bytes, name);
	}
	return 0;
}

int attribute_name_check(const char *field, const char *name, size_t bytes, struct error *err)
{
	static const char *const taken[] = { "last", "and", "or", "not", "in", "true", "false" };
	int code = id_check(field, name, bytes, NAME_MAX_BYTES, err);
	if (code)
		return code;
	for (size_t i = 0; i < bytes; i++)
		if (!letter(name[i]) && name[i] != '_' && (i == 0 || !digit(name[i])))
			return error_set(err, E_INVALID,
					 "%s: \"%.*s\" is not allowed; use letters (a to z, A to Z), digits and '_', "
					 "and do not start with a digit",
					 field, (int)bytes, name);
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
		if (bytes == strlen(taken[i]) && strncasecmp(name, taken[i], bytes) == 0)
			return error_set(err, E_INVALID,
					 "%s: \"%.*s\" is a word of the filter language; choose another name", field,
					 (int)bytes, name);
	return 0;
}
