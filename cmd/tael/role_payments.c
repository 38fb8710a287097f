/* Payments: the service, and its workers. */
#include "roles.h"

#include "os/entropy.h"

#define KEY_PREFIX "fpk_"

/* The key of bank accounts' fingerprints, which all processes on these documents share. */
static err_t
fingerprint_key_choose(struct node *node, u128 *ret_key)
{
    char fresh[ID_TEXT_SIZE];
    char chosen[ID_TEXT_SIZE];
    (void)id_format(KEY_PREFIX, os_random_u128(node->entropy), fresh);
    TRY(resource_setting_choose(
        node->runtime, "bank_fingerprint_key", fresh, chosen, sizeof(chosen)));
    return id_parse(KEY_PREFIX, span_from_cstr(chosen), ret_key) ? ERR_OK : ERR_CORRUPT;
}

static err_t
service_open(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    struct payments_parts parts = {
        .runtime = node->runtime,
        .loop = node->resource_loop,
        .clock = &node->service_clock,
        .ledger = node->ledger_port,
        .vault = node->vault_port,
        .card_rail = node->card_rail,
        .bank_rail = node->bank_rail,
        .wallets = wallets_port(node->wallets),
        .public_url = node->public_url,
        .log = &node->log,
        .settings = payments_settings_default(),
    };
    TRY(fingerprint_key_choose(node, &parts.fingerprint_key));
    parts.mobile = mobile_port(node->mobile);
    parts.coordinator = node->coordinator;
    parts.presentation = (struct payments_presentation){
        .name = settings->merchant_name,
        .city = settings->merchant_city,
        .country = settings->merchant_country,
        .category = settings->merchant_category,
    };
    parts.settings.qr_lifetime_s = settings->qr_lifetime / 1000;
    parts.settings.payer_confirm_above = settings->payer_confirm_above;
    parts.settings.payer_wait_s = settings->payer_wait / 1000;
    parts.settings.fee_basis_points = settings->fee_basis_points;
    parts.settings.fee_fixed = settings->fee_fixed;
    parts.settings.dispute_fee = settings->dispute_fee;
    parts.settings.settlement_delay_s = settings->settlement_delay / 1000;
    parts.settings.authorization_hold_s = settings->authorization_hold / 1000;
    parts.settings.authentication_timeout_s = settings->authentication_timeout / 1000;
    parts.settings.payout_delay_s = settings->payout_delay / 1000;
    parts.settings.payout_day_s = settings->payout_day / 1000;
    parts.settings.return_window_s = settings->payout_watch / 1000;
    parts.settings.lease_s = settings->attempt_lease / 1000;
    parts.settings.rail_timeout_ms = settings->rail_timeout;
    parts.settings.sweep_interval_ms = settings->sweep_interval;
    parts.settings.reconcile_interval_ms = settings->reconcile_interval;
    return payments_create(&parts, &node->payments);
}

/* Before the loops run: the sweeper belongs to the resource loop. */
static err_t
payments_role_open(struct node *node)
{
    err_t result = service_open(node);
    if (result == ERR_INVALID) {
        return node_misuse(
            node,
            "payments: merchant-name, -city, -country or -category cannot be written into a code");
    }
    if (result != ERR_OK) {
        node_explain(node, "payments: %s", err_text(result));
        return result;
    }
    payments_start(node->payments);
    return ERR_OK;
}

static void
payments_role_close(struct node *node)
{
    resource_runtime_destroy(&node->runtime);
    payments_destroy(&node->payments);
}

static void
payments_role_metrics(const struct node *node, struct buf *out)
{
    struct payments_health health = payments_health(node->payments);

    const struct node_metric all[] = {
        {"tael_attempts_open",
         "gauge",
         "Attempts without an end, found by the last sweep.",
         health.attempts_open},
        {"tael_attempt_oldest_seconds",
         "gauge",
         "Age of the oldest of them.",
         (uint64_t)(health.attempt_oldest_s < 0 ? 0 : health.attempt_oldest_s)},
        {"tael_reconcile_runs_total",
         "counter",
         "Comparisons of documents, ledger and rail.",
         health.reconcile_runs},
        {"tael_differences",
         "gauge",
         "Found by the last complete comparison: anything above 0 is an alarm.",
         health.differences},
        {"tael_suspense_open",
         "gauge",
         "Suspense items that nobody has resolved: anything above 0 waits for a person.",
         health.suspense_open},
        {"tael_payouts_in_transit",
         "gauge",
         "Payouts that the bank has and has not decided.",
         health.payouts_in_transit},
        {"tael_payout_oldest_seconds",
         "gauge",
         "Since the bank was asked for the oldest of them.",
         (uint64_t)(health.payout_oldest_s < 0 ? 0 : health.payout_oldest_s)},
        {"tael_refund_oldest_seconds",
         "gauge",
         "Age of the oldest refund that the card network has and has not decided.",
         (uint64_t)(health.refund_oldest_s < 0 ? 0 : health.refund_oldest_s)},
        {"tael_payouts_paid_total",
         "counter",
         "Payouts that the bank has paid.",
         health.payouts_paid},
        {"tael_payouts_failed_total",
         "counter",
         "Payouts that the bank has refused, or sent back.",
         health.payouts_failed},
        {"tael_disputes_due_soon",
         "gauge",
         "Disputes that need a response within two days.",
         health.disputes_due_soon},
        {"tael_disputes_unplaced",
         "gauge",
         "Disputes of payments that nobody knows: anything above 0 waits for a person.",
         health.disputes_unplaced},
        {"tael_payments_blocked_by_list_total",
         "counter",
         "Payments and setups that a default list of the merchant's blocked.",
         health.blocked_by_list},
        {"tael_payments_blocked_by_rule_total",
         "counter",
         "Payments that a rule of the merchant's blocked.",
         health.blocked_by_rule},
        {"tael_payments_blocked_by_network_total",
         "counter",
         "Payments that the card network blocked as too risky.",
         health.blocked_by_network},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
}

const struct role role_payments = {
    .name = "payments",
    .parts = NODE_PAYMENTS,
    .open = payments_role_open,
    .close = payments_role_close,
    .metrics = payments_role_metrics,
};
