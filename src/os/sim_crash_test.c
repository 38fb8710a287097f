/* What a crash takes and what it must leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/prng.h"
#include "os/sim_disk.h"
#include "sim_disk_test.h"

#include <stdlib.h>
#include <string.h>

#define T_SEEDS 300

/* OS-9 */
static void
what_was_synced_survives_every_crash(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < T_SEEDS; seed++) {
        struct os_sim_disk *sim = t_disk(seed);
        struct os_file *file = t_durable_file(sim, "f");
        assert_int_equal(t_write(sim, file, 'b', T_SIZE / 2, 0), ERR_OK);
        assert_int_equal(t_sync(sim, file), ERR_OK);
        os_sim_disk_crash(sim);
        t_close(sim, file);
        char fills[T_SECTORS + 1];
        t_fills(sim, "f", fills);
        assert_string_equal(fills, "bbbbbbbbaaaaaaaa");
        os_sim_disk_crash(sim);
        t_fills(sim, "f", fills);
        assert_string_equal(fills, "bbbbbbbbaaaaaaaa");
        os_sim_disk_destroy(&sim);
    }
}

/* OS-10: over the seeds everything that may happen does happen. */
static void
unsynced_writes_are_kept_lost_torn_and_overtaken(void **state)
{
    (void)state;
    int lost = 0;
    int kept = 0;
    int prefix = 0;
    int mixed = 0;
    int overtaken = 0;
    for (uint64_t seed = 0; seed < T_SEEDS; seed++) {
        struct os_sim_disk *sim = t_disk(seed);
        struct os_file *file = t_durable_file(sim, "f");
        assert_int_equal(t_write(sim, file, 'b', T_SIZE / 2, 0), ERR_OK);
        assert_int_equal(t_write(sim, file, 'c', T_SIZE / 2, T_SIZE / 2), ERR_OK);
        assert_int_equal(os_sim_disk_unsynced(sim), 2);
        os_sim_disk_crash(sim);
        t_close(sim, file);
        char fills[T_SECTORS + 1];
        t_fills(sim, "f", fills);
        assert_int_equal(strspn(fills, "ab"), T_SECTORS / 2 + strspn(fills + T_SECTORS / 2, "a"));
        assert_int_equal(strspn(fills + T_SECTORS / 2, "ac"), T_SECTORS / 2);
        size_t b = strspn(fills, "b");
        size_t a = strspn(fills + b, "a");
        lost += strcmp(fills, "aaaaaaaaaaaaaaaa") == 0;
        kept += strcmp(fills, "bbbbbbbbcccccccc") == 0;
        prefix += b > 0 && a > 0 && b + a == T_SECTORS;
        mixed += b + a < T_SECTORS / 2;
        overtaken += strcmp(fills, "aaaaaaaacccccccc") == 0;
        os_sim_disk_destroy(&sim);
    }
    assert_true(lost > 0);
    assert_true(kept > 0);
    assert_true(prefix > 0);
    assert_true(mixed > 0);
    assert_true(overtaken > 0);
}

/* OS-10: a sector is never what it never was. */
static void
a_sector_survives_as_it_was_at_some_moment(void **state)
{
    (void)state;
    int seen[3] = {0};
    for (uint64_t seed = 0; seed < T_SEEDS; seed++) {
        struct os_sim_disk *sim = t_disk(seed);
        struct os_file *file = t_durable_file(sim, "f");
        assert_int_equal(t_write(sim, file, 'b', 100, 0), ERR_OK);
        assert_int_equal(t_write(sim, file, 'c', 100, 100), ERR_OK);
        os_sim_disk_crash(sim);
        t_close(sim, file);
        char data[T_SIZE];
        file = t_open(sim, "f", OS_OPEN_READ);
        t_read(sim, file, data, sizeof(data));
        t_close(sim, file);
        assert_int_equal(data[0], data[99]);
        assert_int_equal(data[100], data[199]);
        seen[0] += data[0] == 'a' && data[100] == 'a';
        seen[1] += data[0] == 'b' && data[100] == 'a';
        seen[2] += data[0] == 'b' && data[100] == 'c';
        os_sim_disk_destroy(&sim);
    }
    assert_int_equal(seen[0] + seen[1] + seen[2], T_SEEDS);
    assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
}

static void
an_unsynced_size_is_one_that_the_file_had(void **state)
{
    (void)state;
    int sizes[3] = {0};
    int zeros = 0;
    for (uint64_t seed = 0; seed < T_SEEDS; seed++) {
        struct os_sim_disk *sim = t_disk(seed);
        struct os_disk *disk = os_sim_disk_ops(sim);
        struct os_file *file = t_durable_file(sim, "f");
        assert_int_equal(disk->ops->truncate(disk, file, T_SIZE / 2), ERR_OK);
        assert_int_equal(t_write(sim, file, 'b', 2 * T_SIZE, 0), ERR_OK);
        os_sim_disk_crash(sim);
        t_close(sim, file);
        file = t_open(sim, "f", OS_OPEN_READ);
        uint64_t size = t_size(sim, file);
        static char data[2 * T_SIZE];
        t_read(sim, file, data, (size_t)size);
        sizes[0] += size == T_SIZE;
        sizes[1] += size == T_SIZE / 2;
        sizes[2] += size == 2 * T_SIZE;
        if (size == 2 * T_SIZE) {
            /* The shrinking survived too: behind it nothing old shows. */
            assert_null(memchr(data + T_SIZE / 2, 'a', sizeof(data) - T_SIZE / 2));
            zeros += data[2 * T_SIZE - 1] == 0;
        }
        t_close(sim, file);
        os_sim_disk_destroy(&sim);
    }
    assert_int_equal(sizes[0] + sizes[1] + sizes[2], T_SEEDS);
    assert_true(sizes[0] > 0 && sizes[1] > 0 && sizes[2] > 0);
    assert_true(zeros > 0);
}

/* OS-11 */
static void
names_need_their_folder_synced(void **state)
{
    (void)state;
    int created = 0;
    int renamed = 0;
    int removed = 0;
    for (uint64_t seed = 0; seed < T_SEEDS; seed++) {
        struct os_sim_disk *sim = t_disk(seed);
        struct os_disk *disk = os_sim_disk_ops(sim);
        t_close(sim, t_durable_file(sim, "old"));
        t_close(sim, t_durable_file(sim, "gone"));
        struct os_file *file = t_open(sim, "new", OS_OPEN_CREATE);
        assert_int_equal(t_sync(sim, file), ERR_OK);
        t_close(sim, file);
        assert_int_equal(disk->ops->rename(disk, "old", "old2"), ERR_OK);
        assert_int_equal(disk->ops->remove(disk, "gone"), ERR_OK);
        os_sim_disk_crash(sim);
        created += t_exists(sim, "new");
        renamed += t_exists(sim, "old2");
        removed += !t_exists(sim, "gone");
        /* A rename is whole: one of the names is there, with the content. */
        assert_true(t_exists(sim, "old") != t_exists(sim, "old2"));
        char fills[T_SECTORS + 1];
        t_fills(sim, t_exists(sim, "old") ? "old" : "old2", fills);
        assert_string_equal(fills, "aaaaaaaaaaaaaaaa");
        os_sim_disk_destroy(&sim);
    }
    assert_in_range(created, 1, T_SEEDS - 1);
    assert_in_range(renamed, 1, T_SEEDS - 1);
    assert_in_range(removed, 1, T_SEEDS - 1);
}

static void
synced_names_survive_and_a_lost_folder_takes_its_files(void **state)
{
    (void)state;
    int folders = 0;
    for (uint64_t seed = 0; seed < T_SEEDS; seed++) {
        struct os_sim_disk *sim = t_disk(seed);
        struct os_disk *disk = os_sim_disk_ops(sim);
        assert_int_equal(disk->ops->make_folder(disk, "d"), ERR_OK);
        assert_int_equal(disk->ops->make_folder(disk, "e"), ERR_OK);
        assert_int_equal(disk->ops->sync_folder(disk, "."), ERR_OK);
        assert_int_equal(disk->ops->make_folder(disk, "d/sub"), ERR_OK);
        t_close(sim, t_open(sim, "d/sub/f", OS_OPEN_CREATE));
        assert_int_equal(disk->ops->sync_folder(disk, "d/sub"), ERR_OK);
        t_close(sim, t_open(sim, "e/f", OS_OPEN_CREATE));
        assert_int_equal(disk->ops->rename(disk, "e/f", "e/g"), ERR_OK);
        assert_int_equal(disk->ops->sync_folder(disk, "e"), ERR_OK);
        os_sim_disk_crash(sim);
        assert_true(t_exists(sim, "e/g"));
        assert_false(t_exists(sim, "e/f"));
        bool folder = disk->ops->sync_folder(disk, "d/sub") == ERR_OK;
        assert_int_equal(folder, t_exists(sim, "d/sub/f"));
        folders += folder;
        os_sim_disk_destroy(&sim);
    }
    assert_in_range(folders, 1, T_SEEDS - 1);
}

/* OS-12 */
static void
a_failed_sync_forgets_and_a_later_one_does_not_help(void **state)
{
    (void)state;
    int lost = 0;
    for (uint64_t seed = 0; seed < T_SEEDS; seed++) {
        struct os_sim_disk *sim = t_disk(seed);
        struct os_file *file = t_durable_file(sim, "f");
        struct os_sim_rule rule = {
            .operation = OS_SIM_SYNC, .effect = OS_SIM_FAIL, .times = 1, .code = ERR_IO};
        os_sim_disk_add_rule(sim, &rule);
        assert_int_equal(t_write(sim, file, 'b', T_SIZE, 0), ERR_OK);
        assert_int_equal(t_sync(sim, file), ERR_IO);
        char fills[T_SECTORS + 1];
        t_fills(sim, "f", fills);
        assert_string_equal(fills, "bbbbbbbbbbbbbbbb");
        assert_int_equal(t_sync(sim, file), ERR_OK);
        os_sim_disk_crash(sim);
        t_close(sim, file);
        t_fills(sim, "f", fills);
        lost += strcmp(fills, "bbbbbbbbbbbbbbbb") != 0;
        os_sim_disk_destroy(&sim);
    }
    assert_in_range(lost, T_SEEDS / 2, T_SEEDS - 1);
}

static void
a_killed_process_loses_nothing_but_its_locks(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk(1);
    struct os_disk *disk = os_sim_disk_ops(sim);
    struct os_file *file = t_open(sim, "f", OS_OPEN_CREATE);
    assert_int_equal(disk->ops->lock(disk, file), ERR_OK);
    assert_int_equal(t_write(sim, file, 'b', T_SIZE, 0), ERR_OK);
    os_sim_disk_kill(sim);
    assert_int_equal(t_write(sim, file, 'c', T_SIZE, 0), ERR_IO);
    struct os_file *next = t_open(sim, "f", OS_OPEN_WRITE);
    assert_int_equal(disk->ops->lock(disk, next), ERR_OK);
    t_close(sim, file);
    assert_int_equal(t_size(sim, next), T_SIZE);
    char fills[T_SECTORS + 1];
    t_fills(sim, "f", fills);
    assert_string_equal(fills, "bbbbbbbbbbbbbbbb");
    assert_true(os_sim_disk_unsynced(sim) > 0);
    t_close(sim, next);
    os_sim_disk_destroy(&sim);
}

/* The operations of a small store: a new file becomes the current one, whole or not at all. */
static err_t
t_save(struct os_sim_disk *sim, const char *text)
{
    return os_file_save(os_sim_disk_ops(sim), ".", "current", span_from_cstr(text));
}

/* OS-13: crash at every operation of a save, many seeds each. */
static void
a_saved_file_is_old_or_new_wherever_the_crash_hits(void **state)
{
    (void)state;
    int old_count = 0;
    int new_count = 0;
    for (uint64_t at = 1; at <= 6; at++) {
        for (uint64_t seed = 0; seed < T_SEEDS; seed++) {
            struct os_sim_disk *sim = t_disk(seed);
            assert_int_equal(t_save(sim, "old"), ERR_OK);
            uint64_t before = os_sim_disk_operations(sim);
            os_sim_disk_stop_at(sim, before + at);
            err_t saved = t_save(sim, "new");
            /* create, write, sync, rename, sync folder */
            assert_int_equal(os_sim_disk_is_stopped(sim), at <= 5);
            assert_int_equal(saved == ERR_OK, at > 5);
            assert_int_equal(saved == ERR_OUTCOME_UNKNOWN, at == 5);
            assert_false(at <= 5 && t_exists(sim, "current"));
            os_sim_disk_crash(sim);
            char *text;
            size_t size;
            struct os_disk *disk = os_sim_disk_ops(sim);
            assert_int_equal(os_file_load(disk, "current", 100, &text, &size), ERR_OK);
            bool is_new = strcmp(text, "new") == 0;
            assert_true(is_new || strcmp(text, "old") == 0);
            assert_true(is_new || at <= 5);
            assert_true(!is_new || at >= 4);
            old_count += !is_new && at >= 4;
            new_count += is_new && at <= 5;
            free(text);
            assert_int_equal(t_save(sim, "next"), ERR_OK);
            os_sim_disk_destroy(&sim);
        }
    }
    assert_true(old_count > 0);
    assert_true(new_count > 0);
}

/* The same without the sync must be caught: the simulation finds the bug it is there to find. */
static void
a_save_without_sync_is_caught(void **state)
{
    (void)state;
    int broken = 0;
    for (uint64_t seed = 0; seed < T_SEEDS; seed++) {
        struct os_sim_disk *sim = t_disk(seed);
        struct os_disk *disk = os_sim_disk_ops(sim);
        struct os_file *file = t_open(sim, "tmp", OS_OPEN_CREATE);
        assert_int_equal(t_write(sim, file, 'b', T_SIZE, 0), ERR_OK);
        t_close(sim, file);
        assert_int_equal(disk->ops->rename(disk, "tmp", "current"), ERR_OK);
        assert_int_equal(disk->ops->sync_folder(disk, "."), ERR_OK);
        os_sim_disk_crash(sim);
        file = t_open(sim, "current", OS_OPEN_READ);
        broken += t_size(sim, file) != T_SIZE;
        t_close(sim, file);
        os_sim_disk_destroy(&sim);
    }
    assert_in_range(broken, T_SEEDS / 4, T_SEEDS - 1);
}

static void
one_seed_is_one_crash(void **state)
{
    (void)state;
    char first[T_SECTORS + 1];
    char second[T_SECTORS + 1];
    int different = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (int i = 0; i < 2; i++) {
            struct os_sim_disk *sim = t_disk(seed);
            struct os_file *file = t_durable_file(sim, "f");
            assert_int_equal(t_write(sim, file, 'b', T_SIZE, 0), ERR_OK);
            os_sim_disk_crash(sim);
            t_close(sim, file);
            t_fills(sim, "f", i == 0 ? first : second);
            os_sim_disk_destroy(&sim);
        }
        assert_string_equal(first, second);
        different += strchr(first, 'a') != NULL && strchr(first, 'b') != NULL;
    }
    assert_true(different > 0);
}

/* OS-9 once more, at random: a shadow keeps what the last successful sync covered. */
static void
t_random_history(uint64_t seed)
{
    struct os_prng prng;
    os_prng_seed(&prng, seed + 1000);
    struct os_sim_disk *sim = t_disk(seed);
    struct os_file *file = t_durable_file(sim, "f");
    static char now[T_SIZE];
    static char synced[T_SIZE];
    bool touched[T_SIZE / OS_SIM_SECTOR_SIZE] = {false};
    memset(now, 'a', sizeof(now));
    memcpy(synced, now, sizeof(now));
    uint64_t steps = 1 + os_prng_below(&prng, 20);
    for (uint64_t i = 0; i < steps; i++) {
        if (os_prng_chance(&prng, 1, 4)) {
            assert_int_equal(t_sync(sim, file), ERR_OK);
            memcpy(synced, now, sizeof(now));
            memset(touched, 0, sizeof(touched));
            continue;
        }
        size_t offset = (size_t)os_prng_below(&prng, T_SIZE);
        size_t size = 1 + (size_t)os_prng_below(&prng, T_SIZE - offset);
        char fill = (char)('b' + os_prng_below(&prng, 20));
        assert_int_equal(t_write(sim, file, fill, size, offset), ERR_OK);
        memset(now + offset, fill, size);
        for (size_t at = offset; at < offset + size; at++) {
            touched[at / OS_SIM_SECTOR_SIZE] = true;
        }
    }
    char data[T_SIZE];
    t_read(sim, file, data, sizeof(data));
    assert_memory_equal(data, now, sizeof(data));
    os_sim_disk_crash(sim);
    t_close(sim, file);
    file = t_open(sim, "f", OS_OPEN_READ);
    t_read(sim, file, data, sizeof(data));
    for (size_t at = 0; at < T_SIZE; at++) {
        assert_true(touched[at / OS_SIM_SECTOR_SIZE] || data[at] == synced[at]);
    }
    t_close(sim, file);
    os_sim_disk_destroy(&sim);
}

static void
random_histories_keep_what_was_synced(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < T_SEEDS; seed++) {
        t_random_history(seed);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_synced_survives_every_crash),
        cmocka_unit_test(unsynced_writes_are_kept_lost_torn_and_overtaken),
        cmocka_unit_test(a_sector_survives_as_it_was_at_some_moment),
        cmocka_unit_test(an_unsynced_size_is_one_that_the_file_had),
        cmocka_unit_test(names_need_their_folder_synced),
        cmocka_unit_test(synced_names_survive_and_a_lost_folder_takes_its_files),
        cmocka_unit_test(a_failed_sync_forgets_and_a_later_one_does_not_help),
        cmocka_unit_test(a_killed_process_loses_nothing_but_its_locks),
        cmocka_unit_test(a_saved_file_is_old_or_new_wherever_the_crash_hits),
        cmocka_unit_test(a_save_without_sync_is_caught),
        cmocka_unit_test(one_seed_is_one_crash),
        cmocka_unit_test(random_histories_keep_what_was_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
