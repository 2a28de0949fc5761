#include "builder/reuse.h"

#include "builder/choice.h"
#include "common/log.h"

#include <string.h>

/* --- the generation --- */

static struct model *open_active(const struct datadir *dir)
{
	char folder[DATADIR_PATH_MAX], path[DATADIR_PATH_MAX + 32];
	uint64_t number = 0;
	struct model *model = NULL;
	struct error err = { 0 };
	int code = datadir_active_read(dir, &number, &err);
	if (!code && number > 0) {
		model_path(path, sizeof path, datadir_models(dir, folder), number);
		code = model_open(&model, path, true, &err);
	}
	if (!code)
		return model;
	log_warning("reuse: everything is learnt anew: %s", err.text);
	return NULL;
}

void reuse_open(struct reuse *reuse, const struct datadir *dir, const struct model *served)
{
	*reuse = (struct reuse){ .served = served };
	if (!served)
		reuse->served = reuse->own = open_active(dir);
	if (reuse->served)
		reuse->meta = choice_meta(reuse->served);
}

void reuse_close(struct reuse *reuse)
{
	json_decref(reuse->meta);
	model_close(reuse->own);
	*reuse = (struct reuse){ 0 };
}

/* --- a relation --- */

static uint64_t learnt_by(const struct reuse *reuse, const json_t *notes)
{
	uint64_t earlier = (uint64_t)json_integer_value(json_object_get(notes, "reused"));
	return earlier ? earlier : reuse->served->learnt ? reuse->served->learnt : reuse->served->head->generation;
}

/* What a query took when the figures were measured; the metadata has it by the relation's number over all catalogs. */
static double query_microseconds(const struct reuse *reuse, const struct model_relation *relation)
{
	const json_t *all = json_object_get(json_object_get(reuse->meta, "time"), "query_us");
	size_t number = 0;
	for (size_t c = 0; c < reuse->served->catalog_count; c++)
		for (size_t r = 0; r < reuse->served->catalogs[c].relation_count; r++, number++)
			if (&reuse->served->catalogs[c].relations[r] == relation)
				return json_number_value(json_array_get(all, number));
	return 0;
}

static void take(const struct reuse_wanted *wanted, const struct model_relation *from, struct learned *learned)
{
	struct model_relation *to = &learned->relation;
	*to = *from;
	to->key = wanted->relation->key;
	to->definitions = wanted->relation->definitions;
	to->definition_count = wanted->relation->definition_count;
	to->tuning = NULL; /* it is in the notes */
	to->gate = (struct model_gate){ 0 };
}

int reuse_take(const struct reuse *reuse, const struct reuse_wanted *wanted, struct learned *learned,
	       struct evaluation *evaluation, struct reused *out, struct error *err)
{
	char text[FINGERPRINT_TEXT];
	*out = (struct reused){ 0 };
	const struct model_catalog *catalog = reuse->served ? model_catalog_find(reuse->served, wanted->catalog) : NULL;
	const struct model_relation *from = catalog ? model_relation_find(catalog, wanted->relation->key) : NULL;
	const json_t *notes = choice_notes(reuse->meta, wanted->catalog, wanted->relation->key);
	const char *had = json_string_value(json_object_get(notes, "fingerprint"));
	fingerprint_text(wanted->fingerprint, text);
	/* items: what is copied is as long as that says, whatever somebody wrote into a file */
	if (!from || !had || strcmp(had, text) != 0 || catalog->items != wanted->items)
		return 0;
	*learned = (struct learned){ 0 };
	*evaluation =
		(struct evaluation){ .figures = from->evaluation, .microseconds = query_microseconds(reuse, from) };
	take(wanted, from, learned);
	if (from->cold && cold_newest(&learned->cold, from->cold, wanted->versions, wanted->items, err))
		return err->code;
	learned->relation.cold_rows = learned->cold.rows;
	learned->relation.cold_count = learned->cold.count;
	out->notes = json_deep_copy(notes);
	if (!out->notes)
		return error_set(err, E_EXHAUSTED, "no memory for the notes of %s", wanted->relation->key);
	out->from = reuse->served->head->generation;
	out->since = learnt_by(reuse, notes);
	json_object_set_new(out->notes, "reused", json_integer((json_int_t)out->since));
	return 0;
}
