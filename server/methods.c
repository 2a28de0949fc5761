#include "server/methods.h"

#include "server/audience.h"
#include "server/catalogs.h"
#include "server/definitions.h"
#include "server/health.h"
#include "server/ingest.h"
#include "server/items.h"
#include "server/many.h"
#include "server/models.h"
#include "server/route.h"
#include "server/status.h"

/*
 * Standing requests: C core looks through all of them, of all methods, at each completion (Debian's build checks
 * tags), so few. Of a burst each call that is taken posts the request that takes the next.
 */
#define BUSY 8
#define SOME 2
#define FEW 1

#define UNARY(name, handler, stop, standing)                                                                           \
	{                                                                                                              \
		name, METHOD_UNARY, handler, stop, NULL, standing, false, NULL, false                                  \
	}
#define STREAM(name, handler, stop, release, standing)                                                                 \
	{                                                                                                              \
		name, METHOD_STREAM, handler, stop, release, standing, false, NULL, false                              \
	}
/* The way of the data, which further front-ends serve too. */
#define EVERYWHERE(name, kind, handler, stop, release, standing)                                                       \
	{                                                                                                              \
		name, kind, handler, stop, release, standing, false, NULL, true                                        \
	}

const struct method methods[] = {
	EVERYWHERE("/kindred.v1.RecommendationService/Recommend", METHOD_UNARY, route_recommend, route_stop,
		   route_recommend_release, BUSY),
	{ "/kindred.v1.RecommendationService/RecommendMany", METHOD_STREAM, many_message, many_stop, many_release, SOME,
	  false, many_room, true },
	{ "/kindred.v1.RecommendationService/RecommendAudience", METHOD_STREAM, audience_message, audience_stop,
	  audience_release, FEW, false, audience_room, false },

	EVERYWHERE("/kindred.v1.EventService/IngestEvents", METHOD_UNARY, ingest_message, ingest_stop, ingest_release,
		   BUSY),
	EVERYWHERE("/kindred.v1.EventService/IngestEventStream", METHOD_STREAM, ingest_message, ingest_stop,
		   ingest_release, SOME),
	UNARY("/kindred.v1.EventService/ListUserEvents", route_list_events, route_stop, SOME),
	UNARY("/kindred.v1.EventService/DeleteUser", route_delete_user, route_stop, SOME),

	UNARY("/kindred.v1.CatalogService/CreateCatalog", catalogs_create, NULL, FEW),
	UNARY("/kindred.v1.CatalogService/GetCatalog", catalogs_get, NULL, FEW),
	UNARY("/kindred.v1.CatalogService/ListCatalogs", catalogs_list, NULL, FEW),
	UNARY("/kindred.v1.CatalogService/UpdateCatalog", catalogs_update, NULL, FEW),
	UNARY("/kindred.v1.CatalogService/DeleteCatalog", catalogs_delete, NULL, FEW),
	STREAM("/kindred.v1.CatalogService/ImportItems", items_import, NULL, NULL, FEW),
	UNARY("/kindred.v1.CatalogService/GetItem", items_get, NULL, SOME),
	UNARY("/kindred.v1.CatalogService/ListItems", items_list, NULL, FEW),
	UNARY("/kindred.v1.CatalogService/UpdateItem", items_update, NULL, SOME),
	UNARY("/kindred.v1.CatalogService/DeleteItem", items_delete, NULL, FEW),

	UNARY("/kindred.v1.DefinitionService/CreateDefinition", definitions_create, NULL, FEW),
	UNARY("/kindred.v1.DefinitionService/GetDefinition", definitions_get, NULL, FEW),
	UNARY("/kindred.v1.DefinitionService/ListDefinitions", definitions_list, NULL, FEW),
	UNARY("/kindred.v1.DefinitionService/UpdateDefinition", definitions_update, NULL, FEW),
	UNARY("/kindred.v1.DefinitionService/DeleteDefinition", definitions_delete, NULL, FEW),

	UNARY("/kindred.v1.ModelService/BuildModel", models_build, NULL, FEW),
	UNARY("/kindred.v1.ModelService/ListGenerations", models_list, NULL, FEW),
	UNARY("/kindred.v1.ModelService/ActivateGeneration", models_activate, NULL, FEW),
	UNARY("/kindred.v1.ModelService/RollbackGeneration", models_rollback, NULL, FEW),
	UNARY("/kindred.v1.ModelService/GetModelStatus", models_status, NULL, FEW),

	{ "/kindred.v1.StatusService/GetStatus", METHOD_UNARY, status_get, NULL, NULL, FEW, true, NULL, false },
	{ "/grpc.health.v1.Health/Check", METHOD_UNARY, health_check, NULL, NULL, FEW, true, NULL, false },
	{ "/grpc.health.v1.Health/Watch", METHOD_STREAM, health_watch, health_watch_stop, NULL, FEW, true, NULL,
	  false },
};
const size_t method_count = sizeof methods / sizeof methods[0];
