/*
 * The ledger's two records, as they are in memory, in batches on the wire and on disk: 128 bytes,
 * little-endian, without padding. docs/ledger.md has the rules.
 */
#ifndef LEDGER_RECORDS_H
#define LEDGER_RECORDS_H

#include "base/assert.h"
#include "base/u128.h"

enum {
    LEDGER_ACCOUNT_LINKED = 1 << 0,
    LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS = 1 << 1,
    LEDGER_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS = 1 << 2,
    LEDGER_ACCOUNT_HISTORY = 1 << 3,
    LEDGER_ACCOUNT_IMPORTED = 1 << 4,
    LEDGER_ACCOUNT_CLOSED = 1 << 5,
    LEDGER_ACCOUNT_FLAGS = (1 << 6) - 1,
};

enum {
    LEDGER_TRANSFER_LINKED = 1 << 0,
    LEDGER_TRANSFER_PENDING = 1 << 1,
    LEDGER_TRANSFER_POST_PENDING = 1 << 2,
    LEDGER_TRANSFER_VOID_PENDING = 1 << 3,
    LEDGER_TRANSFER_BALANCING_DEBIT = 1 << 4,
    LEDGER_TRANSFER_BALANCING_CREDIT = 1 << 5,
    LEDGER_TRANSFER_CLOSING_DEBIT = 1 << 6,
    LEDGER_TRANSFER_CLOSING_CREDIT = 1 << 7,
    LEDGER_TRANSFER_IMPORTED = 1 << 8,
    LEDGER_TRANSFER_FLAGS = (1 << 9) - 1,
};

struct ledger_account {
    u128 id;
    u128 debits_pending;
    u128 debits_posted;
    u128 credits_pending;
    u128 credits_posted;
    u128 user_data_128;
    uint64_t user_data_64;
    uint32_t user_data_32;
    uint32_t reserved;
    uint32_t ledger;
    uint16_t code;
    uint16_t flags;
    uint64_t timestamp; /* nanoseconds; unique among all events of a shard */
};

struct ledger_transfer {
    u128 id;
    u128 debit_account_id;
    u128 credit_account_id;
    u128 amount;
    u128 pending_id;
    u128 user_data_128;
    uint64_t user_data_64;
    uint32_t user_data_32;
    uint32_t timeout; /* seconds; 0 for none */
    uint32_t ledger;
    uint16_t code;
    uint16_t flags;
    uint64_t timestamp;
};

/* One result of a create batch. `status` is one of the numbers below. */
struct ledger_result {
    uint64_t timestamp;
    uint32_t status;
    uint32_t reserved;
};

static_assert(sizeof(struct ledger_account) == 128, "account record");
static_assert(offsetof(struct ledger_account, timestamp) == 120, "account record has no padding");
static_assert(sizeof(struct ledger_transfer) == 128, "transfer record");
static_assert(offsetof(struct ledger_transfer, timestamp) == 120, "transfer record has no padding");
static_assert(sizeof(struct ledger_result) == 16, "result record");

/* The most events that one batch carries. */
#define LEDGER_BATCH_MAX 8190
/* Timestamps are 1 ... LEDGER_TIMESTAMP_MAX. */
#define LEDGER_TIMESTAMP_MAX ((uint64_t)INT64_MAX)

/* Status numbers on the wire, in descending precedence: X(name, number, transient). After a
 * transient failure the id may not be used again. */
#define LEDGER_ACCOUNT_STATUSES(X)                                                                 \
    X(created, 4294967295u, 0)                                                                     \
    X(linked_event_failed, 1, 0)                                                                   \
    X(linked_event_chain_open, 2, 0)                                                               \
    X(imported_event_expected, 22, 0)                                                              \
    X(imported_event_not_expected, 23, 0)                                                          \
    X(timestamp_must_be_zero, 3, 0)                                                                \
    X(imported_event_timestamp_out_of_range, 24, 0)                                                \
    X(imported_event_timestamp_must_not_advance, 25, 0)                                            \
    X(reserved_field, 4, 0)                                                                        \
    X(reserved_flag, 5, 0)                                                                         \
    X(id_must_not_be_zero, 6, 0)                                                                   \
    X(id_must_not_be_int_max, 7, 0)                                                                \
    X(exists_with_different_flags, 15, 0)                                                          \
    X(exists_with_different_user_data_128, 16, 0)                                                  \
    X(exists_with_different_user_data_64, 17, 0)                                                   \
    X(exists_with_different_user_data_32, 18, 0)                                                   \
    X(exists_with_different_ledger, 19, 0)                                                         \
    X(exists_with_different_code, 20, 0)                                                           \
    X(exists, 21, 0)                                                                               \
    X(flags_are_mutually_exclusive, 8, 0)                                                          \
    X(debits_pending_must_be_zero, 9, 0)                                                           \
    X(debits_posted_must_be_zero, 10, 0)                                                           \
    X(credits_pending_must_be_zero, 11, 0)                                                         \
    X(credits_posted_must_be_zero, 12, 0)                                                          \
    X(ledger_must_not_be_zero, 13, 0)                                                              \
    X(code_must_not_be_zero, 14, 0)                                                                \
    X(imported_event_timestamp_must_not_regress, 26, 0)

#define LEDGER_TRANSFER_STATUSES(X)                                                                \
    X(created, 4294967295u, 0)                                                                     \
    X(linked_event_failed, 1, 0)                                                                   \
    X(linked_event_chain_open, 2, 0)                                                               \
    X(imported_event_expected, 56, 0)                                                              \
    X(imported_event_not_expected, 57, 0)                                                          \
    X(timestamp_must_be_zero, 3, 0)                                                                \
    X(imported_event_timestamp_out_of_range, 58, 0)                                                \
    X(imported_event_timestamp_must_not_advance, 59, 0)                                            \
    X(reserved_flag, 4, 0)                                                                         \
    X(id_must_not_be_zero, 5, 0)                                                                   \
    X(id_must_not_be_int_max, 6, 0)                                                                \
    X(exists_with_different_flags, 36, 0)                                                          \
    X(exists_with_different_pending_id, 40, 0)                                                     \
    X(exists_with_different_timeout, 44, 0)                                                        \
    X(exists_with_different_debit_account_id, 37, 0)                                               \
    X(exists_with_different_credit_account_id, 38, 0)                                              \
    X(exists_with_different_amount, 39, 0)                                                         \
    X(exists_with_different_user_data_128, 41, 0)                                                  \
    X(exists_with_different_user_data_64, 42, 0)                                                   \
    X(exists_with_different_user_data_32, 43, 0)                                                   \
    X(exists_with_different_ledger, 67, 0)                                                         \
    X(exists_with_different_code, 45, 0)                                                           \
    X(exists, 46, 0)                                                                               \
    X(id_already_failed, 68, 0)                                                                    \
    X(flags_are_mutually_exclusive, 7, 0)                                                          \
    X(debit_account_id_must_not_be_zero, 8, 0)                                                     \
    X(debit_account_id_must_not_be_int_max, 9, 0)                                                  \
    X(credit_account_id_must_not_be_zero, 10, 0)                                                   \
    X(credit_account_id_must_not_be_int_max, 11, 0)                                                \
    X(accounts_must_be_different, 12, 0)                                                           \
    X(pending_id_must_be_zero, 13, 0)                                                              \
    X(pending_id_must_not_be_zero, 14, 0)                                                          \
    X(pending_id_must_not_be_int_max, 15, 0)                                                       \
    X(pending_id_must_be_different, 16, 0)                                                         \
    X(timeout_reserved_for_pending_transfer, 17, 0)                                                \
    X(closing_transfer_must_be_pending, 64, 0)                                                     \
    X(ledger_must_not_be_zero, 19, 0)                                                              \
    X(code_must_not_be_zero, 20, 0)                                                                \
    X(debit_account_not_found, 21, 1)                                                              \
    X(credit_account_not_found, 22, 1)                                                             \
    X(accounts_must_have_the_same_ledger, 23, 0)                                                   \
    X(transfer_must_have_the_same_ledger_as_accounts, 24, 0)                                       \
    X(pending_transfer_not_found, 25, 1)                                                           \
    X(pending_transfer_not_pending, 26, 0)                                                         \
    X(pending_transfer_has_different_debit_account_id, 27, 0)                                      \
    X(pending_transfer_has_different_credit_account_id, 28, 0)                                     \
    X(pending_transfer_has_different_ledger, 29, 0)                                                \
    X(pending_transfer_has_different_code, 30, 0)                                                  \
    X(exceeds_pending_transfer_amount, 31, 0)                                                      \
    X(pending_transfer_has_different_amount, 32, 0)                                                \
    X(pending_transfer_already_posted, 33, 0)                                                      \
    X(pending_transfer_already_voided, 34, 0)                                                      \
    X(pending_transfer_expired, 35, 0)                                                             \
    X(imported_event_timestamp_must_not_regress, 60, 0)                                            \
    X(imported_event_timestamp_must_postdate_debit_account, 61, 0)                                 \
    X(imported_event_timestamp_must_postdate_credit_account, 62, 0)                                \
    X(imported_event_timeout_must_be_zero, 63, 0)                                                  \
    X(debit_account_already_closed, 65, 1)                                                         \
    X(credit_account_already_closed, 66, 1)                                                        \
    X(overflows_debits_pending, 47, 0)                                                             \
    X(overflows_credits_pending, 48, 0)                                                            \
    X(overflows_debits_posted, 49, 0)                                                              \
    X(overflows_credits_posted, 50, 0)                                                             \
    X(overflows_debits, 51, 0)                                                                     \
    X(overflows_credits, 52, 0)                                                                    \
    X(overflows_timeout, 53, 0)                                                                    \
    X(exceeds_credits, 54, 1)                                                                      \
    X(exceeds_debits, 55, 1)

#define LEDGER_STATUS_ENUM_(name, number, transient) LEDGER_ACCOUNT_##name = (number),

enum ledger_account_status {
    LEDGER_ACCOUNT_STATUSES(LEDGER_STATUS_ENUM_)
};

#undef LEDGER_STATUS_ENUM_
#define LEDGER_STATUS_ENUM_(name, number, transient) LEDGER_TRANSFER_##name = (number),

enum ledger_transfer_status {
    LEDGER_TRANSFER_STATUSES(LEDGER_STATUS_ENUM_)
};

#undef LEDGER_STATUS_ENUM_

/* The status as text ("exceeds_credits"), or NULL for a number that is none. */
const char *ledger_account_status_name(uint32_t status);
const char *ledger_transfer_status_name(uint32_t status);

#endif
