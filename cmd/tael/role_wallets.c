/* Wallets. */
#include "roles.h"

#include <string.h>

#define PLACEMENT_SIZE 16

/* Where a wallet's money is follows from the setting, so wallets that were made by one are not
 * found by the other: all processes on these documents have the one that they began with. */
static err_t
placement_check(struct node *node)
{
    char chosen[PLACEMENT_SIZE];
    const char *ours = node->ledger_port->wallets_apart ? "wallet" : "merchant";
    err_t result =
        resource_setting_choose(node->runtime, "wallet_placement", ours, chosen, sizeof(chosen));
    if (result != ERR_OK) {
        node_explain(node, "wallet-placement: %s", err_text(result));
        return result;
    }
    if (strcmp(chosen, ours) != 0) {
        node_explain(
            node,
            "wallet-placement: these documents began with '%s', not '%s'; wallets of one are not "
            "found by the other",
            chosen,
            ours);
        return ERR_INVALID;
    }
    return ERR_OK;
}

static err_t
wallets_role_open(struct node *node)
{
    TRY(placement_check(node));
    const struct node_settings *settings = &node->settings;
    char message[WALLETS_MESSAGE_SIZE] = "";
    struct wallets_parts parts = {
        .runtime = node->runtime,
        .loop = node->resource_loop,
        .clock = &node->service_clock,
        .ledger = node->ledger_port,
        .bank_rail = node->bank_rail,
        .log = &node->log,
        .customer_type = &payments_customer_type,
        .charge_type = &payments_charge_type,
        .refund_type = &payments_refund_type,
        .settings = wallets_settings_default(),
    };
    parts.settings.limits = settings->wallet_limits;
    parts.settings.return_window_s = settings->withdrawal_watch / 1000;
    parts.settings.rail_timeout_ms = settings->rail_timeout;
    parts.settings.lease_s = settings->attempt_lease / 1000;
    parts.settings.sweep_interval_ms = settings->sweep_interval;
    parts.settings.reconcile_interval_ms = settings->reconcile_interval;
    err_t result = wallets_create(&parts, &node->wallets, message);
    if (result != ERR_OK) {
        return node_refuse(node, result, "wallets", message);
    }
    /* Before the loops run: the sweeper belongs to the resource loop. */
    wallets_start(node->wallets);
    return ERR_OK;
}

/* The runtime goes first: its unfinished operations know the routes. */
static void
wallets_role_close(struct node *node)
{
    resource_runtime_destroy(&node->runtime);
    wallets_destroy(&node->wallets);
}

static void
wallets_role_metrics(const struct node *node, struct buf *out)
{
    struct wallets_health health = wallets_health(node->wallets);

    const struct node_metric all[] = {
        {"tael_wallet_attempts_open",
         "gauge",
         "Attempts of wallets without an end, found by the last sweep.",
         health.attempts_open},
        {"tael_wallet_attempt_oldest_seconds",
         "gauge",
         "Age of the oldest of them.",
         (uint64_t)(health.attempt_oldest_s < 0 ? 0 : health.attempt_oldest_s)},
        {"tael_wallet_withdrawal_oldest_seconds",
         "gauge",
         "Age of the oldest withdrawal that the bank has neither paid nor refused.",
         (uint64_t)(health.withdrawal_oldest_s < 0 ? 0 : health.withdrawal_oldest_s)},
        {"tael_wallet_reconcile_runs_total",
         "counter",
         "Comparisons of wallets' documents and the ledger.",
         health.reconcile_runs},
        {"tael_wallet_differences",
         "gauge",
         "Found by the last complete comparison: anything above 0 is an alarm.",
         health.differences},
        {"tael_wallet_suspense_open",
         "gauge",
         "Withdrawals in suspense: anything above 0 waits for a person.",
         health.suspense_open},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
}

const struct role role_wallets = {
    .name = "wallets",
    .parts = NODE_WALLETS,
    .open = wallets_role_open,
    .close = wallets_role_close,
    .metrics = wallets_role_metrics,
};
