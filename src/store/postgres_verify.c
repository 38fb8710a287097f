/*
 * `ledger check` of the tables: what must be true of them is asked of the database itself, all in
 * one snapshot, so that a server may go on working meanwhile. Every balance is recomputed from the
 * transfers alone.
 *
 * Imported transfers have times of the past, so an account's expiries cannot be put among them in
 * the order in which they happened; running pending sums are left out for accounts that have both.
 *
 * What was adopted from another ledger is in the order of its times for each account that came
 * along, and in none for a stand-in, which is left out where order counts. One id may be that of
 * several pending transfers then, which are told apart by the accounts that are booked, or by when
 * they ended.
 */
#include "store/verify.h"

#include "journal_scan.h"
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS_MAX 10000
#define QUERY_MS_MAX   86400000

#define SESSION_OPTIONS                                                                            \
    "-c search_path=%s -c statement_timeout=0 -c client_min_messages=error -c timezone=UTC "

/* Every transfer of every account that has an order, from the account's side. */
#define SIDES                                                                                      \
    "moved AS (SELECT e.* FROM event e WHERE e.kind <> 5), "                                       \
    "both_sides AS (SELECT debit_account AS account, place, timestamp, debit_before AS before, "   \
    "kind, CASE WHEN kind IN (1, 3) THEN amount ELSE 0 END AS debit, 0::numeric AS credit, "       \
    "debit_debits_posted AS debits, debit_credits_posted AS credits FROM moved "                   \
    "UNION ALL SELECT credit_account, place, timestamp, credit_before, kind, 0, "                  \
    "CASE WHEN kind IN (1, 3) THEN amount ELSE 0 END, credit_debits_posted, "                      \
    "credit_credits_posted FROM moved), "                                                          \
    "side AS (SELECT s.* FROM both_sides s JOIN account ON slot = account WHERE NOT " STAND_IN     \
    ") "

/* ledger_is_stand_in */
#define STAND_IN                                                                                   \
    "(account.id BETWEEN '7461656c-2d6f-6666-0000-000000000000' "                                  \
    "AND '7461656c-2d6f-6666-ffff-ffffffffffff')"

/* Balances fit 128 bits, sums over many accounts need not; but equal sums stay equal. */
#define MODULUS "340282366920938463463374607431768211456"

/* Every pending transfer, and what is said of it. */
#define FATES                                                                                      \
    "fate AS (SELECT t.id, t.debit_account, t.credit_account, t.amount, p.outcome, "               \
    "p.finished_at FROM transfer t JOIN pending p USING (id) WHERE t.kind = 2 UNION ALL "          \
    "SELECT id, debit_account, credit_account, amount, outcome, finished_at FROM adopted "         \
    "WHERE kind = 2) "

/* Every end of one. */
#define ENDINGS                                                                                    \
    FATES ", ending AS (SELECT pending_id AS id, debit_account, credit_account, "                  \
          "kind - 1 AS outcome, timestamp FROM event WHERE kind IN (3, 4) UNION ALL "              \
          "SELECT id, debit_account, credit_account, 4, happened FROM event WHERE kind = 5 "       \
          "UNION ALL SELECT e.id, f.debit_account, f.credit_account, 4, e.timestamp "              \
          "FROM expiry e LEFT JOIN fate f ON f.id = e.id AND f.finished_at = e.timestamp) "

/* What each event does to what is held on each side, expiries among them. */
#define HOLDS                                                                                      \
    FATES ", effect AS (SELECT t.happened AS timestamp, t.debit_account, t.credit_account, "       \
          "CASE WHEN t.kind = 2 THEN t.amount WHEN t.kind IN (3, 4) THEN -p.amount "               \
          "WHEN t.kind = 5 THEN -t.amount ELSE 0 END AS held, "                                    \
          "t.debit_debits_pending, t.debit_credits_pending, t.credit_debits_pending, "             \
          "t.credit_credits_pending FROM event t LEFT JOIN fate p ON p.id = t.pending_id "         \
          "AND p.debit_account = t.debit_account AND p.credit_account = t.credit_account "         \
          "UNION ALL SELECT e.timestamp, f.debit_account, f.credit_account, -f.amount, "           \
          "e.debit_debits_pending, e.debit_credits_pending, e.credit_debits_pending, "             \
          "e.credit_credits_pending FROM expiry e JOIN fate f ON f.id = e.id "                     \
          "AND f.finished_at = e.timestamp), "                                                     \
          "both_sides AS (SELECT debit_account AS account, timestamp, held AS debit, "             \
          "0::numeric AS credit, debit_debits_pending AS debits, "                                 \
          "debit_credits_pending AS credits FROM effect UNION ALL SELECT credit_account, "         \
          "timestamp, 0, held, credit_debits_pending, credit_credits_pending FROM effect), "       \
          "held AS (SELECT s.* FROM both_sides s JOIN account ON slot = account "                  \
          "WHERE NOT " STAND_IN ") "

static const struct {
    const char *reason;
    const char *sql; /* one row of text for a place where it is not so */
} rules[] = {
    {"debits are not credits", "SELECT 'ledger ' || ledger FROM trial_balance WHERE NOT balanced"},
    {"accounts are not numbered through",
     "SELECT 'account ' || min(slot) FROM account HAVING count(*) <> coalesce(max(slot) + 1, 0)"},
    {"two accounts have one id",
     "SELECT 'account ' || id FROM account GROUP BY id HAVING count(*) > 1"},
    {"two transfers have one id",
     "SELECT 'transfer ' || id FROM transfer GROUP BY id HAVING count(*) > 1"},
    {"two transfers have one timestamp",
     "SELECT 'transfer ' || min(id::text) FROM transfer GROUP BY timestamp HAVING count(*) > 1"},
    {"a transfer has a failed id",
     "SELECT 'transfer ' || id FROM transfer JOIN failed_id USING (id)"},
    {"a transfer has no account, or one of another ledger",
     "SELECT 'transfer ' || t.id FROM event t LEFT JOIN account d ON d.slot = t.debit_account "
     "LEFT JOIN account c ON c.slot = t.credit_account WHERE d.ledger IS DISTINCT FROM t.ledger "
     "OR c.ledger IS DISTINCT FROM t.ledger OR t.debit_account = t.credit_account"},
    {"a balance is not what the transfers add up to",
     "WITH total AS (SELECT account, sum(debit) AS debits, sum(credit) AS credits FROM ("
     "SELECT debit_account AS account, amount AS debit, 0 AS credit FROM event "
     "WHERE kind IN (1, 3) UNION ALL SELECT credit_account, 0, amount FROM event "
     "WHERE kind IN (1, 3)) s GROUP BY account) "
     "SELECT 'account ' || a.id FROM account a LEFT JOIN total ON account = slot "
     "WHERE debits_posted <> coalesce(debits, 0) OR credits_posted <> coalesce(credits, 0)"},
    {"what is held is not what the live pending transfers add up to",
     "WITH " FATES ", live AS (SELECT * FROM fate WHERE outcome = 1), "
     "total AS (SELECT account, sum(debit) AS debits, sum(credit) AS credits FROM ("
     "SELECT debit_account AS account, amount AS debit, 0 AS credit FROM live "
     "UNION ALL SELECT credit_account, 0, amount FROM live) s GROUP BY account) "
     "SELECT 'account ' || a.id FROM account a LEFT JOIN total ON account = slot "
     "WHERE debits_pending <> coalesce(debits, 0) OR credits_pending <> coalesce(credits, 0)"},
    {"a pending transfer is not known as one, or another is",
     "SELECT 'transfer ' || coalesce(t.id, p.id) FROM (SELECT id FROM transfer WHERE kind = 2) t "
     "FULL JOIN pending p USING (id) WHERE t.id IS NULL OR p.id IS NULL"},
    {"a pending transfer did not end as is said of it",
     "WITH " ENDINGS "SELECT 'transfer ' || coalesce(e.id, p.id) FROM ending e FULL JOIN "
     "(SELECT * FROM fate WHERE outcome <> 1) p ON p.id = e.id "
     "AND p.debit_account = e.debit_account AND p.credit_account = e.credit_account "
     "WHERE p.outcome IS DISTINCT FROM e.outcome OR p.finished_at IS DISTINCT FROM e.timestamp"},
    {"a pending transfer ended twice",
     "WITH " ENDINGS "SELECT 'transfer ' || id FROM ending "
     "GROUP BY id, debit_account, credit_account HAVING count(*) > 1"},
    {"an account's chain of transfers is broken",
     "WITH " SIDES ", linked AS (SELECT account, before, coalesce(lag(place) OVER "
     "(PARTITION BY account ORDER BY timestamp), 0) AS expected, timestamp FROM side) "
     "SELECT 'account ' || id || ' at ' || l.timestamp FROM linked l JOIN account ON slot = "
     "account "
     "WHERE before <> expected"},
    {"an account's newest transfer is another",
     "WITH " SIDES "SELECT 'account ' || id FROM account LEFT JOIN (SELECT DISTINCT ON (account) "
     "account, place AS newest FROM side ORDER BY account, timestamp DESC) n ON slot = account "
     "WHERE last_transfer <> coalesce(newest, 0) AND NOT " STAND_IN},
    {"a transfer's recorded balances are not those that the transfers give",
     "WITH " SIDES ", running AS (SELECT account, timestamp, debits, credits, "
     "sum(debit) OVER w AS debit, sum(credit) OVER w AS credit FROM side "
     "WINDOW w AS (PARTITION BY account ORDER BY timestamp)) "
     "SELECT 'account ' || id || ' at ' || r.timestamp FROM running r JOIN account ON slot = "
     "account "
     "WHERE debit <> debits OR credit <> credits"},
    {"a transfer's recorded holds are not those that the transfers give",
     "WITH " HOLDS ", mixed AS (SELECT DISTINCT unnest(ARRAY[debit_account, credit_account]) "
     "AS account FROM transfer WHERE flags & 256 <> 0), running AS (SELECT account, timestamp, "
     "debits, credits, sum(debit) OVER w AS debit, sum(credit) OVER w AS credit FROM held "
     "WHERE account NOT IN (SELECT account FROM mixed) "
     "WINDOW w AS (PARTITION BY account ORDER BY timestamp)) "
     "SELECT 'account ' || id || ' at ' || r.timestamp FROM running r JOIN account ON slot = "
     "account "
     "WHERE debit <> debits OR credit <> credits"},
    {"an event is younger than the ledger's clock",
     "SELECT 'clock ' || clock FROM writer WHERE clock < greatest((SELECT max(timestamp) FROM "
     "transfer), (SELECT max(happened) FROM adopted), (SELECT max(timestamp) FROM expiry), (SELECT "
     "max(timestamp) FROM account))"},
};

#define RULE_COUNT (sizeof(rules) / sizeof(rules[0]))

static err_t
take_place(void *context, const PGresult *result)
{
    if (PQntuples(result) > 0) {
        postgres_one_line(PQgetvalue(result, 0, 0), context, STORE_MESSAGE_SIZE / 2);
    }
    return ERR_OK;
}

static err_t
take_counts(void *context, const PGresult *result)
{
    struct store_verify_tables_report *report = context;
    report->accounts = store_pg_get_64(result, 0, 0);
    report->transfers = store_pg_get_64(result, 0, 1);
    report->expiries = store_pg_get_64(result, 0, 2);
    report->failed_ids = store_pg_get_64(result, 0, 3);
    report->pendings = store_pg_get_64(result, 0, 4);
    report->clock = store_pg_get_64(result, 0, 5);
    report->bytes = store_pg_get_64(result, 0, 6);
    return ERR_OK;
}

struct sums {
    store_verify_sum each;
    void *context;
};

static err_t
take_sums(void *context, const PGresult *result)
{
    const struct sums *sums = context;
    for (int row = 0; row < PQntuples(result); row++) {
        struct ledger_balances total;
        TRY(store_pg_get_balances(result, row, 3, &total));
        TRY(sums->each(
            sums->context,
            (uint32_t)store_pg_get_64(result, row, 0),
            (uint32_t)store_pg_get_64(result, row, 1),
            store_pg_get_64(result, row, 2),
            &total));
    }
    return ERR_OK;
}

static err_t
failed(struct store_pg_session *session, err_t code, struct store_error *error)
{
    return store_error_set(
        error, code, "%s", session->problem[0] == '\0' ? err_text(code) : session->problem);
}

static err_t
layout_check(struct store_pg_session *session, struct store_error *error)
{
    int64_t layout = 0;
    err_t code = store_pg_layout(session, postgres_now_ms() + CONNECT_MS_MAX, &layout);
    if (code != ERR_OK) {
        return failed(session, code, error);
    }
    if (layout == 0) {
        return store_error_set(error, ERR_NOT_FOUND, "there is no ledger in this schema");
    }
    if (layout != STORE_PG_LAYOUT) {
        return store_error_set(
            error,
            ERR_VERSION,
            "its tables have layout %lld; this program checks layout %d, to which its server "
            "brings "
            "older ones when it starts",
            (long long)layout,
            STORE_PG_LAYOUT);
    }
    return ERR_OK;
}

static err_t
count_all(
    struct store_pg_session *session,
    struct store_verify_tables_report *report,
    struct sums *sums,
    struct store_error *error)
{
    store_pg_send_text(session, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, NULL);
    store_pg_send_text(
        session,
        "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM event WHERE kind <> 5), "
        "(SELECT count(*) FROM expiry) + (SELECT count(*) FROM adopted WHERE kind = 5), "
        "(SELECT count(*) FROM failed_id), (SELECT count(*) FROM pending WHERE outcome = 1) + "
        "(SELECT count(*) FROM adopted WHERE outcome = 1), (SELECT clock FROM writer), "
        "(SELECT sum(pg_total_relation_size(c))::bigint FROM unnest(ARRAY['account', 'transfer', "
        "'adopted', 'expiry', 'pending', 'failed_id']::regclass[]) c)",
        take_counts,
        report);
    store_pg_send_text(
        session,
        "SELECT a.ledger, a.accounts, coalesce(t.transfers, 0), a.debits_pending % " MODULUS
        ", a.debits_posted % " MODULUS ", a.credits_pending % " MODULUS
        ", a.credits_posted % " MODULUS " FROM trial_balance a LEFT JOIN (SELECT ledger, "
        "count(*) AS transfers FROM event WHERE kind <> 5 GROUP BY ledger) t USING (ledger) ORDER "
        "BY a.ledger",
        take_sums,
        sums);
    err_t code = store_pg_end(session, postgres_now_ms() + QUERY_MS_MAX);
    return code == ERR_OK ? ERR_OK : failed(session, code, error);
}

static err_t
check_all(
    struct store_pg_session *session,
    struct store_verify_tables_report *report,
    struct sums *sums,
    const struct store_verify_visitor *visitor,
    struct store_error *error)
{
    TRY(count_all(session, report, sums, error));
    for (size_t i = 0; i < RULE_COUNT; i++) {
        char place[STORE_MESSAGE_SIZE / 2] = "";
        store_pg_send_text(session, rules[i].sql, take_place, place);
        err_t code = store_pg_end(session, postgres_now_ms() + QUERY_MS_MAX);
        if (code != ERR_OK) {
            return failed(session, code, error);
        }
        if (place[0] != '\0') {
            return store_error_set(error, ERR_CORRUPT, "%s: %s", place, rules[i].reason);
        }
        if (visitor->progress != NULL) {
            visitor->progress(visitor->context, i + 1, RULE_COUNT);
        }
    }
    return ERR_OK;
}

err_t
store_verify_tables(
    const char *url,
    const struct store_verify_visitor *visitor,
    store_verify_sum each_sum,
    struct store_verify_tables_report *ret_report,
    struct store_error *error)
{
    struct store_pg_options options;
    struct postgres_parameters parameters = {0};
    *error = (struct store_error){0};
    *ret_report = (struct store_verify_tables_report){0};
    struct store_pg_session *session = calloc(1, sizeof(*session));
    char *rest = malloc(strlen(url) + 1);
    if (session == NULL || rest == NULL) {
        free(session);
        free(rest);
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    store_pg_session_init(session, &parameters);
    err_t code = store_pg_url(url, &options, rest, error);
    if (code == ERR_OK) {
        char text[sizeof(SESSION_OPTIONS) + STORE_PG_SCHEMA_SIZE];
        (void)snprintf(text, sizeof(text), SESSION_OPTIONS, options.schema);
        code = postgres_parameters_parse(
            rest, text, &parameters, error->message, sizeof(error->message));
        error->code = code;
        memcpy(ret_report->schema, options.schema, sizeof(options.schema));
    }
    if (code == ERR_OK) {
        code = store_pg_connect(session, postgres_now_ms() + CONNECT_MS_MAX);
        code = code == ERR_OK ? ERR_OK : failed(session, code, error);
    }
    if (code == ERR_OK) {
        code = layout_check(session, error);
    }
    if (code == ERR_OK) {
        struct sums sums = {.each = each_sum, .context = visitor->context};
        code = check_all(session, ret_report, &sums, visitor, error);
    }
    store_pg_session_release(session);
    postgres_parameters_release(&parameters);
    explicit_bzero(rest, strlen(url) + 1);
    free(rest);
    free(session);
    return code;
}
