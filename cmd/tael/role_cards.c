/* Cards: the rail, over the card network whose connection the vault has. */
#include "roles.h"

static err_t
cards_role_open(struct node *node)
{
    struct cards_parts parts = {
        .loop = node->cards_loop,
        .network = node->network_port,
        .settings = cards_settings_default(),
    };
    /* A payment must not fail for want of room here when it was let in at the front. */
    parts.settings.in_flight_max = (uint32_t)node->settings.operations_max + 1024;
    err_t result = cards_create(&parts, &node->cards);
    if (result != ERR_OK) {
        node_explain(node, "cards: %s", err_text(result));
        return result;
    }
    node->card_rail = cards_rail(node->cards);
    return ERR_OK;
}

static void
cards_role_close(struct node *node)
{
    cards_destroy(&node->cards);
}

static void
cards_role_metrics(const struct node *node, struct buf *out)
{
    struct cards_counters counters = cards_counters(node->cards);

    const struct node_metric all[] = {
        {"tael_cards_sent_total", "counter", "Sent to the network.", counters.sent},
        {"tael_cards_approved_total", "counter", "Approved.", counters.approved},
        {"tael_cards_declined_total", "counter", "Declined.", counters.declined},
        {"tael_cards_unknown_total", "counter", "Without an answer in time.", counters.unknown},
        {"tael_cards_busy_total", "counter", "Not sent: too many.", counters.busy},
        {"tael_cards_in_flight", "gauge", "Under way.", counters.in_flight},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
}

const struct role role_cards = {
    .name = "cards",
    .parts = NODE_CARDS,
    .open = cards_role_open,
    .close = cards_role_close,
    .metrics = cards_role_metrics,
};
