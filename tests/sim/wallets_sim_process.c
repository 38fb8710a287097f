/* The process: created on its stores, and dropped in the middle of whatever it does. */
#include "wallets_sim.h"

#include "base/assert.h"
#include "json/json.h"

#include <string.h>

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
start_bank(struct wsim *sim)
{
    sim_world_start_rail(&sim->world, "bank");
    const struct bank_parts parts = {
        .loop = sim->world.process.rail_loop,
        .clock = os_sim_clock(sim->world.machine),
        .disk = os_sim_disk_ops(sim->world.rail_disk),
        .folder = "bank",
        .settings = bank_settings_default(),
    };
    sim_world_must(&sim->world, bank_create(&parts, &sim->bank), "bank", "");
}

static void
start_runtime(struct wsim *sim)
{
    const struct document_kind *kinds[16];
    ASSERT(wallets_kind_count < sizeof(kinds) / sizeof(kinds[0]));
    memcpy(kinds, wallets_kinds, wallets_kind_count * sizeof(kinds[0]));
    kinds[wallets_kind_count] = &customer_kind;
    const struct sim_runtime options = {
        .kinds = kinds,
        .kind_count = wallets_kind_count + 1,
        .operations_max = 200,
    };
    sim_world_start_runtime(&sim->world, &options);
}

void
wsim_start(struct wsim *sim)
{
    struct sim_process *process = &sim->world.process;
    char message[WALLETS_MESSAGE_SIZE] = "";
    sim_world_start_ledger(&sim->world);
    start_bank(sim);
    start_runtime(sim);
    const struct wallets_parts parts = {
        .runtime = process->runtime,
        .loop = process->api_loop,
        .clock = os_sim_clock(sim->world.machine),
        .ledger = ledger_engine_port(process->engine),
        .bank_rail = bank_rail(sim->bank),
        .log = &sim->world.log,
        .customer_type = &wsim_customer_type,
        .settings = sim->settings,
    };
    err_t error = wallets_create(&parts, &sim->wallets, message);
    sim_world_must(&sim->world, error, "wallets", message);
    wallets_start(sim->wallets);
    sim_world_start_loops(&sim->world);
}

void
wsim_crash(struct wsim *sim, enum sim_crash_kind kind)
{
    sim_world_crash_begin(&sim->world, kind);
    wallets_destroy(&sim->wallets);
    bank_destroy(&sim->bank);
    sim_world_crash_end(&sim->world);
}
