/*
 * Wallets: making, changing and showing them.
 *
 * The accounts in the ledger are made before the document: an account that no document names is
 * empty for ever, a document without an account would be a promise. What is unique is checked
 * twice, before the ledger is asked and in the step that writes.
 */
#include "flow.h"

#include "base/assert.h"
#include "resource/pages.h"

#include <string.h>

err_t
wallets_wallet_load(struct resource_op *op, struct span id, struct wallets_wallet **ret_wallet)
{
    void *found;
    TRY(resource_load(op, &wallets_wallet_type, id, &found));
    *ret_wallet = found;
    return ERR_OK;
}

struct wallets_wallet *
wallets_wallet_of_path(struct resource_op *op)
{
    return resource_require(op, &wallets_wallet_type, "id", resource_op_capture(op, 0));
}

/* -------------------------------------------------------------------------------- aliases --- */

static const struct alias_param {
    const char *name;
    enum wallets_alias_kind kind;
    uint32_t column;
    size_t offset;
} alias_params[] = {
    {"email", WALLETS_ALIAS_EMAIL, WALLETS_WALLET_EMAIL, offsetof(struct wallets_wallet, email)},
    {"phone", WALLETS_ALIAS_PHONE, WALLETS_WALLET_PHONE, offsetof(struct wallets_wallet, phone)},
    {"handle",
     WALLETS_ALIAS_HANDLE,
     WALLETS_WALLET_HANDLE,
     offsetof(struct wallets_wallet, handle)},
};

#define ALIAS_PARAM_COUNT (sizeof(alias_params) / sizeof(alias_params[0]))

static struct span *
alias_of(struct wallets_wallet *wallet, const struct alias_param *param)
{
    return (struct span *)(void *)((char *)wallet + param->offset);
}

struct search {
    struct span currency;
    struct wallets_wallet *found;
    struct wallets_wallet *other; /* of another currency */
};

static bool
search_each(void *context, void *document)
{
    struct search *search = context;
    struct wallets_wallet *wallet = document;
    if (span_equal_cstr(wallet->status, "closed")) {
        return true;
    }
    if (span_equal(wallet->currency, search->currency)) {
        search->found = wallet;
        return false;
    }
    search->other = wallet;
    return true;
}

/* Nobody else gives this text to a wallet of the currency at the same time. */
static err_t
guard(struct resource_op *op, uint32_t column, struct span text, struct span currency)
{
    struct span name = arena_format(
        resource_op_arena(op),
        "wallet %s %.*s %.*s",
        wallets_wallet_type.kind->columns[column].name,
        SPAN_PRINTF(currency),
        SPAN_PRINTF(text));
    return name.size == 0 ? ERR_FULL : resource_guard(op, name);
}

/* The one wallet of a currency that has this text in a column, or NULL. Closed ones keep neither
 * aliases nor their customer's place. */
static err_t
search_by(
    struct resource_op *op,
    uint32_t column,
    struct span text,
    struct span currency,
    struct search *ret_search)
{
    *ret_search = (struct search){.currency = currency};
    struct document_query query = {
        .filters = {{.column = column, .value = {.text = text}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .limit = DOCUMENT_LIST_MAX,
    };
    return resource_find(op, &wallets_wallet_type, &query, search_each, ret_search);
}

/* A wallet by alias; NULL: answered. */
static struct wallets_wallet *
find_by_alias(struct resource_op *op, const char *param, struct span text, struct span currency)
{
    struct search search = {.found = NULL};
    struct span alias = SPAN_EMPTY;
    enum wallets_alias_kind kind = wallets_alias_kind_of(text);
    const struct alias_param *by = &alias_params[0];
    for (size_t i = 0; i < ALIAS_PARAM_COUNT; i++) {
        by = alias_params[i].kind == kind ? &alias_params[i] : by;
    }
    if (wallets_alias_normalize(kind, text, resource_op_arena(op), &alias)) {
        err_t error = search_by(op, by->column, alias, currency, &search);
        if (error != ERR_OK) {
            resource_internal(op, error, "wallet by alias");
            return NULL;
        }
    }
    if (search.found != NULL) {
        return search.found;
    }
    if (search.other != NULL) {
        resource_invalid(
            op,
            "wallet_currency_mismatch",
            param,
            "The wallet of '%.*s' holds %.*s, and there is none in %.*s.",
            SPAN_PRINTF(alias),
            SPAN_PRINTF(search.other->currency),
            SPAN_PRINTF(currency));
        return NULL;
    }
    resource_missing(op, "wallet", param, text);
    return NULL;
}

struct wallets_wallet *
wallets_wallet_named(struct resource_op *op, const char *param, struct span currency)
{
    struct span text = SPAN_EMPTY;
    struct wallets_wallet *wallet = NULL;
    (void)resource_text(op, param, &text);
    if (!span_starts_with(text, SPAN("wal_"))) {
        return find_by_alias(op, param, text, currency);
    }
    err_t error = wallets_wallet_load(op, text, &wallet);
    if (error == ERR_NOT_FOUND) {
        resource_missing(op, "wallet", param, text);
        return NULL;
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "wallet");
        return NULL;
    }
    if (!span_equal(wallet->currency, currency)) {
        resource_invalid(
            op,
            "wallet_currency_mismatch",
            param,
            "Wallet %.*s holds %.*s, not %.*s.",
            SPAN_PRINTF(text),
            SPAN_PRINTF(wallet->currency),
            SPAN_PRINTF(currency));
        return NULL;
    }
    return wallet;
}

/* -------------------------------------------------------------------------- what is asked --- */

static bool
refuse_alias(struct resource_op *op, const char *param, struct span text)
{
    resource_invalid(
        op, "wallet_alias_invalid", param, "Invalid %s: '%.*s'.", param, SPAN_PRINTF(text));
    return false;
}

static bool
read_alias(struct resource_op *op, struct wallets_wallet *wallet, const struct alias_param *param)
{
    struct span text;
    struct search search;
    struct span *alias = alias_of(wallet, param);
    if (!resource_text(op, param->name, &text)) {
        return true;
    }
    if (text.size == 0) {
        *alias = SPAN_EMPTY;
        return true;
    }
    if (!wallets_alias_normalize(param->kind, text, resource_op_arena(op), alias)) {
        return refuse_alias(op, param->name, text);
    }
    err_t error = guard(op, param->column, *alias, wallet->currency);
    if (error == ERR_OK) {
        error = search_by(op, param->column, *alias, wallet->currency, &search);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "wallet by alias");
        return false;
    }
    if (search.found != NULL && !span_equal(search.found->header.id, wallet->header.id)) {
        resource_invalid(
            op,
            "wallet_alias_taken",
            param->name,
            "Another wallet in this currency has the %s '%.*s'.",
            param->name,
            SPAN_PRINTF(*alias));
        return false;
    }
    return true;
}

static bool
read_tier(struct resource_op *op, struct wallets_wallet *wallet)
{
    const struct wallets *wallets = resource_op_service(op);
    struct span tier;
    if (!resource_text(op, "tier", &tier) || tier.size == 0) {
        return true;
    }
    if (!wallets_limits_has_tier(&wallets->limits, tier)) {
        resource_invalid(
            op, "wallet_tier_unknown", "tier", "There is no tier '%.*s'.", SPAN_PRINTF(tier));
        return false;
    }
    wallet->tier = tier;
    return true;
}

/* Aliases, tier, metadata; false: answered. */
static bool
read_members(struct resource_op *op, struct wallets_wallet *wallet)
{
    for (size_t i = 0; i < ALIAS_PARAM_COUNT; i++) {
        if (!read_alias(op, wallet, &alias_params[i])) {
            return false;
        }
    }
    return read_tier(op, wallet) &&
           resource_metadata(op, wallet->metadata, &wallet->metadata) == ERR_OK;
}

static void
save_and_answer(struct wallets_flow *flow, struct wallets_wallet *wallet, const char *event)
{
    resource_answer_saved(flow->op, &wallets_wallet_type, wallet, "wallet", event);
}

/* ------------------------------------------------------------------------------- creation --- */

static bool
check_customer(struct wallets_flow *flow)
{
    void *found;
    struct span customer = flow->wallet->customer;
    err_t error = resource_load(flow->op, flow->wallets->parts.customer_type, customer, &found);
    if (error == ERR_NOT_FOUND) {
        resource_missing(flow->op, "customer", "customer", customer);
    } else if (error != ERR_OK) {
        resource_internal(flow->op, error, "customer");
    }
    return error == ERR_OK;
}

/* One wallet per customer and currency. */
static bool
check_is_first(struct wallets_flow *flow)
{
    struct search search;
    const struct wallets_wallet *wallet = flow->wallet;
    err_t error = guard(flow->op, WALLETS_WALLET_CUSTOMER, wallet->customer, wallet->currency);
    if (error == ERR_OK) {
        error = search_by(
            flow->op, WALLETS_WALLET_CUSTOMER, wallet->customer, wallet->currency, &search);
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet of customer");
        return false;
    }
    if (search.found != NULL) {
        resource_invalid(
            flow->op,
            "resource_already_exists",
            "customer",
            "Customer %.*s has a wallet in %.*s already: %.*s.",
            SPAN_PRINTF(wallet->customer),
            SPAN_PRINTF(wallet->currency),
            SPAN_PRINTF(search.found->header.id));
        return false;
    }
    return true;
}

static void
accounts_are_there(struct wallets_flow *flow, enum wallets_posting posting)
{
    if (posting != WALLETS_POSTED) {
        resource_internal(
            flow->op,
            posting == WALLETS_POSTING_UNKNOWN ? ERR_OUTCOME_UNKNOWN : ERR_UNSUPPORTED,
            "accounts of a wallet");
        return;
    }
    struct wallets_wallet *wallet = flow->wallet;
    wallet->balance_known = true; /* nothing */
    if (check_customer(flow) && check_is_first(flow) && read_members(flow->op, wallet)) {
        save_and_answer(flow, wallet, "wallet.created");
    }
}

void
wallets_wallet_create(struct resource_op *op)
{
    struct span currency = SPAN_EMPTY;
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow == NULL) {
        return;
    }
    struct wallets_wallet *wallet = resource_new(op, &wallets_wallet_type);
    if (wallet == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    flow->wallet = wallet;
    (void)resource_text(op, "customer", &wallet->customer);
    (void)resource_text(op, "currency", &currency);
    wallet->currency = span_from_cstr(wallets_currency(currency)->api_code);
    wallet->status = SPAN("active");
    wallet->tier = span_from_cstr(flow->wallets->limits.rules[0].tier);
    if (check_customer(flow) && check_is_first(flow) && read_members(op, wallet)) {
        wallet->metadata = SPAN_EMPTY; /* read again with the rest */
        wallets_post_accounts(flow, accounts_are_there);
    }
}

/* --------------------------------------------------------------------- changes and answers --- */

/* The path's wallet with its balance; then `step`. */
static void
with_balance(struct resource_op *op, wallets_step step)
{
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow == NULL) {
        return;
    }
    flow->wallet = wallets_wallet_of_path(op);
    if (flow->wallet != NULL) {
        wallets_read_balances(flow, &flow->wallet, 1, step);
    }
}

/* As it is now, with the balance that was read; NULL: answered. */
static struct wallets_wallet *
load_again(struct wallets_flow *flow)
{
    const struct wallets_wallet *before = flow->wallet;
    struct wallets_wallet *wallet = wallets_wallet_of_path(flow->op);
    if (wallet != NULL) {
        wallet->balance_known = before->balance_known;
        wallet->posted = before->posted;
        wallet->held = before->held;
        wallet->incoming = before->incoming;
    }
    return wallet;
}

static void
answer_wallet(struct wallets_flow *flow)
{
    resource_answer_object(flow->op, &wallets_wallet_type, flow->wallet);
}

void
wallets_wallet_retrieve(struct resource_op *op)
{
    with_balance(op, answer_wallet);
}

/* False: closed, and answered. */
static bool
check_is_open(struct wallets_flow *flow, const struct wallets_wallet *wallet)
{
    if (span_equal_cstr(wallet->status, "closed") || wallets_attempt_is_open(&wallet->attempt)) {
        resource_invalid(
            flow->op,
            "wallet_closed",
            NULL,
            "Wallet %.*s is closed.",
            SPAN_PRINTF(wallet->header.id));
        return false;
    }
    return true;
}

static void
update(struct wallets_flow *flow)
{
    struct wallets_wallet *wallet = load_again(flow);
    if (wallet != NULL && check_is_open(flow, wallet) && read_members(flow->op, wallet)) {
        save_and_answer(flow, wallet, "wallet.updated");
    }
}

void
wallets_wallet_update(struct resource_op *op)
{
    with_balance(op, update);
}

static void
move_to(struct wallets_flow *flow, struct span status, const char *event)
{
    struct wallets_wallet *wallet = load_again(flow);
    if (wallet == NULL || !check_is_open(flow, wallet)) {
        return;
    }
    if (span_equal(wallet->status, status)) {
        resource_answer_object(flow->op, &wallets_wallet_type, wallet);
        return;
    }
    wallet->status = status;
    save_and_answer(flow, wallet, event);
}

static void
freeze(struct wallets_flow *flow)
{
    move_to(flow, SPAN("frozen"), "wallet.frozen");
}

static void
unfreeze(struct wallets_flow *flow)
{
    move_to(flow, SPAN("active"), "wallet.unfrozen");
}

void
wallets_wallet_freeze(struct resource_op *op)
{
    with_balance(op, freeze);
}

void
wallets_wallet_unfreeze(struct resource_op *op)
{
    with_balance(op, unfreeze);
}

/* ----------------------------------------------------------------------------------- list --- */

static void
answer_list(struct wallets_flow *flow)
{
    resource_list_answer(flow->op, &wallets_wallet_type, SPAN("/v1/wallets"), flow->list);
}

void
wallets_wallet_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {{"customer", WALLETS_WALLET_CUSTOMER}};
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow == NULL) {
        return;
    }
    uint32_t count;
    flow->list = resource_list_gather(op, &wallets_wallet_type, filters, 1);
    if (flow->list != NULL) {
        void **documents = resource_list_documents(flow->list, &count);
        wallets_read_balances(
            flow, (struct wallets_wallet **)(void *)documents, count, answer_list);
    }
}
