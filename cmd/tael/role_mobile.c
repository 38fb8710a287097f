/* Codes that payers show. */
#include "roles.h"

static err_t
mobile_role_open(struct node *node)
{
    struct mobile_parts parts = {
        .runtime = node->runtime,
        .loop = node->resource_loop,
        .clock = &node->service_clock,
        .entropy = node->entropy,
        .wallets = wallets_port(node->wallets),
        .settings = mobile_settings_default(),
    };
    parts.settings.code_lifetime_s = node->settings.payer_code_lifetime / 1000;
    parts.settings.wrong_per_minute = node->settings.payer_code_wrong_max;
    parts.settings.sweep_interval_ms = node->settings.sweep_interval;
    err_t result = mobile_create(&parts, &node->mobile);
    if (result != ERR_OK) {
        node_explain(node, "mobile: %s", err_text(result));
        return result;
    }
    /* Before the loops run: the sweeper belongs to the resource loop. */
    mobile_start(node->mobile);
    return ERR_OK;
}

static void
mobile_role_close(struct node *node)
{
    resource_runtime_destroy(&node->runtime);
    mobile_destroy(&node->mobile);
}

const struct role role_mobile = {
    .name = "mobile",
    .parts = NODE_MOBILE,
    .open = mobile_role_open,
    .close = mobile_role_close,
};
