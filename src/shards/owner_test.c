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
    /* Of a ledger that keeps the note. */
    char note[4096];
    size_t note_size;
    err_t note_error; /* what noting is answered with, and then nothing is noted */
    bool holds;       /* the next note waits */
    struct port_ledger_request *held;
};

static struct shard_map map; /* as its file has it */
static struct t_world world;
static bool is_noted; /* with the ledger, or in a file */
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
    if (request->in.note != NULL) {
        if (world.holds) {
            world.holds = false;
            world.held = request;
            return;
        }
        request->error = world.note_error;
        if (request->error == ERR_OK) {
            assert_in_range(request->in.note->size, 1, sizeof(world.note));
            memcpy(world.note, request->in.note->data, request->in.note->size);
            world.note_size = request->in.note->size;
        }
    }
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
t_load(struct shards_owner *owner)
{
    const struct port_ledger_guard *guard = shards_owner_guard(owner);
    return guard->loaded(guard->context, span_of(world.note, world.note_size));
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
        .noted = is_noted,
        .files = &world.executor,
        .read = read_map,
    };
    err_t result = shards_owner_create(&parts, &world.owner, message);
    if (result == ERR_OK) {
        shards_owner_attach(world.owner, &world.ledger);
        assert_int_equal(shards_owner_guard(world.owner)->loaded != NULL, is_noted);
    }
    return result == ERR_OK && is_noted ? t_load(world.owner) : result;
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

/* The same of the end of a pending transfer that names no accounts, and is not ours. */
static err_t
t_refuse(uint64_t epoch, uint64_t *ret_epoch)
{
    const struct port_ledger_guard *guard = shards_owner_guard(world.owner);
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 1, .epoch = epoch};
    err_t result = guard->refuse(guard->context, &request);
    *ret_epoch = request.epoch;
    return result;
}

static uint32_t answers;

static void
nothing(struct port_ledger_request *request)
{
    (void)request;
    answers++;
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
            assert_int_equal(t_refuse(5, &epoch), ERR_MOVED);
            assert_int_equal(epoch, 6);
            assert_int_equal(t_refuse(4, &epoch), ERR_MOVED);
            assert_int_equal(epoch, 5);
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

/* Whoever has the ledger next goes by what was noted with it, whatever it knew; one that has it no
 * more goes by nothing that it did not note. */
static void
test_holders(void **state)
{
    (void)state;
    uint64_t epoch = 0;
    t_open();
    u128 fenced = shard_id_place(of_a, 7);
    struct shards_owner *first = world.owner;
    assert_int_equal(t_start(), ERR_OK);
    struct shards_owner *second = world.owner;
    world.owner = first;
    assert_int_equal(t_order(PORT_LEDGER_SHARD_FENCE, 5, 7), ERR_OK);
    world.owner = second;
    assert_int_equal(t_admit(fenced, 5, &epoch), ERR_OK); /* it does not serve */
    assert_int_equal(t_load(second), ERR_OK);
    assert_int_equal(t_admit(fenced, 5, &epoch), ERR_MOVED);
    map.epoch = 6;
    map.owners[7] = 1;
    assert_int_equal(t_order(PORT_LEDGER_SHARD_MAP, 0, 0), ERR_OK);
    world.owner = first;
    assert_int_equal(shards_owner_epoch(first), 5);
    assert_int_equal(t_load(first), ERR_OK);
    assert_int_equal(shards_owner_epoch(first), 6);
    assert_true(shards_owner_expects(first, fenced));
    shards_owner_destroy(&second);
    world.note[world.note_size / 2] ^= 1;
    assert_int_equal(t_load(first), ERR_CORRUPT);
    t_close();
}

/* What is not known to be noted is not gone by, and it is ordered again. */
static void
test_notes_that_fail(void **state)
{
    (void)state;
    static const err_t errors[] = {ERR_BUSY, ERR_OUTCOME_UNKNOWN};
    uint64_t epoch = 0;
    t_open();
    u128 fenced = shard_id_place(of_a, 7);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        world.note_error = errors[i];
        assert_int_equal(t_order(PORT_LEDGER_SHARD_FENCE, 5, 7), errors[i]);
        assert_int_equal(t_admit(fenced, 5, &epoch), ERR_OK);
    }
    world.note_error = ERR_OK;
    assert_int_equal(t_order(PORT_LEDGER_SHARD_FENCE, 5, 7), ERR_OK);
    assert_int_equal(t_admit(fenced, 5, &epoch), ERR_MOVED);
    t_close();
}

/* While one is noted the next one waits; and if the ledger is loaded meanwhile, what was made of
 * the old value is not published. */
static void
test_one_change_at_a_time(void **state)
{
    (void)state;
    uint64_t epoch = 0;
    for (int loads = 0; loads < 2; loads++) {
        static struct port_ledger_shard told[2];
        static struct port_ledger_shard_order orders[2];
        static const struct port_ledger_shard_order ordered[2] = {
            {.kind = PORT_LEDGER_SHARD_FENCE, .epoch = 5},
            {.kind = PORT_LEDGER_SHARD_ARRIVE, .epoch = 5}};
        struct port_ledger_request requests[2];
        t_open();
        u128 fenced = shard_id_place(of_a, 7);
        memcpy(orders, ordered, sizeof(orders));
        orders[0].slots[0] = UINT64_C(1) << 7;
        orders[1].slots[PORT_LEDGER_SLOT_WORDS - 1] = UINT64_C(1) << 63;
        answers = 0;
        world.holds = true;
        for (int i = 0; i < 2; i++) {
            requests[i] = (struct port_ledger_request){
                .operation = PORT_LEDGER_SHARD,
                .count = 1,
                .epoch = PORT_LEDGER_EPOCH_MOVER,
                .reply_to = &world.executor,
                .done = nothing,
            };
            requests[i].in.order = &orders[i];
            requests[i].out.shard = &told[i];
            struct port_ledger *port = shards_owner_port(world.owner);
            port->submit(port, &requests[i]);
        }
        assert_int_equal(answers, 0);
        assert_non_null(world.held);
        assert_int_equal(t_admit(fenced, 5, &epoch), ERR_OK);
        if (loads) {
            assert_int_equal(t_load(world.owner), ERR_OK);
        }
        ledger_submit(&world.ledger, world.held);
        assert_int_equal(answers, 2);
        assert_int_equal(requests[0].error, loads ? ERR_BUSY : ERR_OK);
        assert_int_equal(t_admit(fenced, 5, &epoch), loads ? ERR_OK : ERR_MOVED);
        assert_int_equal(requests[1].error, ERR_OK);
        assert_int_equal(told[1].fence_epoch, loads ? 0 : 5);
        assert_true(told[1].arriving[PORT_LEDGER_SLOT_WORDS - 1] == UINT64_C(1) << 63);
        assert_int_equal(t_load(world.owner), ERR_OK);
        assert_int_equal(t_admit(fenced, 5, &epoch), loads ? ERR_OK : ERR_MOVED);
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

static int
in_file(void **state)
{
    (void)state;
    is_noted = false;
    return 0;
}

static int
with_ledger(void **state)
{
    (void)state;
    is_noted = true;
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_guard, in_file),
        cmocka_unit_test_setup(test_fence, in_file),
        cmocka_unit_test_setup(test_maps_that_are_not_followed, in_file),
        cmocka_unit_test_setup(test_guard, with_ledger),
        cmocka_unit_test_setup(test_fence, with_ledger),
        cmocka_unit_test_setup(test_maps_that_are_not_followed, with_ledger),
        cmocka_unit_test_setup(test_holders, with_ledger),
        cmocka_unit_test_setup(test_notes_that_fail, with_ledger),
        cmocka_unit_test_setup(test_one_change_at_a_time, with_ledger),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
