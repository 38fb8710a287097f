/*
 * The ledger's records as JSON, as docs/ledger.md describes for replay and for the HTTP API.
 *
 * In: integers are JSON numbers or texts of decimal digits; flags are arrays of names, or a
 * number, so that undefined bits can be sent; what is left out is zero; a name that is no field of
 * the record is refused. Out: integers are decimal texts, flags are arrays of names.
 *
 * RECORD-1  What was read either is the whole array as it was sent, or is refused with the path of
 *           the first value that cannot be it ("events[3].amount").
 * RECORD-2  Writing and reading again gives the same record.
 *
 * Pure; everything allocated comes from the caller's arena.
 */
#ifndef RECORD_RECORD_H
#define RECORD_RECORD_H

#include "ledger/ledger.h"
#include "json/json.h"
#include "json/json_in.h"

/* Which fields and flags a filter has, and how its flags are numbered. */
enum record_filter_kind {
    RECORD_FILTER_ACCOUNT, /* account_id; flags debits 1, credits 2, reversed 4 */
    RECORD_FILTER_QUERY,   /* ledger; flags reversed 1 */
    RECORD_FILTER_CHANGES, /* timestamps and limit only */
};

struct record_filter {
    u128 account_id;
    u128 user_data_128;
    uint64_t user_data_64;
    uint32_t user_data_32;
    uint32_t ledger;
    uint64_t timestamp_min;
    uint64_t timestamp_max;
    uint32_t limit;
    uint16_t code;
    bool debits, credits, reversed;
    bool undefined_flags; /* such a filter is invalid, and answers with nothing */
};

/* --- reading --- */

/* The elements of an array of at most `room` objects. ERR_INVALID or ERR_FULL (more than `room`),
 * with *ret_problem saying where and why. */
MUST_USE err_t record_accounts_read(
    const struct json_value *array,
    struct ledger_account *out,
    uint32_t room,
    uint32_t *ret_count,
    struct arena *arena,
    struct json_problem *ret_problem);
MUST_USE err_t record_transfers_read(
    const struct json_value *array,
    struct ledger_transfer *out,
    uint32_t room,
    uint32_t *ret_count,
    struct arena *arena,
    struct json_problem *ret_problem);
MUST_USE err_t record_ids_read(
    const struct json_value *array,
    u128 *out,
    uint32_t room,
    uint32_t *ret_count,
    struct arena *arena,
    struct json_problem *ret_problem);
MUST_USE err_t record_filter_read(
    const struct json_value *object,
    enum record_filter_kind kind,
    struct record_filter *ret_filter,
    struct arena *arena,
    struct json_problem *ret_problem);

/* --- writing: one JSON value each --- */

void record_account_write(struct json_writer *json, const struct ledger_account *account);
void record_transfer_write(struct json_writer *json, const struct ledger_transfer *transfer);
void record_balances_write(
    struct json_writer *json, uint64_t timestamp, const struct ledger_balances *balances);
/* {"status":"created","timestamp":"2"}; the statuses of the two kinds have different numbers. */
void record_account_result_write(struct json_writer *json, const struct ledger_result *result);
void record_transfer_result_write(struct json_writer *json, const struct ledger_result *result);
/* The event's kind as text, as in "type" of a change event. Static. */
const char *record_event_kind_name(enum ledger_event_kind kind);
/* A change event; the accounts as they are right after it. */
void record_change_write(
    struct json_writer *json,
    const struct ledger_event *event,
    const struct ledger_account *debit,
    const struct ledger_account *credit);

#endif
