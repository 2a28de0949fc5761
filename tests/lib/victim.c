#include "lib/victim.h"
#include "lib/api.h"

#include <signal.h>

/* 0: it is down. */
static int pid_of(const struct victim *victim)
{
	Kindred__V1__GetStatusResponse *status = api_status(victim->client);
	int pid = status->workers[victim->number]->up ? status->workers[victim->number]->pid : 0;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return pid;
}

void victim_kill(struct victim *victim, struct rpc_client *client)
{
	victim->client = client;
	int pid = pid_of(victim);
	if (!pid)
		return;
	victim->pid = pid;
	kill(pid, SIGKILL);
}

static bool is_back(void *context)
{
	const struct victim *victim = context;
	int pid = pid_of(victim);
	return pid && pid != victim->pid;
}

void victim_await(struct victim *victim, struct rpc_client *client)
{
	victim->client = client;
	wait_until("the worker is back", is_back, victim);
}
