/* The process: created on its stores, and dropped in the middle of whatever it does. */
#include "payments_sim.h"

#include "base/assert.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

#define RATE_UNLIMITED UINT64_C(1000000000)
#define KEEP_NS        (UINT64_C(90) * 24 * 3600 * OS_NS_PER_S)

/* ----------------------------------------------------------------------------- the documents */

static struct sim_documents *
documents_of(struct document_store *store)
{
    return (struct sim_documents *)(void *)store;
}

static err_t
documents_begin(struct document_store *store)
{
    struct sim_documents *documents = documents_of(store);
    if (documents->gone) {
        return ERR_CLOSED;
    }
    err_t error = documents->real->ops->begin(documents->real);
    documents->open = error == ERR_OK;
    return error;
}

static void
documents_rollback(struct document_store *store)
{
    struct sim_documents *documents = documents_of(store);
    if (documents->open) {
        documents->open = false;
        documents->real->ops->rollback(documents->real);
    }
}

static err_t
commit_really(struct sim_documents *documents)
{
    documents->open = false;
    return documents->real->ops->commit(documents->real);
}

static err_t
documents_commit(struct document_store *store)
{
    struct sim_documents *documents = documents_of(store);
    enum sim_commit_fate fate = documents->fate;
    if (documents->gone) {
        documents_rollback(store);
        return ERR_CLOSED;
    }
    if (fate == SIM_COMMIT_WORKS || documents->fate_after > 0) {
        documents->fate_after -= fate == SIM_COMMIT_WORKS ? 0 : 1;
        return commit_really(documents);
    }
    documents->fate = SIM_COMMIT_WORKS;
    bool written = fate == SIM_COMMIT_DIES_AFTER || fate == SIM_COMMIT_UNKNOWN_DONE;
    if (written) {
        err_t error = commit_really(documents);
        ASSERT(error == ERR_OK);
    } else {
        documents_rollback(store);
    }
    documents->died = fate == SIM_COMMIT_DIES_BEFORE || fate == SIM_COMMIT_DIES_AFTER;
    documents->gone = fate != SIM_COMMIT_FAILS;
    return fate == SIM_COMMIT_FAILS ? ERR_DISK_FULL : ERR_OUTCOME_UNKNOWN;
}

static err_t
documents_get(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row)
{
    struct document_store *real = documents_of(store)->real;
    return documents_of(store)->gone ? ERR_CLOSED
                                     : real->ops->get(real, kind, scope, id, arena, ret_row);
}

static err_t
documents_insert(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_store *real = documents_of(store)->real;
    return documents_of(store)->gone ? ERR_CLOSED : real->ops->insert(real, kind, row);
}

static err_t
documents_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_store *real = documents_of(store)->real;
    return documents_of(store)->gone ? ERR_CLOSED : real->ops->update(real, kind, row);
}

static err_t
documents_remove(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version)
{
    struct document_store *real = documents_of(store)->real;
    return documents_of(store)->gone ? ERR_CLOSED
                                     : real->ops->remove(real, kind, scope, id, version);
}

static err_t
documents_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context)
{
    struct document_store *real = documents_of(store)->real;
    return documents_of(store)->gone ? ERR_CLOSED
                                     : real->ops->list(real, kind, query, each, context);
}

static void
documents_maintain(struct document_store *store)
{
    struct document_store *real = documents_of(store)->real;
    real->ops->maintain(real);
}

static void
documents_close(struct document_store *store)
{
    documents_rollback(store);
    struct document_store *real = documents_of(store)->real;
    real->ops->close(real);
}

static const struct document_store_ops documents_ops = {
    .begin = documents_begin,
    .commit = documents_commit,
    .rollback = documents_rollback,
    .get = documents_get,
    .insert = documents_insert,
    .update = documents_update,
    .remove = documents_remove,
    .list = documents_list,
    .maintain = documents_maintain,
    .close = documents_close,
};

static void
documents_open(struct sim *sim)
{
    struct sim_documents *documents = &sim->process.documents;
    const struct document_kind *kinds[32];
    uint32_t count = 0;
    for (uint32_t i = 0; i < resource_kind_count; i++) {
        kinds[count++] = resource_kinds[i];
    }
    for (uint32_t i = 0; i < payments_kind_count; i++) {
        kinds[count++] = payments_kinds[i];
    }
    char url[96];
    char message[DOCUMENT_MESSAGE_SIZE];
    (void)snprintf(url, sizeof(url), "sqlite:%s/documents.db", sim->folder);
    *documents = (struct sim_documents){.store = {.ops = &documents_ops}};
    err_t error = document_store_open(url, kinds, count, &documents->real, message);
    if (error != ERR_OK) {
        sim_fail(sim, "documents: %s", message);
        abort();
    }
}

/* --------------------------------------------------------------------------------- the loops */

static err_t
loops_create(struct os_loops *loops, const char *name, struct os_loop **ret_loop)
{
    struct sim *sim = CONTAINER_OF(loops, struct sim, loops);
    struct os_loops *real = os_sim_loops(sim->machine);
    TRY(real->create(real, name, ret_loop));
    if (strcmp(name, "ledger") == 0) {
        sim->process.ledger_loop = *ret_loop;
    }
    return ERR_OK;
}

void
sim_loops_init(struct sim *sim)
{
    sim->loops.create = loops_create;
}

/* ------------------------------------------------------------------------- start and the end */

static void
must(struct sim *sim, err_t error, const char *what, const char *detail)
{
    if (error != ERR_OK) {
        sim_fail(sim, "%s: %s %s", what, err_name(error), detail);
        (void)fprintf(stderr, "seed %llu: %s\n", (unsigned long long)sim->seed, sim->failure);
        abort();
    }
}

static void
engine_alarm(void *context, const char *text)
{
    struct sim *sim = context;
    if (sim->verbose) {
        (void)fprintf(stderr, "  alarm: %s\n", text);
    }
}

static void
start_ledger(struct sim *sim)
{
    enum {
        SEGMENT_SIZE = 1 << 20,
        ACCOUNTS_MAX = 200,
        PENDINGS_MAX = 2000,
    };
    struct ledger_engine_settings settings = ledger_engine_settings_default();
    struct store_error error;
    settings.url = "journal:ledger";
    settings.disk = os_sim_disk_ops(sim->ledger_disk);
    settings.clock = os_sim_clock(sim->machine);
    settings.loops = &sim->loops;
    settings.store.loops = &sim->loops;
    settings.store.segment_size = SEGMENT_SIZE;
    settings.store.transfer_count_max = 100000;
    settings.limits.account_count_max = ACCOUNTS_MAX;
    settings.limits.pending_count_max = PENDINGS_MAX;
    settings.alarm = engine_alarm;
    settings.alarm_context = sim;
    err_t code = ledger_engine_open(&settings, &sim->process.engine, &error);
    must(sim, code, "the ledger cannot be opened", error.message);
}

static void
start_cards(struct sim *sim)
{
    struct sim_process *process = &sim->process;
    char folder[96];
    char message[VAULT_MESSAGE_SIZE] = "";
    must(sim, os_loops_create(&sim->loops, "cards", &process->cards_loop), "loop", "");
    struct issuer_parts issuer = {
        .loop = process->cards_loop,
        .clock = os_sim_clock(sim->machine),
        .entropy = os_sim_entropy(sim->machine),
        .disk = os_sim_disk_ops(sim->issuer_disk),
        .folder = "issuer",
        .settings = sim->plan.issuer,
    };
    must(sim, issuer_create(&issuer, &process->issuer), "issuer", "");
    (void)snprintf(folder, sizeof(folder), "%s/vault", sim->folder);
    struct vault_parts vault = {
        .loop = process->cards_loop,
        .clock = os_sim_clock(sim->machine),
        .entropy = os_sim_entropy(sim->machine),
        .disk = os_disk_real(),
        .folder = folder,
        .network = issuer_network(process->issuer),
    };
    must(sim, vault_create(&vault, &process->vault, message), "vault", message);
    struct cards_parts cards = {
        .loop = process->cards_loop,
        .network = vault_network(process->vault),
        .settings = {.in_flight_max = 64},
    };
    must(sim, cards_create(&cards, &process->cards), "cards", "");
}

static void
note_log(void *context, const char *request_id, err_t code, const char *what)
{
    struct sim *sim = context;
    if (sim->verbose) {
        (void)fprintf(stderr, "  log: %s %s %s\n", what, err_name(code), request_id);
    }
}

static void
start_api(struct sim *sim)
{
    struct sim_process *process = &sim->process;
    must(sim, os_loops_create(&sim->loops, "api", &process->api_loop), "loop", "");
    documents_open(sim);
    struct resource_parts parts = {
        .loop = process->api_loop,
        .clock = os_sim_clock(sim->machine),
        .entropy = os_sim_entropy(sim->machine),
        .documents = &process->documents.store,
        .vault = vault_port(process->vault),
        .settings =
            {
                .rate_per_key = RATE_UNLIMITED,
                .lock_wait_ns = 5 * OS_NS_PER_S,
                .lock_waiters_max = 100,
                .operations_max = (uint32_t)sim->plan.operations_max,
                .idempotency_keep_ns = KEEP_NS,
            },
        .refuse_live = true,
        .log = note_log,
        .log_context = sim,
    };
    must(sim, resource_runtime_create(&parts, &process->runtime), "runtime", "");
    struct payments_parts payments = {
        .runtime = process->runtime,
        .loop = process->api_loop,
        .clock = os_sim_clock(sim->machine),
        .ledger = ledger_engine_port(process->engine),
        .vault = vault_port(process->vault),
        .card_rail = cards_rail(process->cards),
        .public_url = "http://localhost",
        .log = &sim->log,
        .settings = sim->plan.payments,
    };
    must(sim, payments_create(&payments, &process->payments), "payments", "");
    payments_start(process->payments);
}

void
sim_start(struct sim *sim)
{
    memset(&sim->process, 0, sizeof(sim->process));
    start_ledger(sim);
    start_cards(sim);
    start_api(sim);
    must(sim, os_loop_start(sim->process.cards_loop), "start", "");
    must(sim, os_loop_start(sim->process.api_loop), "start", "");
}

/* First nothing that the process does has an effect any more; then its pieces are collected, and
 * whatever its loops still run while they stop is lost. */
void
sim_crash(struct sim *sim, enum sim_crash_kind kind)
{
    struct sim_process *process = &sim->process;
    struct ledger_engine_status status;
    sim->counts.crashes++;
    if (sim->paused != NULL) {
        os_sim_pause(sim->machine, sim->paused, false);
        sim->paused = NULL;
    }
    ledger_engine_status(process->engine, &status);
    sim->counts.reloads += status.reloads;
    process->dead = true;
    process->documents.gone = true;
    os_sim_disk_clear_rules(sim->ledger_disk);
    if (kind == SIM_POWER) {
        os_sim_disk_crash(sim->ledger_disk);
    } else {
        os_sim_disk_kill(sim->ledger_disk);
    }
    os_sim_disk_kill(sim->issuer_disk);
    os_loop_stop(process->api_loop);
    os_loop_stop(process->cards_loop);
    ledger_engine_close(&process->engine);
    resource_runtime_destroy(&process->runtime);
    payments_destroy(&process->payments);
    process->documents.store.ops->close(&process->documents.store);
    cards_destroy(&process->cards);
    vault_destroy(&process->vault);
    issuer_destroy(&process->issuer);
    os_loop_destroy(process->api_loop);
    os_loop_destroy(process->cards_loop);
    sim_calls_forget(sim);
    memset(process, 0, sizeof(*process));
}
