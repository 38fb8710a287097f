/* The ledger's engine, with its journal in DATA/ledger or wherever --ledger says. */
#include "roles.h"

#include "os/loop_real.h"

#include <stdio.h>
#include <string.h>

static void
alarm_text(void *context, const char *text)
{
    struct node *node = context;
    TRACE_LOG(&node->log, TRACE_ERROR, "ledger", SPAN_EMPTY, "alarm", trace_cstr("what", text));
}

static err_t
ledger_role_open(struct node *node)
{
    char folder[NODE_PATH_SIZE + 64];
    node_path(node, "ledger", folder);
    bool here = node->settings.ledger[0] == '\0';
    (void)snprintf(
        node->ledger_url,
        sizeof(node->ledger_url),
        "%s%s",
        here ? "journal:" : node->settings.ledger,
        here ? folder : "");
    struct ledger_engine_settings settings = ledger_engine_settings_default();
    settings.url = node->ledger_url;
    settings.disk = measured_disk_init(&node->journal_disk, node->disk);
    settings.clock = node->clock;
    settings.loops = os_loops_real();
    settings.store.loops = os_loops_real();
    settings.store.segment_size = (uint64_t)node->settings.ledger_segment_size;
    settings.store.snapshot_disk = node->disk; /* the journal's metrics are of the journal alone */
    settings.store.snapshot_interval = (uint64_t)node->settings.ledger_snapshot_interval;
    settings.store.recent_size = (uint64_t)node->settings.ledger_recent;
    if (store_orders_parse(node->settings.ledger_orders, &settings.store.orders) != ERR_OK) {
        return node_misuse(
            node,
            "--ledger-orders: account, user-data-128, user-data-64, user-data-32, code, ledger or "
            "all, with commas between, not %s",
            node->settings.ledger_orders);
    }
    settings.store.transfer_count_max = (uint64_t)node->settings.ledger_transfers_max;
    settings.limits.account_count_max = (uint32_t)node->settings.ledger_accounts_max;
    settings.limits.pending_count_max = (uint32_t)node->settings.ledger_pendings_max;
    /* Every operation under way may have one request at the ledger, and the sweepers some. */
    settings.request_count_max = (uint32_t)node->settings.operations_max + 1024;
    TRY(role_shards_guard(node, &settings.guard));
    settings.alarm = alarm_text;
    settings.alarm_context = node;
    struct store_error error;
    memset(&error, 0, sizeof(error));
    err_t result = ledger_engine_open(&settings, &node->engine, &error);
    if (result != ERR_OK) {
        return node_refuse(node, result, "ledger", error.message);
    }
    node->ledger_port = ledger_engine_port(node->engine);
    return role_shards_own(node);
}

static void
ledger_role_close(struct node *node)
{
    ledger_engine_close(&node->engine);
}

static bool
ledger_role_healthy(const struct node *node, struct buf *why)
{
    struct ledger_engine_status status;
    ledger_engine_status(node->engine, &status);
    switch (status.health) {
    case LEDGER_ENGINE_RUNNING:
        if (status.disk_is_full) {
            buf_append_cstr(why, "the disk of the ledger is full");
        }
        return !status.disk_is_full;
    case LEDGER_ENGINE_RELOADING:
        buf_append_cstr(why, "the ledger is loading again");
        return false;
    case LEDGER_ENGINE_STANDBY:
        buf_append_cstr(why, "another server holds the ledger");
        return false;
    case LEDGER_ENGINE_UNREACHABLE:
        buf_append_cstr(why, "the ledger's database cannot be reached or used; the log says why");
        return false;
    case LEDGER_ENGINE_FAILED:
        buf_append_cstr(why, "the ledger's store has failed");
        return false;
    }
    return false;
}

static void
ledger_role_metrics(const struct node *node, struct buf *out)
{
    struct ledger_engine_status status;
    ledger_engine_metrics_render(out);
    measured_disk_metrics_render(out);
    ledger_engine_status(node->engine, &status);

    const struct node_metric all[] = {
        {"tael_ledger_healthy",
         "gauge",
         "1 if the ledger runs.",
         status.health == LEDGER_ENGINE_RUNNING},
        {"tael_ledger_requests_under_way",
         "gauge",
         "Ledger requests not answered yet.",
         status.requests_under_way},
        {"tael_ledger_batches_total", "counter", "Create batches executed.", status.batches},
        {"tael_ledger_events_total", "counter", "Events in them.", status.events},
        {"tael_ledger_groups_total", "counter", "Groups made durable.", status.groups},
        {"tael_ledger_reads_total", "counter", "Look-ups and queries.", status.reads},
        {"tael_ledger_busy_total", "counter", "Requests refused as busy.", status.busy},
        {"tael_ledger_full_total", "counter", "Requests refused for want of room.", status.full},
        {"tael_ledger_reloads_total", "counter", "Loads after a failure.", status.reloads},
        {"tael_ledger_clock_alarms_total", "counter", "Wall clock jumps.", status.clock_alarms},
        {"tael_ledger_accounts", "gauge", "Accounts.", status.accounts},
        {"tael_ledger_pendings", "gauge", "Live pending transfers.", status.pendings},
        {"tael_ledger_load_bytes",
         "gauge",
         "Of the journal, redone by the last load.",
         status.load_bytes},
        {"tael_ledger_snapshots_total", "counter", "Snapshots written.", status.snapshots},
        {"tael_ledger_snapshot_failures_total",
         "counter",
         "Snapshots that could not be written.",
         status.snapshot_failures},
        {"tael_ledger_snapshot_bytes", "gauge", "Of the newest snapshot.", status.snapshot_bytes},
        {"tael_ledger_order_segments_waiting",
         "gauge",
         "Full segments of the journal without their parts of the orders that are kept.",
         status.order_segments_waiting},
        {"tael_ledger_order_failures_total",
         "counter",
         "Parts of orders that could not be made.",
         status.order_failures},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
    node_metric_seconds(
        out,
        "tael_ledger_load_seconds",
        "The ledger's last load: the newest snapshot, and the journal behind it.",
        status.load_ns);
    node_metric_seconds(
        out,
        "tael_ledger_snapshot_timestamp_seconds",
        "When the newest snapshot was begun, unix time; 0 without one.",
        status.snapshot_created_ns);
    node_metric_seconds(
        out,
        "tael_ledger_snapshot_duration_seconds",
        "From the beginning of the newest snapshot until it was on the disk.",
        status.snapshot_duration_ns);
}

const struct role role_ledger = {
    .name = "ledger",
    .parts = NODE_LEDGER,
    .open = ledger_role_open,
    .close = ledger_role_close,
    .healthy = ledger_role_healthy,
    .metrics = ledger_role_metrics,
};
