/* Payments, with the runtime and the document store that they stand on. */
#include "roles.h"

#include "base/assert.h"

#include <stdio.h>

#define KINDS_MAX 64
/* After a failed write the documents are called unhealthy for so long. */
#define UNHEALTHY_NS (10 * OS_NS_PER_S)

static void
runtime_log(void *context, const char *request_id, err_t code, const char *what)
{
    struct node *node = context;
    if (code == ERR_DATABASE || code == ERR_DISK_FULL || code == ERR_IO ||
        code == ERR_OUTCOME_UNKNOWN) {
        atomic_store(&node->documents_failed_ns, os_monotonic_ns(node->clock));
    }
    TRACE_LOG(
        &node->log,
        TRACE_ERROR,
        "resource",
        span_from_cstr(request_id),
        "operation failed",
        trace_cstr("what", what),
        trace_cstr("error", err_name(code)));
}

static err_t
documents_open(struct node *node)
{
    const struct document_kind *kinds[KINDS_MAX];
    uint32_t count = 0;
    ASSERT(resource_kind_count + payments_kind_count + events_kind_count <= KINDS_MAX);
    for (uint32_t i = 0; i < resource_kind_count; i++) {
        kinds[count++] = resource_kinds[i];
    }
    for (uint32_t i = 0; i < payments_kind_count; i++) {
        kinds[count++] = payments_kinds[i];
    }
    for (uint32_t i = 0; i < events_kind_count; i++) {
        kinds[count++] = events_kinds[i];
    }
    char path[NODE_PATH_SIZE + 64];
    char url[NODE_PATH_SIZE + 80];
    char message[DOCUMENT_MESSAGE_SIZE] = "";
    node_path(node, "tael.db", path);
    (void)snprintf(url, sizeof(url), "sqlite:%s", path);
    err_t result = document_store_open(url, kinds, count, &node->documents, message);
    if (result != ERR_OK) {
        node_explain(node, "documents: %s", message[0] == '\0' ? err_text(result) : message);
    }
    return result;
}

static err_t
runtime_open(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    const struct resource_parts parts = {
        .loop = node->resource_loop,
        .sync_loop = node->sync_loop,
        .clock = node->clock,
        .entropy = node->entropy,
        .documents = node->documents,
        .vault = vault_port(node->vault),
        .settings =
            {
                .rate_per_key = (uint64_t)settings->rate_limit,
                .lock_wait_ns = (uint64_t)settings->lock_timeout * OS_NS_PER_MS,
                .lock_waiters_max = (uint32_t)settings->lock_waiters_max,
                .operations_max = (uint32_t)settings->operations_max,
                .idempotency_keep_ns = (uint64_t)settings->idempotency_keep * OS_NS_PER_MS,
            },
        .refuse_live = cards_rail(node->cards)->simulated,
        .log = runtime_log,
        .log_context = node,
    };
    return resource_runtime_create(&parts, &node->runtime);
}

static err_t
service_open(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    struct payments_parts parts = {
        .runtime = node->runtime,
        .loop = node->resource_loop,
        .clock = node->clock,
        .ledger = ledger_engine_port(node->engine),
        .vault = vault_port(node->vault),
        .card_rail = cards_rail(node->cards),
        .log = &node->log,
        .settings = payments_settings_default(),
    };
    parts.settings.fee_basis_points = settings->fee_basis_points;
    parts.settings.fee_fixed = settings->fee_fixed;
    parts.settings.settlement_delay_s = settings->settlement_delay / 1000;
    parts.settings.authorization_hold_s = settings->authorization_hold / 1000;
    parts.settings.lease_s = settings->attempt_lease / 1000;
    parts.settings.rail_timeout_ms = settings->rail_timeout;
    parts.settings.sweep_interval_ms = settings->sweep_interval;
    parts.settings.reconcile_interval_ms = settings->reconcile_interval;
    return payments_create(&parts, &node->payments);
}

static err_t
payments_role_open(struct node *node)
{
    TRY(documents_open(node));
    err_t result = runtime_open(node);
    if (result == ERR_OK) {
        result = service_open(node);
    }
    if (result != ERR_OK) {
        node_explain(node, "payments: %s", err_text(result));
    }
    return result;
}

/* Before the loops run: the sweeper belongs to the resource loop. */
static err_t
payments_role_begin(struct node *node)
{
    TRY(payments_role_open(node));
    payments_start(node->payments);
    return ERR_OK;
}

/* Services go when the runtime is gone, whose unfinished operations know their routes. */
static void
payments_role_close(struct node *node)
{
    resource_runtime_destroy(&node->runtime);
    payments_destroy(&node->payments);
    events_destroy(&node->events);
    if (node->documents != NULL) {
        node->documents->ops->close(node->documents);
        node->documents = NULL;
    }
}

static bool
payments_role_healthy(const struct node *node, struct buf *why)
{
    uint64_t failed_ns = atomic_load(&node->documents_failed_ns);
    if (failed_ns != 0 && os_monotonic_ns(node->clock) - failed_ns < UNHEALTHY_NS) {
        buf_append_cstr(why, "documents cannot be written");
        return false;
    }
    return true;
}

static void
payments_role_metrics(const struct node *node, struct buf *out)
{
    struct payments_health health = payments_health(node->payments);
    node_metric(
        out,
        "tael_attempts_open",
        "gauge",
        "Attempts without an end, found by the last sweep.",
        health.attempts_open);
    node_metric(
        out,
        "tael_attempt_oldest_seconds",
        "gauge",
        "Age of the oldest of them.",
        (uint64_t)(health.attempt_oldest_s < 0 ? 0 : health.attempt_oldest_s));
    node_metric(
        out,
        "tael_reconcile_runs_total",
        "counter",
        "Comparisons of documents, ledger and rail.",
        health.reconcile_runs);
    node_metric(
        out,
        "tael_differences",
        "gauge",
        "Found by the last complete comparison: anything above 0 is an alarm.",
        health.differences);
}

const struct role role_payments = {
    .name = "payments",
    .open = payments_role_begin,
    .close = payments_role_close,
    .healthy = payments_role_healthy,
    .metrics = payments_role_metrics,
};
