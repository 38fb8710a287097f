/* Cards: the simulated network and issuer, the vault in front of it, and the rail on top. */
#include "roles.h"

#include <stdio.h>

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
            },
    };
    err_t result = issuer_create(&parts, &node->issuer);
    if (result != ERR_OK) {
        node_explain(node, "issuer: %s: %s", folder, err_text(result));
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
        .network = issuer_network(node->issuer),
    };
    err_t result = vault_create(&parts, &node->vault, message);
    if (result != ERR_OK) {
        node_explain(node, "vault: %s", message[0] == '\0' ? err_text(result) : message);
    }
    return result;
}

static err_t
cards_role_open(struct node *node)
{
    TRY(issuer_open(node));
    TRY(vault_open(node));
    struct cards_parts parts = {
        .loop = node->cards_loop,
        .network = vault_network(node->vault),
        .settings = cards_settings_default(),
    };
    /* A payment must not fail for want of room here when it was let in at the front. */
    parts.settings.in_flight_max = (uint32_t)node->settings.operations_max + 1024;
    err_t result = cards_create(&parts, &node->cards);
    if (result != ERR_OK) {
        node_explain(node, "cards: %s", err_text(result));
    }
    return result;
}

static void
cards_role_close(struct node *node)
{
    cards_destroy(&node->cards);
    vault_destroy(&node->vault);
    issuer_destroy(&node->issuer);
}

static void
cards_role_metrics(const struct node *node, struct buf *out)
{
    struct cards_counters counters = cards_counters(node->cards);
    node_metric(out, "tael_cards_sent_total", "counter", "Sent to the network.", counters.sent);
    node_metric(out, "tael_cards_approved_total", "counter", "Approved.", counters.approved);
    node_metric(out, "tael_cards_declined_total", "counter", "Declined.", counters.declined);
    node_metric(
        out, "tael_cards_unknown_total", "counter", "Without an answer in time.", counters.unknown);
    node_metric(out, "tael_cards_busy_total", "counter", "Not sent: too many.", counters.busy);
    node_metric(out, "tael_cards_in_flight", "gauge", "Under way.", counters.in_flight);
}

const struct role role_cards = {
    .name = "cards",
    .open = cards_role_open,
    .close = cards_role_close,
    .metrics = cards_role_metrics,
};
