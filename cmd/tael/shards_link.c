#include "shards.h"

#include "base/list.h"
#include "os/clock.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long one answer may take: a copied page is on disk before it comes. */
#define ANSWER_MS 10000
/* A shard is asked who it is beside the first request, and that ends in five seconds whatever it
 * does. */
#define LOOK_PAUSE_MS 10
#define LOOKS_MAX     1000
/* One that begins to work, or whose other process takes over, is asked for another two seconds. */
#define AWAITS_MAX 200

/* ---- the map ---- */

static err_t
map_read(const struct shards_link *link, struct shard_map *map, struct shard_problem *problem)
{
    char *text = NULL;
    size_t size = 0;
    *problem = (struct shard_problem){.reason = NULL};
    TRY(os_file_load(os_disk_real(), link->path, SHARD_TEXT_MAX, &text, &size));
    err_t result = shard_map_read(span_of(text, size), map, problem);
    free(text);
    return result;
}

static err_t
map_save(const struct shards_link *link, const struct shard_map *map)
{
    char folder[sizeof(link->path)];
    struct buf text;
    memcpy(folder, link->path, sizeof(folder));
    char *slash = strrchr(folder, '/');
    const char *name = slash == NULL ? link->path : link->path + (slash - folder) + 1;
    if (slash != NULL) {
        *slash = '\0';
    }
    buf_init(&text, SHARD_TEXT_MAX);
    shard_map_write(map, &text);
    err_t result = ERR_MEMORY;
    if (!buf_failed(&text)) {
        const char *where = slash == NULL ? "." : folder[0] == '\0' ? "/" : folder;
        result = os_file_save(os_disk_real(), where, name, buf_span(&text));
    }
    buf_release(&text);
    return result;
}

/* The lock keeps other commands away; who edits the file by hand is found by its epoch. */
err_t
shards_link_replace(void *context, uint64_t expected, const struct shard_map *next)
{
    struct shards_link *link = context;
    struct shard_problem problem;
    struct shard_map *now = calloc(1, sizeof(*now));
    if (now == NULL) {
        return ERR_MEMORY;
    }
    err_t result = map_read(link, now, &problem);
    if (result == ERR_OK) {
        result = shard_map_replace(now, expected, next);
    }
    if (result == ERR_OK) {
        result = map_save(link, now);
    }
    free(now);
    return result;
}

bool
shards_link_find(const struct shards_link *link, const char *name, uint32_t *ret_shard)
{
    if (shard_map_find(link->map, span_from_cstr(name), ret_shard) == ERR_OK) {
        return true;
    }
    (void)command_fail(link->command, "%s has no shard '%s'", link->path, name);
    return false;
}

static int
map_open(struct shards_link *link, bool changes)
{
    struct shard_problem problem;
    struct os_disk *disk = os_disk_real();
    char path[sizeof(link->path) + 8];
    link->map = calloc(1, sizeof(*link->map));
    if (link->map == NULL) {
        return command_fail(link->command, "out of memory");
    }
    if (changes) {
        (void)snprintf(path, sizeof(path), "%s.lock", link->path);
        err_t locked = disk->ops->open(disk, path, OS_OPEN_WRITE, false, &link->lock, NULL);
        if (locked == ERR_NOT_FOUND) {
            locked = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &link->lock, NULL);
        }
        if (locked == ERR_OK) {
            locked = disk->ops->lock(disk, link->lock);
        }
        if (locked != ERR_OK) {
            return command_fail(
                link->command,
                "%s: %s",
                path,
                locked == ERR_LOCKED ? "another 'tael shards' is at work" : err_text(locked));
        }
    }
    err_t result = map_read(link, link->map, &problem);
    if (result != ERR_OK && problem.reason != NULL) {
        return command_fail(
            link->command, "%s, line %" PRIu32 ": %s", link->path, problem.line, problem.reason);
    }
    if (result != ERR_OK) {
        return command_fail(link->command, "%s: %s", link->path, err_text(result));
    }
    return COMMAND_GO_ON;
}

/* ---- connections ---- */

static int
auth_open(struct shards_link *link)
{
    char message[REMOTE_MESSAGE_SIZE] = "";
    const struct shards_options *from = link->options;
    struct remote_auth_settings settings = {.plain = from->plain};
    static_assert(sizeof(settings.ca) == sizeof(from->tls_ca), "one size");
    memcpy(settings.ca, from->tls_ca, sizeof(settings.ca));
    memcpy(settings.certificate, from->tls_cert, sizeof(settings.certificate));
    memcpy(settings.key, from->tls_key, sizeof(settings.key));
    memcpy(settings.domain, from->domain, sizeof(settings.domain));
    memcpy(settings.key_file, from->key_file, sizeof(settings.key_file));
    if (from->data[0] != '\0') {
        if (strlen(from->data) + sizeof("/internal.key") > sizeof(settings.key_file)) {
            return command_misuse(link->command, "--data is too long");
        }
        memcpy(settings.key_file, from->data, strlen(from->data));
        memcpy(settings.key_file + strlen(from->data), "/internal.key", sizeof("/internal.key"));
    }
    err_t result = remote_auth_create(&settings, &link->auth, message);
    if (result != ERR_OK) {
        return command_fail(
            link->command,
            "--internal-key-file, or --internal-tls-...: %s",
            message[0] == '\0' ? err_text(result) : message);
    }
    return COMMAND_GO_ON;
}

static int
clients_open(struct shards_link *link)
{
    char message[REMOTE_MESSAGE_SIZE] = "";
    err_t result = net_loop_create("shards", &link->net);
    for (uint32_t i = 0; i < link->map->shard_count && result == ERR_OK; i++) {
        struct remote_client_parts parts = {
            .net = link->net,
            .service = REMOTE_LEDGER,
            .endpoints = link->map->shards[i].at,
            .auth = link->auth,
            .settings = remote_client_settings_default,
        };
        parts.settings.timeout_ms = ANSWER_MS;
        result = remote_client_create(&parts, &link->clients[i], message);
    }
    if (result == ERR_OK) {
        result = net_loop_start(link->net);
        link->net_runs = result == ERR_OK;
    }
    if (result != ERR_OK) {
        return command_fail(link->command, "%s", message[0] == '\0' ? err_text(result) : message);
    }
    for (uint32_t i = 0; i < link->map->shard_count; i++) {
        remote_client_start(link->clients[i]);
    }
    return COMMAND_GO_ON;
}

int
shards_link_open(
    const struct command *command,
    const struct shards_options *options,
    bool changes,
    bool connect,
    struct shards_link *link)
{
    *link =
        (struct shards_link){.command = command, .options = options, .executor.post = os_post_now};
    bool of_data = options->data[0] != '\0';
    if (of_data == (options->map[0] != '\0')) {
        return command_misuse(command, "either --ledger-shards=FILE or --data=DIR is needed");
    }
    (void)snprintf(
        link->path,
        sizeof(link->path),
        "%s%s",
        of_data ? options->data : options->map,
        of_data ? "/shards" : "");
    if (sem_init(&link->answered, 0, 0) != 0) {
        return command_fail(command, "no semaphore");
    }
    int status = map_open(link, changes);
    if (status == COMMAND_GO_ON && connect) {
        status = auth_open(link);
    }
    if (status == COMMAND_GO_ON && connect) {
        status = clients_open(link);
    }
    if (status != COMMAND_GO_ON) {
        shards_link_close(link);
    }
    return status;
}

int
shards_begin(
    const struct command *command,
    const struct shards_needs *needs,
    char **argv,
    struct shards_options *options,
    struct shards_link *link)
{
    int positional = 0;
    const struct command_options read = {
        .table = needs->table,
        .count = needs->count,
        .values = options,
        .positional_min = needs->words,
        .positional_max = needs->words};
    memset(options, 0, sizeof(*options));
    int status = command_options(command, &read, argv, &positional);
    return status == COMMAND_GO_ON
               ? shards_link_open(command, options, needs->changes, needs->connects, link)
               : status;
}

void
shards_link_close(struct shards_link *link)
{
    for (uint32_t i = 0; i < SHARD_SHARDS_MAX; i++) {
        if (link->clients[i] != NULL && link->net_runs) {
            remote_client_stop(link->clients[i]);
        }
    }
    if (link->net_runs) {
        net_loop_stop(link->net);
    }
    for (uint32_t i = 0; i < SHARD_SHARDS_MAX; i++) {
        remote_client_destroy(&link->clients[i]);
    }
    net_loop_destroy(&link->net);
    remote_auth_destroy(&link->auth);
    if (link->lock != NULL) {
        os_disk_real()->ops->close(os_disk_real(), link->lock);
    }
    free(link->map);
    (void)sem_destroy(&link->answered);
    memset(link, 0, sizeof(*link));
}

struct asked {
    struct port_ledger_request request;
    struct shards_link *link;
};

static void
answered(struct port_ledger_request *request)
{
    struct asked *asked = CONTAINER_OF(request, struct asked, request);
    (void)sem_post(&asked->link->answered);
}

/* What is known of the shard, when it has been asked who it is. */
static void
look_at(const struct shards_link *link, uint32_t shard, struct remote_client_state *ret_state)
{
    const struct timespec pause = {.tv_nsec = LOOK_PAUSE_MS * 1000000L};
    remote_client_look(link->clients[shard], ret_state);
    for (uint32_t i = 0; !ret_state->asked && i < LOOKS_MAX; i++) {
        (void)nanosleep(&pause, NULL);
        remote_client_look(link->clients[shard], ret_state);
    }
}

err_t
shards_link_await(const struct shards_link *link, uint32_t shard)
{
    const struct timespec pause = {.tv_nsec = LOOK_PAUSE_MS * 1000000L};
    struct remote_client_state state;
    look_at(link, shard, &state);
    for (uint32_t i = 0; !state.ready && !state.refuses && i < AWAITS_MAX; i++) {
        (void)nanosleep(&pause, NULL);
        remote_client_look(link->clients[shard], &state);
    }
    return state.ready ? ERR_OK : state.refuses ? ERR_DENIED : ERR_BUSY;
}

err_t
shards_link_ask(void *context, uint32_t shard, struct port_ledger_request *request)
{
    struct shards_link *link = context;
    struct port_ledger *port = remote_client_ledger(link->clients[shard]);
    struct asked asked = {.request = *request, .link = link};
    asked.request.reply_to = &link->executor;
    asked.request.done = answered;
    port->submit(port, &asked.request);
    while (sem_wait(&link->answered) != 0) {
    }
    request->error = asked.request.error;
    if (request->error == ERR_BUSY) {
        struct remote_client_state state;
        look_at(link, shard, &state);
        request->error = state.refuses ? ERR_DENIED : ERR_BUSY;
    }
    request->out_count = asked.request.out_count;
    request->epoch = asked.request.epoch;
    return request->error;
}

void
shards_link_why(
    const struct shards_link *link, uint32_t shard, err_t error, char message[SHARDS_MESSAGE_SIZE])
{
    struct remote_client_state state;
    remote_client_look(link->clients[shard], &state);
    bool lost = error == ERR_BUSY || error == ERR_OUTCOME_UNKNOWN;
    bool known = (error == ERR_DENIED && state.refuses) || (lost && !state.ready);
    (void)snprintf(message, SHARDS_MESSAGE_SIZE, "%s", known ? state.why : err_text(error));
}

void
shards_link_tell(
    const struct shards_link *link, uint32_t shard, err_t error, char message[SHARDS_MESSAGE_SIZE])
{
    char why[SHARDS_MESSAGE_SIZE];
    const struct shard_map *map = link->map;
    shards_link_why(link, shard, error, why);
    (void)snprintf(
        message,
        SHARDS_MESSAGE_SIZE,
        "shard %s at %s: %.200s",
        map->shards[shard].name,
        map->shards[shard].at,
        why);
}

bool
shards_link_refusal(const struct shards_link *link, char message[SHARDS_MESSAGE_SIZE])
{
    for (uint32_t i = 0; i < link->map->shard_count; i++) {
        struct remote_client_state state;
        remote_client_look(link->clients[i], &state);
        if (state.refuses) {
            shards_link_tell(link, i, ERR_DENIED, message);
            return true;
        }
    }
    return false;
}
