#include "worker/answer.h"
#include "common/ids.h"

/* Field numbers are those of proto/kindred/v1/recommend.proto. */

#define ITEM_BYTES_MAX (4 * HEAD_BYTES_MAX + 2 * UINT32_BYTES_MAX) /* of an item without its texts */
#define SHORTFALL_BYTES_MAX (HEAD_BYTES_MAX + 6 * UINT32_BYTES_MAX)

static bool put_item(struct blob *out, uint32_t number, const struct recipe *recipe, const struct recommended *item,
		     bool with_names)
{
	struct text_view id = model_item_id(recipe->catalog, item->row), name = { "", 0 }, image = { "", 0 };
	if (with_names) {
		name = recipe_item_name(recipe, item->row);
		image = recipe_item_image(recipe, item->row);
	}
	size_t texts = (size_t)id.bytes + name.bytes + image.bytes;
	if (!blob_reserve(out, texts + ITEM_BYTES_MAX))
		return false;
	unsigned head = texts < 100 ? 2 : 3; /* texts of that length and two numbers are less than 128 bytes */
	uint8_t *begin = out->data + out->used, *at = message_begin(begin, head);
	at = put_text(at, 1, id.data, id.bytes);
	at = put_uint(at, 2, item->score);
	at = put_uint(at, 3, item->source);
	at = put_text(at, 4, name.data, name.bytes);
	at = put_text(at, 5, image.data, image.bytes);
	out->used = (size_t)(message_end(begin, head, number, at) - out->data);
	return true;
}

static bool put_items(struct blob *out, uint32_t number, const struct recipe *recipe,
		      const struct recommendation *found, bool with_names)
{
	bool good = true;
	for (uint32_t i = 0; i < found->count; i++) /* no id is in a cache: all of them at once */
		__builtin_prefetch(model_item_id(recipe->catalog, found->items[i].row).data);
	for (uint32_t i = 0; i < found->count && good; i++)
		good = put_item(out, number, recipe, &found->items[i], with_names);
	return good;
}

/* Nothing when there is no shortfall. */
static uint8_t *put_shortfall(uint8_t *at, uint32_t number, const struct recommendation *found)
{
	if (found->count >= found->wanted)
		return at;
	uint8_t *begin = at;
	at = message_begin(begin, 2);
	at = put_uint(at, 1, found->wanted);
	at = put_uint(at, 2, found->count);
	at = put_uint(at, 3, found->candidates);
	at = put_uint(at, 4, found->excluded);
	at = put_uint(at, 5, found->filtered);
	at = put_uint(at, 6, found->unavailable);
	return message_end(begin, 2, number, at);
}

static void close_at(struct blob *out, const uint8_t *at)
{
	out->used = (size_t)(at - out->data);
}

bool answer_one(struct blob *out, const struct recipe *recipe, const struct recommendation *found, bool with_names)
{
	uint64_t generation = recipe->generation->number;
	size_t before = out->used;
	if (!put_items(out, 1, recipe, found, with_names) ||
	    !blob_reserve(out, uint_bytes(generation) + uint_bytes(recipe->definition_version) + SHORTFALL_BYTES_MAX)) {
		out->used = before;
		return false;
	}
	uint8_t *at = put_uint(out->data + out->used, 2, generation);
	at = put_uint(at, 3, recipe->definition_version);
	close_at(out, put_shortfall(at, 4, found));
	return true;
}

#define USER_HEAD 3u /* hardly an answer has less than 128 bytes, or 16 KiB */

bool answer_user(struct blob *out, const struct recipe *recipe, struct text_view user,
		 const struct recommendation *found, bool with_names)
{
	size_t before = out->used;
	if (!blob_reserve(out, 2 * HEAD_BYTES_MAX + user.bytes))
		return false;
	uint8_t *at = message_begin(out->data + before, USER_HEAD);
	close_at(out, put_text(at, 1, user.data, user.bytes));
	if (!put_items(out, 2, recipe, found, with_names) || !blob_reserve(out, SHORTFALL_BYTES_MAX + HEAD_BYTES_MAX)) {
		out->used = before;
		return false;
	}
	at = put_shortfall(out->data + out->used, 3, found);
	close_at(out, message_end(out->data + before, USER_HEAD, 1, at));
	return true;
}

bool answer_user_error(struct blob *out, struct text_view user, const struct error *err)
{
	if (!utf8_valid(user.data, user.bytes))
		user.bytes = 0;
	uint32_t status = (uint32_t)error_grpc_status(err->code);
	size_t text = strlen(err->text);
	size_t bytes = text_bytes(user.bytes) + uint_bytes(status) + text_bytes(text);
	if (!blob_reserve(out, message_bytes(bytes)))
		return false;
	uint8_t *at = put_message(out->data + out->used, 1, bytes);
	at = put_text(at, 1, user.data, user.bytes);
	at = put_uint(at, 4, status);
	close_at(out, put_text(at, 5, err->text, text));
	return true;
}

bool answer_many_end(struct blob *out, const struct recipe *recipe)
{
	uint64_t generation = recipe->generation->number;
	if (!blob_reserve(out, uint_bytes(generation) + uint_bytes(recipe->definition_version)))
		return false;
	uint8_t *at = put_uint(out->data + out->used, 2, generation);
	close_at(out, put_uint(at, 3, recipe->definition_version));
	return true;
}
