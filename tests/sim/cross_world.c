#include "cross_world.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILTERED_MAX 2048
#define STEPS_MAX    UINT64_C(2000000)
#define FOLDER       "ledger" /* of a shard, on its disk */

/* ------------------------------------------------------------------------------- the network ---
 */

enum call_stage {
    CALL_GOES,
    CALL_IS_DONE, /* at the shard */
    CALL_RETURNS,
};

/* A request on its way: a copy, as a wire makes one. */
struct call {
    struct os_timer timer;
    struct port_ledger_request request;
    struct port_ledger_request *origin; /* NULL: nobody waits for the answer */
    struct world_link *link;
    uint32_t incarnation; /* of the coordinator */
    enum call_stage stage;
    struct port_ledger_filter filter;
    char memory[];
};

static bool
is_create(enum port_ledger_operation operation)
{
    return operation == PORT_LEDGER_CREATE_ACCOUNTS || operation == PORT_LEDGER_CREATE_TRANSFERS;
}

static bool
is_query(enum port_ledger_operation operation)
{
    return operation == PORT_LEDGER_QUERY_IN_TRANSIT || operation == PORT_LEDGER_QUERY_ACCOUNTS ||
           operation == PORT_LEDGER_QUERY_TRANSFERS;
}

static bool
goes_wrong(struct world *world, uint32_t times)
{
    return os_prng_chance(&world->prng, world->faults * times, 1000);
}

static uint64_t
delay(struct world *world)
{
    uint64_t us = 50 + os_prng_below(&world->prng, 500);
    if (goes_wrong(world, 3)) {
        us += os_prng_below(&world->prng, 3000000);
    }
    return us * OS_NS_PER_US;
}

static void
arm(struct call *call, uint64_t wait_ns)
{
    os_timer_arm(call->link->world->net, &call->timer, world_now(call->link->world) + wait_ns);
}

static void
call_end(struct call *call)
{
    call->link->world->calls--;
    free(call);
}

static void
run_done(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    request->done(request);
}

static void
call_return(struct call *call)
{
    const struct world *world = call->link->world;
    const struct world_coordinator *to = &world->coordinators[call->link->coordinator];
    struct port_ledger_request *origin = call->origin;
    if (origin != NULL && to->loop != NULL && to->incarnation == call->incarnation) {
        size_t size = is_create(origin->operation) ? sizeof(struct ledger_result)
                                                   : sizeof(struct ledger_transfer);
        if (call->request.error == ERR_OK) {
            cross_mistake_in_answer(world, origin, &call->request);
            uint32_t count = is_create(origin->operation) ? origin->count : call->request.out_count;
            memcpy(origin->out.results, call->request.out.results, count * size);
            origin->out_count = call->request.out_count;
        }
        origin->error = call->request.error;
        origin->epoch = call->request.epoch;
        origin->task.run = run_done;
        os_post(origin->reply_to, &origin->task);
    }
    call_end(call);
}

static void
call_fail(struct call *call, err_t error, uint64_t wait_ns)
{
    call->request.error = error;
    call->stage = CALL_RETURNS;
    arm(call, wait_ns);
}

static void
call_done(struct port_ledger_request *request)
{
    struct call *call = CONTAINER_OF(request, struct call, request);
    struct world *world = call->link->world;
    if (call->link->parted || goes_wrong(world, 5)) { /* the answer is lost */
        world->counts.lost++;
        call_fail(call, ERR_OUTCOME_UNKNOWN, OS_NS_PER_S);
        return;
    }
    call->stage = CALL_RETURNS;
    arm(call, delay(world));
}

static void
call_arrive(struct call *call)
{
    struct world *world = call->link->world;
    struct world_shard *shard = &world->shards[call->link->shard];
    if (world_now(world) < shard->paused_until_ns) {
        arm(call, shard->paused_until_ns - world_now(world));
        return;
    }
    if (call->link->parted || goes_wrong(world, 5)) {
        world->counts.lost++;
        call_fail(call, ERR_OUTCOME_UNKNOWN, OS_NS_PER_S);
        return;
    }
    if (shard->engine == NULL) {
        bool refused = os_prng_chance(&world->prng, 1, 2);
        call_fail(call, refused ? ERR_BUSY : ERR_OUTCOME_UNKNOWN, OS_NS_PER_MS);
        return;
    }
    call->stage = CALL_IS_DONE;
    struct port_ledger *port = shards_owner_port(shard->owner);
    port->submit(port, &call->request);
}

static void
call_fire(struct os_timer *timer)
{
    struct call *call = CONTAINER_OF(timer, struct call, timer);
    if (call->stage == CALL_GOES) {
        call_arrive(call);
    } else {
        call_return(call);
    }
}

static struct call *
call_new(struct world_link *link, const struct port_ledger_request *origin)
{
    bool query = is_query(origin->operation);
    size_t in = is_create(origin->operation) ? sizeof(struct ledger_transfer)
                : query                      ? 0
                                             : sizeof(u128);
    size_t out = is_create(origin->operation) ? sizeof(struct ledger_result)
                                              : sizeof(struct ledger_transfer);
    uint32_t room = query ? FILTERED_MAX : origin->count;
    struct call *call = calloc(1, sizeof(*call) + in * origin->count + out * room + 16);
    ASSERT(call != NULL);
    char *memory = (char *)(((uintptr_t)call->memory + 15) / 16 * 16);
    call->link = link;
    call->incarnation = link->world->coordinators[link->coordinator].incarnation;
    call->timer.fire = call_fire;
    call->request = *origin;
    call->request.out_count = 0;
    call->request.out.results = (void *)(memory + in * origin->count);
    if (query) {
        call->filter = *origin->in.filter;
        call->request.in.filter = &call->filter;
    } else {
        memcpy(memory, origin->in.ids, in * origin->count);
        call->request.in.ids = (void *)memory;
    }
    cross_mistake_in_request(link->world, &call->request);
    call->request.reply_to = os_loop_executor(link->world->net);
    call->request.done = call_done;
    link->world->calls++;
    return call;
}

static void
link_submit(struct port_ledger *port, struct port_ledger_request *origin)
{
    struct world_link *link = CONTAINER_OF(port, struct world_link, port);
    struct call *call = call_new(link, origin);
    call->origin = origin;
    arm(call, delay(link->world));
    if (goes_wrong(link->world, 5)) { /* it comes again, perhaps long after */
        link->world->counts.doubled++;
        arm(call_new(link, origin), os_prng_below(&link->world->prng, 8 * OS_NS_PER_S));
    }
}

/* -------------------------------------------------------------------------- shards, processes ---
 */

uint64_t
world_now(const struct world *world)
{
    return os_monotonic_ns(os_sim_clock(world->sim));
}

static err_t
map_read(void *context, struct shard_map *ret_map)
{
    const struct world *world = context;
    memcpy(ret_map, &world->map, sizeof(*ret_map));
    return ERR_OK;
}

void
world_shard_start(struct world *world, uint32_t number)
{
    struct world_shard *shard = &world->shards[number];
    struct store_error error = {0};
    char message[SHARDS_MESSAGE_SIZE];
    const char name[2] = {(char)('a' + number), '\0'};
    const struct shards_owner_parts parts = {
        .map = &world->map,
        .name = name,
        .disk = os_sim_disk_ops(shard->disk),
        .folder = FOLDER,
        .files = &world->here,
        .read = map_read,
        .context = world,
    };
    struct ledger_engine_settings settings = ledger_engine_settings_default();
    ASSERT(shard->engine == NULL);
    err_t made = parts.disk->ops->make_folder(parts.disk, FOLDER);
    ASSERT(made == ERR_OK || made == ERR_EXISTS);
    ASSERT(shards_owner_create(&parts, &shard->owner, message) == ERR_OK);
    settings.guard = shards_owner_guard(shard->owner);
    settings.url = "journal:" FOLDER;
    settings.disk = os_sim_disk_ops(shard->disk);
    settings.clock = os_sim_clock(world->sim);
    settings.loops = os_sim_loops(world->sim);
    settings.store.loops = os_sim_loops(world->sim);
    settings.store.segment_size = 1 << 20;
    settings.limits.account_count_max = 2000;
    settings.limits.pending_count_max = 1000;
    ASSERT(ledger_engine_open(&settings, &shard->engine, &error) == ERR_OK);
    shards_owner_attach(shard->owner, ledger_engine_port(shard->engine));
}

void
world_shard_kill(struct world *world, uint32_t number)
{
    struct world_shard *shard = &world->shards[number];
    os_sim_disk_stop_at(shard->disk, os_sim_disk_operations(shard->disk) + 1);
    ledger_engine_close(&shard->engine);
    shards_owner_destroy(&shard->owner);
    os_sim_disk_crash(shard->disk);
    world->counts.killed++;
}

/* As a network does: the same bytes, another hash. Good enough where nobody attacks. */
static void
digest(struct span text, uint8_t out[32])
{
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t hash = hash_keyed((struct hash_key){i, 77}, text);
        memcpy(out + 8 * i, &hash, sizeof(hash));
    }
}

u128
world_commit_name(u128 id, uint32_t attempt)
{
    char text[sizeof(id) + sizeof(attempt)];
    uint8_t hash[32];
    uint64_t halves[2];
    memcpy(text, &id, sizeof(id));
    memcpy(text + sizeof(id), &attempt, sizeof(attempt));
    digest(span_of(text, sizeof(text)), hash);
    memcpy(halves, hash, sizeof(halves));
    return commit_name((u128)halves[0] << 64 | halves[1]);
}

static void
on_tick(struct os_timer *timer)
{
    struct world_coordinator *coordinator = CONTAINER_OF(timer, struct world_coordinator, tick);
    shards_cross_tick(coordinator->cross);
    os_timer_arm(
        coordinator->loop,
        timer,
        world_now(coordinator->world) + SHARDS_CROSS_TICK_MS * OS_NS_PER_MS);
}

static void
map_reload(void *context, uint64_t epoch)
{
    struct world_coordinator *coordinator = context;
    struct port_ledger *ports[WORLD_SHARDS];
    (void)epoch;
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        ports[i] = &coordinator->links[i].port;
    }
    shards_router_reloaded(coordinator->router, &coordinator->world->map, ports);
}

void
world_coordinator_start(struct world *world, uint32_t number)
{
    struct world_coordinator *coordinator = &world->coordinators[number];
    struct port_ledger *ports[WORLD_SHARDS];
    ASSERT(coordinator->loop == NULL);
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        ports[i] = &coordinator->links[i].port;
    }
    struct os_loops *loops = os_sim_loops(world->sim);
    ASSERT(os_loops_create(loops, "coordinator", &coordinator->loop) == ERR_OK);
    ASSERT(os_loop_start(coordinator->loop) == ERR_OK);
    const struct shards_router_parts router = {
        .executor = os_loop_executor(coordinator->loop),
        .map = &world->map,
        .ports = ports,
        .requests_max = 256,
        .memory_max = 64 << 20,
        .reload = map_reload,
        .context = coordinator,
    };
    ASSERT(shards_router_create(&router, &coordinator->router) == ERR_OK);
    struct shards_cross_parts parts = shards_cross_parts_default();
    parts.executor = os_loop_executor(coordinator->loop);
    parts.router = coordinator->router;
    parts.clock = os_sim_clock(world->sim);
    parts.sha256 = digest;
    parts.protocol = world->protocol;
    parts.memory_max = 64 << 20;
    parts.seed = world->seed * 8 + number;
    ASSERT(shards_cross_create(&parts, &coordinator->cross) == ERR_OK);
    coordinator->tick = (struct os_timer){.fire = on_tick};
    os_timer_arm(coordinator->loop, &coordinator->tick, world_now(world) + OS_NS_PER_MS);
}

void
world_coordinator_kill(struct world *world, uint32_t number)
{
    struct world_coordinator *coordinator = &world->coordinators[number];
    struct shards_cross_counters counters;
    shards_cross_count(coordinator->cross, &counters);
    world->counts.resolved += counters.resolved_committed + counters.resolved_aborted;
    world->counts.killed++;
    os_sim_pause(world->sim, coordinator->loop, false);
    os_loop_stop(coordinator->loop);
    os_loop_destroy(coordinator->loop);
    coordinator->loop = NULL;
    shards_cross_destroy(&coordinator->cross);
    shards_router_destroy(&coordinator->router);
    /* Last: what the loop did while it was stopped was still this one's. */
    coordinator->incarnation++;
}

void
world_heal(struct world *world)
{
    world->faults = 0;
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        world->shards[i].paused_until_ns = 0;
        if (world->shards[i].engine == NULL) {
            world_shard_start(world, i);
        }
    }
    for (uint32_t i = 0; i < WORLD_COORDINATORS; i++) {
        struct world_coordinator *coordinator = &world->coordinators[i];
        if (coordinator->loop == NULL) {
            world_coordinator_start(world, i);
        }
        coordinator->paused_until_ns = 0;
        os_sim_pause(world->sim, coordinator->loop, false);
        for (uint32_t j = 0; j < WORLD_SHARDS; j++) {
            coordinator->links[j].parted = false;
        }
    }
}

/* ------------------------------------------------------------------------------------- asking ---
 */

static void
asked_done(struct port_ledger_request *request)
{
    request->trace_began_ns = 1;
}

static err_t
ask(struct world *world, struct port_ledger *port, struct port_ledger_request *request)
{
    request->reply_to = &world->here;
    request->done = asked_done;
    request->trace_began_ns = 0;
    port->submit(port, request);
    for (int i = 0; i < 20000 && request->trace_began_ns == 0; i++) {
        world_run_ms(world, 1);
    }
    return request->trace_began_ns == 0 ? ERR_OUTCOME_UNKNOWN : request->error;
}

err_t
world_ask(struct world *world, uint32_t coordinator, struct port_ledger_request *request)
{
    return ask(world, shards_cross_port(world->coordinators[coordinator].cross), request);
}

/* --------------------------------------------------------------------------------------- moves ---
 */

static err_t
move_ask(void *context, uint32_t shard, struct port_ledger_request *request)
{
    struct world *world = context;
    return ask(world, shards_owner_port(world->shards[shard].owner), request);
}

static void
move_pause(void *context)
{
    world_run_ms(context, 1);
}

static uint64_t
move_now(void *context)
{
    return world_now(context);
}

static err_t
move_replace(void *context, uint64_t expected, const struct shard_map *next)
{
    struct world *world = context;
    return shard_map_replace(&world->map, expected, next);
}

static bool
move_go_on(void *context, const struct shards_move_report *report)
{
    const struct world *world = context;
    return report->step != world->move_until;
}

err_t
world_move(struct world *world, const uint16_t *slots, uint32_t count, uint32_t to)
{
    struct shards_move_report report;
    char message[SHARDS_MESSAGE_SIZE];
    static struct shard_map now;
    memcpy(&now, &world->map, sizeof(now));
    struct shards_move_parts parts = {
        .map = &now,
        .from = now.owners[slots[0]],
        .to = to,
        .ask = move_ask,
        .pause = move_pause,
        .now_ns = move_now,
        .replace = move_replace,
        .go_on = move_go_on,
        .context = world,
    };
    for (uint32_t i = 0; i < count; i++) {
        parts.slots[slots[i] / 64] |= UINT64_C(1) << slots[i] % 64;
    }
    err_t result = shards_move(&parts, &report, message);
    if (result == ERR_CORRUPT) {
        fprintf(stderr, "%s\n", message);
    }
    return result;
}

err_t
world_move_until(struct world *world, uint16_t slot, uint32_t to, uint32_t step)
{
    world->move_until = step;
    err_t result = world_move(world, &slot, 1, to);
    world->move_until = SHARDS_MOVE_STEPS;
    return result;
}

void
world_run_ms(struct world *world, uint32_t ms)
{
    ASSERT(os_sim_run_for(world->sim, ms * OS_NS_PER_MS, STEPS_MAX));
}

/* ---------------------------------------------------------------------------------------- life ---
 */

uint16_t
world_slot(uint32_t group)
{
    return (uint16_t)(group * 4099 % SHARD_SLOTS);
}

static void
map_make(struct world *world)
{
    shard_map_init(&world->map);
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        uint32_t shard;
        char name[2] = {(char)('a' + i), '\0'};
        ASSERT(shard_map_add(&world->map, span_from_cstr(name), SPAN("x"), &shard) == ERR_OK);
    }
    shard_map_share(&world->map);
}

struct world *
world_create(uint64_t seed, enum commit_protocol protocol)
{
    struct world *world = calloc(1, sizeof(*world));
    ASSERT(world != NULL);
    world->seed = seed;
    world->protocol = protocol;
    world->move_until = SHARDS_MOVE_STEPS;
    world->here.post = os_post_now;
    os_prng_seed(&world->prng, seed);
    ASSERT(os_sim_create(seed, &world->sim) == ERR_OK);
    ASSERT(os_loops_create(os_sim_loops(world->sim), "net", &world->net) == ERR_OK);
    ASSERT(os_loop_start(world->net) == ERR_OK);
    map_make(world);
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        const struct os_sim_disk_settings disk = {.seed = seed * WORLD_SHARDS + i, .faults = true};
        world->shards[i].world = world;
        ASSERT(os_sim_disk_create(&disk, &world->shards[i].disk) == ERR_OK);
        world_shard_start(world, i);
    }
    for (uint32_t i = 0; i < WORLD_COORDINATORS; i++) {
        struct world_coordinator *coordinator = &world->coordinators[i];
        coordinator->world = world;
        coordinator->number = i;
        for (uint32_t j = 0; j < WORLD_SHARDS; j++) {
            coordinator->links[j] = (struct world_link){
                .port = {.submit = link_submit}, .world = world, .coordinator = i, .shard = j};
        }
        world_coordinator_start(world, i);
    }
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
        world->clients[i].world = world;
    }
    for (uint32_t i = 0; i < WORLD_ACCOUNTS; i++) {
        world->accounts[i] = shard_id_place((u128)(i + 1) << 32, world_slot(i / WORLD_MEMBERS));
    }
    return world;
}

void
world_destroy(struct world **world)
{
    struct world *dead = *world;
    world_heal(dead);
    for (int i = 0; i < 30 && dead->calls > 0; i++) { /* so that nothing of a call is left */
        world_run_ms(dead, 500);
        for (uint32_t j = 0; i == 20 && j < WORLD_COORDINATORS; j++) {
            world_coordinator_kill(dead, j);
        }
    }
    for (uint32_t i = 0; i < WORLD_COORDINATORS; i++) {
        if (dead->coordinators[i].loop != NULL) {
            world_coordinator_kill(dead, i);
        }
    }
    while (dead->calls > 0) {
        world_run_ms(dead, 100);
    }
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        ledger_engine_close(&dead->shards[i].engine);
        shards_owner_destroy(&dead->shards[i].owner);
        os_sim_disk_destroy(&dead->shards[i].disk);
    }
    os_loop_stop(dead->net);
    os_loop_destroy(dead->net);
    os_sim_destroy(&dead->sim);
    free(dead);
    *world = NULL;
}
