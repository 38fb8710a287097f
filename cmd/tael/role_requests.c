/* The log of merchants' requests. */
#include "roles.h"

#include <time.h>

#define DRAIN_POLL_MS 10

static err_t
requests_role_open(struct node *node)
{
    struct requests_parts parts = {
        .runtime = node->runtime,
        .loop = node->resource_loop,
        .clock = &node->service_clock,
        .settings = requests_settings_default(),
    };
    parts.settings.on = node->settings.request_log;
    parts.settings.keep_s = node->settings.request_log_keep / 1000;
    parts.settings.keep_max = node->settings.request_log_max;
    err_t result = requests_create(&parts, &node->requests);
    if (result != ERR_OK) {
        node_explain(node, "requests: %s", err_text(result));
        return result;
    }
    /* Before the loops run: what tidies up belongs to the resource loop. */
    requests_start(node->requests);
    return ERR_OK;
}

/* The API has answered everybody: what was noted last is written. */
static void
requests_role_drain(struct node *node)
{
    const struct timespec pause = {.tv_nsec = DRAIN_POLL_MS * 1000000L};
    uint64_t until_ns =
        os_monotonic_ns(node->clock) + (uint64_t)node->settings.drain_timeout * OS_NS_PER_MS;
    requests_drain(node->requests);
    while (!requests_is_drained(node->requests) && os_monotonic_ns(node->clock) < until_ns) {
        (void)nanosleep(&pause, NULL);
    }
}

static void
requests_role_close(struct node *node)
{
    resource_runtime_destroy(&node->runtime);
    requests_destroy(&node->requests);
}

static void
requests_role_metrics(const struct node *node, struct buf *out)
{
    struct requests_health health = requests_health(node->requests);

    const struct node_metric all[] = {
        {"tael_request_log_entries_total",
         "counter",
         "Requests of merchants that were noted.",
         health.noted},
        {"tael_request_log_dropped_total",
         "counter",
         "Of them, those that there was no room for: too many waited.",
         health.dropped},
        {"tael_request_log_lost_total",
         "counter",
         "Of them, those whose page could not be written.",
         health.lost},
        {"tael_request_log_pages_total", "counter", "Pages written.", health.pages},
        {"tael_request_log_waiting_bytes", "gauge", "Noted and not yet written.", health.waiting},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
}

const struct role role_requests = {
    .name = "requests",
    .parts = NODE_DOCUMENTS,
    .open = requests_role_open,
    .drain = requests_role_drain,
    .close = requests_role_close,
    .metrics = requests_role_metrics,
};
