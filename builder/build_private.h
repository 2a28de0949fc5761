/*
 * Between the parts of builder/build.h: build.c reads, goes through the catalogs and publishes, build_relation.c makes
 * one relation. One thread.
 */
#ifndef KINDRED_BUILDER_BUILD_PRIVATE_H
#define KINDRED_BUILDER_BUILD_PRIVATE_H

#include "builder/attributes.h"
#include "builder/build.h"
#include "builder/evaluate.h"
#include "builder/fingerprint.h"
#include "builder/gate.h"
#include "builder/items.h"
#include "builder/learn.h"
#include "builder/plan.h"
#include "builder/report.h"
#include "builder/reuse.h"
#include "builder/scan.h"
#include "builder/workplace.h"

#include <jansson.h>

#define SCAN_SHARE 0.2 /* of a build, for its progress */
#define LEARN_SHARE 0.7

struct build {
	const struct build_options *options;
	struct workplace place;
	struct plan plan;
	struct report report;
	struct items *items; /* [catalogs] */
	struct scan scan;
	struct model model;
	struct attributes attributes; /* of the catalog at work */
	struct learned *learned; /* [relations], catalogs in order */
	struct evaluation *evaluations; /* [relations] */
	size_t relation_count;
	json_t **catalog_notes, **relation_notes;
	json_t *last; /* the active generation's metadata, NULL: none */
	struct gate gate;
	struct reuse reuse;
	struct fingerprint fingerprint; /* of the catalog at work */
};

/*
 * Learns, tunes and evaluates a relation, or takes it over from the active generation: fills learned, evaluations,
 * relation_notes and its place in the model. relation: in the catalog; number: over all catalogs. The fingerprint is
 * the catalog's; attributes are made here when they are missing.
 */
int build_relation(struct build *build, size_t catalog, size_t relation, size_t number, const struct events *events,
		   struct error *err);

#endif
