#include "roles.h"

#include "base/assert.h"
#include "base/ip.h"
#include "os/loop_real.h"
#include "os/process.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void
node_explain(struct node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(node->message, sizeof(node->message), format, arguments);
    va_end(arguments);
}

err_t
node_misuse(struct node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(node->message, sizeof(node->message), format, arguments);
    va_end(arguments);
    node->is_misused = true;
    return ERR_INVALID;
}

/* What stands in a setting is as wrong at the next start; all else may have changed by then. */
static bool
is_of_the_settings(err_t code)
{
    return code == ERR_INVALID || code == ERR_RANGE || code == ERR_UNSUPPORTED;
}

err_t
node_refuse(struct node *node, err_t code, const char *what, const char *why)
{
    node_explain(node, "%s: %s", what, why[0] == '\0' ? err_text(code) : why);
    node->is_misused = is_of_the_settings(code);
    return code;
}

void
node_want_files(struct node *node, uint64_t more)
{
    node->files_wanted += more;
    node->files_allowed = os_process_raise_file_limit(node->files_wanted);
}

void
node_tell_files(struct node *node)
{
    if (node->files_allowed < node->files_wanted) {
        TRACE_LOG(
            &node->log,
            TRACE_WARNING,
            "server",
            SPAN_EMPTY,
            "there may be too few file descriptors: raise the hard limit (LimitNOFILE of systemd, "
            "ulimit -Hn), or lower connections-max, internal-connections-max and "
            "webhook-in-flight-max",
            trace_u64("allowed", node->files_allowed),
            trace_u64("wanted", node->files_wanted));
    }
}

void
node_path(const struct node *node, const char *name, char out[NODE_PATH_SIZE + 64])
{
    struct buf text;
    buf_init_fixed(&text, out, NODE_PATH_SIZE + 63);
    buf_append_format(&text, "%s/%s", node->settings.data, name);
    ASSERT(!buf_failed(&text));
    out[text.size] = '\0';
}

const char *
node_folder_text(err_t error)
{
    return error == ERR_EXISTS      ? "it is no folder"
           : error == ERR_NOT_FOUND ? "the folder above it is not there"
                                    : err_text(error);
}

/* One process has the folder: the lock ends with it. */
static err_t
folder_open(struct node *node)
{
    char path[NODE_PATH_SIZE + 64];
    const char *folder = node->settings.data;
    err_t result = node->disk->ops->make_folder(node->disk, folder);
    if (result != ERR_OK) {
        node_explain(node, "data folder %s: %s", folder, node_folder_text(result));
        return result;
    }
    node_path(node, "lock", path);
    result = node->disk->ops->open(node->disk, path, OS_OPEN_CREATE, false, &node->lock_file, NULL);
    if (result == ERR_EXISTS) {
        result =
            node->disk->ops->open(node->disk, path, OS_OPEN_WRITE, false, &node->lock_file, NULL);
    }
    if (result == ERR_OK) {
        result = node->disk->ops->lock(node->disk, node->lock_file);
    }
    if (result != ERR_OK) {
        node_explain(node, "data folder %s: %s", folder, err_text(result));
    }
    return result;
}

static err_t
loops_open(struct node *node)
{
    TRY(os_loop_create("resource", node->clock, &node->resource_loop));
    TRY(os_loop_create("sync", node->clock, &node->sync_loop));
    TRY(os_loop_create("cards", node->clock, &node->cards_loop));
    TRY(os_loop_create("ledger-api", node->clock, &node->ledger_api_loop));
    TRY(net_loop_create("traces", &node->traces_loop));
    TRY(net_loop_create("outbound", &node->outbound_loop));
    TRY(net_loop_create("peers", &node->peers_loop));
    return net_loop_create("net", &node->net_loop);
}

static void
pulses_open(struct node *node)
{
    struct os_loop *const watched[] = {
        node->resource_loop, node->sync_loop, node->cards_loop, node->ledger_api_loop};
    static_assert(sizeof(watched) / sizeof(watched[0]) == NODE_PULSE_NET, "the sockets' is last");
    for (size_t i = 0; i < NODE_PULSE_NET; i++) {
        pulse_init(&node->pulses[i], watched[i]->name, os_loop_executor(watched[i]), node->clock);
    }
    pulse_init(
        &node->pulses[NODE_PULSE_NET], "net", net_loop_executor(node->net_loop), node->clock);
}

err_t
node_start_peers_loop(struct node *node)
{
    if (node->peers_loop_runs) {
        return ERR_OK;
    }
    err_t result = net_loop_start(node->peers_loop);
    if (result != ERR_OK) {
        node_explain(node, "threads: %s", err_text(result));
        return result;
    }
    node->peers_loop_runs = true;
    return ERR_OK;
}

bool
node_has(const struct node *node, const struct role *role)
{
    return role->parts == 0 || (role->parts & node->parts) != 0;
}

err_t
node_open(struct node *node)
{
    TRY(folder_open(node));
    err_t result = loops_open(node);
    if (result != ERR_OK) {
        node_explain(node, "threads: %s", err_text(result));
        return result;
    }
    pulses_open(node);
    for (size_t i = 0; i < node_role_count; i++) {
        if (node_has(node, node_roles[i]) && node_roles[i]->open != NULL) {
            TRY(node_roles[i]->open(node));
        }
    }
    return ERR_OK;
}

err_t
node_start(struct node *node)
{
    TRY(net_loop_start(node->traces_loop));
    TRY(os_loop_start(node->cards_loop));
    TRY(os_loop_start(node->sync_loop));
    TRY(os_loop_start(node->resource_loop));
    TRY(os_loop_start(node->ledger_api_loop));
    if (node->broker_loop != NULL) {
        TRY(os_loop_start(node->broker_loop));
    }
    TRY(net_loop_start(node->outbound_loop));
    TRY(net_loop_start(node->net_loop));
    node->loops_run = true;
    for (size_t i = 0; i < node_role_count; i++) {
        if (node_has(node, node_roles[i]) && node_roles[i]->start != NULL) {
            node_roles[i]->start(node);
        }
    }
    atomic_store(&node->state, NODE_RUNNING);
    return ERR_OK;
}

void
node_stop(struct node *node)
{
    for (size_t i = node_role_count; node->loops_run && i > 0; i--) {
        if (node_has(node, node_roles[i - 1]) && node_roles[i - 1]->drain != NULL) {
            node_roles[i - 1]->drain(node);
        }
    }
    /* What sweepers still had under way is taken up by the next start. */
    net_loop_stop(node->net_loop);
    net_loop_stop(node->outbound_loop);
    os_loop_stop(node->broker_loop);
    os_loop_stop(node->ledger_api_loop);
    os_loop_stop(node->resource_loop);
    os_loop_stop(node->sync_loop);
    os_loop_stop(node->cards_loop);
    net_loop_stop(node->traces_loop);
    node->loops_run = false;
    /* It runs before the others, and also if they never did. */
    if (node->peers_loop_runs) {
        role_shards_stop(node);
        role_peers_stop(node);
        role_operators_stop(node);
        net_loop_stop(node->peers_loop);
        node->peers_loop_runs = false;
    }
    /* It has a thread of its own, which works on memory of those who asked: before any of them is
     * closed, and behind the loops that could still ask. */
    ledger_engine_close(&node->engine);
}

void
node_close(struct node *node)
{
    ASSERT(!node->loops_run);
    for (size_t i = node_role_count; i > 0; i--) {
        if (node_has(node, node_roles[i - 1]) && node_roles[i - 1]->close != NULL) {
            node_roles[i - 1]->close(node);
        }
    }
    net_loop_destroy(&node->net_loop);
    net_loop_destroy(&node->outbound_loop);
    net_loop_destroy(&node->traces_loop);
    net_loop_destroy(&node->peers_loop);
    os_loop_destroy(node->ledger_api_loop);
    os_loop_destroy(node->resource_loop);
    os_loop_destroy(node->sync_loop);
    os_loop_destroy(node->cards_loop);
    if (node->lock_file != NULL) {
        node->disk->ops->close(node->disk, node->lock_file);
    }
}

bool
node_pause(struct node *node, uint32_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    if (sem_clockwait(node->wake, CLOCK_MONOTONIC, &until) != 0) {
        return true;
    }
    (void)sem_post(node->wake); /* for whoever waits next */
    return false;
}

/* ---------------------------------------------------------------------------------- listeners */

bool
node_address_split(const char *text, char address[NODE_ADDRESS_SIZE], uint16_t *ret_port)
{
    struct span host;
    if (!ip_port_split(span_from_cstr(text), &host, ret_port)) {
        return false;
    }
    memcpy(address, host.data, host.size);
    address[host.size] = '\0';
    return true;
}

err_t
node_listen(
    struct node *node,
    struct net_server *server,
    const char *text,
    int64_t port,
    struct net_tls *tls,
    uint16_t *ret_port)
{
    char address[NODE_ADDRESS_SIZE];
    struct net_listen listen = {.address = address, .tls = tls};
    err_t result = node_address_split(text, address, &listen.port) ? ERR_OK : ERR_INVALID;
    if (port >= 0) {
        listen.port = (uint16_t)port;
    }
    if (result == ERR_OK) {
        result = net_server_listen(server, &listen, ret_port);
    }
    if (result != ERR_OK) {
        node_explain(node, "cannot listen on %s: %s", text, net_listen_text(result));
    }
    return result;
}
