/*
 * What must hold when everything is at rest. The documents tell a story; here it is added up by
 * itself, and compared with the ledger's accounts, its transfers, the limits and the statements.
 */
#include "wallets_sim.h"

#include "base/assert.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What the documents say that one wallet has. */
struct story {
    int64_t posted, held, incoming;
    int64_t counted_out, counted_in; /* against the month's limits */
};

struct check {
    struct wsim *sim;
    struct story stories[WSIM_WALLETS];
    int64_t bank;     /* bank clearing's debits less its credits */
    int64_t suspense; /* credits less debits */
    uint32_t moves;   /* transfers in the ledger that move something */
    const char *what; /* of the kind that is being read */
    struct ledger_transfer *transfers;
    uint32_t transfer_count;
    struct ledger_account *accounts;
    uint32_t account_count;
};

static int64_t
integer_of(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static bool
is(const json_t *json, const char *name, const char *value)
{
    return strcmp(sim_json_text(json, name), value) == 0;
}

static struct story *
story_of(struct check *check, const char *wallet)
{
    for (uint32_t i = 0; i < WSIM_WALLETS; i++) {
        if (strcmp(check->sim->wallet_ids[i], wallet) == 0) {
            return &check->stories[i];
        }
    }
    UNREACHABLE();
}

/* -------------------------------------------------------------------------------- the ledger */

/* The transfer of a document's step, or NULL. */
static const struct ledger_transfer *
transfer_of(const struct check *check, const char *prefix, const char *id, const char *step)
{
    u128 number = 0;
    bool parsed = id_parse(prefix, span_from_cstr(id), &number);
    ASSERT(parsed);
    u128 wanted = resource_derived_id(number, step);
    for (uint32_t i = 0; i < check->transfer_count; i++) {
        if (check->transfers[i].id == wanted) {
            return &check->transfers[i];
        }
    }
    return NULL;
}

/* A step that the document says was taken is in the books, with its amount; another is not. */
static void
expect(
    struct check *check,
    const char *prefix,
    const char *id,
    const char *step,
    bool taken,
    int64_t amount)
{
    const struct ledger_transfer *transfer = transfer_of(check, prefix, id, step);
    if (taken != (transfer != NULL)) {
        sim_world_fail(
            &check->sim->world, "%s: %s is %sin the books", id, step, taken ? "not " : "");
    } else if (taken && transfer->amount != (u128)amount) {
        sim_world_fail(&check->sim->world, "%s: %s has another amount in the books", id, step);
    }
    check->moves += taken ? 1 : 0;
}

/* ----------------------------------------------------------------------------- the documents */

static const struct document_kind *
kind_find(const char *name)
{
    const struct document_kind *kind = sim_kind_find(wallets_kinds, wallets_kind_count, name);
    ASSERT(kind != NULL);
    return kind;
}

static void
read_kind(struct check *check, const char *kind, sim_documents_each each)
{
    sim_documents_list(
        &check->sim->world.process.documents,
        kind_find(kind),
        check->sim->merchant.scope,
        each,
        check);
}

static void
no_attempt(struct check *check, const char *id, const json_t *body)
{
    if (sim_json_text(body, "attempt_kind")[0] != '\0') {
        sim_world_fail(&check->sim->world, "%s: its attempt is open", id);
    }
}

static void
see_transfer(void *context, const char *id, json_t *body)
{
    struct check *check = context;
    int64_t amount = integer_of(body, "amount");
    bool moved = is(body, "status", "succeeded");
    no_attempt(check, id, body);
    expect(check, "wtr_", id, "send", moved, amount);
    if (!moved) {
        return;
    }
    struct story *to = story_of(check, sim_json_text(body, "to"));
    to->posted += amount;
    to->counted_in += amount;
    if (sim_json_text(body, "from")[0] == '\0') {
        check->bank += amount;
        return;
    }
    struct story *from = story_of(check, sim_json_text(body, "from"));
    from->posted -= amount;
    from->counted_out += amount;
}

static void
see_hold(void *context, const char *id, json_t *body)
{
    struct check *check = context;
    int64_t amount = integer_of(body, "amount");
    int64_t captured = integer_of(body, "amount_captured");
    bool failed = is(body, "status", "failed");
    bool active = is(body, "status", "active");
    struct story *from = story_of(check, sim_json_text(body, "from"));
    struct story *to = story_of(check, sim_json_text(body, "to"));
    no_attempt(check, id, body);
    expect(check, "whd_", id, "hold", !failed, amount);
    expect(check, "whd_", id, "capture", is(body, "status", "captured"), captured);
    check->moves -= failed ? 0 : 1; /* the holding itself moves nothing */
    int64_t counted = active ? amount : captured;
    from->posted -= captured;
    to->posted += captured;
    from->held += active ? amount : 0;
    to->incoming += active ? amount : 0;
    from->counted_out += counted;
    to->counted_in += counted;
}

static void
see_withdrawal(void *context, const char *id, json_t *body)
{
    struct check *check = context;
    int64_t amount = integer_of(body, "amount");
    bool returned = is(body, "status", "returned");
    bool paid = is(body, "status", "paid") || returned;
    bool pending = is(body, "status", "pending");
    bool suspense = json_is_true(json_object_get(body, "in_suspense"));
    struct story *wallet = story_of(check, sim_json_text(body, "wallet"));
    if (!pending) {
        no_attempt(check, id, body);
    }
    expect(check, "wwd_", id, "paid", paid, amount);
    expect(check, "wwd_", id, "return", returned && !suspense, amount);
    expect(check, "wwd_", id, "return to suspense", returned && suspense, amount);
    wallet->held += pending ? amount : 0;
    wallet->posted -= paid && (!returned || suspense) ? amount : 0;
    wallet->counted_out += pending || (paid && !returned) ? amount : 0;
    check->bank -= paid && !returned ? amount : 0;
    check->suspense += returned && suspense ? amount : 0;
}

static void
see_request(void *context, const char *id, json_t *body)
{
    struct check *check = context;
    bool paid = is(body, "status", "paid");
    if (paid != (sim_json_text(body, "transfer")[0] != '\0')) {
        sim_world_fail(
            &check->sim->world,
            "%s: %s, with transfer '%s'",
            id,
            sim_json_text(body, "status"),
            sim_json_text(body, "transfer"));
    }
}

/* ------------------------------------------------------------------------------ comparisons */

static const struct ledger_account *
account_of(const struct check *check, enum books_account account, const char *owner)
{
    u128 id = books_account_id(account, owner, currency_find(SPAN("usd")), false);
    for (uint32_t i = 0; i < check->account_count; i++) {
        if (check->accounts[i].id == id) {
            return &check->accounts[i];
        }
    }
    UNREACHABLE();
}

static void
same(struct check *check, const char *wallet, const char *what, int64_t documents, int64_t other)
{
    if (documents != other) {
        sim_world_fail(
            &check->sim->world,
            "%s: %s is %lld by the documents, %lld in truth",
            wallet,
            what,
            (long long)documents,
            (long long)other);
    }
}

static void
compare_account(struct check *check, uint32_t index)
{
    const char *wallet = check->sim->wallet_ids[index];
    const struct story *story = &check->stories[index];
    const struct ledger_account *account = account_of(check, BOOKS_WALLET, wallet);
    if (account->debits_posted + account->debits_pending > account->credits_posted) {
        sim_world_fail(&check->sim->world, "%s is overdrawn", wallet);
    }
    same(
        check,
        wallet,
        "posted",
        story->posted,
        (int64_t)(account->credits_posted - account->debits_posted));
    same(check, wallet, "held", story->held, (int64_t)account->debits_pending);
    same(check, wallet, "incoming", story->incoming, (int64_t)account->credits_pending);
}

/* Nothing is left counted that did not move, and nothing moved uncounted. */
static void
compare_limits(void *context, const char *id, json_t *body)
{
    struct check *check = context;
    const struct story *story = story_of(check, id);
    no_attempt(check, id, body);
    same(check, id, "out", story->counted_out, integer_of(body, "out_month_amount"));
    same(check, id, "in", story->counted_in, integer_of(body, "in_month_amount"));
}

/* All lines of the statement, newest first, in pages: the running balance is the sum. */
static void
compare_statement(struct check *check, uint32_t index)
{
    char form[96] = "limit=7";
    const char *wallet = check->sim->wallet_ids[index];
    int64_t balance = check->stories[index].posted;
    bool more = true;
    while (more && !check->sim->world.failed) {
        const json_t *page = wsim_ask(check->sim, "GET", "/v1/wallets/:id/statement", wallet, form);
        const json_t *lines = json_object_get(page, "data");
        more = json_is_true(json_object_get(page, "has_more"));
        for (size_t i = 0; i < json_array_size(lines); i++) {
            const json_t *line = json_array_get(lines, i);
            same(check, wallet, "a line's balance", balance, integer_of(line, "balance"));
            balance -= integer_of(line, "amount");
            (void)snprintf(
                form, sizeof(form), "limit=7&starting_after=%s", sim_json_text(line, "id"));
        }
    }
    same(check, wallet, "before the first line", 0, balance);
}

/* Every transfer that moves something is one that a document told of. */
static void
compare_moves(struct check *check)
{
    const unsigned still = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    uint32_t moves = 0;
    for (uint32_t i = 0; i < check->transfer_count; i++) {
        moves += (check->transfers[i].flags & still) == 0 ? 1 : 0;
    }
    if (moves != check->moves) {
        sim_world_fail(
            &check->sim->world,
            "%u movements in the ledger, %u in the documents",
            moves,
            check->moves);
    }
}

static void
compare_platform(struct check *check)
{
    const struct ledger_account *bank = account_of(check, BOOKS_BANK_CLEARING, "");
    const struct ledger_account *suspense = account_of(check, BOOKS_SUSPENSE, "");
    same(
        check,
        "bank",
        "posted",
        check->bank,
        (int64_t)(bank->debits_posted - bank->credits_posted));
    same(
        check,
        "suspense",
        "posted",
        check->suspense,
        (int64_t)(suspense->credits_posted - suspense->debits_posted));
}

void
wsim_check(struct wsim *sim)
{
    struct check check = {.sim = sim};
    check.transfers = calloc(LEDGER_BATCH_MAX, sizeof(*check.transfers));
    check.accounts = calloc(LEDGER_BATCH_MAX, sizeof(*check.accounts));
    ASSERT(check.transfers != NULL && check.accounts != NULL);
    check.transfer_count =
        sim_world_ask_ledger(&sim->world, PORT_LEDGER_QUERY_TRANSFERS, check.transfers);
    check.account_count =
        sim_world_ask_ledger(&sim->world, PORT_LEDGER_QUERY_ACCOUNTS, check.accounts);
    read_kind(&check, "wallet_transfer", see_transfer);
    read_kind(&check, "wallet_hold", see_hold);
    read_kind(&check, "wallet_withdrawal", see_withdrawal);
    read_kind(&check, "wallet_request", see_request);
    read_kind(&check, "wallet", compare_limits);
    compare_moves(&check);
    compare_platform(&check);
    for (uint32_t i = 0; i < WSIM_WALLETS; i++) {
        compare_account(&check, i);
        compare_statement(&check, i);
    }
    free(check.transfers);
    free(check.accounts);
}

/* --------------------------------------------------------------------------------- damage */

struct damage {
    char id[SIM_DOCUMENT_ID_SIZE];
    json_t *body;
};

static void
choose(void *context, const char *id, json_t *body)
{
    struct damage *damage = context;
    if (damage->body == NULL && is(body, "status", "succeeded")) {
        (void)snprintf(damage->id, sizeof(damage->id), "%s", id);
        damage->body = json_incref(body);
    }
}

bool
wsim_damage(struct wsim *sim)
{
    const struct document_kind *kind = kind_find("wallet_transfer");
    struct sim_documents *documents = &sim->world.process.documents;
    struct damage damage = {.body = NULL};
    sim_documents_list(documents, kind, sim->merchant.scope, choose, &damage);
    if (damage.body == NULL) {
        return false;
    }
    int64_t doubled = 2 * integer_of(damage.body, "amount");
    json_object_set_new(damage.body, "amount", json_integer(doubled));
    sim_documents_damage(documents, kind, sim->merchant.scope, damage.id, damage.body);
    json_decref(damage.body);
    return true;
}
