/* The simulated bank: one for all that pay out, because it remembers what it has paid. */
#include "roles.h"

static err_t
bank_role_open(struct node *node)
{
    char folder[NODE_PATH_SIZE + 64];
    node_path(node, "bank", folder);
    const struct bank_parts parts = {
        .loop = node->cards_loop,
        .clock = node->clock,
        .disk = node->disk,
        .folder = folder,
        .settings =
            {
                .settle_ms = node->settings.bank_settle,
                .return_ms = node->settings.bank_return,
            },
    };
    err_t result = bank_create(&parts, &node->bank);
    if (result != ERR_OK) {
        node_explain(node, "bank: %s: %s", folder, err_text(result));
        return result;
    }
    node->bank_rail = bank_rail(node->bank);
    return ERR_OK;
}

static void
bank_role_close(struct node *node)
{
    bank_destroy(&node->bank);
}

const struct role role_bank = {
    .name = "bank",
    .parts = NODE_BANK,
    .open = bank_role_open,
    .close = bank_role_close,
};
