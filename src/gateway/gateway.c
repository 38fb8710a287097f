/* The gateway's life, and how a new configuration comes into its place. */
#include "gateway_private.h"

#include "base/assert.h"
#include "os/loop_real.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
/* For the first look at the names and files of upstreams, and between looks whether it was taken.
 */
#define ENDPOINTS_WAIT_MS 5000
#define ENDPOINTS_LOOK_MS 5

static void
log_info(const struct gateway *gateway, const char *message)
{
    const struct trace_entry entry = {
        .level = TRACE_INFO, .component = "gateway", .message = span_from_cstr(message)};
    if (trace_log_enabled(gateway->parts.log, TRACE_INFO)) {
        trace_log_write(gateway->parts.log, &entry);
    }
}

u128
gateway_random(struct gateway *gateway)
{
    u128 random;
    if (gateway->random_used + sizeof(random) > sizeof(gateway->random)) {
        struct os_entropy *entropy = gateway->parts.entropy;
        entropy->fill(entropy, gateway->random, sizeof(gateway->random));
        gateway->random_used = 0;
    }
    memcpy(&random, gateway->random + gateway->random_used, sizeof(random));
    gateway->random_used += sizeof(random);
    return random;
}

/* ------------------------------------------------------------------------------- reading files */

static err_t
config_load(
    struct os_disk *disk,
    const char *file,
    struct gateway_config **ret_config,
    char reason[GATEWAY_REASON_SIZE])
{
    char *text = NULL;
    size_t size = 0;
    err_t result = os_file_load(disk, file, GATEWAY_CONFIG_BYTES_MAX, &text, &size);
    if (result != ERR_OK) {
        (void)snprintf(reason, GATEWAY_REASON_SIZE, "%.512s: %s", file, err_text(result));
        return result;
    }
    char message[GATEWAY_MESSAGE_SIZE];
    result = gateway_config_read(span_of(text, size), ret_config, message);
    if (result != ERR_OK) {
        (void)snprintf(reason, GATEWAY_REASON_SIZE, "%.512s: %s", file, message);
    }
    free(text);
    return result;
}

static void
explain_access(const struct gateway_config *config, err_t result, char reason[GATEWAY_REASON_SIZE])
{
    (void)snprintf(
        reason,
        GATEWAY_REASON_SIZE,
        "access_log: %.512s: %s",
        config->access_log,
        err_text(result));
}

/* As far as can be said without making the file. What is no regular file is somebody's. */
static err_t
check_access(
    struct os_disk *disk, const struct gateway_config *config, char reason[GATEWAY_REASON_SIZE])
{
    const char *path = config->access_log;
    if (strcmp(path, "-") == 0 || strcmp(path, "off") == 0) {
        return ERR_OK;
    }
    struct os_file *file = NULL;
    err_t result = disk->ops->open(disk, path, OS_OPEN_WRITE, false, &file, NULL);
    if (file != NULL) {
        disk->ops->close(disk, file);
    }
    if (result == ERR_NOT_FOUND) {
        const char *slash = strrchr(path, '/');
        char folder[GATEWAY_FILE_SIZE] = ".";
        if (slash != NULL) {
            (void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path + 1), path);
        }
        result = disk->ops->sync_folder(disk, folder);
    }
    if (result != ERR_OK && result != ERR_INVALID) {
        explain_access(config, result, reason);
        return result;
    }
    return ERR_OK;
}

static err_t
check_files(
    struct os_disk *disk, const struct gateway_config *config, char reason[GATEWAY_REASON_SIZE])
{
    for (size_t i = 0; i < config->listener_count; i++) {
        TRY(gateway_listener_check(&config->listeners[i], reason));
    }
    for (size_t i = 0; i < config->upstream_count; i++) {
        TRY(gateway_target_check(&config->upstreams[i], reason));
    }
    TRY(gateway_redis_check(disk, &config->redis, reason));
    return check_access(disk, config, reason);
}

err_t
gateway_check(struct os_disk *disk, const char *config_file, char reason[GATEWAY_REASON_SIZE])
{
    struct gateway_config *config = NULL;
    TRY(config_load(disk, config_file, &config, reason));
    err_t result = check_files(disk, config, reason);
    gateway_config_destroy(&config);
    return result;
}

void
gateway_help(struct buf *out)
{
    gateway_config_help(out);
}

/* -------------------------------------------------------------------------------------- reload */

/* What goes to the loop, whose thread puts it in place. */
struct change {
    struct os_task task;
    struct gateway *gateway;
    struct gateway_generation *generation;
    struct gateway_listeners *listeners;
};

static void
on_switch(struct os_task *task)
{
    struct change *change = CONTAINER_OF(task, struct change, task);
    struct gateway *gateway = change->gateway;
    for (size_t i = 0; i < change->listeners->count; i++) {
        if (change->listeners->renewed[i] != NULL) {
            net_tls_replace(change->listeners->listeners[i]->tls, &change->listeners->renewed[i]);
        }
    }
    memcpy(gateway->serving, change->listeners->listeners, sizeof(gateway->serving));
    gateway->serving_count = change->listeners->count;
    gateway_generation_switch(change->generation);
    (void)sem_post(&gateway->switched);
}

static void
switch_on_loop(
    struct gateway *gateway,
    struct gateway_generation *generation,
    struct gateway_listeners *listeners)
{
    struct change change = {
        .task.run = on_switch,
        .gateway = gateway,
        .generation = generation,
        .listeners = listeners,
    };
    os_post(net_loop_executor(gateway->parts.loop), &change.task);
    while (sem_wait(&gateway->switched) != 0) {
    }
}

static void
sleep_ms(uint64_t duration_ms)
{
    struct timespec rest = {
        .tv_sec = (time_t)(duration_ms / 1000), .tv_nsec = (long)(duration_ms % 1000 * NS_PER_MS)};
    while (nanosleep(&rest, &rest) != 0) {
    }
}

/* An upstream that follows a name or a file has no endpoint before that was looked up or read. What
 * that gave, if only an error, is how things are. */
static void
wait_for_endpoints(const struct gateway_generation *generation)
{
    for (int i = 0; i < ENDPOINTS_WAIT_MS / ENDPOINTS_LOOK_MS; i++) {
        if (!gateway_generation_is_unknown(generation)) {
            return;
        }
        sleep_ms(ENDPOINTS_LOOK_MS);
    }
}

/* CONFIG-1: requests that find a machine now find one then. */
static err_t
check_endpoints(
    const struct gateway *gateway,
    const struct gateway_generation *generation,
    char reason[GATEWAY_REASON_SIZE])
{
    wait_for_endpoints(generation);
    const struct gateway_target *lacking = gateway_generation_lacks(generation, gateway->current);
    if (lacking == NULL) {
        return ERR_OK;
    }
    (void)snprintf(
        reason,
        GATEWAY_REASON_SIZE,
        "upstreams.%s: no endpoint was found, and there are some now",
        lacking->name);
    return ERR_NOT_FOUND;
}

/* Everything that can fail comes before anything that changes. */
static err_t
reload(struct gateway *gateway, char reason[GATEWAY_REASON_SIZE])
{
    struct gateway_config *config = NULL;
    struct gateway_generation *generation = NULL;
    struct gateway_listeners listeners;
    TRY(config_load(gateway->parts.disk, gateway->parts.config_file, &config, reason));
    err_t result = gateway_listeners_prepare(gateway, config, &listeners, reason);
    if (result != ERR_OK) {
        gateway_config_destroy(&config);
        return result;
    }
    result = gateway_access_open(gateway, config->access_log);
    if (result != ERR_OK) {
        explain_access(config, result, reason);
        gateway_config_destroy(&config);
    } else {
        result = gateway_generation_create(gateway, config, &generation, reason);
    }
    if (result == ERR_OK) {
        result = check_endpoints(gateway, generation, reason);
    }
    if (result != ERR_OK) {
        gateway_generation_destroy(&generation);
        gateway_listeners_abandon(gateway, &listeners);
        return result;
    }
    uint32_t drain_ms = (uint32_t)generation->config->drain_timeout;
    gateway_generation_refresh(generation);
    switch_on_loop(gateway, generation, &listeners);
    gateway_listeners_adopt(gateway, &listeners, true, drain_ms);
    return ERR_OK;
}

err_t
gateway_reload_now(struct gateway *gateway, char reason[GATEWAY_REASON_SIZE])
{
    reason[0] = '\0';
    if (gateway->draining) {
        (void)snprintf(reason, GATEWAY_REASON_SIZE, "the gateway drains");
        return ERR_CLOSED;
    }
    err_t result = reload(gateway, reason);
    if (result == ERR_OK) {
        gateway->reload_count++;
        gateway->reload_refused = false;
        log_info(gateway, "the new configuration counts from now on");
        return ERR_OK;
    }
    gateway->reload_failed_count++;
    gateway->reload_refused = true;
    TRACE_LOG(
        gateway->parts.log,
        TRACE_ERROR,
        "gateway",
        SPAN_EMPTY,
        "the new configuration is refused, the old one stays",
        trace_cstr("reason", reason));
    return result;
}

static void
on_reload(struct os_task *task)
{
    struct gateway *gateway = CONTAINER_OF(task, struct gateway, reload_task);
    char reason[GATEWAY_REASON_SIZE];
    gateway->reload_waits = false; /* what is asked for from now on is another reload */
    (void)gateway_reload_now(gateway, reason);
}

void
gateway_reload(struct gateway *gateway)
{
    bool waits = atomic_exchange(&gateway->reload_waits, true);
    if (!waits) {
        os_post(os_loop_executor(gateway->operations), &gateway->reload_task);
    }
}

/* ---------------------------------------------------------------------------------------- life */

static err_t
admin_open(struct gateway *gateway, const char *address, char reason[GATEWAY_REASON_SIZE])
{
    if (address[0] == '\0') {
        return ERR_OK;
    }
    struct net_server_settings settings = net_server_settings_default;
    settings.connections_max = 256;
    settings.requests_max = 256;
    settings.limits.body = 4096;
    struct net_server_hooks hooks = gateway_admin_hooks;
    hooks.context = gateway;
    err_t result = net_server_create(gateway->parts.loop, &settings, &hooks, &gateway->admin);
    char host[GATEWAY_HOST_SIZE + 8];
    struct net_listen listen = {.address = host};
    if (result == ERR_OK) {
        result = gateway_address_split(address, host, &listen.port);
    }
    if (result == ERR_OK) {
        result = net_server_listen(gateway->admin, &listen, &gateway->admin_port);
    }
    if (result != ERR_OK) {
        (void)snprintf(
            reason,
            GATEWAY_REASON_SIZE,
            "admin %s: cannot listen: %s",
            address,
            net_listen_text(result));
    }
    return result;
}

static err_t
first_generation(struct gateway *gateway, char reason[GATEWAY_REASON_SIZE])
{
    struct gateway_config *config = NULL;
    struct gateway_generation *generation = NULL;
    struct gateway_listeners listeners;
    TRY(config_load(gateway->parts.disk, gateway->parts.config_file, &config, reason));
    err_t result = gateway_limit_create((uint32_t)config->subjects_max, &gateway->limits);
    if (result == ERR_OK) {
        result = gateway_access_open(gateway, config->access_log);
    }
    if (result != ERR_OK) {
        explain_access(config, result, reason);
    } else {
        result = gateway_listeners_prepare(gateway, config, &listeners, reason);
    }
    if (result != ERR_OK) {
        gateway_config_destroy(&config);
        return result;
    }
    gateway_listeners_adopt(gateway, &listeners, false, 0);
    memcpy(gateway->serving, gateway->listeners, sizeof(gateway->serving));
    gateway->serving_count = gateway->listener_count;
    result = admin_open(gateway, config->admin_address, reason);
    if (result != ERR_OK) {
        gateway_config_destroy(&config);
        return result;
    }
    TRY(gateway_generation_create(gateway, config, &generation, reason));
    gateway_generation_switch(generation);
    return ERR_OK;
}

/* Before any other thread looks at it. */
static void
describe(struct gateway *gateway)
{
    struct buf text;
    struct buf *out = &text;
    buf_init_fixed(out, gateway->description, sizeof(gateway->description) - 1);
    for (size_t i = 0; i < gateway->listener_count; i++) {
        const struct gateway_listener *listener = gateway->listeners[i];
        const char *colon = strrchr(listener->config.address, ':');
        buf_append_format(
            out,
            "listening on %s://%.*s:%u\n",
            listener->tls != NULL ? "https" : "http",
            (int)(colon - listener->config.address),
            listener->config.address,
            (unsigned)listener->port);
    }
    if (gateway->admin != NULL) {
        const char *address = gateway->current->config->admin_address;
        const char *colon = strrchr(address, ':');
        buf_append_format(
            out,
            "operators: http://%.*s:%u\n",
            (int)(colon - address),
            address,
            (unsigned)gateway->admin_port);
    }
}

err_t
gateway_create(
    const struct gateway_parts *parts,
    struct gateway **ret_gateway,
    char reason[GATEWAY_REASON_SIZE])
{
    struct gateway *gateway = calloc(1, sizeof(*gateway));
    (void)snprintf(reason, GATEWAY_REASON_SIZE, "%s", err_text(ERR_MEMORY));
    if (gateway == NULL) {
        return ERR_MEMORY;
    }
    gateway->parts = *parts;
    gateway->reload_task.run = on_reload;
    gateway->random_used = sizeof(gateway->random);
    parts->entropy->fill(parts->entropy, &gateway->hash_key, sizeof(gateway->hash_key));
    err_t result = sem_init(&gateway->switched, 0, 0) == 0 ? ERR_OK : ERR_IO;
    if (result == ERR_OK) {
        result = os_loop_create("gateway-ops", parts->clock, &gateway->operations);
    }
    if (result == ERR_OK) {
        result = gateway_access_create(gateway, &gateway->access);
    }
    if (result == ERR_OK) {
        result = first_generation(gateway, reason);
    }
    if (result == ERR_OK) {
        describe(gateway);
        result = os_loop_start(gateway->operations);
    }
    if (result != ERR_OK) {
        gateway_destroy(&gateway);
        return result;
    }
    *ret_gateway = gateway;
    return ERR_OK;
}

void
gateway_start(struct gateway *gateway)
{
    gateway->started = true;
    /* Connections wait for it too; after that they are better told that there is nobody. */
    wait_for_endpoints(gateway->current);
    for (size_t i = 0; i < gateway->listener_count; i++) {
        net_server_start(gateway->listeners[i]->server);
    }
    if (gateway->admin != NULL) {
        net_server_start(gateway->admin);
    }
}

struct barrier {
    struct os_task task;
    sem_t *passed;
};

static void
on_barrier(struct os_task *task)
{
    (void)sem_post(CONTAINER_OF(task, struct barrier, task)->passed);
}

/* Behind a reload that goes on now; another will not begin, because `draining` is set. So listeners
 * and generations are the caller's from here on. */
static void
reloads_end(struct gateway *gateway)
{
    struct barrier barrier = {.task.run = on_barrier, .passed = &gateway->switched};
    os_post(os_loop_executor(gateway->operations), &barrier.task);
    while (sem_wait(&gateway->switched) != 0) {
    }
}

void
gateway_drain(struct gateway *gateway)
{
    gateway->draining = true;
    reloads_end(gateway);
    uint64_t delay_ms = (uint64_t)gateway->current->config->drain_delay;
    uint32_t drain_ms = (uint32_t)gateway->current->config->drain_timeout;
    log_info(gateway, "not ready any more; still accepting");
    sleep_ms(delay_ms);
    log_info(gateway, "accepting no more; requests under way end");
    for (size_t i = 0; i < gateway->listener_count; i++) {
        net_server_stop(gateway->listeners[i]->server, drain_ms);
    }
    if (gateway->admin != NULL) {
        net_server_stop(gateway->admin, 0);
    }
    os_loop_stop(gateway->operations); /* generations that retired are gone */
    gateway_generation_destroy(&gateway->current);
    gateway_access_stop(gateway->access);
    gateway->started = false;
}

void
gateway_destroy(struct gateway **gateway_pointer)
{
    struct gateway *gateway = *gateway_pointer;
    if (gateway == NULL) {
        return;
    }
    ASSERT(!gateway->started);
    for (size_t i = 0; i < gateway->listener_count; i++) {
        gateway_listener_destroy(&gateway->listeners[i]);
    }
    net_server_destroy(&gateway->admin);
    gateway_generation_destroy(&gateway->current);
    gateway_requests_release(gateway);
    gateway_access_destroy(&gateway->access);
    gateway_limit_destroy(&gateway->limits);
    os_loop_destroy(gateway->operations);
    (void)sem_destroy(&gateway->switched);
    free(gateway);
    *gateway_pointer = NULL;
}

void
gateway_describe(const struct gateway *gateway, struct buf *out)
{
    buf_append_cstr(out, gateway->description);
}
