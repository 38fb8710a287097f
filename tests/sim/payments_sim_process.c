/* The process: created on its stores, and dropped in the middle of whatever it does. */
#include "payments_sim.h"

static void
start_cards(struct sim *sim)
{
    char folder[96];
    char message[VAULT_MESSAGE_SIZE] = "";
    sim_world_start_rail(&sim->world, "cards");
    struct os_loop *loop = sim->world.process.rail_loop;
    struct issuer_parts issuer = {
        .loop = loop,
        .clock = os_sim_clock(sim->world.machine),
        .entropy = os_sim_entropy(sim->world.machine),
        .disk = os_sim_disk_ops(sim->world.rail_disk),
        .folder = "issuer",
        .settings = sim->plan.issuer,
    };
    sim_world_must(&sim->world, issuer_create(&issuer, &sim->issuer), "issuer", "");
    (void)snprintf(folder, sizeof(folder), "%s/vault", sim->world.folder);
    struct vault_parts vault = {
        .loop = loop,
        .clock = os_sim_clock(sim->world.machine),
        .entropy = os_sim_entropy(sim->world.machine),
        .disk = os_disk_real(),
        .folder = folder,
        .network = issuer_network(sim->issuer),
    };
    sim_world_must(&sim->world, vault_create(&vault, &sim->vault, message), "vault", message);
    struct cards_parts cards = {
        .loop = loop,
        .network = vault_network(sim->vault),
        .settings = {.in_flight_max = 64},
    };
    sim_world_must(&sim->world, cards_create(&cards, &sim->cards), "cards", "");
}

static void
start_payments(struct sim *sim)
{
    struct sim_process *process = &sim->world.process;
    struct payments_parts payments = {
        .presentation = {.name = "Shop", .city = "City", .country = "US", .category = "5999"},
        .runtime = process->runtime,
        .loop = process->api_loop,
        .clock = os_sim_clock(sim->world.machine),
        .ledger = ledger_engine_port(process->engine),
        .vault = vault_port(sim->vault),
        .card_rail = cards_rail(sim->cards),
        .public_url = "http://localhost",
        .log = &sim->world.log,
        .settings = sim->plan.payments,
    };
    sim_world_must(&sim->world, payments_create(&payments, &sim->payments), "payments", "");
    payments_start(sim->payments);
}

void
sim_start(struct sim *sim)
{
    sim_world_start_ledger(&sim->world);
    start_cards(sim);
    const struct sim_runtime options = {
        .kinds = payments_kinds,
        .kind_count = payments_kind_count,
        .operations_max = (uint32_t)sim->plan.operations_max,
        .vault = vault_port(sim->vault),
    };
    sim_world_start_runtime(&sim->world, &options);
    start_payments(sim);
    sim_world_start_loops(&sim->world);
}

void
sim_crash(struct sim *sim, enum sim_crash_kind kind)
{
    sim_world_crash_begin(&sim->world, kind);
    payments_destroy(&sim->payments);
    cards_destroy(&sim->cards);
    vault_destroy(&sim->vault);
    issuer_destroy(&sim->issuer);
    sim_world_crash_end(&sim->world);
}
