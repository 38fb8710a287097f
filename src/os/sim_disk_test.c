/* Every fault, shown to happen; and threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/sim_disk.h"
#include "sim_disk_test.h"

#include <pthread.h>
#include <string.h>

static void
rules_hit_the_chosen_operations(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk(1);
    struct os_disk *disk = os_sim_disk_ops(sim);
    struct os_file *log = t_durable_file(sim, "log");
    struct os_file *other = t_durable_file(sim, "other");
    struct os_sim_rule second = {
        .operation = OS_SIM_WRITE,
        .effect = OS_SIM_FAIL,
        .path_part = "log",
        .skip = 1,
        .times = 2,
        .code = ERR_IO,
    };
    os_sim_disk_add_rule(sim, &second);
    assert_int_equal(t_write(sim, other, 'b', 512, 0), ERR_OK);
    assert_int_equal(t_write(sim, log, 'b', 512, 0), ERR_OK);
    assert_int_equal(t_write(sim, log, 'c', 512, 0), ERR_IO);
    assert_int_equal(t_write(sim, other, 'b', 512, 0), ERR_OK);
    assert_int_equal(t_write(sim, log, 'c', 512, 0), ERR_IO);
    assert_int_equal(t_write(sim, log, 'd', 512, 512), ERR_OK);
    char fills[T_SECTORS + 1];
    t_fills(sim, "log", fills);
    assert_string_equal(fills, "bdaaaaaaaaaaaaaa");
    os_sim_disk_clear_rules(sim);
    struct os_sim_rule unreadable = {
        .operation = OS_SIM_READ, .effect = OS_SIM_FAIL, .path_part = "log", .code = ERR_IO};
    os_sim_disk_add_rule(sim, &unreadable);
    char byte;
    assert_int_equal(disk->ops->read(disk, log, &byte, 1, 0), ERR_IO);
    assert_int_equal(disk->ops->read(disk, other, &byte, 1, 0), ERR_OK);
    struct os_sim_rule no_rename = {
        .operation = OS_SIM_RENAME, .effect = OS_SIM_FAIL, .code = ERR_DISK_FULL};
    os_sim_disk_add_rule(sim, &no_rename);
    assert_int_equal(disk->ops->rename(disk, "log", "log2"), ERR_DISK_FULL);
    assert_false(t_exists(sim, "log2"));
    t_close(sim, log);
    t_close(sim, other);
    os_sim_disk_destroy(&sim);
}

static void
writes_get_short_lost_and_misdirected(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk(5);
    struct os_file *file = t_durable_file(sim, "f");
    struct os_sim_rule rules[] = {
        {.operation = OS_SIM_WRITE, .effect = OS_SIM_LOSE, .times = 1},
        {.operation = OS_SIM_WRITE,
         .effect = OS_SIM_MISDIRECT,
         .skip = 1,
         .times = 1,
         .shift = -512},
        {.operation = OS_SIM_WRITE, .effect = OS_SIM_SHORT, .skip = 2, .times = 1, .code = ERR_IO},
    };
    for (size_t i = 0; i < 3; i++) {
        os_sim_disk_add_rule(sim, &rules[i]);
    }
    char fills[T_SECTORS + 1];
    assert_int_equal(t_write(sim, file, 'b', T_SIZE, 0), ERR_OK);
    t_fills(sim, "f", fills);
    assert_string_equal(fills, "aaaaaaaaaaaaaaaa");
    assert_int_equal(t_write(sim, file, 'c', 512, 1024), ERR_OK);
    t_fills(sim, "f", fills);
    assert_string_equal(fills, "acaaaaaaaaaaaaaa");
    assert_int_equal(t_write(sim, file, 'd', T_SIZE, 0), ERR_IO);
    t_fills(sim, "f", fills);
    size_t written = strspn(fills, "d");
    assert_true(written < T_SECTORS);
    assert_string_equal(fills + written, &"acaaaaaaaaaaaaaa"[written]);
    t_close(sim, file);
    os_sim_disk_destroy(&sim);
}

static void
a_full_disk_takes_what_fits_and_still_overwrites(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk(1);
    struct os_disk *disk = os_sim_disk_ops(sim);
    struct os_file *file = t_durable_file(sim, "f");
    os_sim_disk_set_capacity(sim, T_SIZE + 1000);
    assert_int_equal(disk->ops->allocate(disk, file, T_SIZE + 1001), ERR_DISK_FULL);
    assert_int_equal(t_size(sim, file), T_SIZE);
    assert_int_equal(t_write(sim, file, 'b', 2000, T_SIZE), ERR_DISK_FULL);
    assert_int_equal(t_size(sim, file), T_SIZE + 1000);
    assert_int_equal(t_write(sim, file, 'c', T_SIZE, 0), ERR_OK);
    assert_int_equal(t_write(sim, file, 'c', 1, T_SIZE + 1000), ERR_DISK_FULL);
    struct os_file *other = t_open(sim, "other", OS_OPEN_CREATE);
    assert_int_equal(t_write(sim, other, 'c', 1, 0), ERR_DISK_FULL);
    assert_int_equal(disk->ops->truncate(disk, file, 10), ERR_OK);
    assert_int_equal(t_write(sim, other, 'c', 1, 0), ERR_OK);
    t_close(sim, other);
    t_close(sim, file);
    os_sim_disk_destroy(&sim);
}

static void
a_flipped_bit_stays_flipped(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk(1);
    struct os_file *file = t_durable_file(sim, "f");
    t_close(sim, file);
    assert_int_equal(os_sim_disk_flip(sim, "f", 700, 1), ERR_OK);
    assert_int_equal(os_sim_disk_flip(sim, "f", T_SIZE, 0), ERR_RANGE);
    assert_int_equal(os_sim_disk_flip(sim, "no", 0, 0), ERR_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        char data[T_SIZE];
        file = t_open(sim, "f", OS_OPEN_READ);
        t_read(sim, file, data, sizeof(data));
        t_close(sim, file);
        assert_int_equal(data[700], 'a' ^ 2);
        assert_int_equal(data[699], 'a');
        assert_int_equal(data[701], 'a');
        os_sim_disk_crash(sim);
    }
    os_sim_disk_destroy(&sim);
}

struct t_user {
    struct os_sim_disk *sim;
    const char *path;
    bool good;
};

static void *
user_main(void *argument)
{
    struct t_user *user = argument;
    struct os_disk *disk = os_sim_disk_ops(user->sim);
    struct os_file *file;
    user->good = disk->ops->open(disk, user->path, OS_OPEN_CREATE, false, &file, NULL) == ERR_OK;
    for (uint64_t i = 0; user->good && i < 500; i++) {
        uint64_t in = i;
        uint64_t out = 0;
        user->good = disk->ops->write(disk, file, &in, sizeof(in), i * 1000) == ERR_OK &&
                     disk->ops->read(disk, file, &out, sizeof(out), i * 1000) == ERR_OK &&
                     out == in && disk->ops->sync(disk, file) == ERR_OK &&
                     disk->ops->sync_folder(disk, ".") == ERR_OK;
    }
    disk->ops->close(disk, file);
    return NULL;
}

static void
threads_can_share_the_disk(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk(1);
    struct t_user users[3] = {
        {.sim = sim, .path = "a"}, {.sim = sim, .path = "b"}, {.sim = sim, .path = "c"}};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, user_main, &users[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(users[i].good);
    }
    os_sim_disk_crash(sim);
    assert_true(t_exists(sim, "a") && t_exists(sim, "b") && t_exists(sim, "c"));
    os_sim_disk_destroy(&sim);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_hit_the_chosen_operations),
        cmocka_unit_test(writes_get_short_lost_and_misdirected),
        cmocka_unit_test(a_full_disk_takes_what_fits_and_still_overwrites),
        cmocka_unit_test(a_flipped_bit_stays_flipped),
        cmocka_unit_test(threads_can_share_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
