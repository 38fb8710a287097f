/* Traces: what is recorded, shown to operators, and sent to collectors. */
#include "roles.h"

#define DRAIN_MS 2000

static err_t
traces_role_open(struct node *node)
{
    const struct tracing_parts parts = {
        .loop = node->traces_loop,
        .clock = node->clock,
        .entropy = node->entropy,
        .log = &node->log,
    };
    char message[TRACES_MESSAGE_SIZE];
    err_t result = tracing_open(&node->settings.tracing, &parts, &node->traces, message);
    if (result != ERR_OK) {
        node_explain(node, "%s", message);
    }
    return result;
}

static void
traces_role_drain(struct node *node)
{
    traces_drain(node->traces, DRAIN_MS);
}

static void
traces_role_close(struct node *node)
{
    traces_destroy(&node->traces);
}

static void
traces_role_metrics(const struct node *node, struct buf *out)
{
    tracing_metrics(node->traces, out);
}

const struct role role_traces = {
    .name = "traces",
    .open = traces_role_open,
    .drain = traces_role_drain,
    .close = traces_role_close,
    .metrics = traces_role_metrics,
};
