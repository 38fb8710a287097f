/*
 * What databases offer by themselves for money that crosses two of them: PREPARE TRANSACTION in
 * both, then COMMIT PREPARED in both. To compare with; nothing of it is in the program.
 *
 *     build/tests/bench/prepared_transfers URL1 URL2 CLIENTS MILLISECONDS local|prepared
 * uniform|hot
 *
 * `local` makes the same transfer in URL1 alone, as one transaction, with the same client. Both
 * databases have the tables of tools/bench-ledger-postgres. Every client has one transfer under
 * way; what the two databases are asked goes out to both at once, in one message each. A
 * coordinator's own log, which would be one more forced write, is left out, and no client dies: the
 * best case.
 *
 * Prints transfers a second, and the median microseconds of one. A fifth of the time is warm-up.
 */
#include "base/span.h"
#include "os/clock.h"
#include "os/prng.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNTS    10000
#define CLIENTS_MAX 256
#define SIDES       2
#define SAMPLES_MAX 1000000
#define SQL_MAX     1024

enum step {
    STEP_PREPARE, /* of `local`: the whole transfer */
    STEP_PREPARE_OTHER,
    STEP_COMMIT,
};

struct client {
    PGconn *sides[SIDES];
    bool waiting[SIDES];
    enum step step;
    uint64_t number; /* of the transfer; names are unique in a server, so the side is in them too */
    uint64_t began_ns;
    char other[SQL_MAX]; /* what is prepared in URL2 */
};

struct bench {
    struct client clients[CLIENTS_MAX];
    uint64_t client_count;
    int side_count; /* 1: local */
    bool hot;
    struct os_prng prng;
    uint64_t numbers;
    uint64_t count_from_ns;
    uint64_t until_ns;
    uint64_t *samples; /* nanoseconds of each counted transfer */
    uint64_t sample_count;
};

static void
fail(PGconn *connection)
{
    (void)fprintf(stderr, "prepared_transfers: %s", PQerrorMessage(connection));
    exit(1);
}

static void
send_sql(struct client *client, int side, const char *sql)
{
    if (PQsendQuery(client->sides[side], sql) == 0) {
        fail(client->sides[side]);
    }
    client->waiting[side] = true;
}

/* Debits and credits are of different halves, as in the baseline, so that nobody waits in a circle.
 */
static void
begin_transfer(struct bench *bench, struct client *client)
{
    uint64_t half = ACCOUNTS / 2;
    uint64_t debit = 1 + os_prng_below(&bench->prng, half);
    uint64_t credit = bench->hot ? ACCOUNTS : half + 1 + os_prng_below(&bench->prng, half);
    uint64_t amount = 1 + os_prng_below(&bench->prng, 1000);
    static const char insert[] =
        "INSERT INTO transfers (id, debit, credit, amount)"
        " VALUES (gen_random_uuid(), %" PRIu64 ", %" PRIu64 ", %" PRIu64 ");";
    static const char take[] =
        "UPDATE accounts SET debits = debits + %" PRIu64 " WHERE id = %" PRIu64 ";";
    static const char give[] =
        "UPDATE accounts SET credits = credits + %" PRIu64 " WHERE id = %" PRIu64 ";";
    char head[SQL_MAX / 4];
    char updates[SIDES][SQL_MAX / 4];
    (void)snprintf(head, sizeof(head), insert, debit, credit, amount);
    (void)snprintf(updates[0], sizeof(updates[0]), take, amount, debit);
    (void)snprintf(updates[1], sizeof(updates[1]), give, amount, credit);
    client->number = ++bench->numbers;
    client->step = STEP_PREPARE;
    client->began_ns = os_monotonic_ns(os_clock_real());
    char sql[SQL_MAX];
    if (bench->side_count == 1) {
        (void)snprintf(sql, sizeof(sql), "BEGIN;%s%s%sCOMMIT", head, updates[0], updates[1]);
        send_sql(client, 0, sql);
        return;
    }
    static const char prepare[] = "BEGIN;%s%sPREPARE TRANSACTION 't%" PRIu64 "_%d'";
    (void)snprintf(sql, sizeof(sql), prepare, head, updates[0], client->number, 0);
    (void)snprintf(
        client->other, sizeof(client->other), prepare, head, updates[1], client->number, 1);
    send_sql(client, 0, sql);
}

static void
commit_prepared(struct bench *bench, struct client *client)
{
    client->step = STEP_COMMIT;
    char sql[SQL_MAX];
    for (int side = 0; side < bench->side_count; side++) {
        (void)snprintf(sql, sizeof(sql), "COMMIT PREPARED 't%" PRIu64 "_%d'", client->number, side);
        send_sql(client, side, sql);
    }
}

static void
note(struct bench *bench, const struct client *client)
{
    uint64_t now_ns = os_monotonic_ns(os_clock_real());
    if (now_ns >= bench->count_from_ns && bench->sample_count < SAMPLES_MAX) {
        bench->samples[bench->sample_count++] = now_ns - client->began_ns;
    }
}

/* Whoever was asked has answered: the next step. False: the last one, and the time is over. */
static bool
advance(struct bench *bench, struct client *client)
{
    if (client->step == STEP_PREPARE && bench->side_count == SIDES) {
        client->step = STEP_PREPARE_OTHER;
        send_sql(client, 1, client->other);
        return true;
    }
    if (client->step == STEP_PREPARE_OTHER) {
        commit_prepared(bench, client);
        return true;
    }
    note(bench, client);
    if (os_monotonic_ns(os_clock_real()) >= bench->until_ns) {
        return false;
    }
    begin_transfer(bench, client);
    return true;
}

/* Takes what has come of one side's answer. */
static void
take_answer(struct client *client, int side)
{
    PGconn *connection = client->sides[side];
    if (PQconsumeInput(connection) == 0) {
        fail(connection);
    }
    while (PQisBusy(connection) == 0) {
        PGresult *result = PQgetResult(connection);
        if (result == NULL) {
            client->waiting[side] = false;
            return;
        }
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            fail(connection);
        }
        PQclear(result);
    }
}

static void
run(struct bench *bench)
{
    static struct pollfd sockets[CLIENTS_MAX * SIDES];
    uint64_t running = bench->client_count;
    for (uint64_t i = 0; i < bench->client_count; i++) {
        begin_transfer(bench, &bench->clients[i]);
    }
    while (running > 0) {
        for (uint64_t i = 0; i < bench->client_count * SIDES; i++) {
            const struct client *client = &bench->clients[i / SIDES];
            bool waits = client->waiting[i % SIDES];
            sockets[i] = (struct pollfd){
                .fd = waits ? PQsocket(client->sides[i % SIDES]) : -1, .events = POLLIN};
        }
        (void)poll(sockets, bench->client_count * SIDES, -1);
        for (uint64_t i = 0; i < bench->client_count * SIDES; i++) {
            struct client *client = &bench->clients[i / SIDES];
            if (sockets[i].revents == 0) {
                continue;
            }
            take_answer(client, (int)(i % SIDES));
            if (!client->waiting[0] && !client->waiting[1]) {
                running -= advance(bench, client) ? 0 : 1;
            }
        }
    }
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void
report(struct bench *bench, uint64_t took_ns)
{
    if (bench->sample_count == 0) {
        (void)fprintf(stderr, "prepared_transfers: no transfer was counted\n");
        exit(1);
    }
    qsort(bench->samples, bench->sample_count, sizeof(bench->samples[0]), compare);
    double per_second = (double)bench->sample_count * 1e9 / (double)took_ns;
    double median_us = (double)bench->samples[bench->sample_count / 2] / 1e3;
    (void)printf("%.1f %.1f\n", per_second, median_us);
}

static PGconn *
connect_to(const char *url)
{
    PGconn *connection = PQconnectdb(url);
    if (PQstatus(connection) != CONNECTION_OK) {
        fail(connection);
    }
    return connection;
}

int
main(int argc, char **argv)
{
    static struct bench bench;
    uint64_t milliseconds = 0;
    if (argc != 7 || !span_parse_u64(span_from_cstr(argv[3]), &bench.client_count) ||
        bench.client_count < 1 || bench.client_count > CLIENTS_MAX ||
        !span_parse_u64(span_from_cstr(argv[4]), &milliseconds) || milliseconds == 0 ||
        (strcmp(argv[5], "local") != 0 && strcmp(argv[5], "prepared") != 0) ||
        (strcmp(argv[6], "uniform") != 0 && strcmp(argv[6], "hot") != 0)) {
        (void)fprintf(
            stderr,
            "usage: prepared_transfers URL1 URL2 CLIENTS MILLISECONDS local|prepared "
            "uniform|hot\n");
        return 2;
    }
    bench.side_count = strcmp(argv[5], "local") == 0 ? 1 : SIDES;
    bench.hot = strcmp(argv[6], "hot") == 0;
    bench.samples = calloc(SAMPLES_MAX, sizeof(bench.samples[0]));
    if (bench.samples == NULL) {
        return 1;
    }
    os_prng_seed(&bench.prng, 1);
    for (uint64_t i = 0; i < bench.client_count; i++) {
        for (int side = 0; side < bench.side_count; side++) {
            bench.clients[i].sides[side] = connect_to(argv[1 + side]);
        }
    }
    uint64_t start_ns = os_monotonic_ns(os_clock_real());
    bench.count_from_ns = start_ns + milliseconds * OS_NS_PER_MS / 5;
    bench.until_ns = start_ns + milliseconds * OS_NS_PER_MS;
    run(&bench);
    report(&bench, os_monotonic_ns(os_clock_real()) - bench.count_from_ns);
    for (uint64_t i = 0; i < bench.client_count; i++) {
        for (int side = 0; side < bench.side_count; side++) {
            PQfinish(bench.clients[i].sides[side]);
        }
    }
    free(bench.samples);
    return 0;
}
