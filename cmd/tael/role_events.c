/* Webhooks: the service, and the requests that it sends to the outside. */
#include "roles.h"

#include "trace/exposition.h"

#include <string.h>
#include <time.h>

#define DRAIN_POLL_MS 10

static err_t
outbound_open(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    struct outbound_parts parts = {
        .net = node->outbound_loop,
        .owner = os_loop_executor(node->resource_loop),
        .ca_file = settings->webhook_ca[0] == '\0' ? NULL : settings->webhook_ca,
        .settings = outbound_settings_default(),
    };
    /* As many for webhooks as for participants, each of which counts its own. */
    parts.settings.requests_max = 2 * (uint32_t)settings->webhook_in_flight_max;
    parts.settings.connections_max = NODE_OUTBOUND_CONNECTIONS(settings);
    err_t result = outbound_create(&parts, &node->outbound);
    if (result != ERR_OK) {
        node_explain(node, "webhooks: webhook-ca: %s", err_text(result));
    }
    return result;
}

static err_t
reach_of(struct node *node, struct events_settings *settings)
{
    const char *who = node->settings.webhook_private;
    settings->test_reach = PORT_HTTP_LOCAL;
    settings->live_reach = PORT_HTTP_PUBLIC;
    if (strcmp(who, "all") == 0) {
        settings->test_reach = PORT_HTTP_ANYWHERE;
        settings->live_reach = PORT_HTTP_ANYWHERE;
    } else if (strcmp(who, "none") == 0) {
        settings->test_reach = PORT_HTTP_PUBLIC;
    } else if (strcmp(who, "test") != 0) {
        return node_misuse(node, "webhook-private is test, all or none");
    }
    return ERR_OK;
}

static err_t
settings_of(struct node *node, struct events_settings *ret_settings)
{
    const struct node_settings *from = &node->settings;
    struct events_settings settings = events_settings_default();
    settings.timeout_ms = from->webhook_timeout;
    settings.live = (struct events_schedule){
        .first_ms = from->webhook_retry_first,
        .max_ms = from->webhook_retry_max,
        .for_ms = from->webhook_retry_for,
    };
    settings.test = (struct events_schedule){
        .first_ms = from->webhook_test_retry_first,
        .max_ms = from->webhook_test_retry_max,
        .for_ms = from->webhook_test_retry_for,
    };
    settings.disable_after_ms = from->webhook_disable_after;
    settings.in_flight_max = (uint32_t)from->webhook_in_flight_max;
    settings.endpoint_in_flight_max = (uint32_t)from->webhook_endpoint_in_flight_max;
    settings.memory_max = (uint64_t)from->webhook_memory_max;
    settings.event_keep_s = from->event_keep / 1000;
    settings.delivery_keep_s =
        (from->webhook_log_keep < from->event_keep ? from->webhook_log_keep : from->event_keep) /
        1000;
    *ret_settings = settings;
    return reach_of(node, ret_settings);
}

static err_t
service_open(struct node *node)
{
    char folder[NODE_PATH_SIZE + 64];
    char message[EVENTS_MESSAGE_SIZE] = "";
    node_path(node, "webhooks", folder);
    static const struct events_recipients participants = {
        .type = &coordinator_participant_type, .of = coordinator_participant_recipient};
    struct events_parts parts = {
        .runtime = node->runtime,
        .loop = node->resource_loop,
        .clock = &node->service_clock,
        .entropy = node->entropy,
        .documents = node->documents,
        .disk = node->disk,
        .folder = folder,
        .key_file =
            node->settings.webhook_key_file[0] == '\0' ? NULL : node->settings.webhook_key_file,
        .recipients = &participants,
        .recipients_count = 1,
        .http = outbound_port(node->outbound),
        .log = &node->log,
        .recorder = traces_recorder(node->traces),
    };
    TRY(settings_of(node, &parts.settings));
    err_t result = events_create(&parts, &node->events, message);
    if (result != ERR_OK) {
        node_explain(node, "webhooks: %s", message[0] == '\0' ? err_text(result) : message);
    }
    return result;
}

/* Before the loops run: the workers belong to the resource loop. */
static err_t
events_role_open(struct node *node)
{
    TRY(outbound_open(node));
    TRY(service_open(node));
    events_start(node->events);
    return ERR_OK;
}

/* Attempts under way get the time that requests get; one that is cut off is made again by the next
 * start. */
static void
events_role_drain(struct node *node)
{
    const struct timespec pause = {.tv_nsec = DRAIN_POLL_MS * 1000000L};
    uint64_t until_ns =
        os_monotonic_ns(node->clock) + (uint64_t)node->settings.drain_timeout * OS_NS_PER_MS;
    role_keys_drain(node);
    events_drain(node->events);
    while (!events_is_drained(node->events) && os_monotonic_ns(node->clock) < until_ns) {
        (void)nanosleep(&pause, NULL);
    }
    outbound_stop(node->outbound);
}

static void
events_role_close(struct node *node)
{
    outbound_destroy(&node->outbound);
    resource_runtime_destroy(&node->runtime);
    events_destroy(&node->events);
}

static void
keys_metrics(const struct node *node, struct buf *out)
{
    struct events_keys_state keys;
    uint64_t older = 0;
    events_keys_look(node->events, &keys);
    for (uint32_t i = 0; i < keys.count; i++) {
        older += i == keys.in_use ? 0 : keys.keys[i].secrets;
    }
    const struct node_metric all[] = {
        {"tael_webhook_keys", "gauge", "Keys of secrets in this process's file.", keys.count},
        {"tael_webhook_key_missing",
         "gauge",
         "1 while the key in use is not in this process's file.",
         keys.in_use == keys.count},
        {"tael_webhook_secrets_old", "gauge", "Secrets under a key that is not in use.", older},
        {"tael_webhook_secrets_unreadable",
         "gauge",
         "Secrets that no key of the file opens.",
         keys.unreadable},
        {"tael_webhook_secrets_sealed_anew_total",
         "counter",
         "Secrets that this process has put under the key in use.",
         keys.anew},
    };
    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
}

static void
events_role_metrics(const struct node *node, struct buf *out)
{
    struct events_health health = events_health(node->events);
    struct outbound_pools pools;
    outbound_count(node->outbound, &pools);

    const struct node_metric all[] = {
        {"tael_webhook_endpoints", "gauge", "Enabled.", health.endpoints},
        {"tael_webhook_queued", "gauge", "Deliveries without an end.", health.queued},
        {"tael_webhook_in_flight", "gauge", "Attempts under way.", health.in_flight},
        {"tael_webhook_endpoints_due",
         "gauge",
         "With a delivery that waits.",
         health.due_endpoints},
        {"tael_outbound_origins", "gauge", "That have a pool.", pools.origins},
        {"tael_outbound_connections", "gauge", "Open in the pools.", pools.connections},
        {"tael_outbound_waiting", "gauge", "Waiting for a connection.", pools.waiting},
        {"tael_webhook_created_total", "counter", "Deliveries.", health.created},
        {"tael_webhook_given_up_total", "counter", "Deliveries given up.", health.given_up},
        {"tael_webhook_disabled_total", "counter", "Endpoints disabled by us.", health.disabled},
        {"tael_webhook_damaged_total",
         "counter",
         "Rows of webhooks and events that could not be read.",
         health.damaged},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
    node_metric_seconds(
        out,
        "tael_outbox_lag_seconds",
        "How long the oldest event waits to become deliveries.",
        health.lag_ms * OS_NS_PER_MS);
    node_metric_seconds(
        out,
        "tael_webhook_overdue_seconds",
        "How long a delivery that is due waits for room, at most.",
        health.overdue_ms * OS_NS_PER_MS);
    static const char attempts[] = "tael_webhook_attempts_total";
    trace_exposition_head(out, attempts, "counter", "Attempts by how they ended.");
    for (uint32_t i = 0; i < EVENTS_OUTCOME_COUNT; i++) {
        const char *outcome = events_outcome_name((enum events_outcome)i);
        trace_exposition_value(out, attempts, TRACE_LABELS("outcome", outcome), health.outcomes[i]);
    }
    keys_metrics(node, out);
}

const struct role role_events = {
    .name = "events",
    .parts = NODE_EVENTS,
    .open = events_role_open,
    .drain = events_role_drain,
    .close = events_role_close,
    .metrics = events_role_metrics,
};
