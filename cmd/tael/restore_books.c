#include "restore_books.h"

#include "document/reader.h"
#include "payments/stored.h"
#include "store/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX (4U << 20)
/* Charges that are compared; each takes 80 bytes of memory. */
#define EXPECTED_MAX 100000000U

/* What one charge says that the books have. */
struct expected {
    u128 transfer;
    u128 amount;
    char charge[ID_TEXT_SIZE];
    bool found;
};

struct comparison {
    struct document_reader *documents;
    struct restore_books *books;
    struct arena arena; /* of one charge */
    bool rests;         /* its intent */
    struct expected *expected;
    size_t count;
    size_t capacity;
    char message[DOCUMENT_MESSAGE_SIZE];
};

static void
difference(struct comparison *comparison, struct span charge, const char *what)
{
    struct restore_books *books = comparison->books;
    if (books->differences++ == 0) {
        struct buf text;
        buf_init_fixed(&text, books->first, sizeof(books->first) - 1);
        buf_append_span(&text, span_slice(charge, 0, ID_TEXT_SIZE));
        buf_append_format(&text, ": %s", what);
        books->first[text.size] = '\0';
    }
}

/* ----------------------------------------------------------------------------- what is expected */

static err_t
expect(struct comparison *comparison, struct span id, const struct payments_stored_charge *charge)
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
    *expected = (struct expected){.transfer = charge->transfer, .amount = charge->amount};
    memcpy(expected->charge, id.data, id.size < ID_TEXT_SIZE ? id.size : ID_TEXT_SIZE - 1);
    comparison->books->charges++;
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
    return expect(comparison, id, &charge);
}

static err_t
read_documents(struct comparison *comparison, const char *folder)
{
    char path[1200];
    (void)snprintf(path, sizeof(path), "%s/tael.db", folder);
    TRY(document_reader_open(path, &comparison->documents, comparison->message));
    TRY(document_reader_check(comparison->documents, comparison->message));
    err_t code = document_reader_each(
        comparison->documents, PAYMENTS_STORED_CHARGE, see_charge, comparison, comparison->message);
    if (code != ERR_OK && comparison->message[0] == '\0') {
        (void)snprintf(comparison->message, sizeof(comparison->message), "%s", err_text(code));
    }
    return code;
}

/* ------------------------------------------------------------------------------ what the books
 * have */

static int
compare_transfers(const void *a, const void *b)
{
    const struct expected *left = a;
    const struct expected *right = b;
    return left->transfer < right->transfer ? -1 : left->transfer > right->transfer;
}

static err_t
see_event(void *context, const struct ledger_event *event)
{
    struct comparison *comparison = context;
    const struct expected wanted = {.transfer = event->transfer.id};
    if (event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED || comparison->count == 0) {
        return ERR_OK;
    }
    struct expected *expected = bsearch(
        &wanted,
        comparison->expected,
        comparison->count,
        sizeof(*comparison->expected),
        compare_transfers);
    if (expected != NULL) {
        expected->found = true;
        if (expected->amount != event->transfer.amount) {
            difference(comparison, span_from_cstr(expected->charge), "other amount in the books");
        }
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
        if (!expected->found) {
            difference(comparison, span_from_cstr(expected->charge), "not in the books");
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
