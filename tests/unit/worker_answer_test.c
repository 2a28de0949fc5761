/*
 * What the worker writes is what protobuf-c writes of the same message, byte for byte, wherever a length takes one
 * byte more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kindred/v1/recommend.pb-c.h"
#include "worker/answer.h"
#include "worker/explain.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS 8u
#define TEXT_MAX 20000u

/* A catalog of items whose id, name and image are so and so long. */
static const uint32_t id_bytes[ITEMS] = { 1, 11, 98, 99, 100, 127, 128, 256 };
static const uint32_t name_bytes[ITEMS] = { 0, 127, 128, 28, 1, 16383, 16384, TEXT_MAX };
static const uint32_t image_bytes[ITEMS] = { 0, 0, 200, 1, 0, 2000, 20, 0 };
static uint64_t id_offsets[ITEMS + 1], name_offsets[ITEMS + 1], image_offsets[ITEMS + 1];
static char text[ITEMS * TEXT_MAX];

static const struct model_catalog catalog = { .items = ITEMS,
					      .id_offsets = id_offsets,
					      .name_offsets = name_offsets,
					      .image_offsets = image_offsets,
					      .id_bytes = text,
					      .name_bytes = text,
					      .image_bytes = text };
static struct generation generation = { .number = 300 };
static const struct overlay overlay;
static struct recipe recipe = { .generation = &generation, .catalog = &catalog, .overlay = &overlay };

static void lay_out(const uint32_t *bytes, uint64_t *offsets)
{
	for (uint32_t row = 0; row < ITEMS; row++)
		offsets[row + 1] = offsets[row] + bytes[row];
}

static int setup(void **state)
{
	(void)state;
	memset(text, 'x', sizeof text);
	lay_out(id_bytes, id_offsets);
	lay_out(name_bytes, name_offsets);
	lay_out(image_bytes, image_offsets);
	return 0;
}

/* The parts in their order: those of items, what further ones gave, trend, popularity; none of them is 0. */
static void check_parts(const Kindred__V1__RecommendedItem *item, const struct explanation *explanation,
			bool with_names)
{
	int64_t others[] = { explanation->rest, explanation->trend, explanation->popular };
	static const Kindred__V1__ScorePartKind kinds[] = { KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_NEIGHBOUR,
							    KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_TREND,
							    KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_POPULAR };
	size_t at = 0;
	for (uint32_t i = 0; i < explanation->count; i++, at++) {
		const struct explain_part *part = &explanation->parts[i];
		assert_true(at < item->n_parts);
		assert_int_equal(strlen(item->parts[at]->item_id), id_bytes[part->row]);
		assert_int_equal(strlen(item->parts[at]->name), with_names ? name_bytes[part->row] : 0);
		assert_int_equal(item->parts[at]->kind, part->kind);
		assert_true(item->parts[at]->amount == part->amount);
	}
	for (int i = 0; i < 3; i++) {
		if (others[i] == 0)
			continue;
		assert_true(at < item->n_parts);
		assert_string_equal(item->parts[at]->item_id, "");
		assert_int_equal(item->parts[at]->kind, kinds[i]);
		assert_true(item->parts[at]->amount == others[i]);
		at++;
	}
	assert_int_equal(item->n_parts, at);
}

/* Unpacks it, checks the items, and packs it again. */
static void check(const struct blob *out, size_t from, const ProtobufCMessageDescriptor *type,
		  const struct recommendation *found, const char *user, bool with_names)
{
	ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, out->used - from, out->data + from);
	assert_non_null(message);
	size_t bytes = protobuf_c_message_get_packed_size(message);
	assert_int_equal(bytes, out->used - from);
	uint8_t *again = malloc(bytes + 1);
	protobuf_c_message_pack(message, again);
	assert_memory_equal(again, out->data + from, bytes);
	free(again);

	Kindred__V1__RecommendedItem **items;
	Kindred__V1__Shortfall *shortfall;
	size_t count;
	if (user) {
		Kindred__V1__RecommendManyResponse *many = (Kindred__V1__RecommendManyResponse *)message;
		assert_int_equal(many->n_results, 1);
		assert_string_equal(many->results[0]->user_id, user);
		items = many->results[0]->items;
		count = many->results[0]->n_items;
		shortfall = many->results[0]->shortfall;
	} else {
		Kindred__V1__RecommendResponse *one = (Kindred__V1__RecommendResponse *)message;
		assert_int_equal(one->generation, generation.number);
		assert_int_equal(one->definition_version, recipe.definition_version);
		items = one->items;
		count = one->n_items;
		shortfall = one->shortfall;
	}
	assert_int_equal(count, found->count);
	for (size_t i = 0; i < count; i++) {
		uint32_t row = found->items[i].row;
		assert_int_equal(strlen(items[i]->item_id), id_bytes[row]);
		assert_int_equal(strlen(items[i]->name), with_names ? name_bytes[row] : 0);
		assert_int_equal(strlen(items[i]->image_url), with_names ? image_bytes[row] : 0);
		assert_int_equal(items[i]->score, found->items[i].score);
		assert_int_equal(items[i]->source, found->items[i].source);
		if (found->explanations)
			check_parts(items[i], &found->explanations[i], with_names);
		else
			assert_int_equal(items[i]->n_parts, 0);
	}
	assert_int_equal(shortfall != NULL, found->count < found->wanted);
	if (shortfall) {
		assert_int_equal(shortfall->candidates, found->counts.candidates);
		assert_int_equal(shortfall->unavailable, found->counts.judged[SCORE_UNAVAILABLE]);
	}
	protobuf_c_message_free_unpacked(message, NULL);
}

static void test_the_bytes_are_protobufs(void **state)
{
	static const uint32_t scores[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX };
	static const char *const users[] = { "u", "a user of another length than the first has, and so on and on" };
	struct recommended items[2 * ITEMS];
	static struct explanation explanations[ITEMS];
	(void)state;
	for (uint32_t i = 1; i < ITEMS; i++) { /* the first has no part at all */
		explanations[i].count = i;
		for (uint32_t p = 0; p < i; p++)
			explanations[i].parts[p] = (struct explain_part){ .kind = 1 + p % 2,
									  .row = (i + p) % ITEMS,
									  .amount = scores[1 + p % 6] };
		explanations[i].rest = scores[i % 7];
		explanations[i].trend = i % 2 ? -(int64_t)scores[6 - i % 7] : scores[i % 5];
		explanations[i].popular = scores[(i + 3) % 7];
	}
	for (uint32_t first = 0; first < ITEMS; first++)
		for (uint32_t count = 0; count <= ITEMS; count++)
			for (int way = 0; way < 8; way++) {
				struct recommendation found = {
					.items = items,
					.explanations = way & 4 ? explanations : NULL,
					.count = count,
					.wanted = way & 1 ? count : count + 200,
					.counts = { .candidates = UINT32_MAX,
						    .judged = { [SCORE_UNAVAILABLE] = way ? first : UINT32_MAX } }
				};
				bool with_names = way & 2;
				for (uint32_t i = 0; i < count; i++)
					items[i] = (struct recommended){ .row = (first + i) % ITEMS,
									 .score = scores[(first + count + i) % 7],
									 .source = i % 4 };
				recipe.definition_version = way * 100;
				struct blob out = { 0 };
				assert_true(answer_one(&out, &recipe, &found, with_names));
				check(&out, 0, &kindred__v1__recommend_response__descriptor, &found, NULL, with_names);
				size_t before = out.used;
				const char *user = users[count % 2];
				assert_true(answer_user(&out, &recipe,
							(struct text_view){ user, (uint32_t)strlen(user) }, &found,
							with_names));
				check(&out, before, &kindred__v1__recommend_many_response__descriptor, &found, user,
				      with_names);
				blob_fini(&out);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_bytes_are_protobufs),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
