/* Reads everything that is written down: documents, ledger, the issuer's file. */
#include "payments_sim.h"

#include "base/assert.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct sim_issuer_record) == 64, "record of the issuer's file");

/* ----------------------------------------------------------------------------- the documents */

static const char *const kind_names[SIM_ROW_KIND_COUNT] = {
    [SIM_ROW_INTENT] = "payment_intent",
    [SIM_ROW_CHARGE] = "charge",
    [SIM_ROW_REFUND] = "refund",
    [SIM_ROW_TRANSACTION] = "balance_transaction",
    [SIM_ROW_KEY] = "idempotency_key",
    [SIM_ROW_EVENT] = "event",
    [SIM_ROW_SETUP] = "setup_intent",
    [SIM_ROW_SETUP_ATTEMPT] = "setup_attempt",
    [SIM_ROW_DISPUTE] = "dispute",
};

static const struct document_kind *
kind_find(enum sim_kind kind)
{
    const char *name = kind_names[kind];
    const struct document_kind *found = sim_kind_find(payments_kinds, payments_kind_count, name);
    if (found == NULL) {
        found = sim_kind_find(resource_kinds, resource_kind_count, name);
    }
    ASSERT(found != NULL);
    return found;
}

struct reading {
    struct sim_rows *rows;
    uint32_t merchant;
    uint64_t scope;
};

static void
read_row(void *context, const char *id, json_t *body)
{
    struct reading *reading = context;
    struct sim_rows *rows = reading->rows;
    rows->rows = reallocarray(rows->rows, rows->count + 1, sizeof(*rows->rows));
    ASSERT(rows->rows != NULL);
    struct sim_row *out = &rows->rows[rows->count++];
    memset(out, 0, sizeof(*out));
    out->scope = reading->scope;
    out->merchant = reading->merchant;
    (void)snprintf(out->id, sizeof(out->id), "%s", id);
    out->body = json_incref(body);
}

static void
read_kind(struct sim *sim, enum sim_kind kind, struct sim_rows *rows)
{
    for (uint32_t i = 0; i < SIM_MERCHANTS; i++) {
        uint64_t scope = sim->merchants[i].scope;
        struct reading reading = {.rows = rows, .merchant = i, .scope = scope};
        sim_documents_list(
            &sim->world.process.documents, kind_find(kind), scope, read_row, &reading);
    }
}

struct sim_row *
sim_books_find(const struct sim_books *books, enum sim_kind kind, const char *id)
{
    const struct sim_rows *rows = &books->documents[kind];
    for (uint32_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->rows[i].id, id) == 0) {
            return &rows->rows[i];
        }
    }
    return NULL;
}

const char *
sim_row_text(const struct sim_row *row, const char *name)
{
    return sim_json_text(row->body, name);
}

int64_t
sim_row_integer(const struct sim_row *row, const char *name)
{
    return json_integer_value(json_object_get(row->body, name));
}

bool
sim_row_is(const struct sim_row *row, const char *name, const char *value)
{
    return strcmp(sim_row_text(row, name), value) == 0;
}

const struct currency *
sim_row_currency(const struct sim_row *row)
{
    const struct currency *currency = currency_find(span_from_cstr(sim_row_text(row, "currency")));
    ASSERT(currency != NULL);
    return currency;
}

int64_t
sim_row_units(const struct sim_row *row, int64_t api_amount)
{
    struct money money;
    err_t error = money_from_api(api_amount, sim_row_currency(row), &money);
    ASSERT(error == ERR_OK);
    return money.amount;
}

/* -------------------------------------------------------------------------------- the ledger */

static void
read_ledger(struct sim *sim, struct sim_books *books)
{
    books->transfers = calloc(LEDGER_BATCH_MAX, sizeof(*books->transfers));
    books->accounts = calloc(LEDGER_BATCH_MAX, sizeof(*books->accounts));
    ASSERT(books->transfers != NULL && books->accounts != NULL);
    books->transfer_count =
        sim_world_ask_ledger(&sim->world, PORT_LEDGER_QUERY_TRANSFERS, books->transfers);
    books->account_count =
        sim_world_ask_ledger(&sim->world, PORT_LEDGER_QUERY_ACCOUNTS, books->accounts);
}

/* -------------------------------------------------------------------------------- the issuer */

static void
read_issuer(struct sim *sim, struct sim_books *books)
{
    enum {
        FILE_MAX = 1 << 24
    };

    char *text;
    size_t size;
    err_t error = os_file_load(
        os_sim_disk_ops(sim->world.rail_disk), "issuer/issuer.log", FILE_MAX, &text, &size);
    ASSERT(error == ERR_OK);
    ASSERT(size % sizeof(struct sim_issuer_record) == 0);
    books->issuer_count = (uint32_t)(size / sizeof(struct sim_issuer_record));
    books->issuer = calloc(books->issuer_count + 1, sizeof(*books->issuer));
    ASSERT(books->issuer != NULL);
    memcpy(books->issuer, text, size);
    free(text);
}

void
sim_books_read(struct sim *sim, struct sim_books *books)
{
    memset(books, 0, sizeof(*books));
    for (uint32_t i = 0; i < SIM_ROW_KIND_COUNT; i++) {
        read_kind(sim, (enum sim_kind)i, &books->documents[i]);
    }
    read_ledger(sim, books);
    read_issuer(sim, books);
}

void
sim_books_release(struct sim_books *books)
{
    for (uint32_t i = 0; i < SIM_ROW_KIND_COUNT; i++) {
        for (uint32_t j = 0; j < books->documents[i].count; j++) {
            json_decref(books->documents[i].rows[j].body);
        }
        free(books->documents[i].rows);
    }
    free(books->transfers);
    free(books->accounts);
    free(books->issuer);
}

void
sim_row_damage(struct sim *sim, enum sim_kind kind, const struct sim_row *row)
{
    sim_documents_damage(
        &sim->world.process.documents, kind_find(kind), row->scope, row->id, row->body);
}
