/* The process: created on its stores, and dropped in the middle of whatever it does. */
#include "payments_sim.h"

#include "base/assert.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

#define RATE_UNLIMITED UINT64_C(1000000000)
#define KEEP_NS        (UINT64_C(90) * 24 * 3600 * OS_NS_PER_S)

/* ----------------------------------------------------------------------------- the documents */

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
    sim_documents_init(documents);
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
note_log(
    void *context,
    const char *request_id,
    const struct trace_context *trace,
    err_t code,
    const char *what)
{
    (void)trace;
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
        .presentation = {.name = "Shop", .city = "City", .country = "US", .category = "5999"},
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
