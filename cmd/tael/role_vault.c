/* The vault, and the card network that only it talks to: simulated, with its issuers. */
#include "roles.h"

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
    TRY(issuer_open(node));
    return vault_open(node);
}

static void
vault_role_close(struct node *node)
{
    vault_destroy(&node->vault);
    issuer_destroy(&node->issuer);
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
}

const struct role role_vault = {
    .name = "vault",
    .parts = NODE_VAULT,
    .open = vault_role_open,
    .drain = role_keys_drain,
    .close = vault_role_close,
    .metrics = vault_role_metrics,
};
