/* The owner: what its guard admits, and what of it outlives a restart (SHARDS-5, SHARDS-7). */
#include "owner_private.h"

#include "base/list.h"
#include "os/file.h"
#include "os/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct t_world {
    struct os_executor executor;
    struct port_ledger ledger; /* settles at once */
    struct os_sim_disk *disk;
    struct shards_owner *owner;
};

static struct shard_map map; /* as its file has it */
static struct t_world world;
static const u128 of_a = (u128)1 << 20;

static void
settle_done(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    request->done(request);
}

static void
ledger_submit(struct port_ledger *ledger, struct port_ledger_request *request)
{
    (void)ledger;
    request->error = ERR_OK;
    request->task.run = settle_done;
    os_post(request->reply_to, &request->task);
}

static err_t
read_map(void *context, struct shard_map *ret_map)
{
    (void)context;
    memcpy(ret_map, &map, sizeof(map));
    return ERR_OK;
}

static err_t
t_start(void)
{
    char message[SHARDS_MESSAGE_SIZE];
    struct os_disk *disk = os_sim_disk_ops(world.disk);
    assert_int_equal(disk->ops->make_folder(disk, "a"), ERR_OK);
    const struct shards_owner_parts parts = {
        .map = &map,
        .name = "a",
        .disk = disk,
        .folder = "a",
        .files = &world.executor,
        .read = read_map,
    };
    err_t result = shards_owner_create(&parts, &world.owner, message);
    if (result == ERR_OK) {
        shards_owner_attach(world.owner, &world.ledger);
    }
    return result;
}

static void
t_open(void)
{
    uint32_t shard;
    struct os_sim_disk_settings disk = {.seed = 1};
    memset(&world, 0, sizeof(world));
    world.executor.post = os_post_now;
    world.ledger.submit = ledger_submit;
    assert_int_equal(os_sim_disk_create(&disk, &world.disk), ERR_OK);
    shard_map_init(&map);
    assert_int_equal(shard_map_add(&map, SPAN("a"), SPAN("x"), &shard), ERR_OK);
    assert_int_equal(shard_map_add(&map, SPAN("b"), SPAN("y"), &shard), ERR_OK);
    shard_map_share(&map);
    map.epoch = 5;
    assert_int_equal(t_start(), ERR_OK);
}

static void
t_close(void)
{
    shards_owner_destroy(&world.owner);
    os_sim_disk_destroy(&world.disk);
}

static void
t_restart(void)
{
    shards_owner_destroy(&world.owner);
    assert_int_equal(t_start(), ERR_OK);
}

/* What the guard says to a new account; *ret_epoch: by which it may be asked again. */
static err_t
t_admit(u128 id, uint64_t epoch, uint64_t *ret_epoch)
{
    const struct port_ledger_guard *guard = shards_owner_guard(world.owner);
    struct ledger_account account = {.id = id};
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_ACCOUNTS, .count = 1, .epoch = epoch};
    request.in.accounts = &account;
    err_t result = guard->admit(guard->context, &request);
    *ret_epoch = request.epoch;
    return result;
}

static void
nothing(struct port_ledger_request *request)
{
    (void)request;
}

static err_t
t_order(enum port_ledger_shard_order_kind kind, uint64_t epoch, uint16_t slot)
{
    struct port_ledger *port = shards_owner_port(world.owner);
    struct port_ledger_shard told;
    struct port_ledger_shard_order order = {.kind = kind, .epoch = epoch};
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_SHARD,
        .count = 1,
        .epoch = PORT_LEDGER_EPOCH_MOVER,
        .reply_to = &world.executor,
        .done = nothing,
    };
    order.slots[slot / 64] = UINT64_C(1) << slot % 64;
    request.in.order = &order;
    request.out.shard = &told;
    port->submit(port, &request);
    return request.error;
}

static void
test_guard(void **state)
{
    (void)state;
    uint64_t epoch = 0;
    t_open();
    u128 own = shard_id_place(of_a, 0);
    assert_int_equal(t_admit(own, 5, &epoch), ERR_OK);
    assert_int_equal(t_admit(0, 5, &epoch), ERR_OK);
    assert_int_equal(t_admit(shard_id_place(of_a, SHARD_SLOTS - 1), 5, &epoch), ERR_MOVED);
    assert_int_equal(epoch, 5);
    for (uint64_t other = 0; other < 8; other++) {
        if (other != 5) {
            assert_int_equal(t_admit(own, other, &epoch), ERR_MOVED);
            assert_int_equal(epoch, 5);
        }
    }
    assert_int_equal(t_admit(own, PORT_LEDGER_EPOCH_MOVER, &epoch), ERR_DENIED);
    assert_int_equal(shards_owner_moved(world.owner), 8);
    t_close();
}

/* It holds from the order on, over restarts, until there is another map; flipped or cancelled. */
static void
test_fence(void **state)
{
    (void)state;
    uint64_t epoch = 0;
    for (int flips = 0; flips < 2; flips++) {
        t_open();
        u128 fenced = shard_id_place(of_a, 7);
        u128 other = shard_id_place(of_a, 8);
        assert_int_equal(t_order(PORT_LEDGER_SHARD_FENCE, 4, 7), ERR_MOVED);
        assert_int_equal(t_admit(fenced, 5, &epoch), ERR_OK);
        assert_int_equal(t_order(PORT_LEDGER_SHARD_FENCE, 5, 7), ERR_OK);
        assert_int_equal(t_order(PORT_LEDGER_SHARD_FENCE, 5, 7), ERR_OK);
        assert_int_equal(t_order(PORT_LEDGER_SHARD_FENCE, 5, 8), ERR_EXISTS);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(t_admit(fenced, 5, &epoch), ERR_MOVED);
            assert_int_equal(epoch, 6); /* the map that will end it */
            assert_int_equal(t_admit(other, 5, &epoch), ERR_OK);
            t_restart();
        }
        map.epoch = 6;
        map.owners[7] = flips ? 1 : 0;
        assert_int_equal(t_order(PORT_LEDGER_SHARD_MAP, 0, 0), ERR_OK);
        assert_int_equal(t_admit(fenced, 6, &epoch), flips ? ERR_MOVED : ERR_OK);
        assert_true(shards_owner_expects(world.owner, fenced));
        t_restart();
        assert_true(shards_owner_expects(world.owner, fenced));
        t_close();
    }
}

/* A slot that was not fenced does not leave, and one that did not arrive is not taken. */
static void
test_maps_that_are_not_followed(void **state)
{
    (void)state;
    t_open();
    map.epoch = 6;
    map.owners[7] = 1;
    assert_int_equal(t_order(PORT_LEDGER_SHARD_MAP, 0, 0), ERR_INVALID);
    map.owners[7] = 0;
    map.owners[SHARD_SLOTS - 1] = 0;
    assert_int_equal(t_order(PORT_LEDGER_SHARD_MAP, 0, 0), ERR_INVALID);
    assert_int_equal(shards_owner_epoch(world.owner), 5);
    assert_int_equal(t_order(PORT_LEDGER_SHARD_ARRIVE, 5, SHARD_SLOTS - 1), ERR_OK);
    assert_int_equal(t_order(PORT_LEDGER_SHARD_ARRIVE, 5, 7), ERR_MOVED);
    assert_int_equal(t_order(PORT_LEDGER_SHARD_MAP, 0, 0), ERR_OK);
    assert_int_equal(shards_owner_epoch(world.owner), 6);
    shards_owner_destroy(&world.owner);
    map.epoch = 5;
    assert_int_equal(t_start(), ERR_STALE);
    t_close();
}

/* Every text that was cut or has a byte more is refused. */
static void
test_text(void **state)
{
    (void)state;
    static struct owner_state one, other;
    uint64_t epoch = 0;
    char text[4096];
    struct buf out;
    t_open();
    assert_int_equal(shards_owner_state_init(&one, &map, "a"), ERR_OK);
    one.fence_epoch = 5;
    one.marks[3] |= OWNER_FENCED;
    one.arrivals[SHARD_SLOTS - 1] = 255;
    buf_init_fixed(&out, text, sizeof(text) - 1);
    shards_owner_state_write(&one, &out);
    text[out.size] = '\0';
    assert_int_equal(shards_owner_state_read(buf_span(&out), &other, &epoch), ERR_OK);
    assert_int_equal(epoch, 5);
    assert_memory_equal(one.marks, other.marks, sizeof(one.marks));
    assert_memory_equal(one.arrivals, other.arrivals, sizeof(one.arrivals));
    for (size_t size = 0; size < out.size; size++) {
        char cut[sizeof(text)];
        memcpy(cut, text, size);
        cut[size] = '\0';
        assert_int_equal(shards_owner_state_read(span_of(cut, size), &other, &epoch), ERR_CORRUPT);
    }
    t_close();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_fence),
        cmocka_unit_test(test_maps_that_are_not_followed),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
