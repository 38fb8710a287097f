/* The statements. Names of tables are found by the session's search_path. */
#include "postgres.h"

#define BALANCES                                                                                   \
    "debit_debits_pending, debit_debits_posted, debit_credits_pending, debit_credits_posted, "     \
    "credit_debits_pending, credit_debits_posted, credit_credits_pending, credit_credits_posted"

#define BALANCES_OF(t)                                                                             \
#    t ".debit_debits_pending, " #    t ".debit_debits_posted, " #    t                            \
       ".debit_credits_pending, " #    t ".debit_credits_posted, " #    t                          \
       ".credit_debits_pending, " #    t ".credit_debits_posted, " #    t                          \
       ".credit_credits_pending, " #    t ".credit_credits_posted"

/* enum store_pg_column */
#define TRANSFER                                                                                   \
    "t.timestamp, t.id, t.debit_account, t.credit_account, t.amount, t.pending_id, "               \
    "t.user_data_128, t.user_data_64, t.user_data_32, t.timeout, t.ledger, t.code, t.flags, "
#define SELECTED                                                                                   \
    "SELECT " TRANSFER "t.kind, t.debit_flags, t.credit_flags, " BALANCES_OF(t) ", t.timestamp "
#define SELECTED_EXPIRIES                                                                          \
    "SELECT " TRANSFER                                                                             \
    "5::smallint, e.debit_flags, e.credit_flags, " BALANCES_OF(e) ", e.timestamp "

/* What every query filters by: $1 ... $7, and $8 rows. */
#define FILTER(at)                                                                                 \
    " " at ".timestamp >= $1::bigint AND " at ".timestamp <= $2::bigint "                          \
    "AND ($3::uuid = '00000000000000000000000000000000' OR t.user_data_128 = $3) "                 \
    "AND ($4::numeric = 0 OR t.user_data_64 = $4) AND ($5::bigint = 0 OR t.user_data_32 = $5) "    \
    "AND ($6::bigint = 0 OR t.ledger = $6) AND ($7::bigint = 0 OR t.code = $7) "
/* $9: the account, $10: its newest transfer, $11: sides (bit 0 debits, bit 1 credits). */
#define SIDES                                                                                      \
    "AND (($11::bigint & 1 <> 0 AND t.debit_account = $9::bigint) OR "                             \
    "($11::bigint & 2 <> 0 AND t.credit_account = $9::bigint)) "
#define CHAIN                                                                                      \
    "WITH RECURSIVE chain AS (SELECT t.* FROM transfer t WHERE t.timestamp = $10::bigint "         \
    "UNION ALL SELECT t.* FROM chain c JOIN transfer t ON t.timestamp = "                          \
    "CASE WHEN c.debit_account = $9::bigint THEN c.debit_before ELSE c.credit_before END "         \
    "WHERE t.timestamp >= $1::bigint) "
#define SIDE(side, bit, order)                                                                     \
    "(SELECT t.* FROM transfer t WHERE t." side " = $9::bigint::integer AND "                      \
    "$11::bigint & " bit                                                                           \
    " <> 0 AND t.timestamp <= $10::bigint AND" FILTER("t") "ORDER BY t.timestamp " order           \
                                                           " LIMIT $8::bigint)"
#define INDEXED(order)                                                                             \
    SELECTED "FROM (" SIDE("debit_account", "1", order) " UNION ALL " SIDE(                        \
        "credit_account", "2", order) ") t ORDER BY t.timestamp " order " LIMIT $8::bigint"

const char store_pg_copy_transfers[] =
    "COPY transfer (timestamp, id, debit_account, credit_account, amount, pending_id, "
    "user_data_128, user_data_64, user_data_32, timeout, ledger, code, flags, kind, debit_flags, "
    "credit_flags, " BALANCES ", debit_before, credit_before) FROM STDIN (FORMAT binary)";

const char *const store_pg_sql[STORE_PG_STATEMENTS] = {
    /* PG-2. No row: 1 / 0, and the transaction is over. */
    [STORE_PG_FENCE] =
        "WITH fence AS (UPDATE writer SET commits = $2::bigint, clock = $3::bigint, "
        "pid = pg_backend_pid(), lease_until = clock_timestamp() + $4::bigint * interval '1 ms' "
        "WHERE term = $1::bigint AND commits = $2::bigint - 1 RETURNING 1) "
        "SELECT 1 / count(*) FROM fence",
    [STORE_PG_RENEW] = "WITH fence AS (UPDATE writer SET pid = pg_backend_pid(), "
                       "lease_until = clock_timestamp() + $2::bigint * interval '1 ms' "
                       "WHERE term = $1::bigint RETURNING 1) SELECT 1 / count(*) FROM fence",
    [STORE_PG_INSERT_ACCOUNTS] =
        "INSERT INTO account (slot, id, ledger, code, flags, user_data_128, user_data_64, "
        "user_data_32, timestamp, debits_pending, debits_posted, credits_pending, credits_posted, "
        "last_transfer) SELECT u.*, 0, 0, 0, 0, 0 FROM unnest($1::integer[], $2::uuid[], "
        "$3::bigint[], $4::integer[], $5::integer[], $6::uuid[], $7::numeric[], $8::bigint[], "
        "$9::bigint[]) u",
    [STORE_PG_INSERT_TRANSFERS] =
        "INSERT INTO transfer (timestamp, id, debit_account, credit_account, amount, pending_id, "
        "user_data_128, user_data_64, user_data_32, timeout, ledger, code, flags, kind, "
        "debit_flags, credit_flags, " BALANCES ", debit_before, credit_before) "
        "SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::integer[], $4::integer[], "
        "$5::numeric[], $6::uuid[], $7::uuid[], $8::numeric[], $9::bigint[], $10::bigint[], "
        "$11::bigint[], $12::integer[], $13::integer[], $14::smallint[], $15::smallint[], "
        "$16::smallint[], $17::numeric[], $18::numeric[], $19::numeric[], $20::numeric[], "
        "$21::numeric[], $22::numeric[], $23::numeric[], $24::numeric[], $25::bigint[], "
        "$26::bigint[])",
    [STORE_PG_INSERT_EXPIRIES] =
        "INSERT INTO expiry (timestamp, id, debit_flags, credit_flags, " BALANCES ") "
        "SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::smallint[], $4::smallint[], "
        "$5::numeric[], $6::numeric[], $7::numeric[], $8::numeric[], $9::numeric[], "
        "$10::numeric[], $11::numeric[], $12::numeric[])",
    [STORE_PG_INSERT_PENDINGS] =
        "INSERT INTO pending (id, outcome) SELECT u.id, 1 FROM unnest($1::uuid[]) u(id)",
    [STORE_PG_INSERT_FAILED] =
        "INSERT INTO failed_id (id) SELECT u.id FROM unnest($1::uuid[]) u(id)",
    [STORE_PG_FINISH_PENDINGS] =
        "UPDATE pending p SET outcome = u.outcome, finished_at = u.finished_at "
        "FROM unnest($1::uuid[], $2::smallint[], $3::bigint[]) u(id, outcome, finished_at) "
        "WHERE p.id = u.id",
    [STORE_PG_UPDATE_ACCOUNTS] =
        "UPDATE account a SET flags = u.flags, debits_pending = u.debits_pending, "
        "debits_posted = u.debits_posted, credits_pending = u.credits_pending, "
        "credits_posted = u.credits_posted, "
        "last_transfer = CASE WHEN u.last = 0 THEN a.last_transfer ELSE u.last END "
        "FROM unnest($1::integer[], $2::integer[], $3::numeric[], $4::numeric[], $5::numeric[], "
        "$6::numeric[], $7::bigint[]) u(slot, flags, debits_pending, debits_posted, "
        "credits_pending, credits_posted, last) WHERE a.slot = u.slot",
    [STORE_PG_FIND_TRANSFERS] =
        SELECTED ", u.at, p.outcome FROM unnest($1::uuid[]) WITH ORDINALITY u(id, at) "
                 "JOIN transfer t ON t.id = u.id LEFT JOIN pending p ON p.id = u.id",
    [STORE_PG_FIND_FAILED] = "SELECT u.at FROM unnest($1::uuid[]) WITH ORDINALITY u(id, at) "
                             "JOIN failed_id f ON f.id = u.id",
    [STORE_PG_CHAIN] = CHAIN SELECTED "FROM chain t WHERE" FILTER("t") SIDES
    "ORDER BY t.timestamp LIMIT $8::bigint",
    [STORE_PG_CHAIN_REVERSED] =
        CHAIN SELECTED "FROM chain t WHERE" FILTER("t") SIDES "LIMIT $8::bigint",
    [STORE_PG_INDEXED] = INDEXED("ASC"),
    [STORE_PG_INDEXED_REVERSED] = INDEXED("DESC"),
    [STORE_PG_TRANSFERS] =
        SELECTED "FROM transfer t WHERE" FILTER("t") "ORDER BY t.timestamp LIMIT $8::bigint",
    [STORE_PG_TRANSFERS_REVERSED] =
        SELECTED "FROM transfer t WHERE" FILTER("t") "ORDER BY t.timestamp DESC LIMIT $8::bigint",
    [STORE_PG_EXPIRIES] =
        SELECTED_EXPIRIES "FROM expiry e JOIN transfer t ON t.id = e.id WHERE" FILTER(
            "e") "ORDER BY e.timestamp LIMIT $8::bigint",
    [STORE_PG_EXPIRIES_REVERSED] =
        SELECTED_EXPIRIES "FROM expiry e JOIN transfer t ON t.id = e.id WHERE" FILTER(
            "e") "ORDER BY e.timestamp DESC LIMIT $8::bigint",
    [STORE_PG_LOAD_ACCOUNTS] =
        "SELECT slot, id, ledger, code, flags, user_data_128, user_data_64, user_data_32, "
        "timestamp, debits_pending, debits_posted, credits_pending, credits_posted, last_transfer "
        "FROM account WHERE slot >= $1::bigint ORDER BY slot LIMIT $2::bigint",
    [STORE_PG_LOAD_PENDINGS] =
        SELECTED "FROM pending p JOIN transfer t ON t.id = p.id WHERE p.outcome = 1 AND "
                 "t.timestamp > $1::bigint ORDER BY t.timestamp LIMIT $2::bigint",
};
