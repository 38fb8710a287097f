/* Transactions whose participants are HTTP services. Behind the webhooks: their requests leave the
 * same way, and their secrets are sealed with the same key. */
#include "roles.h"

#include "trace/exposition.h"

#include <string.h>

static struct coordinator_settings
settings_of(const struct node_settings *from)
{
    struct coordinator_settings settings = coordinator_settings_default();
    settings.timeout_ms = from->participant_timeout;
    settings.prepare_for_ms = from->participant_prepare_for;
    settings.retry_first_ms = from->participant_retry_first;
    settings.retry_max_ms = from->participant_retry_max;
    settings.retry_for_ms = from->participant_retry_for;
    settings.sweep_interval_ms = from->sweep_interval;
    settings.in_flight_max = (uint32_t)from->webhook_in_flight_max;
    if (strcmp(from->webhook_private, "all") == 0) {
        settings.test_reach = PORT_HTTP_ANYWHERE;
        settings.live_reach = PORT_HTTP_ANYWHERE;
    } else if (strcmp(from->webhook_private, "none") == 0) {
        settings.test_reach = PORT_HTTP_PUBLIC;
    }
    return settings;
}

/* Before the loops run: the sweeper belongs to the resource loop. */
static err_t
coordinator_role_open(struct node *node)
{
    const struct coordinator_parts parts = {
        .runtime = node->runtime,
        .loop = node->resource_loop,
        .clock = &node->service_clock,
        .entropy = node->entropy,
        .keys = events_secret_keys(node->events),
        .http = outbound_port(node->outbound),
        .settings = settings_of(&node->settings),
    };
    err_t result = coordinator_create(&parts, &node->coordinator);
    if (result != ERR_OK) {
        node_explain(node, "participants: %s", err_text(result));
        return result;
    }
    coordinator_start(node->coordinator);
    return ERR_OK;
}

static void
coordinator_role_close(struct node *node)
{
    resource_runtime_destroy(&node->runtime);
    coordinator_destroy(&node->coordinator);
}

static void
coordinator_role_metrics(const struct node *node, struct buf *out)
{
    static const char *const outcomes[COORDINATOR_OUTCOME_COUNT] = {
        [COORDINATOR_CONFIRMED] = "confirmed",
        [COORDINATOR_REFUSED] = "refused",
        [COORDINATOR_FAILED] = "failed",
    };
    struct coordinator_health health = coordinator_health(node->coordinator);
    const struct node_metric all[] = {
        {"tael_participant_transactions_open",
         "gauge",
         "Transactions with participants that have no end yet, found by the last sweep.",
         health.open},
        {"tael_participant_transaction_oldest_seconds",
         "gauge",
         "Age of the oldest of them.",
         (uint64_t)(health.oldest_s < 0 ? 0 : health.oldest_s)},
        {"tael_participant_transactions_stuck",
         "gauge",
         "Those that a participant does not confirm: anything above 0 waits for a person.",
         health.stuck},
        {"tael_participant_transactions_committed_total",
         "counter",
         "Decided so.",
         health.committed},
        {"tael_participant_transactions_aborted_total", "counter", "Decided so.", health.aborted},
    };
    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
    static const char requests[] = "tael_participant_requests_total";
    trace_exposition_head(out, requests, "counter", "Requests to participants by how they ended.");
    for (uint32_t i = 0; i < COORDINATOR_OUTCOME_COUNT; i++) {
        trace_exposition_value(
            out, requests, TRACE_LABELS("outcome", outcomes[i]), health.requests[i]);
    }
}

const struct role role_coordinator = {
    .name = "coordinator",
    .parts = NODE_PAYMENTS,
    .open = coordinator_role_open,
    .close = coordinator_role_close,
    .metrics = coordinator_role_metrics,
};
