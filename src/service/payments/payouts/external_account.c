/*
 * The merchant's accounts at banks, which payouts go to. The path names the merchant, as in
 * Stripe's API; it is the caller's own, always.
 *
 * Per currency one of them is the default. Rules that look at several of them hold because they are
 * read and written within one step; among processes by a guard on the merchant's accounts.
 */
#include "payout.h"

#include "resource/bank_account.h"
#include "resource/pages.h"

struct search {
    struct span currency;
    struct span but; /* the id of one that does not count */
    struct payments_bank_account *found;
    struct resource_op *op;
    struct span damaged; /* the id of one that cannot be read; empty: all can */
};

bool
payments_account_is_own(struct resource_op *op)
{
    struct span named = resource_op_capture(op, 0);
    if (!span_equal_cstr(named, resource_op_caller(op)->merchant_id)) {
        resource_missing(op, "account", "account", named);
        return false;
    }
    return true;
}

static struct span
merchant_of(struct resource_op *op)
{
    return span_from_cstr(resource_op_caller(op)->merchant_id);
}

static bool
take_in_currency(void *context, void *document)
{
    struct search *search = context;
    struct payments_bank_account *account = document;
    if (!span_equal(account->currency, search->currency) ||
        span_equal(account->header.id, search->but)) {
        return true;
    }
    search->found = account;
    return false;
}

static void
pass_damaged(void *context, struct span id)
{
    struct search *search = context;
    search->damaged = id;
    resource_note_damaged(search->op, &payments_bank_account_type, id);
}

/* The first that a column finds, of the currency, but for one; among those that can be read. */
static err_t
find(struct resource_op *op, uint32_t column, struct span value, struct search *search)
{
    const struct document_query query = {
        .filters = {{.column = column, .value = {.text = value}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .limit = DOCUMENT_LIST_MAX,
    };
    search->found = NULL;
    search->op = op;
    search->damaged = SPAN_EMPTY;
    const struct resource_visitor visitor = {
        .each = take_in_currency, .damaged = pass_damaged, .context = search};
    return resource_visit(op, &payments_bank_account_type, &query, &visitor);
}

/* One that cannot be read, if there is no other, is in search->damaged. */
static err_t
find_default(struct resource_op *op, struct span currency, struct search *search)
{
    *search = (struct search){.currency = currency};
    return find(op, PAYMENTS_BANK_ACCOUNT_DEFAULT_OF, currency, search);
}

err_t
payments_bank_account_default(
    struct resource_op *op, struct span currency, struct payments_bank_account **ret_account)
{
    struct search search;
    TRY(find_default(op, currency, &search));
    *ret_account = search.found;
    return search.found == NULL && search.damaged.size != 0 ? ERR_CORRUPT : ERR_OK;
}

/* ------------------------------------------------------------------------------ for payouts --- */

static struct payments_bank_account *
choose_named(struct resource_op *op, struct span id, struct span currency)
{
    struct payments_bank_account *account =
        resource_require(op, &payments_bank_account_type, "destination", id);
    if (account == NULL) {
        return NULL;
    }
    if (account->merchant.size == 0) {
        resource_missing(op, "external account", "destination", id);
        return NULL;
    }
    if (!span_equal(account->currency, currency)) {
        resource_invalid(
            op,
            NULL,
            "destination",
            "The bank account %.*s is in %.*s, and this payout in %.*s.",
            SPAN_PRINTF(id),
            SPAN_PRINTF(account->currency),
            SPAN_PRINTF(currency));
        return NULL;
    }
    return account;
}

struct payments_bank_account *
payments_bank_account_choose(struct resource_op *op, struct span destination, struct span currency)
{
    if (destination.size != 0) {
        return choose_named(op, destination, currency);
    }
    struct search search;
    err_t error = find_default(op, currency, &search);
    if (error != ERR_OK) {
        resource_internal(op, error, "external accounts");
        return NULL;
    }
    if (search.found == NULL && search.damaged.size != 0) {
        resource_invalid(
            op,
            NULL,
            "destination",
            "Your default external account in that currency (%.*s), %.*s, cannot be read on our "
            "side. Name another one, or make another one the default.",
            SPAN_PRINTF(currency),
            SPAN_PRINTF(search.damaged));
    } else if (search.found == NULL) {
        resource_invalid(
            op,
            "external_account_missing",
            "destination",
            "You don't have any external accounts in that currency (%.*s).",
            SPAN_PRINTF(currency));
    }
    return search.found;
}

err_t
payments_bank_account_failed(struct resource_op *op, struct span id)
{
    void *found;
    TRY(resource_load(op, &payments_bank_account_type, id, &found));
    struct payments_bank_account *account = found;
    if (account->errored || account->merchant.size == 0) {
        return ERR_OK;
    }
    account->errored = true;
    TRY(resource_save(op, &payments_bank_account_type, account));
    return resource_emit(
        op, "account.external_account.updated", &payments_bank_account_type, account, SPAN_EMPTY);
}

/* --------------------------------------------------------------------------------- creation --- */

/* The same for the same account, and for whoever does not know the key no way to the number. */
static struct span
fingerprint_of(struct resource_op *op, const struct payments_bank_account *account)
{
    const struct payments *payments = resource_op_service(op);
    struct arena *arena = resource_op_arena(op);
    const char *named = arena_cstr(
        arena,
        arena_format(
            arena,
            "%.*s %.*s %.*s",
            SPAN_PRINTF(account->country),
            SPAN_PRINTF(account->routing_number),
            SPAN_PRINTF(account->number)));
    if (named == NULL) {
        return SPAN_EMPTY;
    }
    char digits[ID_TEXT_SIZE];
    u128 derived = resource_derived_id(payments->parts.fingerprint_key, named);
    size_t size = id_format("", derived, digits);
    return arena_copy(arena, span_of(digits, size));
}

/* It is where its currency goes by itself, and no other one. */
static err_t
make_default(struct resource_op *op, struct payments_bank_account *account)
{
    struct search search;
    TRY(find_default(op, account->currency, &search));
    struct payments_bank_account *before =
        search.found; /* one that cannot be read counts no more */
    if (before != NULL && !span_equal(before->header.id, account->header.id)) {
        before->default_of = SPAN_EMPTY;
        TRY(resource_save(op, &payments_bank_account_type, before));
        TRY(resource_emit(
            op,
            "account.external_account.updated",
            &payments_bank_account_type,
            before,
            SPAN_EMPTY));
    }
    account->default_of = account->currency;
    return ERR_OK;
}

static err_t
settle_default(struct resource_op *op, struct payments_bank_account *account)
{
    bool wanted = false;
    struct search present;
    (void)resource_boolean(op, "default_for_currency", &wanted);
    TRY(resource_guard(op, SPAN("external accounts")));
    TRY(find_default(op, account->currency, &present));
    bool is_first = present.found == NULL && present.damaged.size == 0;
    return wanted || is_first ? make_default(op, account) : ERR_OK;
}

static bool
read_account(struct resource_op *op, struct payments_bank_account *account)
{
    struct resource_bank_account named;
    struct span code = SPAN_EMPTY;
    if (!resource_bank_account_read(op, "external_account", &named)) {
        return false;
    }
    account->number = named.number;
    account->routing_number = named.routing_number;
    account->country = named.country;
    account->holder_name = named.holder_name;
    (void)resource_text(op, "external_account[account_holder_type]", &account->holder_type);
    (void)resource_text(op, "external_account[account_type]", &account->kind);
    (void)resource_text(op, "external_account[currency]", &code);
    account->currency = span_from_cstr(currency_find(code)->api_code);
    account->merchant = merchant_of(op);
    account->account = account->merchant;
    account->fingerprint = fingerprint_of(op, account);
    return resource_metadata(op, SPAN_EMPTY, &account->metadata) == ERR_OK;
}

void
payments_external_account_create(struct resource_op *op)
{
    if (!payments_account_is_own(op)) {
        return;
    }
    struct payments_bank_account *account = resource_new(op, &payments_bank_account_type);
    if (account == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    if (!read_account(op, account)) {
        return;
    }
    err_t error = settle_default(op, account);
    if (error != ERR_OK) {
        resource_internal(op, error, "external account");
        return;
    }
    resource_answer_saved(
        op,
        &payments_bank_account_type,
        account,
        "external account",
        "account.external_account.created");
}

/* ------------------------------------------------------------------------------ one that is --- */

/* NULL: the operation was answered. */
static struct payments_bank_account *
require(struct resource_op *op)
{
    struct span id = resource_op_capture(op, 1);
    if (!payments_account_is_own(op)) {
        return NULL;
    }
    struct payments_bank_account *account =
        resource_require(op, &payments_bank_account_type, "id", id);
    if (account != NULL && account->merchant.size == 0) {
        resource_missing(op, "external account", "id", id);
        return NULL;
    }
    return account;
}

void
payments_external_account_retrieve(struct resource_op *op)
{
    const struct payments_bank_account *account = require(op);
    if (account != NULL) {
        resource_answer_object(op, &payments_bank_account_type, account);
    }
}

void
payments_external_account_list(struct resource_op *op)
{
    struct span merchant = merchant_of(op);
    if (!payments_account_is_own(op)) {
        return;
    }
    const struct document_filter only = {
        .column = PAYMENTS_BANK_ACCOUNT_MERCHANT,
        .value = {.text = merchant},
    };
    struct span url = arena_format(
        resource_op_arena(op), "/v1/accounts/%.*s/external_accounts", SPAN_PRINTF(merchant));
    resource_answer_list_of(op, &payments_bank_account_type, url, &only);
}

void
payments_external_account_update(struct resource_op *op)
{
    bool is_default = false;
    struct payments_bank_account *account = require(op);
    if (account == NULL) {
        return;
    }
    bool given = resource_boolean(op, "default_for_currency", &is_default);
    if (given && !is_default && account->default_of.size != 0) {
        resource_invalid(
            op,
            NULL,
            "default_for_currency",
            "Each currency has a default account: make another one that instead.");
        return;
    }
    (void)resource_text(op, "account_holder_name", &account->holder_name);
    (void)resource_text(op, "account_holder_type", &account->holder_type);
    if (resource_metadata(op, account->metadata, &account->metadata) != ERR_OK) {
        return;
    }
    account->errored = false; /* whoever changes it has looked at it */
    err_t error = ERR_OK;
    if (is_default) {
        error = resource_guard(op, SPAN("external accounts"));
        error = error == ERR_OK ? make_default(op, account) : error;
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "external account");
        return;
    }
    resource_answer_saved(
        op,
        &payments_bank_account_type,
        account,
        "external account",
        "account.external_account.updated");
}

/* --------------------------------------------------------------------------------- deletion --- */

/* Whether the currency would be left without a default, though it has accounts; false if answered.
 */
static bool
may_go(struct resource_op *op, const struct payments_bank_account *account)
{
    struct search others = {.currency = account->currency, .but = account->header.id};
    err_t error = resource_guard(op, SPAN("external accounts"));
    if (error == ERR_OK) {
        error = find(op, PAYMENTS_BANK_ACCOUNT_MERCHANT, account->merchant, &others);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "external accounts");
        return false;
    }
    if (account->default_of.size != 0 && others.found != NULL) {
        resource_invalid(
            op,
            "external_account_in_use",
            "id",
            "This is where payouts in %.*s go by default: make another account that first.",
            SPAN_PRINTF(account->currency));
        return false;
    }
    return true;
}

void
payments_external_account_delete(struct resource_op *op)
{
    struct payments_bank_account *account = require(op);
    if (account == NULL || !may_go(op, account)) {
        return;
    }
    account->merchant = SPAN_EMPTY;
    account->default_of = SPAN_EMPTY;
    err_t error = resource_save(op, &payments_bank_account_type, account);
    if (error == ERR_OK) {
        error = resource_emit(
            op,
            "account.external_account.deleted",
            &payments_bank_account_type,
            account,
            SPAN_EMPTY);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "external account");
        return;
    }
    resource_answer_object(op, &payments_deleted_bank_account_type, account);
}
