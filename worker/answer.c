#include "worker/answer.h"
#include "common/ids.h"

/* Field numbers are those of proto/kindred/v1/recommend.proto. */

struct item_texts {
	struct text_view id, name, image;
};

static struct item_texts texts_of(const struct recipe *recipe, uint32_t row, bool with_names)
{
	static const struct text_view none = { "", 0 };
	return (struct item_texts){
		.id = model_item_id(recipe->catalog, row),
		.name = with_names ? recipe_item_name(recipe, row) : none,
		.image = with_names ? recipe_item_image(recipe, row) : none,
	};
}

static size_t item_bytes(const struct recommended *item, const struct item_texts *texts)
{
	return text_bytes(texts->id.bytes) + uint_bytes(item->score) + uint_bytes(item->source) +
	       text_bytes(texts->name.bytes) + text_bytes(texts->image.bytes);
}

static size_t all_items_bytes(const struct recipe *recipe, const struct recommendation *found, bool with_names)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < found->count; i++) {
		struct item_texts texts = texts_of(recipe, found->items[i].row, with_names);
		__builtin_prefetch(texts.id.data); /* written by put_items */
		bytes += message_bytes(item_bytes(&found->items[i], &texts));
	}
	return bytes;
}

static uint8_t *put_items(uint8_t *at, uint32_t number, const struct recipe *recipe, const struct recommendation *found,
			  bool with_names)
{
	for (uint32_t i = 0; i < found->count; i++) {
		const struct recommended *item = &found->items[i];
		struct item_texts texts = texts_of(recipe, item->row, with_names);
		at = put_message(at, number, item_bytes(item, &texts));
		at = put_text(at, 1, texts.id.data, texts.id.bytes);
		at = put_uint(at, 2, item->score);
		at = put_uint(at, 3, item->source);
		at = put_text(at, 4, texts.name.data, texts.name.bytes);
		at = put_text(at, 5, texts.image.data, texts.image.bytes);
	}
	return at;
}

static size_t shortfall_bytes(const struct recommendation *found)
{
	return uint_bytes(found->wanted) + uint_bytes(found->count) + uint_bytes(found->candidates) +
	       uint_bytes(found->excluded) + uint_bytes(found->filtered) + uint_bytes(found->unavailable);
}

/* Of the whole field; 0 when there is no shortfall. */
static size_t shortfall_field_bytes(const struct recommendation *found)
{
	return found->count < found->wanted ? message_bytes(shortfall_bytes(found)) : 0;
}

static uint8_t *put_shortfall(uint8_t *at, uint32_t number, const struct recommendation *found)
{
	if (found->count >= found->wanted)
		return at;
	at = put_message(at, number, shortfall_bytes(found));
	at = put_uint(at, 1, found->wanted);
	at = put_uint(at, 2, found->count);
	at = put_uint(at, 3, found->candidates);
	at = put_uint(at, 4, found->excluded);
	at = put_uint(at, 5, found->filtered);
	return put_uint(at, 6, found->unavailable);
}

static void close_at(struct blob *out, const uint8_t *at)
{
	out->used = (size_t)(at - out->data);
}

bool answer_one(struct blob *out, const struct recipe *recipe, const struct recommendation *found, bool with_names)
{
	uint64_t generation = recipe->generation->number;
	size_t bytes = all_items_bytes(recipe, found, with_names) + uint_bytes(generation) +
		       uint_bytes(recipe->definition_version) + shortfall_field_bytes(found);
	if (!blob_reserve(out, bytes))
		return false;
	uint8_t *at = put_items(out->data + out->used, 1, recipe, found, with_names);
	at = put_uint(at, 2, generation);
	at = put_uint(at, 3, recipe->definition_version);
	close_at(out, put_shortfall(at, 4, found));
	return true;
}

bool answer_user(struct blob *out, const struct recipe *recipe, struct text_view user,
		 const struct recommendation *found, bool with_names)
{
	size_t bytes =
		text_bytes(user.bytes) + all_items_bytes(recipe, found, with_names) + shortfall_field_bytes(found);
	if (!blob_reserve(out, message_bytes(bytes)))
		return false;
	uint8_t *at = put_message(out->data + out->used, 1, bytes);
	at = put_text(at, 1, user.data, user.bytes);
	at = put_items(at, 2, recipe, found, with_names);
	close_at(out, put_shortfall(at, 3, found));
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
