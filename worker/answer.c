#include "worker/answer.h"
#include "common/ids.h"
#include "kindred/v1/recommend.pb-c.h"
#include "worker/explain.h"

/* Field numbers are those of proto/kindred/v1/recommend.proto. */

#define ITEM_BYTES_MAX (4 * HEAD_BYTES_MAX + 2 * UINT32_BYTES_MAX) /* of an item without its texts */
/* of a part of a score without its texts: its own head, two for texts, an amount and a kind */
#define PART_BYTES_MAX (3 * HEAD_BYTES_MAX + 11 + 2)
#define SHORTFALL_BYTES_MAX (HEAD_BYTES_MAX + 7 * UINT32_BYTES_MAX)

static void close_at(struct blob *out, const uint8_t *at)
{
	out->used = (size_t)(at - out->data);
}

/* With room for it: text_bytes of id and name, and PART_BYTES_MAX. */
static uint8_t *put_part(uint8_t *at, uint32_t kind, struct text_view id, int64_t amount, struct text_view name)
{
	if (amount == 0)
		return at;
	uint64_t number = (uint64_t)amount; /* as protobuf's int64: 10 bytes when it is less than 0 */
	at = put_message(at, 6, text_bytes(id.bytes) + uint_bytes(number) + uint_bytes(kind) + text_bytes(name.bytes));
	at = put_text(at, 1, id.data, id.bytes);
	at = put_uint(at, 2, number);
	at = put_uint(at, 3, kind);
	return put_text(at, 4, name.data, name.bytes);
}

static bool put_parts(struct blob *out, const struct recipe *recipe, const struct explanation *explanation,
		      bool with_names)
{
	static const struct text_view none = { "", 0 };
	for (uint32_t i = 0; i < explanation->count; i++) {
		const struct explain_part *part = &explanation->parts[i];
		struct text_view id = model_item_id(recipe->catalog, part->row);
		struct text_view name = with_names ? recipe_item_name(recipe, part->row) : none;
		if (!blob_reserve(out, (size_t)id.bytes + name.bytes + PART_BYTES_MAX))
			return false;
		close_at(out, put_part(out->data + out->used, part->kind, id, part->amount, name));
	}
	if (!blob_reserve(out, 3 * PART_BYTES_MAX))
		return false;
	uint8_t *at = out->data + out->used;
	at = put_part(at, KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_NEIGHBOUR, none, explanation->rest, none);
	at = put_part(at, KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_TREND, none, explanation->trend, none);
	at = put_part(at, KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_POPULAR, none, explanation->popular, none);
	close_at(out, at);
	return true;
}

/* explanation NULL: none is asked for. */
static bool put_item(struct blob *out, uint32_t number, const struct recipe *recipe, const struct recommended *item,
		     const struct explanation *explanation, bool with_names)
{
	struct text_view id = model_item_id(recipe->catalog, item->row), name = { "", 0 }, image = { "", 0 };
	if (with_names) {
		name = recipe_item_name(recipe, item->row);
		image = recipe_item_image(recipe, item->row);
	}
	size_t texts = (size_t)id.bytes + name.bytes + image.bytes, begin = out->used;
	if (!blob_reserve(out, texts + ITEM_BYTES_MAX))
		return false;
	/* texts of that length and two numbers are less than 128 bytes */
	unsigned head = texts < 100 && !explanation ? 2 : 3;
	uint8_t *at = message_begin(out->data + begin, head);
	at = put_text(at, 1, id.data, id.bytes);
	at = put_uint(at, 2, item->score);
	at = put_uint(at, 3, item->source);
	at = put_text(at, 4, name.data, name.bytes);
	at = put_text(at, 5, image.data, image.bytes);
	close_at(out, at);
	if (explanation && (!put_parts(out, recipe, explanation, with_names) || !blob_reserve(out, HEAD_BYTES_MAX)))
		return false;
	close_at(out, message_end(out->data + begin, head, number, out->data + out->used));
	return true;
}

static bool put_items(struct blob *out, uint32_t number, const struct recipe *recipe,
		      const struct recommendation *found, bool with_names)
{
	bool good = true;
	for (uint32_t i = 0; i < found->count && good; i++)
		good = put_item(out, number, recipe, &found->items[i],
				found->explanations ? &found->explanations[i] : NULL, with_names);
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
	at = put_uint(at, 3, found->counts.candidates);
	at = put_uint(at, 4, found->counts.judged[SCORE_EXCLUDED]);
	at = put_uint(at, 5, found->counts.judged[SCORE_FILTERED]);
	at = put_uint(at, 6, found->counts.judged[SCORE_UNAVAILABLE]);
	at = put_uint(at, 7, found->counts.judged[SCORE_FILTERED_BY_CALL]);
	return message_end(begin, 2, number, at);
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
