#include "differential_world.h"

#include "base/list.h"
#include "os/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct shard_map t_map;

static void
t_submit(struct port_ledger *port, struct port_ledger_request *request)
{
    struct t_port *to = CONTAINER_OF(port, struct t_port, port);
    struct port_ledger *owner = shards_owner_port(to->world->owners[to->shard]);
    owner->submit(owner, request);
}

uint16_t
t_slot(uint32_t group)
{
    return (uint16_t)(group * 4099 % SHARD_SLOTS);
}

static struct ledger_engine *
t_engine(struct t_world *t, const char *url, const struct port_ledger_guard *guard)
{
    struct store_error error;
    struct ledger_engine *engine = NULL;
    struct ledger_engine_settings settings = ledger_engine_settings_default();
    settings.url = url;
    settings.disk = os_sim_disk_ops(t->disk);
    settings.clock = os_sim_clock(t->sim);
    settings.loops = os_sim_loops(t->sim);
    settings.store.loops = os_sim_loops(t->sim);
    settings.store.segment_size = 1 << 20;
    settings.guard = guard;
    settings.limits.account_count_max = 10000;
    settings.limits.pending_count_max = 1000;
    assert_int_equal(ledger_engine_open(&settings, &engine, &error), ERR_OK);
    return engine;
}

static err_t
t_read_map(void *context, struct shard_map *ret_map)
{
    (void)context;
    memcpy(ret_map, &t_map, sizeof(t_map));
    return ERR_OK;
}

static void
t_shard_open(struct t_world *t, uint32_t shard)
{
    static const char *const urls[SHARDS] = {"journal:a", "journal:b", "journal:c", "journal:d"};
    char message[SHARDS_MESSAGE_SIZE];
    char name[2] = {(char)('a' + shard), '\0'};
    const struct shards_owner_parts parts = {
        .map = &t_map,
        .name = name,
        .disk = os_sim_disk_ops(t->disk),
        .folder = urls[shard] + strlen("journal:"),
        .files = &t->executor,
        .read = t_read_map,
        .context = t,
    };
    err_t result = parts.disk->ops->make_folder(parts.disk, parts.folder);
    assert_true(result == ERR_OK || result == ERR_EXISTS);
    result = shards_owner_create(&parts, &t->owners[shard], message);
    if (result != ERR_OK) {
        fail_msg("shard %s: %s, %s", name, err_text(result), message);
    }
    t->engines[shard] = t_engine(t, urls[shard], shards_owner_guard(t->owners[shard]));
    shards_owner_attach(t->owners[shard], ledger_engine_port(t->engines[shard]));
}

static void
t_reload(void *context, uint64_t epoch)
{
    struct t_world *t = context;
    struct port_ledger *ports[SHARDS];
    (void)epoch;
    for (uint32_t i = 0; i < SHARDS; i++) {
        ports[i] = &t->ports[i].port;
    }
    shards_router_reloaded(t->router, &t_map, ports);
}

void
t_open(struct t_world *t, uint64_t seed)
{
    struct port_ledger *ports[SHARDS];
    memset(t, 0, sizeof(*t));
    os_prng_seed(&t->prng, seed);
    assert_int_equal(os_sim_create(seed, &t->sim), ERR_OK);
    struct os_sim_disk_settings disk = {.seed = seed};
    assert_int_equal(os_sim_disk_create(&disk, &t->disk), ERR_OK);
    t->executor.post = os_post_now;
    t->lost = SHARDS;
    t->one = t_engine(t, "journal:one", NULL);
    shard_map_init(&t_map);
    for (uint32_t i = 0; i < SHARDS; i++) {
        uint32_t shard;
        char name[2] = {(char)('a' + i), '\0'};
        assert_int_equal(shard_map_add(&t_map, span_from_cstr(name), SPAN("x"), &shard), ERR_OK);
    }
    shard_map_share(&t_map);
    for (uint32_t i = 0; i < SHARDS; i++) {
        t_shard_open(t, i);
        t->ports[i] = (struct t_port){.port.submit = t_submit, .world = t, .shard = i};
        ports[i] = &t->ports[i].port;
    }
    struct shards_router_parts parts = {
        .executor = &t->executor,
        .map = &t_map,
        .ports = ports,
        .requests_max = 8,
        .memory_max = 64 << 20,
        .reload = t_reload,
        .context = t,
    };
    assert_int_equal(shards_router_create(&parts, &t->router), ERR_OK);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        t->accounts[i] = shard_id_place((u128)(i + 1) << 32, t_slot(i / MEMBERS));
    }
}

void
t_close(struct t_world *t)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        ledger_engine_close(&t->engines[i]);
        shards_owner_destroy(&t->owners[i]);
    }
    ledger_engine_close(&t->one);
    shards_router_destroy(&t->router);
    os_sim_disk_destroy(&t->disk);
    os_sim_destroy(&t->sim);
}

void
t_restart(struct t_world *t, uint32_t shard)
{
    ledger_engine_close(&t->engines[shard]);
    shards_owner_destroy(&t->owners[shard]);
    t_shard_open(t, shard);
    t->restarts++;
}

void
t_count_answer(struct port_ledger_request *request)
{
    (void)request;
}

void
t_ask(struct t_world *t, struct port_ledger_request *one, struct port_ledger_request *many)
{
    struct port_ledger *ports[2] = {ledger_engine_port(t->one), shards_router_port(t->router)};
    struct port_ledger_request *requests[2] = {one, many};
    for (int i = 0; i < 2; i++) {
        requests[i]->reply_to = &t->executor;
        requests[i]->done = t_count_answer;
        requests[i]->error = -1;
        ports[i]->submit(ports[i], requests[i]);
        assert_true(os_sim_run_until_idle(t->sim, 100000));
    }
    assert_int_equal(one->error, ERR_OK);
}
