/* The documents, and the runtime that the services stand on. */
#include "roles.h"

#include "base/assert.h"
#include "base/list.h"
#include "trace/exposition.h"

#include <stdio.h>
#include <string.h>

/* After a failed write the documents are called unhealthy for so long. */
#define UNHEALTHY_NS (10 * OS_NS_PER_S)
#define TURN_NS      (20 * OS_NS_PER_MS)

bool
node_documents_in_shards(const struct node *node)
{
    return strncmp(node->settings.documents, "shards:", strlen("shards:")) == 0;
}

/* Of one database. In shards it is that of some merchants, while the others' work goes on; whether
 * the platform's can be reached is asked apart. */
static bool
is_unhealthy(const struct node *node, err_t code, const char *what)
{
    /* Closed: the database's connection, or that of another service. */
    bool closed = code == ERR_CLOSED && node->documents->shared != NULL;
    /* Of other work these two are what the ledger, or another service, said. */
    bool commits = strcmp(what, "commit") == 0 || strcmp(what, "sync") == 0;
    bool failed = code == ERR_DISK_FULL || code == ERR_OUTCOME_UNKNOWN;
    return !node_documents_in_shards(node) &&
           (closed || code == ERR_DATABASE || code == ERR_IO || (commits && failed));
}

static void
runtime_log(
    void *context,
    const char *request_id,
    const struct trace_context *trace,
    err_t code,
    const char *what)
{
    struct node *node = context;
    char trace_id[TRACECONTEXT_TRACE_ID_SIZE + 1];
    if (is_unhealthy(node, code, what)) {
        atomic_store(&node->documents_failure, code);
        atomic_store(&node->documents_failed_ns, os_monotonic_ns(node->clock));
    }
    TRACE_LOG(
        &node->log,
        TRACE_ERROR,
        "resource",
        trace_context_id(trace, trace_id),
        "operation failed",
        trace_cstr("request", request_id),
        trace_cstr("what", what),
        trace_cstr("error", err_name(code)));
}

/* Whose rows are in the database. */
static const struct {
    const struct document_kind *const *kinds;
    const uint32_t *count;
} all_kinds[] = {
    {resource_kinds, &resource_kind_count},
    {wallets_kinds, &wallets_kind_count},
    {mobile_kinds, &mobile_kind_count},
    {coordinator_kinds, &coordinator_kind_count},
    {payments_kinds, &payments_kind_count},
    {events_kinds, &events_kind_count},
    {requests_kinds, &requests_kind_count},
    {relay_kinds, &relay_kind_count},
};

uint32_t
node_document_kinds(const struct document_kind *ret_kinds[NODE_KINDS_MAX])
{
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof(all_kinds) / sizeof(all_kinds[0]); i++) {
        ASSERT(count + *all_kinds[i].count <= NODE_KINDS_MAX);
        for (uint32_t j = 0; j < *all_kinds[i].count; j++) {
            ret_kinds[count++] = all_kinds[i].kinds[j];
        }
    }
    return count;
}

static err_t
documents_open(struct node *node)
{
    const struct document_kind *kinds[NODE_KINDS_MAX];
    uint32_t count = node_document_kinds(kinds);
    char path[NODE_PATH_SIZE + 64];
    char file[NODE_PATH_SIZE + 80];
    char message[DOCUMENT_MESSAGE_SIZE] = "";
    node_path(node, "tael.db", path);
    (void)snprintf(file, sizeof(file), "sqlite:%s", path);
    const char *url = node->settings.documents[0] == '\0' ? file : node->settings.documents;
    err_t result = document_store_open(url, kinds, count, &node->documents, message);
    return result == ERR_OK ? ERR_OK : node_refuse(node, result, "documents", message);
}

/* ------------------------------------------------------------------------------------- clock */

static uint64_t
service_wall_ns(struct os_clock *clock)
{
    const struct node *node = CONTAINER_OF(clock, struct node, service_clock);
    const struct document_shared_ops *shared = node->documents->shared;
    /* Leases and times of rows are compared by processes on several machines. */
    return shared == NULL ? os_wall_ns(node->clock) : shared->clock_ns(node->documents);
}

static uint64_t
service_monotonic_ns(struct os_clock *clock)
{
    return os_monotonic_ns(CONTAINER_OF(clock, struct node, service_clock)->clock);
}

static err_t
runtime_open(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    const struct resource_parts parts = {
        .loop = node->resource_loop,
        .sync_loop = node->sync_loop,
        .clock = &node->service_clock,
        .entropy = node->entropy,
        .documents = node->documents,
        .vault = node->vault_port,
        .cache = node->redis == NULL ? NULL : redis_port(node->redis),
        .settings =
            {
                .rate_per_key = (uint64_t)settings->rate_limit,
                .lock_wait_ns = (uint64_t)settings->lock_timeout * OS_NS_PER_MS,
                .lock_waiters_max = (uint32_t)settings->lock_waiters_max,
                .operations_max = (uint32_t)settings->operations_max,
                .cache_entries_max = settings->cache[0] == '\0' ? 0 : (uint32_t)settings->cache_max,
                .cache_bytes_max = (uint64_t)settings->cache_memory,
                .cache_life_ns = (uint64_t)settings->cache_lifetime * OS_NS_PER_MS,
                .search_looked_max = (uint32_t)settings->search_max,
                .idempotency_keep_ns = (uint64_t)settings->idempotency_keep * OS_NS_PER_MS,
                .event_keep_ns = (uint64_t)settings->event_keep * OS_NS_PER_MS,
            },
        .refuse_live = node->card_rail->simulated,
        .recorder = traces_recorder(node->traces),
        .documents_system = node->documents->shared == NULL ? "sqlite" : "postgresql",
        .log = runtime_log,
        .log_context = node,
    };
    return resource_runtime_create(&parts, &node->runtime);
}

/* A turn of the loop looks whether a shard calls (document/document.h: maintain). With nothing to
 * do there would be none, and whoever moves merchants would wait. */
static void
documents_turn(struct os_timer *timer)
{
    struct node *node = CONTAINER_OF(timer, struct node, documents_timer);
    os_timer_arm(node->resource_loop, timer, os_monotonic_ns(node->clock) + TURN_NS);
}

static err_t
documents_role_open(struct node *node)
{
    TRY(documents_open(node));
    node->service_clock =
        (struct os_clock){.wall_ns = service_wall_ns, .monotonic_ns = service_monotonic_ns};
    err_t result = runtime_open(node);
    if (result != ERR_OK) {
        node_explain(node, "documents: %s", err_text(result));
        return result;
    }
    if (node_documents_in_shards(node)) {
        node->documents_timer = (struct os_timer){.fire = documents_turn};
        os_timer_arm(
            node->resource_loop, &node->documents_timer, os_monotonic_ns(node->clock) + TURN_NS);
    }
    return ERR_OK;
}

static void
documents_role_close(struct node *node)
{
    resource_runtime_destroy(&node->runtime);
    if (node->documents != NULL) {
        node->documents->ops->close(node->documents);
        node->documents = NULL;
    }
}

static bool
documents_role_healthy(const struct node *node, struct buf *why)
{
    const struct document_shared_ops *shared = node->documents->shared;
    if (shared != NULL && !shared->connected(node->documents)) {
        buf_append_cstr(why, "the documents' database cannot be reached");
        return false;
    }
    uint64_t failed_ns = atomic_load(&node->documents_failed_ns);
    if (failed_ns != 0 && os_monotonic_ns(node->clock) - failed_ns < UNHEALTHY_NS) {
        bool is_full = atomic_load(&node->documents_failure) == ERR_DISK_FULL;
        buf_append_cstr(
            why, is_full ? "the disk of the documents is full" : "documents cannot be written");
        return false;
    }
    return true;
}

/* The at-th database of a map; false: there are no more. */
static bool
shard_look(const struct node *node, uint32_t at, const char **ret_name, bool *ret_connected)
{
    const struct document_shared_ops *shared = node->documents->shared;
    return shared != NULL && shared->shard != NULL &&
           shared->shard(node->documents, at, ret_name, ret_connected);
}

static void
documents_role_lacks(const struct node *node, struct buf *out)
{
    const char *name = NULL;
    bool connected = false;
    for (uint32_t i = 0; shard_look(node, i, &name, &connected); i++) {
        if (!connected) {
            buf_append_format(out, ", without shard %s of the documents", name);
        }
    }
}

static void
documents_role_metrics(const struct node *node, struct buf *out)
{
    static const char ready[] = "tael_document_shards_ready";
    const char *name = NULL;
    bool connected = false;
    resource_metrics_render(out);
    for (uint32_t i = 0; shard_look(node, i, &name, &connected); i++) {
        if (i == 0) {
            trace_exposition_head(out, ready, "gauge", "1 if the database is connected.");
        }
        trace_exposition_value(out, ready, TRACE_LABELS("shard", name), connected);
    }
}

const struct role role_documents = {
    .name = "documents",
    .parts = NODE_DOCUMENTS,
    .open = documents_role_open,
    .close = documents_role_close,
    .healthy = documents_role_healthy,
    .lacks = documents_role_lacks,
    .metrics = documents_role_metrics,
};
