/*
 * Services of other processes: how they are reached, and that they are there. A process waits for
 * them before it begins: what they are (a simulated card network, say) decides what it may do.
 */
#include "roles.h"

#include "trace/exposition.h"

#include <string.h>

/* While waiting: between looks, and between lines of the log. */
#define LOOK_MS 50
#define SAY_MS  10000

static const struct {
    const char *name; /* for people */
    enum remote_service service;
    uint32_t who;   /* asks it */
    uint32_t what;  /* has it in this process */
    bool for_ready; /* without it nothing of this process works */
} peers[NODE_PEER_COUNT] = {
    [NODE_PEER_LEDGER] = {"ledger", REMOTE_LEDGER, NODE_DOCUMENTS, NODE_LEDGER, true},
    [NODE_PEER_CARDS] = {"cards", REMOTE_RAIL, NODE_DOCUMENTS, NODE_CARDS, false},
    [NODE_PEER_VAULT] = {"vault", REMOTE_VAULT, NODE_DOCUMENTS, NODE_VAULT, false},
    [NODE_PEER_BANK] = {"bank", REMOTE_BANK, NODE_WALLETS, NODE_BANK, false},
    [NODE_PEER_NETWORK] = {"card network", REMOTE_NETWORK, NODE_CARDS, NODE_VAULT, true},
};

static const char *
endpoints_of(const struct node *node, size_t peer)
{
    switch ((enum node_peer)peer) {
    case NODE_PEER_LEDGER:
        return node->settings.ledger_at;
    case NODE_PEER_CARDS:
        return node->settings.cards_at;
    case NODE_PEER_BANK:
        return node->settings.bank_at;
    case NODE_PEER_VAULT:
    case NODE_PEER_NETWORK:
    case NODE_PEER_COUNT:
        break;
    }
    return node->settings.vault_at;
}

static bool
is_needed(const struct node *node, size_t peer)
{
    if (peer == NODE_PEER_LEDGER && node->settings.ledger_shards[0] != '\0') {
        return false; /* role_shards.c asks them */
    }
    return (node->parts & peers[peer].who) != 0 && (node->parts & peers[peer].what) == 0;
}

/* ----------------------------------------------------------------------------------- opening ---
 */

static err_t
auth_open(struct node *node)
{
    const struct node_settings *from = &node->settings;
    char message[REMOTE_MESSAGE_SIZE];
    struct remote_auth_settings *settings = &node->auth_settings;
    static_assert(sizeof(settings->ca) == sizeof(from->internal_tls_ca), "one size");
    memcpy(settings->ca, from->internal_tls_ca, sizeof(settings->ca));
    memcpy(settings->certificate, from->internal_tls_cert, sizeof(settings->certificate));
    memcpy(settings->key, from->internal_tls_key, sizeof(settings->key));
    memcpy(settings->domain, from->internal_domain, sizeof(settings->domain));
    memcpy(settings->key_file, from->internal_key_file, sizeof(settings->key_file));
    settings->plain = from->internal_plain;
    err_t result = remote_auth_create(settings, &node->auth, message);
    if (result == ERR_INVALID) {
        return node_misuse(
            node,
            "between services (internal-tls-ca, -cert, -key, or internal-key-file): %s",
            message);
    }
    if (result != ERR_OK) {
        node_explain(
            node,
            "between services (internal-tls-ca, -cert, -key, or internal-key-file): %s",
            message[0] == '\0' ? err_text(result) : message);
    }
    return result;
}

void
role_peers_want_files(struct node *node, const char *endpoints)
{
    uint64_t count = 1;
    for (const char *at = endpoints; *at != '\0'; at++) {
        count += *at == ',';
    }
    node_want_files(node, count * (uint64_t)node->settings.internal_connections_max);
}

static err_t
peer_open(struct node *node, size_t peer)
{
    char message[REMOTE_MESSAGE_SIZE];
    struct remote_client_parts parts = {
        .net = node->peers_loop,
        .files = node->sync_loop,
        .service = peers[peer].service,
        .endpoints = endpoints_of(node, peer),
        .auth = node->auth,
        .settings = remote_client_settings_default,
    };
    parts.settings.timeout_ms = (uint32_t)node->settings.internal_timeout;
    parts.settings.connections_max = (uint32_t)node->settings.internal_connections_max;
    /* What was let in at the front must not fail here for want of room. */
    parts.settings.requests_max = (uint32_t)node->settings.operations_max * 2 + 1024;
    err_t result = remote_client_create(&parts, &node->peers[peer], message);
    bool is_setting = result == ERR_INVALID || result == ERR_DENIED; /* in clear to elsewhere */
    if (is_setting) {
        result = node_misuse(node, "%s: %s", peers[peer].name, message);
    } else if (result != ERR_OK) {
        node_explain(
            node, "%s: %s", peers[peer].name, message[0] == '\0' ? err_text(result) : message);
    }
    role_peers_want_files(node, parts.endpoints);
    return result;
}

static void
say_waiting(struct node *node, size_t peer, const char *why)
{
    TRACE_LOG(
        &node->log,
        TRACE_WARNING,
        "peers",
        SPAN_EMPTY,
        "waits for another service",
        trace_cstr("service", peers[peer].name),
        trace_cstr("at", endpoints_of(node, peer)),
        trace_cstr("why", why));
}

static err_t
wait_for(struct node *node, size_t peer)
{
    struct remote_client_state state;
    uint32_t waited_ms = 0;
    remote_client_look(node->peers[peer], &state);
    while (!state.reached) {
        atomic_store(&node->waits_for, peers[peer].name);
        /* Not for the moment that a hello takes. */
        if (waited_ms % SAY_MS == 10 * LOOK_MS) {
            say_waiting(node, peer, state.why);
        }
        if (!node_pause(node, LOOK_MS)) {
            node_explain(node, "ended while it waited for the %s", peers[peer].name);
            return ERR_CLOSED;
        }
        waited_ms += LOOK_MS;
        remote_client_look(node->peers[peer], &state);
    }
    atomic_store(&node->waits_for, NULL);
    return ERR_OK;
}

static void
ports_take(struct node *node)
{
    if (node->peers[NODE_PEER_LEDGER] != NULL) {
        node->ledger_port = remote_client_ledger(node->peers[NODE_PEER_LEDGER]);
    }
    if (node->peers[NODE_PEER_CARDS] != NULL) {
        node->card_rail = remote_client_rail(node->peers[NODE_PEER_CARDS]);
    }
    if (node->peers[NODE_PEER_VAULT] != NULL) {
        node->vault_port = remote_client_vault(node->peers[NODE_PEER_VAULT]);
    }
    if (node->peers[NODE_PEER_NETWORK] != NULL) {
        node->network_port = remote_client_network(node->peers[NODE_PEER_NETWORK]);
    }
    if (node->peers[NODE_PEER_BANK] != NULL) {
        node->bank_rail = remote_client_bank(node->peers[NODE_PEER_BANK]);
    }
}

static err_t
peers_role_open(struct node *node)
{
    bool any = false;
    for (size_t i = 0; i < NODE_PEER_COUNT; i++) {
        any = any || is_needed(node, i);
    }
    if (any || node->settings.ledger_shards[0] != '\0' ||
        node->settings.internal_listen[0] != '\0') {
        TRY(auth_open(node));
    }
    for (size_t i = 0; i < NODE_PEER_COUNT; i++) {
        if (is_needed(node, i)) {
            TRY(peer_open(node, i));
        }
    }
    if (!any) {
        return ERR_OK;
    }
    TRY(node_start_peers_loop(node));
    for (size_t i = 0; i < NODE_PEER_COUNT; i++) {
        if (node->peers[i] != NULL) {
            remote_client_start(node->peers[i]);
        }
    }
    for (size_t i = 0; i < NODE_PEER_COUNT; i++) {
        if (node->peers[i] != NULL) {
            TRY(wait_for(node, i));
        }
    }
    ports_take(node);
    return ERR_OK;
}

/* ---------------------------------------------------------------------------------- the rest ---
 */

void
role_peers_stop(struct node *node)
{
    for (size_t i = 0; i < NODE_PEER_COUNT; i++) {
        if (node->peers[i] != NULL) {
            remote_client_stop(node->peers[i]);
        }
    }
}

static void
peers_role_close(struct node *node)
{
    for (size_t i = 0; i < NODE_PEER_COUNT; i++) {
        remote_client_destroy(&node->peers[i]);
    }
    remote_auth_destroy(&node->auth);
}

static bool
peers_role_healthy(const struct node *node, struct buf *why)
{
    for (size_t i = 0; i < NODE_PEER_COUNT; i++) {
        struct remote_client_state state;
        if (node->peers[i] == NULL || !peers[i].for_ready) {
            continue;
        }
        remote_client_look(node->peers[i], &state);
        if (!state.ready) {
            buf_append_format(why, "the %s cannot be used: %s", peers[i].name, state.why);
            return false;
        }
    }
    return true;
}

/* One family: a line for each peer. */
static void
family(
    const struct node *node,
    struct buf *out,
    const char *name,
    const char *kind,
    const char *help,
    size_t offset)
{
    trace_exposition_head(out, name, kind, help);
    for (size_t i = 0; i < NODE_PEER_COUNT; i++) {
        struct remote_client_counters counters;
        uint64_t value = 0;
        if (node->peers[i] == NULL) {
            continue;
        }
        remote_client_count(node->peers[i], &counters);
        memcpy(&value, (const char *)&counters + offset, sizeof(value));
        trace_exposition_value(
            out, name, TRACE_LABELS("service", remote_service_name(peers[i].service)), value);
    }
}

static void
peers_role_metrics(const struct node *node, struct buf *out)
{
#define PEER_METRIC(name, kind, member, help)                                                      \
    {                                                                                              \
        name, kind, help, offsetof(struct remote_client_counters, member)                          \
    }

    static const struct {
        const char *name, *kind, *help;
        size_t offset;
    } all[] = {
        PEER_METRIC("tael_remote_requests_total", "counter", requests, "To other services."),
        PEER_METRIC("tael_remote_answered_total", "counter", answered, "By the service."),
        PEER_METRIC("tael_remote_refused_total", "counter", refused, "By its listener."),
        PEER_METRIC("tael_remote_not_sent_total", "counter", not_sent, "Nothing was done."),
        PEER_METRIC("tael_remote_unknown_total", "counter", unknown, "Nobody knows."),
        PEER_METRIC("tael_remote_busy_total", "counter", busy, "Not sent: too many."),
        PEER_METRIC("tael_remote_under_way", "gauge", under_way, "Not answered yet."),
    };

#undef PEER_METRIC

    bool any = false;
    for (size_t i = 0; i < NODE_PEER_COUNT; i++) {
        any = any || node->peers[i] != NULL;
    }
    for (size_t i = 0; any && i < sizeof(all) / sizeof(all[0]); i++) {
        family(node, out, all[i].name, all[i].kind, all[i].help, all[i].offset);
    }
    if (any) {
        trace_exposition_head(
            out, "tael_remote_ready", "gauge", "1 if the service answers and can work.");
    }
    for (size_t i = 0; any && i < NODE_PEER_COUNT; i++) {
        struct remote_client_state state;
        if (node->peers[i] != NULL) {
            remote_client_look(node->peers[i], &state);
            trace_exposition_value(
                out,
                "tael_remote_ready",
                TRACE_LABELS("service", remote_service_name(peers[i].service)),
                state.ready);
        }
    }
}

const struct role role_peers = {
    .name = "peers",
    .open = peers_role_open,
    .close = peers_role_close,
    .healthy = peers_role_healthy,
    .metrics = peers_role_metrics,
};
