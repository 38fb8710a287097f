/* The listener for other services: ports of this process, for whoever proves to be one of ours. */
#include "roles.h"

#include <string.h>

static bool
is_ready(void *context, struct buf *why)
{
    return node_is_ready(context, why);
}

/* A failure is worth a line, but not one for each request that there is no room for. */
static enum trace_level
level_of(err_t error)
{
    bool quiet =
        error == ERR_OK || error == ERR_BUSY || err_category(error) == ERR_CATEGORY_EXHAUSTED;
    return quiet ? TRACE_DEBUG : TRACE_WARNING;
}

static void
tell(void *context, const struct remote_answered *answered)
{
    struct node *node = context;
    char trace_id[TRACECONTEXT_TRACE_ID_SIZE + 1];
    TRACE_LOG(
        &node->log,
        level_of(answered->error),
        "internal",
        trace_context_id(answered->trace, trace_id),
        "request of a service answered",
        trace_cstr("service", answered->service),
        trace_text("operation", answered->operation),
        trace_cstr("error", answered->error == ERR_OK ? "none" : err_name(answered->error)),
        trace_u64("duration_us", answered->duration_ns / OS_NS_PER_US));
}

static err_t
server_open(struct node *node)
{
    struct port_ledger *ledger =
        node->owner != NULL ? shards_owner_port(node->owner) : node->ledger_port;
    const struct remote_server_parts parts = {
        .net = node->net_loop,
        .auth = node->auth,
        .ledger = (node->parts & NODE_LEDGER) != 0 ? ledger : NULL,
        .rail = (node->parts & NODE_CARDS) != 0 ? node->card_rail : NULL,
        .network = (node->parts & NODE_VAULT) != 0 ? node->network_port : NULL,
        .vault = (node->parts & NODE_VAULT) != 0 ? node->vault_port : NULL,
        .wallet = (node->parts & NODE_WALLETS) != 0 ? wallets_port(node->wallets) : NULL,
        .mobile = (node->parts & NODE_MOBILE) != 0 ? mobile_port(node->mobile) : NULL,
        .bank = (node->parts & NODE_BANK) != 0 ? node->bank_rail : NULL,
        .recorder = traces_recorder(node->traces),
        .entropy = node->entropy,
        .ready = is_ready,
        .answered = tell,
        .context = node,
    };
    TRY(remote_server_create(&parts, &node->internal));
    struct net_server_settings settings = remote_server_net_settings();
    struct net_server_hooks hooks = remote_server_hooks(node->internal);
    return net_server_create(node->net_loop, &settings, &hooks, &node->internal_server);
}

static err_t
internal_role_open(struct node *node)
{
    const char *where = node->settings.internal_listen;
    char address[NODE_ADDRESS_SIZE];
    uint16_t port;
    if (where[0] == '\0') {
        return ERR_OK;
    }
    if (node_address_split(where, address, &port) &&
        !remote_auth_allows_host(node->auth, span_from_cstr(address))) {
        return node_misuse(
            node,
            "internal-listen %s: not this machine, and nothing would hide the requests on the way: "
            "internal-tls-..., or internal-plain if the network does",
            where);
    }
    err_t result = server_open(node);
    if (result != ERR_OK) {
        node_explain(node, "internal: %s", err_text(result));
        return result;
    }
    return node_listen(
        node,
        node->internal_server,
        where,
        -1,
        remote_auth_server_tls(node->auth),
        &node->internal_port);
}

static void
internal_role_start(struct node *node)
{
    if (node->internal_server != NULL) {
        net_server_start(node->internal_server);
    }
}

static void
internal_role_drain(struct node *node)
{
    if (node->internal_server != NULL) {
        net_server_stop(node->internal_server, (uint32_t)node->settings.drain_timeout);
    }
}

static void
internal_role_close(struct node *node)
{
    net_server_destroy(&node->internal_server);
    remote_server_destroy(&node->internal);
}

static void
internal_role_metrics(const struct node *node, struct buf *out)
{
    struct remote_server_counters counters;
    if (node->internal == NULL) {
        return;
    }
    remote_server_count(node->internal, &counters);

    const struct node_metric all[] = {
        {"tael_internal_requests_total", "counter", "Of other services.", counters.requests},
        {"tael_internal_denied_total", "counter", "From strangers.", counters.denied},
        {"tael_internal_invalid_total", "counter", "Not understood.", counters.invalid},
        {"tael_internal_late_total", "counter", "Came when their time was over.", counters.late},
        {"tael_internal_shed_total", "counter", "Too many, or no valid HTTP.", counters.shed},
        {"tael_internal_failed_total", "counter", "Answered with an error.", counters.failed},
        {"tael_internal_under_way", "gauge", "Not answered yet.", counters.under_way},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
}

const struct role role_internal = {
    .name = "internal",
    .open = internal_role_open,
    .start = internal_role_start,
    .drain = internal_role_drain,
    .close = internal_role_close,
    .metrics = internal_role_metrics,
};
