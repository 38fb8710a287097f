#include "restore_books.h"

#include "document/reader.h"
#include "payments/stored.h"
#include "store/verify.h"
#include "wallets/stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX (4U << 20)
/* Transfers that are compared; each takes 80 bytes of memory. */
#define EXPECTED_MAX 100000000U
#define STILL        (LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_VOID_PENDING)

struct expected {
    struct books_expected said;
    char document[ID_TEXT_SIZE];
    bool found;
};

struct comparison {
    struct document_reader *documents;
    struct restore_books *books;
    struct arena arena; /* of one document */
    bool rests;         /* the charge's intent */
    const char *kind;   /* of wallets' documents, which is read */
    struct expected *expected;
    size_t count;
    size_t capacity;
    char message[DOCUMENT_MESSAGE_SIZE];
};

static void
difference(struct comparison *comparison, struct span document, const char *what)
{
    struct restore_books *books = comparison->books;
    if (books->differences++ == 0) {
        struct buf text;
        buf_init_fixed(&text, books->first, sizeof(books->first) - 1);
        buf_append_span(&text, span_slice(document, 0, ID_TEXT_SIZE));
        buf_append_format(&text, ": %s", what);
        books->first[text.size] = '\0';
    }
}

/* ----------------------------------------------------------------------------- what is expected */

static err_t
expect(struct comparison *comparison, struct span document, const struct books_expected *said)
{
    if (comparison->count == EXPECTED_MAX) {
        return ERR_FULL;
    }
    if (comparison->count == comparison->capacity) {
        size_t capacity = comparison->capacity == 0 ? 1024 : comparison->capacity * 2;
        struct expected *grown =
            realloc(comparison->expected, capacity * sizeof(*comparison->expected));
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        comparison->expected = grown;
        comparison->capacity = capacity;
    }
    struct expected *expected = &comparison->expected[comparison->count++];
    *expected = (struct expected){.said = *said};
    memcpy(
        expected->document,
        document.data,
        document.size < ID_TEXT_SIZE ? document.size : ID_TEXT_SIZE - 1);
    return ERR_OK;
}

static err_t
expect_all(
    struct comparison *comparison,
    struct span document,
    const struct books_expected *said,
    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        TRY(expect(comparison, document, &said[i]));
    }
    return ERR_OK;
}

static err_t
see_intent(void *context, uint64_t scope, struct span id, struct span body)
{
    struct comparison *comparison = context;
    (void)scope;
    (void)id;
    return payments_stored_intent_rests(&comparison->arena, body, &comparison->rests);
}

static err_t
see_charge(void *context, uint64_t scope, struct span id, struct span body)
{
    struct comparison *comparison = context;
    struct payments_stored_charge charge;
    arena_clear(&comparison->arena);
    err_t code = payments_stored_charge(&comparison->arena, body, &charge);
    if (code != ERR_OK) {
        difference(comparison, id, err_text(code));
        return ERR_OK;
    }
    if (!charge.booked) {
        return ERR_OK;
    }
    const struct document_reader_key key = {PAYMENTS_STORED_INTENT, scope, charge.intent};
    code = document_reader_get(
        comparison->documents, &key, see_intent, comparison, comparison->message);
    if (code != ERR_OK) {
        difference(
            comparison, id, code == ERR_NOT_FOUND ? "its intent is missing" : err_text(code));
        return ERR_OK;
    }
    if (!comparison->rests) {
        comparison->books->under_way++;
        return ERR_OK;
    }
    comparison->books->charges++;
    return expect_all(comparison, id, charge.expected, charge.count);
}

static err_t
see_refund(void *context, uint64_t scope, struct span id, struct span body)
{
    struct comparison *comparison = context;
    struct books_expected said;
    bool booked = false;
    (void)scope;
    arena_clear(&comparison->arena);
    err_t code = payments_stored_refund(&comparison->arena, body, &said, &booked);
    if (code != ERR_OK) {
        difference(comparison, id, err_text(code));
    }
    if (!booked) {
        return ERR_OK;
    }
    comparison->books->refunds++;
    return expect(comparison, id, &said);
}

/* Whether a document says something of the books that can be compared. */
static bool
says_something(struct comparison *comparison, struct span id, err_t code, uint32_t count)
{
    if (code != ERR_OK) {
        difference(comparison, id, err_text(code));
    } else if (count == 0) {
        comparison->books->under_way++;
    }
    return code == ERR_OK && count != 0;
}

static err_t
see_payout(void *context, uint64_t scope, struct span id, struct span body)
{
    struct comparison *comparison = context;
    struct books_expected said[PAYMENTS_EXPECTED_MAX];
    uint32_t count = 0;
    (void)scope;
    arena_clear(&comparison->arena);
    err_t code = payments_stored_payout(&comparison->arena, id, body, said, &count);
    if (!says_something(comparison, id, code, count)) {
        return ERR_OK;
    }
    comparison->books->payouts++;
    return expect_all(comparison, id, said, count);
}

static bool
moved(const struct books_expected *said, uint32_t count)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        any = any || said[i].amount >= 0;
    }
    return any;
}

static err_t
see_dispute(void *context, uint64_t scope, struct span id, struct span body)
{
    struct comparison *comparison = context;
    struct books_expected said[PAYMENTS_EXPECTED_MAX];
    uint32_t count = 0;
    (void)scope;
    arena_clear(&comparison->arena);
    err_t code = payments_stored_dispute(&comparison->arena, id, body, said, &count);
    if (code != ERR_OK) {
        difference(comparison, id, err_text(code));
        return ERR_OK;
    }
    comparison->books->disputes += moved(said, count) ? 1 : 0;
    return expect_all(comparison, id, said, count);
}

static err_t
see_wallets_document(void *context, uint64_t scope, struct span id, struct span body)
{
    struct comparison *comparison = context;
    struct books_expected said[WALLETS_EXPECTED_MAX];
    uint32_t count = 0;
    (void)scope;
    arena_clear(&comparison->arena);
    err_t code =
        wallets_stored_document(&comparison->arena, comparison->kind, id, body, said, &count);
    if (!says_something(comparison, id, code, count)) {
        return ERR_OK;
    }
    comparison->books->movements++;
    return expect_all(comparison, id, said, count);
}

/* All that say something of the books. */
static err_t
read_kinds(struct comparison *comparison)
{
    static const struct {
        const char *kind;
        document_reader_row see;
    } kinds[] = {
        {PAYMENTS_STORED_CHARGE, see_charge},
        {PAYMENTS_STORED_REFUND, see_refund},
        {PAYMENTS_STORED_PAYOUT, see_payout},
        {PAYMENTS_STORED_DISPUTE, see_dispute},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        TRY(document_reader_each(
            comparison->documents, kinds[i].kind, kinds[i].see, comparison, comparison->message));
    }
    for (size_t i = 0; wallets_stored_kinds[i] != NULL; i++) {
        comparison->kind = wallets_stored_kinds[i];
        TRY(document_reader_each(
            comparison->documents,
            comparison->kind,
            see_wallets_document,
            comparison,
            comparison->message));
    }
    return ERR_OK;
}

static err_t
read_documents(struct comparison *comparison, const char *folder)
{
    char path[1200];
    (void)snprintf(path, sizeof(path), "%s/tael.db", folder);
    TRY(document_reader_open(path, &comparison->documents, comparison->message));
    TRY(document_reader_check(comparison->documents, comparison->message));
    err_t code = read_kinds(comparison);
    if (code != ERR_OK && comparison->message[0] == '\0') {
        (void)snprintf(comparison->message, sizeof(comparison->message), "%s", err_text(code));
    }
    return code;
}

/* -------------------------------------------------------------------------- what the books have */

static int
compare_transfers(const void *a, const void *b)
{
    const struct expected *left = a;
    const struct expected *right = b;
    u128 one = left->said.transfer;
    u128 other = right->said.transfer;
    return one < other ? -1 : one > other;
}

static err_t
see_document(void *context, uint64_t scope, struct span id, struct span body)
{
    (void)context;
    (void)scope;
    (void)id;
    (void)body;
    return ERR_OK;
}

/* What moved in a wallet, was paid out, or was taken back by the network has a document, at least
 * one that is under way. */
static err_t
explain(struct comparison *comparison, const struct ledger_transfer *movement)
{
    char id[ID_TEXT_SIZE];
    const char *kind = NULL;
    bool explained = payments_stored_explains(movement, &kind, id) ||
                     wallets_stored_explains(movement, &kind, id);
    if ((movement->flags & STILL) != 0 || !explained) {
        return ERR_OK;
    }
    const struct document_reader_key key = {kind, movement->user_data_64, span_from_cstr(id)};
    err_t code = document_reader_get(
        comparison->documents, &key, see_document, comparison, comparison->message);
    if (code == ERR_NOT_FOUND) {
        difference(comparison, span_from_cstr(id), "moved in the books, and has no document");
        return ERR_OK;
    }
    return code;
}

static struct expected *
expected_find(const struct comparison *comparison, u128 transfer)
{
    const struct expected wanted = {.said = {.transfer = transfer}};
    return comparison->count == 0 ? NULL
                                  : bsearch(
                                        &wanted,
                                        comparison->expected,
                                        comparison->count,
                                        sizeof(*comparison->expected),
                                        compare_transfers);
}

static err_t
see_event(void *context, const struct ledger_event *event)
{
    struct comparison *comparison = context;
    if (event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) {
        return ERR_OK;
    }
    struct expected *expected = expected_find(comparison, event->transfer.id);
    if (expected == NULL) {
        return explain(comparison, &event->transfer);
    }
    expected->found = true;
    if (expected->said.amount < 0) {
        difference(comparison, span_from_cstr(expected->document), "in the books all the same");
    } else if ((u128)expected->said.amount != event->transfer.amount) {
        difference(comparison, span_from_cstr(expected->document), "other amount in the books");
    }
    return ERR_OK;
}

static err_t
read_books(struct comparison *comparison, const char *folder, struct store_error *error)
{
    char url[1200];
    struct store_verify_report report;
    struct store_verify_visitor visitor = {
        .event = see_event,
        .context = comparison,
    };
    (void)snprintf(url, sizeof(url), "journal:%s/ledger", folder);
    if (comparison->count > 0) {
        qsort(
            comparison->expected,
            comparison->count,
            sizeof(*comparison->expected),
            compare_transfers);
    }
    TRY(store_verify(url, os_disk_real(), &visitor, &report, error));
    for (size_t i = 0; i < comparison->count; i++) {
        const struct expected *expected = &comparison->expected[i];
        if (!expected->found && expected->said.amount >= 0) {
            difference(comparison, span_from_cstr(expected->document), "not in the books");
        }
    }
    return ERR_OK;
}

err_t
restore_books_compare(
    const char *folder, struct restore_books *ret_books, char *message, size_t message_size)
{
    struct store_error error = {0};
    struct comparison comparison = {.books = ret_books};
    *ret_books = (struct restore_books){0};
    arena_init(&comparison.arena, ARENA_MAX);
    err_t code = read_documents(&comparison, folder);
    if (code != ERR_OK) {
        (void)snprintf(message, message_size, "documents: %s", comparison.message);
    } else {
        code = read_books(&comparison, folder, &error);
        if (code != ERR_OK) {
            (void)snprintf(message, message_size, "%s", error.message);
        }
    }
    document_reader_close(&comparison.documents);
    free(comparison.expected);
    arena_release(&comparison.arena);
    return code;
}
