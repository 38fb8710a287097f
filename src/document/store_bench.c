/*
 * How long rows take: what a card payment writes (ten rows in two groups), in groups of 64
 * payments, on a file in the folder given, or where a URL says (postgres://..., shards:FILE).
 * Prints microseconds per row and per payment, and the slowest commit.
 *
 *     build/src/document/document_store_bench FOLDER|URL [PAYMENTS [MERCHANTS]]
 */
#include "base/assert.h"
#include "base/id.h"
#include "document/document.h"
#include "os/clock.h"
#include "os/entropy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define GROUP 64

enum {
    INTENT,
    CHARGE,
    METHOD,
    TRANSACTION,
    EVENT,
    KEY,
    KIND_COUNT
};

static const struct document_kind kinds_table[KIND_COUNT] = {
    [INTENT] =
        {.name = "payment_intent",
         .columns =
             {{.name = "customer", .type = DOCUMENT_TEXT, .indexed = true},
              {.name = "due", .type = DOCUMENT_INTEGER, .indexed = true, .across_scopes = true}},
         .column_count = 2},
    [CHARGE] =
        {.name = "charge",
         .columns =
             {{.name = "payment_intent", .type = DOCUMENT_TEXT, .indexed = true},
              {.name = "customer", .type = DOCUMENT_TEXT, .indexed = true}},
         .column_count = 2},
    [METHOD] =
        {.name = "payment_method",
         .columns = {{.name = "customer", .type = DOCUMENT_TEXT, .indexed = true}},
         .column_count = 1},
    [TRANSACTION] =
        {.name = "balance_transaction",
         .columns =
             {{.name = "source", .type = DOCUMENT_TEXT, .indexed = true},
              {.name = "type", .type = DOCUMENT_TEXT, .indexed = true},
              {.name = "currency", .type = DOCUMENT_TEXT, .indexed = true},
              {.name = "release_due",
               .type = DOCUMENT_INTEGER,
               .indexed = true,
               .across_scopes = true}},
         .column_count = 4},
    [EVENT] =
        {.name = "event",
         .columns = {{.name = "type", .type = DOCUMENT_TEXT, .indexed = true}},
         .column_count = 1},
    [KEY] =
        {.name = "idempotency_key",
         .columns =
             {{.name = "key_number", .type = DOCUMENT_INTEGER, .indexed = true},
              {.name = "expires",
               .type = DOCUMENT_INTEGER,
               .indexed = true,
               .across_scopes = true}},
         .column_count = 2},
};

struct bench {
    struct document_store *store;
    struct id_generator ids;
    uint64_t merchants; /* whose payments they are, in turn */
    uint64_t scope;     /* of the present one */
    uint64_t row_count;
    uint64_t commit_slowest_ns, maintain_slowest_ns, commit_total_ns, maintain_total_ns;
    char text[4096];
};

struct payment {
    char intent[ID_TEXT_SIZE], key[ID_TEXT_SIZE];
};

static void
check(err_t error)
{
    if (error != ERR_OK) {
        (void)fprintf(stderr, "%s\n", err_text(error));
        exit(1);
    }
}

static struct span
new_id(struct bench *bench, const char *prefix, char out[ID_TEXT_SIZE])
{
    u128 id = id_next(
        &bench->ids, os_wall_ns(os_clock_real()) / OS_NS_PER_MS, os_random_u128(os_entropy_real()));
    return span_of(out, id_format(prefix, id, out));
}

static struct document_value
text_value(const char *text)
{
    return (struct document_value){.text = span_from_cstr(text)};
}

static void
insert(struct bench *bench, int kind, struct document_row *row, size_t size)
{
    row->scope = bench->scope;
    row->body = span_of(bench->text, size);
    check(bench->store->ops->insert(bench->store, &kinds_table[kind], row));
    bench->row_count++;
}

static void
update(struct bench *bench, int kind, const char *id, size_t size)
{
    struct document_row row = {
        .scope = bench->scope,
        .id = span_from_cstr(id),
        .version = 1,
        .body = span_of(bench->text, size)};
    row.unchanged_columns = (1U << kinds_table[kind].column_count) - 1;
    if (kind == INTENT) {
        row.unchanged_columns = 1; /* due becomes NULL */
        row.columns[1].is_null = true;
    }
    check(bench->store->ops->update(bench->store, &kinds_table[kind], &row));
    bench->row_count++;
}

/* The attempt: the intent, and its key running. */
static void
write_first(struct bench *bench, struct payment *payment)
{
    struct document_row intent = {.id = new_id(bench, "pi_", payment->intent)};
    intent.columns[0].is_null = true;
    intent.columns[1].integer = 1767225600;
    insert(bench, INTENT, &intent, 900);
    struct document_row key = {.id = new_id(bench, "idk_", payment->key)};
    key.columns[0].integer = (int64_t)((uint64_t)os_random_u128(os_entropy_real()) >> 1);
    key.columns[1].integer = 1767225600;
    insert(bench, KEY, &key, 250);
}

/* Its outcome. */
static void
write_second(struct bench *bench, struct payment *payment)
{
    static const char *const types[] = {
        "payment_intent.created", "charge.succeeded", "payment_intent.succeeded"};
    char id[ID_TEXT_SIZE];
    char charge_id[ID_TEXT_SIZE];
    struct document_row charge = {.id = new_id(bench, "ch_", charge_id)};
    charge.columns[0] = text_value(payment->intent);
    charge.columns[1].is_null = true;
    insert(bench, CHARGE, &charge, 1200);
    struct document_row method = {.id = new_id(bench, "pm_", id)};
    method.columns[0].is_null = true;
    insert(bench, METHOD, &method, 450);
    struct document_row transaction = {.id = new_id(bench, "txn_", id)};
    transaction.columns[0] = text_value(charge_id);
    transaction.columns[1] = text_value("charge");
    transaction.columns[2] = text_value("usd");
    transaction.columns[3].integer = 1767225600;
    insert(bench, TRANSACTION, &transaction, 250);
    for (size_t i = 0; i < 3; i++) {
        struct document_row event = {.id = new_id(bench, "evt_", id)};
        event.columns[0] = text_value(types[i]);
        insert(bench, EVENT, &event, 2000);
    }
    update(bench, INTENT, payment->intent, 1000);
    update(bench, KEY, payment->key, 1900);
}

static void
commit(struct bench *bench)
{
    uint64_t from_ns = os_monotonic_ns(os_clock_real());
    check(bench->store->ops->commit(bench->store));
    uint64_t committed_ns = os_monotonic_ns(os_clock_real());
    bench->store->ops->maintain(bench->store);
    uint64_t maintained_ns = os_monotonic_ns(os_clock_real());
    bench->commit_total_ns += committed_ns - from_ns;
    bench->maintain_total_ns += maintained_ns - committed_ns;
    if (committed_ns - from_ns > bench->commit_slowest_ns) {
        bench->commit_slowest_ns = committed_ns - from_ns;
    }
    if (maintained_ns - committed_ns > bench->maintain_slowest_ns) {
        bench->maintain_slowest_ns = maintained_ns - committed_ns;
    }
}

/* Each payment is an operation of its own. */
static void
turn_to(struct bench *bench, const struct payment *payment, uint64_t number)
{
    bench->scope = 2 * (1 + number % bench->merchants);
    if (bench->store->shared != NULL) {
        bench->store->shared->owner(bench->store, payment);
    }
}

static void
run(struct bench *bench, uint64_t payments)
{
    struct payment group[GROUP];
    for (uint64_t done = 0; done < payments; done += GROUP) {
        check(bench->store->ops->begin(bench->store));
        for (size_t i = 0; i < GROUP; i++) {
            turn_to(bench, &group[i], done + i);
            write_first(bench, &group[i]);
        }
        commit(bench);
        check(bench->store->ops->begin(bench->store));
        for (size_t i = 0; i < GROUP; i++) {
            turn_to(bench, &group[i], done + i);
            write_second(bench, &group[i]);
        }
        commit(bench);
    }
}

static double
cpu_us(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int
main(int argc, char **argv)
{
    static struct bench bench;
    const struct document_kind *kinds[KIND_COUNT];
    char url[512];
    char message[DOCUMENT_MESSAGE_SIZE];
    uint64_t payments = 50000;
    bench.merchants = 1;
    if (argc < 2 || (argc > 2 && !span_parse_u64(span_from_cstr(argv[2]), &payments)) ||
        (argc > 3 && !span_parse_u64(span_from_cstr(argv[3]), &bench.merchants)) ||
        bench.merchants == 0) {
        (void)fprintf(stderr, "usage: document_store_bench FOLDER|URL [PAYMENTS [MERCHANTS]]\n");
        return 2;
    }
    for (size_t i = 0; i < KIND_COUNT; i++) {
        kinds[i] = &kinds_table[i];
    }
    if (strchr(argv[1], ':') != NULL) {
        (void)snprintf(url, sizeof(url), "%s", argv[1]);
    } else {
        (void)snprintf(url, sizeof(url), "sqlite:%s/bench.db", argv[1]);
    }
    if (document_store_open(url, kinds, KIND_COUNT, &bench.store, message) != ERR_OK) {
        (void)fprintf(stderr, "%s\n", message);
        return 1;
    }
    for (size_t i = 0; i < sizeof(bench.text); i++) {
        bench.text[i] = (char)('a' + i % 26);
    }
    uint64_t from_ns = os_monotonic_ns(os_clock_real());
    run(&bench, payments);
    uint64_t took_ns = os_monotonic_ns(os_clock_real()) - from_ns;
    double count = (double)payments;
    (void)printf(
        "%" PRIu64 " payments, %" PRIu64
        " rows: %.1f us a row, %.1f us a payment; of the processor "
        "%.1f us a row\n",
        payments,
        bench.row_count,
        (double)took_ns / 1e3 / (double)bench.row_count,
        (double)took_ns / 1e3 / count,
        cpu_us() / (double)bench.row_count);
    (void)printf(
        "commits: %.1f us a payment, slowest %.1f ms; upkeep: %.1f us a payment, slowest %.1f ms\n",
        (double)bench.commit_total_ns / 1e3 / count,
        (double)bench.commit_slowest_ns / 1e6,
        (double)bench.maintain_total_ns / 1e3 / count,
        (double)bench.maintain_slowest_ns / 1e6);
    bench.store->ops->close(bench.store);
    return 0;
}
