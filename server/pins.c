#include "server/pins.h"

#include "common/log.h"
#include "kindred/internal/link.pb-c.h"
#include "server/catchup.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One worker being given one generation. */
struct pin_load {
	struct ask ask;
	struct pin *pin;
	struct worker *worker;
	uint64_t ready; /* the worker's incarnation that has it; 0: none had */
	uint64_t loading; /* the incarnation it was asked of */
};

struct pin {
	struct pin *next;
	struct pins *pins;
	uint64_t number;
	unsigned holds;
	unsigned broken; /* calls that may be continued until linger_ms */
	bool found; /* at the start: how many may be, until then, nobody knows */
	uint64_t linger_ms; /* loop time */
	struct generation *generation; /* NULL: not read yet */
	bool busy; /* reading or loading */
	uint32_t waiting; /* workers, while loading */
	struct error err; /* of the loading */
	struct pin_wait *waits;
	struct pin_wait *hearing; /* those being told; they may want something anew, or forget each other */
	struct pin_load loads[]; /* one a worker */
};

void pins_init(struct pins *pins, struct server *server)
{
	*pins = (struct pins){ .server = server };
	uv_timer_init(&server->loop, &pins->linger);
	pins->linger.data = pins;
}

void pins_init_elsewhere(struct pins *pins, struct link *link)
{
	*pins = (struct pins){ .elsewhere = link };
}

static void pin_free(struct pin *pin)
{
	generation_release(pin->generation);
	free(pin);
}

void pins_fini(struct pins *pins)
{
	while (pins->first) {
		struct pin *pin = pins->first;

		pins->first = pin->next;
		pin_free(pin);
	}
}

static struct pin **find(struct pins *pins, uint64_t number)
{
	struct pin **at = &pins->first;

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static struct pin *pin_get(struct pins *pins, uint64_t number, struct error *err)
{
	struct supervisor *supervisor = &pins->server->supervisor;
	struct pin *pin = *find(pins, number);

	if (pin)
		return pin;
	pin = calloc(1, sizeof *pin + supervisor->count * sizeof pin->loads[0]);
	if (!pin) {
		error_set(err, E_EXHAUSTED, "out of memory");
		return NULL;
	}
	pin->pins = pins;
	pin->number = number;
	for (uint32_t i = 0; i < supervisor->count; i++) {
		pin->loads[i].pin = pin;
		pin->loads[i].worker = &supervisor->workers[i];
	}
	pin->next = pins->first;
	pins->first = pin;
	return pin;
}

/* --- loading --- */

static bool lacks(const struct pin_load *load)
{
	const struct worker *worker = load->worker;

	/* one that dies is still UP while those who asked it hear so */
	return worker->state == WORKER_UP && worker->link.open && worker->generation != load->pin->number &&
	       load->ready != worker->incarnation;
}

static bool lacking(const struct pin *pin)
{
	for (uint32_t i = 0; i < pin->pins->server->supervisor.count; i++)
		if (lacks(&pin->loads[i]))
			return true;
	return false;
}

static void load_all(struct pin *pin);

/* Everybody who waited hears, once no worker lacks it: one may have come up meanwhile. */
static void finish(struct pin *pin)
{
	struct pin_wait *wait;
	struct error err = pin->err;

	if (!err.code && lacking(pin)) {
		load_all(pin);
		return;
	}
	pin->busy = false;
	pin->hearing = pin->waits;
	pin->waits = NULL;
	while ((wait = pin->hearing)) {
		pin->hearing = wait->next;
		wait->pin = NULL;
		wait->ready(wait, err.code, &err);
	}
}

static void one_less(struct pin *pin)
{
	if (--pin->waiting == 0)
		finish(pin);
}

static void load_failed(struct pin_load *load, int code, const char *text, size_t bytes)
{
	struct pin *pin = load->pin;

	if (!load->worker->link.open || load->worker->incarnation != load->loading)
		return; /* it went away: its users' calls say so */
	if (!pin->err.code)
		error_set(&pin->err, code == E_CANCELLED ? E_PRECONDITION : code,
			  "generation: worker %u cannot load %" PRIu64 ": %.*s", load->worker->number, pin->number,
			  (int)bytes, text);
}

static void on_caught_up(void *context, uint64_t incarnation, int code, const struct error *err)
{
	struct pin_load *load = context;

	if (code)
		load_failed(load, code, err->text, strlen(err->text));
	else
		load->ready = incarnation;
	one_less(load->pin);
}

static void on_loaded(struct ask *ask, int code, const uint8_t *data, size_t bytes)
{
	struct pin_load *load = (struct pin_load *)ask;
	struct pin *pin = load->pin;

	if (code) {
		load_failed(load, code, (const char *)data, bytes);
		one_less(pin);
		return;
	}
	load->worker->has_model = true;
	catchup_start(pin->pins->server, pin->generation, load->worker, on_caught_up, load, load->loading);
}

static void load_all(struct pin *pin)
{
	struct error err;

	pin->waiting = 1; /* held until all are asked */
	for (uint32_t i = 0; i < pin->pins->server->supervisor.count; i++) {
		struct pin_load *load = &pin->loads[i];

		if (!lacks(load))
			continue;
		load->loading = load->worker->incarnation;
		load->ask.answered = on_loaded;
		pin->waiting++;
		if (worker_command(load->worker, &load->ask, FRAME_GENERATION_LOAD, pin->number, &err)) {
			load_failed(load, err.code, err.text, strlen(err.text));
			pin->waiting--;
		}
	}
	one_less(pin);
}

static int not_kept(const struct pins *pins, uint64_t number, struct error *err)
{
	const struct server *server = pins->server;
	char kept[200] = "";
	size_t at = 0;

	for (size_t i = server->kept.count; i > 0 && at < sizeof kept - 32; i--)
		at += (size_t)snprintf(kept + at, sizeof kept - at, "%s%" PRIu64, at ? ", " : "",
				       server->kept.list[i - 1].number);
	return error_set(err, E_PRECONDITION, "generation: %" PRIu64 " is not kept any more; %s%s", number,
			 at ? "kept are " : "none is kept", kept);
}

static int read_metadata(struct job *job)
{
	struct pin *pin = job->context;

	return generation_read(&pin->generation, job->server->models_directory, pin->number, &job->err);
}

static void on_read(struct job *job)
{
	struct pin *pin = job->context;

	if (job->code) {
		pin->generation = NULL;
		pin->err = job->err;
		if (job->code == E_NOT_FOUND)
			not_kept(pin->pins, pin->number, &pin->err);
	}
	job_free(job);
	if (pin->err.code)
		finish(pin);
	else
		load_all(pin);
}

static int begin(struct pin *pin, struct error *err)
{
	struct job *job;

	if (!pin->generation) {
		job = job_new(pin->pins->server, NULL, NULL, NULL, 0, read_metadata, on_read);
		if (!job)
			return error_set(err, E_EXHAUSTED, "out of memory");
		job->context = pin;
		pin->busy = true;
		lane_run(&pin->pins->server->model_lane, job);
		return 0;
	}
	pin->busy = true;
	load_all(pin);
	return 0;
}

static bool kept(const struct server *server, uint64_t number)
{
	return kept_has(&server->kept, number) || number == server_active(server);
}

static void on_wanted(struct ask *ask, int code, const uint8_t *data, size_t bytes)
{
	struct pin_wait *wait = (struct pin_wait *)((char *)ask - offsetof(struct pin_wait, ask));
	struct error err = { 0 };

	if (code)
		error_set(&err, code, "%.*s", (int)bytes, (const char *)data);
	wait->ready(wait, code, &err);
}

static int want_elsewhere(struct pins *pins, uint64_t number, struct pin_wait *wait, struct error *err)
{
	Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;
	uint8_t packed[32];
	int rc;

	command.number = number;
	wait->ask.answered = on_wanted;
	rc = link_ask(pins->elsewhere, &wait->ask, FRAME_GENERATION_WANTED, UINT32_MAX, 0, packed,
		      kindred__internal__generation_command__pack(&command, packed), err);
	return rc ? rc : PIN_LATER;
}

int pins_want(struct pins *pins, uint64_t number, struct pin_wait *wait, struct error *err)
{
	struct pin *pin;
	int rc;

	if (pins->elsewhere)
		return want_elsewhere(pins, number, wait, err);
	if (!kept(pins->server, number))
		return not_kept(pins, number, err);
	pin = pin_get(pins, number, err);
	if (!pin)
		return err->code;
	if (!lacking(pin))
		return 0;
	wait->pin = pin;
	wait->next = pin->waits;
	pin->waits = wait;
	if (pin->busy)
		return PIN_LATER;
	pin->err = (struct error){ 0 };
	rc = begin(pin, err);
	if (rc)
		pins_forget(wait);
	return rc ? rc : PIN_LATER;
}

static bool take_from(struct pin_wait **at, const struct pin_wait *wait)
{
	while (*at && *at != wait)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = wait->next;
	return true;
}

void pins_forget(struct pin_wait *wait)
{
	ask_forget(&wait->ask);
	if (!wait->pin)
		return;
	if (!take_from(&wait->pin->waits, wait))
		take_from(&wait->pin->hearing, wait);
	wait->pin = NULL;
}

/* --- holding --- */

/* What only calls kept on disk goes now. */
static void prune_surplus(struct pins *pins)
{
	struct server *server = pins->server;

	if (server->kept.count > (size_t)server->config.generations_kept && server->state == SERVER_SERVING)
		swap_prune(&server->swap, NULL, NULL);
}

static void on_linger(uv_timer_t *timer)
{
	struct pins *pins = timer->data;
	uint64_t now = uv_now(&pins->server->loop), next = 0;

	for (struct pin *pin = pins->first; pin; pin = pin->next) {
		if (!pin->broken && !pin->found)
			continue;
		if (pin->linger_ms <= now) {
			pin->broken = 0;
			pin->found = false;
		} else if (!next || pin->linger_ms < next) {
			next = pin->linger_ms;
		}
	}
	if (next)
		uv_timer_start(timer, on_linger, next - now, 0);
	prune_surplus(pins);
}

int pins_hold(struct pins *pins, uint64_t number, bool continues, struct error *err)
{
	struct pin *pin;

	if (!kept(pins->server, number))
		return not_kept(pins, number, err);
	pin = pin_get(pins, number, err);
	if (!pin)
		return err->code;
	pin->holds++;
	if (continues && pin->broken)
		pin->broken--;
	return 0;
}

static void linger(struct pins *pins, struct pin *pin)
{
	pin->linger_ms = uv_now(&pins->server->loop) + PINS_LINGER_MS;
	if (!uv_is_active((uv_handle_t *)&pins->linger))
		uv_timer_start(&pins->linger, on_linger, PINS_LINGER_MS, 0);
}

void pins_linger(struct pins *pins)
{
	for (size_t i = 0; i < pins->server->kept.count; i++) {
		struct pin *pin = pin_get(pins, pins->server->kept.list[i].number, NULL);

		if (!pin)
			continue;
		pin->found = true;
		linger(pins, pin);
	}
}

void pins_release(struct pins *pins, uint64_t number, bool unfinished)
{
	struct pin *pin = *find(pins, number);

	pin->holds--;
	if (unfinished) {
		pin->broken++;
		linger(pins, pin);
	} else if (!pin->holds) {
		prune_surplus(pins);
	}
}

static bool is_kept(const struct pin *pin)
{
	return pin->holds || pin->broken || pin->found || pin->busy;
}

bool pins_keep(const struct pins *pins, uint64_t number)
{
	const struct pin *pin = pins->first;

	while (pin && pin->number != number)
		pin = pin->next;
	return pin && is_kept(pin);
}

size_t pins_held(const struct pins *pins, uint64_t *numbers, size_t room)
{
	size_t count = 0;

	for (const struct pin *pin = pins->first; pin; pin = pin->next) {
		if (!is_kept(pin))
			continue;
		if (count < room)
			numbers[count] = pin->number;
		count++;
	}
	return count;
}

void pins_dropped(struct pins *pins, uint64_t number)
{
	struct pin **at = find(pins, number), *pin = *at;

	for (uint32_t i = 0; pin && i < pins->server->supervisor.count; i++)
		pin->loads[i].ready = 0;
	if (!pin || is_kept(pin))
		return;
	*at = pin->next;
	pin_free(pin);
}
