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

/* Of a row of `adopted`, or of the view `event`: enum store_pg_place_column. */
#define PLACED ", t.place, t.debit_name, t.credit_name "
/* The same of an expiry here of what was adopted. */
#define HERE ", NULL::bigint, t.debit_name, t.credit_name "

/* What every query filters by: $1 ... $7, and $8 rows. */
#define FILTER(at) FILTER_OF(at ".timestamp")
#define FILTER_OF(time)                                                                            \
    " " time " >= $1::bigint AND " time " <= $2::bigint "                                          \
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
/* The same through what was adopted; $10 is a place. */
#define CHAIN_ALL                                                                                  \
    "WITH RECURSIVE chain AS (SELECT t.* FROM event t WHERE t.place = $10::bigint "                \
    "UNION ALL SELECT t.* FROM chain c JOIN event t ON t.place = "                                 \
    "CASE WHEN c.debit_account = $9::bigint THEN c.debit_before ELSE c.credit_before END "         \
    "WHERE t.timestamp >= $1::bigint) "
/* Adopted events. $9: the last place that is known to be durable; $10: 0 without expiries; $12: so
 * many rows were told. */
#define SELECTED_ADOPTED                                                                           \
    "SELECT " TRANSFER "t.kind, t.debit_flags, t.credit_flags, " BALANCES_OF(t) ", t.happened "
#define ADOPTED_THERE(order, places)                                                               \
    "(" SELECTED_ADOPTED PLACED "FROM adopted t WHERE t.place >= $9::bigint "                      \
    "AND ($10::bigint <> 0 OR t.kind <> 5) AND" FILTER_OF(                                         \
        "t.happened") "ORDER BY t.happened " order ", t.place " places                             \
                      " LIMIT $8::bigint + $12::bigint)"
/* Expiries here of transfers that were adopted; $11: the newest that is known to be durable. */
#define EXPIRED_HERE(order)                                                                        \
    "(" SELECTED_EXPIRIES HERE "FROM expiry e JOIN adopted t ON t.id = e.id "                      \
    "AND t.finished_at = e.timestamp WHERE $10::bigint <> 0 AND t.kind = 2 "                       \
    "AND e.timestamp <= $11::bigint AND" FILTER("e") "ORDER BY e.timestamp " order                 \
                                                     " LIMIT $8::bigint + $12::bigint)"
#define ADOPTED(order, places)                                                                     \
    ADOPTED_THERE(order, places)                                                                   \
    " UNION ALL " EXPIRED_HERE(order) " ORDER BY 25 " order ", 26 " places                         \
                                      " LIMIT $8::bigint OFFSET $12::bigint"
/* Of transfers of our own: an id may be that of an adopted one as well. */
#define EXPIRIES(order)                                                                            \
    SELECTED_EXPIRIES                                                                              \
    "FROM expiry e JOIN transfer t ON t.id = e.id WHERE NOT EXISTS (SELECT "                       \
    "FROM adopted a WHERE a.id = e.id AND a.finished_at = e.timestamp) AND" FILTER(                \
        "e") "ORDER BY e.timestamp " order " LIMIT $8::bigint"
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
        "WHERE p.id = u.id AND p.outcome = 1",
    /* $6: what was adopted later is another one of that id. Of two halves one ends. */
    [STORE_PG_FINISH_ADOPTED] =
        "UPDATE adopted a SET outcome = u.outcome, finished_at = u.finished_at "
        "FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::integer[], $5::integer[], "
        "$6::bigint[]) u(id, outcome, finished_at, debit_account, credit_account, place) "
        "WHERE a.id = u.id AND a.debit_account = u.debit_account AND "
        "a.credit_account = u.credit_account AND a.outcome = 1 AND a.place >= u.place",
    [STORE_PG_INSERT_ADOPTED] =
        "INSERT INTO adopted (place, happened, debit_name, credit_name, outcome, timestamp, id, "
        "debit_account, credit_account, amount, pending_id, user_data_128, user_data_64, "
        "user_data_32, timeout, ledger, code, flags, kind, debit_flags, credit_flags, " BALANCES
        ", debit_before, credit_before) "
        "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::smallint[], "
        "$6::bigint[], $7::uuid[], $8::integer[], $9::integer[], $10::numeric[], $11::uuid[], "
        "$12::uuid[], $13::numeric[], $14::bigint[], $15::bigint[], $16::bigint[], $17::integer[], "
        "$18::integer[], $19::smallint[], $20::smallint[], $21::smallint[], $22::numeric[], "
        "$23::numeric[], $24::numeric[], $25::numeric[], $26::numeric[], $27::numeric[], "
        "$28::numeric[], $29::numeric[], $30::bigint[], $31::bigint[])",
    [STORE_PG_PUT_NOTE] = "INSERT INTO note (text) VALUES ($1::text) ON CONFLICT (one) DO UPDATE "
                          "SET text = EXCLUDED.text",
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
    [STORE_PG_FIND_ADOPTED] =
        SELECTED PLACED ", u.at, t.outcome FROM unnest($1::uuid[]) WITH ORDINALITY u(id, at) "
                        "JOIN adopted t ON t.id = u.id WHERE t.kind <> 5 ORDER BY t.place DESC",
    [STORE_PG_FAILED_IDS] = "SELECT id, number FROM failed_id WHERE number >= $1::bigint "
                            "ORDER BY number LIMIT $2::bigint",
    [STORE_PG_CHAIN_ALL] = CHAIN_ALL SELECTED PLACED "FROM chain t WHERE" FILTER("t") SIDES
    "ORDER BY t.timestamp LIMIT $8::bigint",
    [STORE_PG_CHAIN_ALL_REVERSED] =
        CHAIN_ALL SELECTED PLACED "FROM chain t WHERE" FILTER("t") SIDES "LIMIT $8::bigint",
    [STORE_PG_ADOPTED] = ADOPTED("ASC", "DESC"),
    [STORE_PG_ADOPTED_REVERSED] = ADOPTED("DESC", "ASC"),
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
    [STORE_PG_EXPIRIES] = EXPIRIES("ASC"),
    [STORE_PG_EXPIRIES_REVERSED] = EXPIRIES("DESC"),
    [STORE_PG_LOAD_ACCOUNTS] =
        "SELECT slot, id, ledger, code, flags, user_data_128, user_data_64, user_data_32, "
        "timestamp, debits_pending, debits_posted, credits_pending, credits_posted, last_transfer, "
        "CASE WHEN last_transfer < 0 THEN (SELECT happened FROM adopted "
        "WHERE place = last_transfer) ELSE last_transfer END "
        "FROM account WHERE slot >= $1::bigint ORDER BY slot LIMIT $2::bigint",
    [STORE_PG_LOAD_PENDINGS] =
        SELECTED "FROM pending p JOIN transfer t ON t.id = p.id WHERE p.outcome = 1 AND "
                 "t.timestamp > $1::bigint ORDER BY t.timestamp LIMIT $2::bigint",
    /* $1: 0, or the number of the last one. */
    [STORE_PG_LOAD_ADOPTED] =
        SELECTED PLACED "FROM adopted t WHERE t.outcome = 1 AND t.place < -$1::bigint "
                        "ORDER BY t.place DESC LIMIT $2::bigint",
};
