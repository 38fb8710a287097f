/* The vault, and the card network that only it talks to: simulated, or a host elsewhere. */
#include "roles.h"

#include <string.h>

static err_t
issuer_open(struct node *node)
{
    char folder[NODE_PATH_SIZE + 64];
    node_path(node, "issuer", folder);
    const struct node_settings *settings = &node->settings;
    const struct issuer_parts parts = {
        .loop = node->cards_loop,
        .clock = node->clock,
        .entropy = node->entropy,
        .disk = node->disk,
        .folder = folder,
        .settings =
            {
                .latency_ms = settings->issuer_latency,
                .jitter_ms = settings->issuer_jitter,
                .lost_per_mille = settings->issuer_lost_per_mille,
                .dropped_per_mille = settings->issuer_dropped_per_mille,
                .late_per_mille = settings->issuer_late_per_mille,
                .twice_per_mille = settings->issuer_twice_per_mille,
                .refund_settle_ms = settings->issuer_refund_settle,
                .dispute_delay_ms = settings->issuer_dispute_delay,
                .dispute_due_ms = settings->issuer_dispute_due,
            },
    };
    err_t result = issuer_create(&parts, &node->issuer);
    if (result != ERR_OK) {
        node_explain(node, "issuer: %s: %s", folder, err_text(result));
    }
    return result;
}

/* --- the network elsewhere --- */

static bool
is_digits(const char *text)
{
    uint64_t value;
    return span_parse_u64(span_from_cstr(text), &value);
}

static bool
is_terminal(const char *text)
{
    size_t size = 0;
    for (; text[size] != '\0'; size++) {
        if (text[size] <= ' ' || text[size] >= 0x7f) {
            return false;
        }
    }
    return size == 8;
}

/* iso8583://HOST:PORT, iso8583s://... */
static bool
network_address(const char *url, struct network_client_settings *settings, bool *ret_tls)
{
    char host[NODE_ADDRESS_SIZE];
    const struct span plain = SPAN("iso8583://");
    const struct span secure = SPAN("iso8583s://");
    struct span text = span_from_cstr(url);
    *ret_tls = span_starts_with(text, secure);
    if (!*ret_tls && !span_starts_with(text, plain)) {
        return false;
    }
    url += *ret_tls ? secure.size : plain.size;
    if (strlen(url) >= NODE_ADDRESS_SIZE || !node_address_split(url, host, &settings->port) ||
        settings->port == 0) {
        return false;
    }
    memcpy(settings->host, host, strlen(host) + 1);
    return true;
}

static err_t
network_settings(struct node *node, struct network_client_settings *settings, bool *ret_tls)
{
    const struct node_settings *given = &node->settings;
    uint64_t category = 0;
    *settings = network_client_settings_default();
    settings->dialect = iso8583_dialect_find(span_from_cstr(given->card_network_dialect));
    settings->connections = (uint32_t)given->card_network_connections;
    settings->echo_ms = (uint32_t)given->card_network_echo;
    settings->in_flight_max = (uint32_t)given->operations_max + 1024; /* as role_cards.c */
    memcpy(settings->terminal, given->card_network_terminal, sizeof(settings->terminal));
    memcpy(settings->acquirer, given->card_network_acquirer, sizeof(settings->acquirer));
    (void)span_parse_u64(span_from_cstr(given->merchant_category), &category);
    settings->category = (uint16_t)(category % 10000);
    if (!network_address(given->card_network, settings, ret_tls)) {
        return node_misuse(node, "card-network: iso8583://HOST:PORT or iso8583s://HOST:PORT");
    }
    if (settings->dialect == NULL) {
        return node_misuse(node, "card-network-dialect is ascii or binary");
    }
    if (!is_terminal(settings->terminal)) {
        return node_misuse(node, "card-network-terminal: eight characters of ASCII, no spaces");
    }
    if (!is_digits(settings->acquirer)) {
        return node_misuse(node, "card-network-acquirer: up to 11 digits");
    }
    return ERR_OK;
}

static err_t
network_open(struct node *node)
{
    const char *ca = node->settings.card_network_ca;
    bool secure = false;
    struct network_client_parts parts = {
        .loop = node->peers_loop,
        .clock = node->clock,
        .entropy = node->entropy,
        .log = &node->log,
    };
    TRY(network_settings(node, &parts.settings, &secure));
    if (secure) {
        err_t result = net_tls_create_client(ca[0] == '\0' ? NULL : ca, true, &node->network_tls);
        if (result != ERR_OK) {
            node_explain(node, "card-network-ca: %s: %s", ca, err_text(result));
            return result;
        }
        parts.tls = node->network_tls;
    }
    node_want_files(node, parts.settings.connections);
    TRY(node_start_peers_loop(node));
    err_t result = network_client_create(&parts, &node->network);
    if (result != ERR_OK) {
        node_explain(node, "card-network: %s", err_text(result));
    }
    return result;
}

static err_t
vault_open(struct node *node)
{
    char folder[NODE_PATH_SIZE + 64];
    char message[VAULT_MESSAGE_SIZE] = "";
    node_path(node, "vault", folder);
    const struct vault_parts parts = {
        .loop = node->cards_loop,
        .clock = node->clock,
        .entropy = node->entropy,
        .disk = node->disk,
        .folder = folder,
        .network = node->network != NULL ? network_client_port(node->network)
                                         : issuer_network(node->issuer),
        .log = &node->log,
    };
    err_t result = vault_create(&parts, &node->vault, message);
    if (result != ERR_OK) {
        node_explain(node, "vault: %s", message[0] == '\0' ? err_text(result) : message);
        return result;
    }
    node->vault_port = vault_port(node->vault);
    node->network_port = vault_network(node->vault);
    return ERR_OK;
}

static err_t
vault_role_open(struct node *node)
{
    bool simulated = node->settings.card_network[0] == '\0';
    TRY(simulated ? issuer_open(node) : network_open(node));
    return vault_open(node);
}

static void
vault_role_start(struct node *node)
{
    if (node->network != NULL) {
        network_client_start(node->network);
    }
}

static void
vault_role_drain(struct node *node)
{
    role_keys_drain(node);
    if (node->network != NULL) {
        network_client_stop(node->network);
    }
}

static void
vault_role_close(struct node *node)
{
    vault_destroy(&node->vault);
    issuer_destroy(&node->issuer);
    network_client_destroy(&node->network);
    net_tls_destroy(&node->network_tls);
}

/* All else goes on: wallets, reads, what is booked already. */
static void
vault_role_lacks(const struct node *node, struct buf *out)
{
    if (node->network != NULL && network_client_signed_on(node->network) == 0) {
        buf_append_cstr(out, ", without the card network");
    }
}

void
role_vault_look(const struct node *node, struct vault_rotation *ret_rotation)
{
    vault_rotation_look(node->vault, ret_rotation);
}

void
role_vault_rotate(struct node *node, struct vault_rotate *request)
{
    vault_rotate(node->vault, request);
}

void
role_vault_discard(struct node *node, struct vault_discard *request)
{
    vault_discard(node->vault, request);
}

static void
vault_role_metrics(const struct node *node, struct buf *out)
{
    struct vault_rotation rotation;
    if (node->vault == NULL) {
        return;
    }
    vault_rotation_look(node->vault, &rotation);
    const struct node_metric all[] = {
        {"tael_vault_key_generation",
         "gauge",
         "Generation of the vault's keys in use.",
         rotation.generation},
        {"tael_vault_rotating",
         "gauge",
         "1 while older keys are there: a rotation is under way.",
         rotation.under_way},
        {"tael_vault_cards_rotated_total",
         "counter",
         "Cards encrypted anew by rotations.",
         rotation.cards},
        {"tael_vault_cards_unreadable",
         "gauge",
         "Damaged cards that rotations have set aside, and nobody discarded.",
         rotation.aside.count},
    };
    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
    if (node->network != NULL) {
        network_client_metrics(node->network, out);
    }
}

const struct role role_vault = {
    .name = "vault",
    .parts = NODE_VAULT,
    .open = vault_role_open,
    .start = vault_role_start,
    .drain = vault_role_drain,
    .close = vault_role_close,
    .lacks = vault_role_lacks,
    .metrics = vault_role_metrics,
};
