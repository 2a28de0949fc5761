#include "lib/front_ends.h"
#include "grpc/health/v1/health.pb-c.h"
#include "lib/api.h"
#include "lib/small_shop.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct cluster front_ends_cluster;
struct rpc_client *front_ends_clients[CLIENTS];

unsigned front_ends_children(pid_t *pids, bool front_ends)
{
	char path[64], command[256];
	unsigned count = 0;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", front_ends_cluster.server, front_ends_cluster.server);
	FILE *list = fopen(path, "re");
	assert_non_null(list);
	for (int pid; count < CHILDREN_MAX && fscanf(list, "%d", &pid) == 1;) {
		snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
		FILE *file = fopen(path, "re");
		size_t bytes = file ? fread(command, 1, sizeof command - 1, file) : 0;
		if (file)
			fclose(file);
		command[bytes] = '\0';
		bool further = memmem(command, bytes, "--further-front-end", 19) != NULL;
		if (further || !front_ends)
			pids[count++] = pid;
	}
	fclose(list);
	return count;
}

unsigned front_ends_sockets(pid_t pid)
{
	char path[64], target[64];
	unsigned count = 0;
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *files = opendir(path);
	for (struct dirent *file; files && (file = readdir(files));) {
		char link[400];
		snprintf(link, sizeof link, "%s/%s", path, file->d_name);
		ssize_t bytes = readlink(link, target, sizeof target - 1);
		count += bytes > 7 && memcmp(target, "socket:", 7) == 0;
	}
	if (files)
		closedir(files);
	return count;
}

uint64_t front_ends_health(struct rpc_client *client)
{
	Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	Grpc__Health__V1__HealthCheckResponse *answer;
	struct error err;
	if (api_try(client, "/grpc.health.v1.Health/Check", &request.base,
		    &grpc__health__v1__health_check_response__descriptor, &answer, &err))
		fail_msg("health: %s", err.text);
	uint64_t status = answer->status;
	grpc__health__v1__health_check_response__free_unpacked(answer, NULL);
	return status;
}

void front_ends_open_clients(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		front_ends_clients[i] = api_open(&front_ends_cluster);
		assert_int_equal(front_ends_health(front_ends_clients[i]),
				 GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
	}
}

void front_ends_close_clients(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		rpc_close(front_ends_clients[i]);
}

void front_ends_start(void)
{
	cluster_start(&front_ends_cluster,
		      CLI("--workers", "2", "--front-ends", FRONT_ENDS, "--build-every-minutes", "0"));
}

int front_ends_set_up(void **state)
{
	pid_t pids[CHILDREN_MAX];
	unsigned before[FURTHER];
	(void)state;
	cluster_init(&front_ends_cluster);
	front_ends_start();
	small_shop_load(&front_ends_cluster);
	assert_int_equal(front_ends_children(pids, true), FURTHER);
	for (unsigned i = 0; i < FURTHER; i++)
		before[i] = front_ends_sockets(pids[i]);
	front_ends_open_clients();
	for (unsigned i = 0; i < FURTHER; i++)
		/* each has clients, or these tests would show nothing */
		assert_true(front_ends_sockets(pids[i]) > before[i]);
	return 0;
}

int front_ends_tear_down(void **state)
{
	(void)state;
	front_ends_close_clients();
	cluster_fini(&front_ends_cluster);
	return 0;
}

int front_ends_recommend(struct rpc_client *client, const char *definition, const char *user, uint64_t generation,
			 Kindred__V1__RecommendResponse **answer, struct error *err)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)user;
	request.definition = (char *)definition;
	request.count = 5;
	request.generation = generation;
	return api_try(client, "/kindred.v1.RecommendationService/Recommend", &request.base,
		       &kindred__v1__recommend_response__descriptor, answer, err);
}

void front_ends_free_answer(Kindred__V1__RecommendResponse *answer)
{
	if (answer)
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
}
