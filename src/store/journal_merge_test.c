/* Merging groups of runs by hand, a few entries at a time. */
#include "journal_merge.h"

#include "os/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FOLDER  "index"
#define ENTRIES 100u /* of a group */
#define STEP    7u

static struct os_sim_disk *sim_disk;
static struct os_disk *disk;
static uint64_t next_number;

/* Every group has the same positions, and each a fate of its own: whose entry it is shows. */
static struct journal_group *
group_write(enum journal_fate fate)
{
    struct journal_group *group = journal_group_create(0, 0);
    struct journal_run_header header = {.identity = 1, .number = next_number++};
    struct journal_run_writer writer;
    assert_non_null(group);
    assert_int_equal(journal_run_writer_begin(&writer, disk, FOLDER, &header, ENTRIES), ERR_OK);
    for (uint64_t i = 1; i <= ENTRIES; i++) {
        const struct journal_index_entry entry = {.hash = i << 32, .reference = i << 4 | fate};
        assert_int_equal(journal_run_writer_add(&writer, entry), ERR_OK);
    }
    assert_int_equal(journal_run_writer_finish(&writer, &group->runs[0]), ERR_OK);
    group->count = ENTRIES;
    return group;
}

static int
set_up(void **state)
{
    (void)state;
    next_number = 1;
    assert_int_equal(
        os_sim_disk_create(&(struct os_sim_disk_settings){.seed = 1}, &sim_disk), ERR_OK);
    disk = os_sim_disk_ops(sim_disk);
    return disk->ops->make_folder(disk, FOLDER) == ERR_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    os_sim_disk_destroy(&sim_disk);
    return 0;
}

/* MERGE-1: of each position the newest entry, once. */
static void
check_output(const struct journal_group *group)
{
    assert_int_equal(group->count, ENTRIES);
    for (uint64_t i = 1; i <= ENTRIES; i++) {
        struct journal_index_entry entry;
        assert_int_equal(journal_run_find(group->runs[0], i << 32, 0, &entry), ERR_OK);
        assert_int_equal(entry.reference, i << 4 | JOURNAL_FATE_POSTED);
        assert_int_equal(journal_run_find(group->runs[0], i << 32, 1, &entry), ERR_OK);
        assert_int_equal(entry.reference, 0);
    }
}

/* MERGE-2: a step goes on for so many entries and no more. */
static void
test_steps_are_bounded(void **state)
{
    (void)state;
    struct journal_group *inputs[JOURNAL_MERGE_FAN];
    struct journal_merge merge = {
        .disk = disk, .folder = FOLDER, .identity = 1, .next_number = &next_number};
    struct journal_group *output = NULL;
    static_assert(JOURNAL_FATE_POSTED > JOURNAL_FATE_PENDING, "what ends is the newer entry");
    for (uint32_t i = 0; i < JOURNAL_MERGE_FAN; i++) {
        inputs[i] = group_write(i == 3 ? JOURNAL_FATE_POSTED : JOURNAL_FATE_PENDING);
    }
    assert_int_equal(journal_merge_begin(&merge, inputs, 1000), ERR_OK);
    uint32_t steps = 0;
    while (output == NULL) {
        assert_int_equal(journal_merge_step(&merge, STEP, &output), ERR_OK);
        steps++;
    }
    assert_int_equal(steps, JOURNAL_MERGE_FAN * ENTRIES / STEP + 1);
    check_output(output);
    journal_group_unref(output, FOLDER);
    for (uint32_t i = 0; i < JOURNAL_MERGE_FAN; i++) {
        journal_group_unref(inputs[i], FOLDER);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_steps_are_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
