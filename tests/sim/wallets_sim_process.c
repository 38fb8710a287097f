/* The process: created on its stores, and dropped in the middle of whatever it does. */
#include "wallets_sim.h"

#include "base/assert.h"
#include "base/list.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define RATE_UNLIMITED UINT64_C(1000000000)
#define KEEP_NS        (UINT64_C(90) * 24 * 3600 * OS_NS_PER_S)

/* Customers are another service's; here they are only there. */
struct customer {
    struct resource_header header;
};

static void
customer_render(struct resource_render *render, const void *document)
{
    (void)document;
    json_null(resource_render_json(render));
}

static const struct document_kind customer_kind = {.name = "customer"};
const struct resource_type wsim_customer_type = {
    .object = "customer",
    .prefix = "cus_",
    .kind = &customer_kind,
    .struct_size = sizeof(struct customer),
    .render = customer_render,
};

static void
must(struct wsim *sim, err_t error, const char *what, const char *detail)
{
    if (error != ERR_OK) {
        (void)fprintf(
            stderr,
            "seed %llu: %s: %s %s\n",
            (unsigned long long)sim->seed,
            what,
            err_name(error),
            detail);
        abort();
    }
}

static err_t
loops_create(struct os_loops *loops, const char *name, struct os_loop **ret_loop)
{
    struct wsim *sim = CONTAINER_OF(loops, struct wsim, loops);
    struct os_loops *real = os_sim_loops(sim->machine);
    TRY(real->create(real, name, ret_loop));
    if (strcmp(name, "ledger") == 0) {
        sim->process.ledger_loop = *ret_loop;
    }
    return ERR_OK;
}

void
wsim_loops_init(struct wsim *sim)
{
    sim->loops.create = loops_create;
}

static void
documents_open(struct wsim *sim)
{
    const struct document_kind *kinds[32];
    uint32_t count = 0;
    char url[96];
    char message[DOCUMENT_MESSAGE_SIZE];
    for (uint32_t i = 0; i < resource_kind_count; i++) {
        kinds[count++] = resource_kinds[i];
    }
    for (uint32_t i = 0; i < wallets_kind_count; i++) {
        kinds[count++] = wallets_kinds[i];
    }
    kinds[count++] = &customer_kind;
    (void)snprintf(url, sizeof(url), "sqlite:%s/documents.db", sim->folder);
    struct sim_documents *documents = &sim->process.documents;
    sim_documents_init(documents);
    must(
        sim,
        document_store_open(url, kinds, count, &documents->real, message),
        "documents",
        message);
}

static void
start_ledger(struct wsim *sim)
{
    enum {
        SEGMENT_SIZE = 1 << 20,
        ACCOUNTS_MAX = 200,
        PENDINGS_MAX = 2000,
        TRANSFERS_MAX = 100000,
    };

    struct ledger_engine_settings settings = ledger_engine_settings_default();
    struct store_error error;
    settings.url = "journal:ledger";
    settings.disk = os_sim_disk_ops(sim->ledger_disk);
    settings.clock = os_sim_clock(sim->machine);
    settings.loops = &sim->loops;
    settings.store.loops = &sim->loops;
    settings.store.segment_size = SEGMENT_SIZE;
    settings.store.transfer_count_max = TRANSFERS_MAX;
    settings.limits.account_count_max = ACCOUNTS_MAX;
    settings.limits.pending_count_max = PENDINGS_MAX;
    err_t code = ledger_engine_open(&settings, &sim->process.engine, &error);
    must(sim, code, "ledger", error.message);
}

static void
start_bank(struct wsim *sim)
{
    must(sim, os_loops_create(&sim->loops, "bank", &sim->process.bank_loop), "loop", "");
    const struct bank_parts parts = {
        .loop = sim->process.bank_loop,
        .clock = os_sim_clock(sim->machine),
        .disk = os_sim_disk_ops(sim->bank_disk),
        .folder = "bank",
        .settings = bank_settings_default(),
    };
    must(sim, bank_create(&parts, &sim->process.bank), "bank", "");
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
    const struct wsim *sim = context;
    if (sim->verbose) {
        (void)fprintf(stderr, "  log: %s %s %s\n", what, err_name(code), request_id);
    }
}

static void
start_runtime(struct wsim *sim)
{
    struct wsim_process *process = &sim->process;
    documents_open(sim);
    const struct resource_parts parts = {
        .loop = process->api_loop,
        .clock = os_sim_clock(sim->machine),
        .entropy = os_sim_entropy(sim->machine),
        .documents = &process->documents.store,
        .settings =
            {
                .rate_per_key = RATE_UNLIMITED,
                .lock_wait_ns = 5 * OS_NS_PER_S,
                .lock_waiters_max = 100,
                .operations_max = 200,
                .idempotency_keep_ns = KEEP_NS,
            },
        .refuse_live = true,
        .log = note_log,
        .log_context = sim,
    };
    must(sim, resource_runtime_create(&parts, &process->runtime), "runtime", "");
}

void
wsim_start(struct wsim *sim)
{
    struct wsim_process *process = &sim->process;
    char message[WALLETS_MESSAGE_SIZE];
    memset(process, 0, sizeof(*process));
    start_ledger(sim);
    start_bank(sim);
    must(sim, os_loops_create(&sim->loops, "api", &process->api_loop), "loop", "");
    start_runtime(sim);
    const struct wallets_parts parts = {
        .runtime = process->runtime,
        .loop = process->api_loop,
        .clock = os_sim_clock(sim->machine),
        .ledger = ledger_engine_port(process->engine),
        .bank_rail = bank_rail(process->bank),
        .log = &sim->log,
        .customer_type = &wsim_customer_type,
        .settings = sim->plan.wallets,
    };
    must(sim, wallets_create(&parts, &process->wallets, message), "wallets", message);
    wallets_start(process->wallets);
    must(sim, os_loop_start(process->bank_loop), "start", "");
    must(sim, os_loop_start(process->api_loop), "start", "");
}

/* First nothing that the process does has an effect any more; then its pieces are collected. */
void
wsim_crash(struct wsim *sim, bool power)
{
    struct wsim_process *process = &sim->process;
    sim->crashes++;
    if (sim->paused != NULL) {
        os_sim_pause(sim->machine, sim->paused, false);
        sim->paused = NULL;
    }
    process->dead = true;
    process->documents.gone = true;
    os_sim_disk_clear_rules(sim->ledger_disk);
    if (power) {
        os_sim_disk_crash(sim->ledger_disk);
    } else {
        os_sim_disk_kill(sim->ledger_disk);
    }
    os_sim_disk_kill(sim->bank_disk);
    os_loop_stop(process->api_loop);
    os_loop_stop(process->bank_loop);
    ledger_engine_close(&process->engine);
    resource_runtime_destroy(&process->runtime);
    wallets_destroy(&process->wallets);
    process->documents.store.ops->close(&process->documents.store);
    bank_destroy(&process->bank);
    os_loop_destroy(process->api_loop);
    os_loop_destroy(process->bank_loop);
    wsim_calls_forget(sim);
    memset(process, 0, sizeof(*process));
}
