/* Events to a message broker: the relay, and the broker that it publishes to. */
#include "roles.h"

#include "os/loop_real.h"

#include <time.h>

#define DRAIN_POLL_MS 10

static err_t
broker_open(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    char message[BROKER_MESSAGE_SIZE] = "";
    const struct broker_parts parts = {
        .loop = node->broker_loop,
        .clock = node->clock,
        .log = &node->log,
        .settings =
            {
                .url = settings->broker,
                .ca_file = settings->broker_ca,
                .config_file = settings->broker_config,
                .timeout_ms = (uint32_t)settings->broker_timeout,
            },
    };
    err_t result = broker_create(&parts, &node->broker, message);
    return result == ERR_OK ? ERR_OK : node_refuse(node, result, "broker", message);
}

static err_t
relay_open(struct node *node)
{
    const struct relay_parts parts = {
        .runtime = node->runtime,
        .loop = node->resource_loop,
        .clock = node->clock,
        .entropy = node->entropy,
        .documents = node->documents,
        .broker = broker_port(node->broker),
        .settings = relay_settings_default(),
    };
    TRY(relay_create(&parts, &node->relay));
    return relay_start(node->relay);
}

/* Before the loops run: the relay belongs to the resource loop. */
static err_t
broker_role_open(struct node *node)
{
    if (node->settings.broker[0] == '\0') {
        return ERR_OK;
    }
    err_t result = os_loop_create("broker", node->clock, &node->broker_loop);
    if (result != ERR_OK) {
        node_explain(node, "broker: %s", err_text(result));
        return result;
    }
    TRY(broker_open(node));
    result = relay_open(node);
    if (result != ERR_OK) {
        node_explain(node, "broker: the relay's cursors: %s", err_text(result));
    }
    return result;
}

/* What the broker has not confirmed when the time is over is published again by the next start. */
static void
broker_role_drain(struct node *node)
{
    if (node->relay == NULL) {
        return;
    }
    const struct timespec pause = {.tv_nsec = DRAIN_POLL_MS * 1000000L};
    uint64_t until_ns =
        os_monotonic_ns(node->clock) + (uint64_t)node->settings.drain_timeout * OS_NS_PER_MS;
    relay_drain(node->relay);
    while (!relay_is_drained(node->relay) && os_monotonic_ns(node->clock) < until_ns) {
        (void)nanosleep(&pause, NULL);
    }
}

static void
broker_role_close(struct node *node)
{
    resource_runtime_destroy(&node->runtime);
    relay_destroy(&node->relay);
    broker_destroy(&node->broker);
    os_loop_destroy(node->broker_loop);
    node->broker_loop = NULL;
}

static void
broker_role_metrics(const struct node *node, struct buf *out)
{
    if (node->relay == NULL) {
        return;
    }
    struct relay_health relay = relay_health(node->relay);
    struct broker_health broker = broker_health(node->broker);

    const struct node_metric all[] = {
        {"tael_broker_up", "gauge", "The last group was confirmed.", broker.connected ? 1 : 0},
        {"tael_broker_events_total", "counter", "Events confirmed.", relay.published},
        {"tael_broker_failures_total", "counter", "Groups that were not.", relay.retries},
        {"tael_broker_lag_seconds",
         "gauge",
         "Age of the oldest event that waits for a confirmation.",
         relay.lag_s > 0 ? (uint64_t)relay.lag_s : 0},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
}

const struct role role_broker = {
    .name = "broker",
    .parts = NODE_EVENTS,
    .open = broker_role_open,
    .drain = broker_role_drain,
    .close = broker_role_close,
    .metrics = broker_role_metrics,
};
