/* Damage to what was read, one kind at a time, to see that the checks are able to fail. */
#include "payments_sim.h"

#include <jansson.h>
#include <string.h>

/* The row of a kind whose member has this value; any if value is NULL. */
static struct sim_row *
pick(struct sim_books *books, enum sim_kind kind, const char *member, const char *value)
{
    struct sim_rows *rows = &books->documents[kind];
    for (uint32_t i = 0; i < rows->count; i++) {
        if (value == NULL || sim_row_is(&rows->rows[i], member, value)) {
            return &rows->rows[i];
        }
    }
    return NULL;
}

static bool
set_text(struct sim_row *row, const char *member, const char *value)
{
    return row != NULL && json_object_set_new(row->body, member, json_string(value)) == 0;
}

static bool
add_integer(struct sim_row *row, const char *member, int64_t more)
{
    return row != NULL &&
           json_object_set_new(
               row->body, member, json_integer(sim_row_integer(row, member) + more)) == 0;
}

static bool
drop_row(struct sim_books *books, enum sim_kind kind, struct sim_row *row)
{
    struct sim_rows *rows = &books->documents[kind];
    if (row == NULL) {
        return false;
    }
    json_decref(row->body);
    rows->count--;
    *row = rows->rows[rows->count];
    return true;
}

static bool
drop_transfer(struct sim_books *books)
{
    if (books->transfer_count == 0) {
        return false;
    }
    books->transfer_count--;
    return true;
}

static bool
other_amount(struct sim_books *books)
{
    books->transfers[0].amount += 1;
    return books->transfer_count > 0;
}

static bool
other_direction(struct sim_books *books)
{
    u128 debit = books->transfers[0].debit_account_id;
    books->transfers[0].debit_account_id = books->transfers[0].credit_account_id;
    books->transfers[0].credit_account_id = debit;
    return books->transfer_count > 0;
}

static bool
transfer_of_nothing(struct sim_books *books)
{
    books->transfers[books->transfer_count] = books->transfers[0];
    books->transfers[books->transfer_count].id += 1;
    books->transfer_count++;
    return books->transfer_count > 1;
}

static bool
other_balance(struct sim_books *books)
{
    for (uint32_t i = 0; i < books->account_count; i++) {
        if (books->accounts[i].code == BOOKS_MERCHANT_PENDING) {
            books->accounts[i].credits_posted += 1;
            return true;
        }
    }
    return false;
}

static bool
other_hold(struct sim_books *books)
{
    books->accounts[0].debits_pending += 1;
    return books->account_count > 0;
}

static bool
suspense(struct sim_books *books)
{
    for (uint32_t i = 0; i < books->account_count; i++) {
        if (books->accounts[i].code == BOOKS_SUSPENSE) {
            books->accounts[i].credits_posted += 1;
            return true;
        }
    }
    return false;
}

static bool
more_refunded(struct sim_books *books)
{
    return add_integer(pick(books, SIM_ROW_CHARGE, "status", "succeeded"), "amount_refunded", 100);
}

static bool
unpaid(struct sim_books *books)
{
    return set_text(
        pick(books, SIM_ROW_INTENT, "status", "succeeded"), "status", "requires_payment_method");
}

static bool
declined_and_paid(struct sim_books *books)
{
    return set_text(pick(books, SIM_ROW_CHARGE, "status", "failed"), "status", "succeeded");
}

static bool
lost_refund(struct sim_books *books)
{
    return drop_row(books, SIM_ROW_REFUND, pick(books, SIM_ROW_REFUND, "status", "succeeded"));
}

static bool
lost_intent(struct sim_books *books)
{
    return drop_row(books, SIM_ROW_INTENT, pick(books, SIM_ROW_INTENT, "", NULL));
}

static bool
open_attempt(struct sim_books *books)
{
    return set_text(pick(books, SIM_ROW_INTENT, "", NULL), "attempt_kind", "capture");
}

static bool
other_net(struct sim_books *books)
{
    return add_integer(pick(books, SIM_ROW_TRANSACTION, "", NULL), "amount", 100);
}

static bool
running_key(struct sim_books *books)
{
    struct sim_row *row = pick(books, SIM_ROW_KEY, "", NULL);
    return row != NULL && json_object_set_new(row->body, "running", json_true()) == 0;
}

static bool
silence(struct sim_books *books)
{
    return drop_row(
        books, SIM_ROW_EVENT, pick(books, SIM_ROW_EVENT, "type", "payment_intent.succeeded"));
}

/* Two payments under one key. */
static bool
second_effect(struct sim_books *books)
{
    struct sim_rows *rows = &books->documents[SIM_ROW_INTENT];
    if (rows->count < 2) {
        return false;
    }
    json_t *first = json_object_get(rows->rows[0].body, "metadata");
    return json_object_set(rows->rows[1].body, "metadata", first) == 0;
}

static bool
lost_record(struct sim_books *books)
{
    for (uint32_t i = 0; i < books->issuer_count; i++) {
        struct sim_issuer_record *record = &books->issuer[i];
        if (record->operation == PORT_RAIL_AUTHORIZE && record->outcome == PORT_RAIL_APPROVED) {
            record->id += 1;
            return true;
        }
    }
    return false;
}

/* More was added to an authorization than anybody asked for. */
static bool
grown(struct sim_books *books)
{
    for (uint32_t i = 0; i < books->issuer_count; i++) {
        struct sim_issuer_record *record = &books->issuer[i];
        if (record->operation == PORT_RAIL_INCREMENT && record->outcome == PORT_RAIL_APPROVED) {
            record->amount += 1;
            return true;
        }
    }
    return false;
}

static bool
other_present_hold(struct sim_books *books)
{
    struct sim_rows *rows = &books->documents[SIM_ROW_CHARGE];
    for (uint32_t i = 0; i < rows->count; i++) {
        if (!sim_row_is(&rows->rows[i], "hold", "")) {
            return set_text(&rows->rows[i], "hold", "");
        }
    }
    return false;
}

static bool
set_up_unasked(struct sim_books *books)
{
    return set_text(
        pick(books, SIM_ROW_SETUP, "status", "requires_payment_method"), "status", "succeeded");
}

static bool
setup_forgotten(struct sim_books *books)
{
    return set_text(
        pick(books, SIM_ROW_SETUP, "status", "succeeded"), "status", "requires_payment_method");
}

/* The network took or gave it twice. */
static bool
second_record(struct sim_books *books)
{
    for (uint32_t i = 0; i < books->issuer_count; i++) {
        struct sim_issuer_record *record = &books->issuer[i];
        if (record->operation == PORT_RAIL_REFUND && record->outcome == PORT_RAIL_APPROVED) {
            books->issuer[books->issuer_count] = *record; /* there is room for one more */
            books->issuer[books->issuer_count].id += 1;
            books->issuer_count++;
            return true;
        }
    }
    return false;
}

static bool
lost_dispute(struct sim_books *books)
{
    return drop_row(
        books, SIM_ROW_DISPUTE, pick(books, SIM_ROW_DISPUTE, "status", "needs_response"));
}

static bool
dispute_won(struct sim_books *books)
{
    return set_text(pick(books, SIM_ROW_DISPUTE, "status", "needs_response"), "status", "won");
}

static bool
dispute_of_more(struct sim_books *books)
{
    return add_integer(pick(books, SIM_ROW_DISPUTE, "status", "needs_response"), "amount", 100);
}

const struct sim_mutation sim_mutations[] = {
    {"a dispute is lost", lost_dispute},
    {"a dispute is won that was not", dispute_won},
    {"a dispute of more", dispute_of_more},
    {"a transfer is lost", drop_transfer},
    {"a transfer of another amount", other_amount},
    {"a transfer the other way", other_direction},
    {"a transfer of nothing", transfer_of_nothing},
    {"another balance", other_balance},
    {"another hold", other_hold},
    {"money in suspense", suspense},
    {"more refunded than there are refunds", more_refunded},
    {"a paid intent is unpaid", unpaid},
    {"a decline stands", declined_and_paid},
    {"a refund is lost", lost_refund},
    {"an intent is lost", lost_intent},
    {"an attempt is open", open_attempt},
    {"a balance transaction of another amount", other_net},
    {"a key is running", running_key},
    {"an event is lost", silence},
    {"two effects of one key", second_effect},
    {"the network forgot", lost_record},
    {"the network added more", grown},
    {"a grown hold is forgotten", other_present_hold},
    {"a card is set up that the network refused", set_up_unasked},
    {"a card that was set up is not", setup_forgotten},
    {"the network refunded twice", second_record},
};
const uint32_t sim_mutation_count = sizeof(sim_mutations) / sizeof(sim_mutations[0]);
