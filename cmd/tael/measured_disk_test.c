#include "measured_disk.h"

#include "os/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The line of a metric without labels. */
static bool
t_shows(const char *line)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    measured_disk_metrics_render(&out);
    buf_append_byte(&out, '\0');
    assert_false(buf_failed(&out));
    bool found = strstr(out.data, line) != NULL;
    buf_release(&out);
    return found;
}

/* Everything reaches the disk inside; writes, syncs and their failures are counted. */
static void
t_counts(void **state)
{
    (void)state;
    const struct os_sim_disk_settings settings = {.seed = 1, .faults = true};
    struct os_sim_disk *sim = NULL;
    assert_int_equal(os_sim_disk_create(&settings, &sim), ERR_OK);
    struct measured_disk measured;
    struct os_disk *disk = measured_disk_init(&measured, os_sim_disk_ops(sim));
    struct os_file *file = NULL;
    char text[3] = "";
    uint64_t size = 0;
    assert_int_equal(disk->ops->make_folder(disk, "a"), ERR_OK);
    assert_int_equal(disk->ops->open(disk, "a/b", OS_OPEN_CREATE, false, &file, NULL), ERR_OK);
    assert_true(t_shows("\ntael_journal_written_bytes_total 0\n"));
    assert_int_equal(disk->ops->write(disk, file, "xyz", 3, 0), ERR_OK);
    assert_int_equal(disk->ops->sync(disk, file), ERR_OK);
    assert_int_equal(disk->ops->size(disk, file, &size), ERR_OK);
    assert_int_equal(size, 3);
    assert_int_equal(disk->ops->read(disk, file, text, 3, 0), ERR_OK);
    assert_memory_equal(text, "xyz", 3);
    assert_true(t_shows("\ntael_journal_written_bytes_total 3\n"));
    assert_true(t_shows("\ntael_journal_sync_seconds_count 1\n"));
    assert_true(t_shows("\ntael_journal_failures_total 0\n"));
    os_sim_disk_stop_at(sim, os_sim_disk_operations(sim) + 1);
    assert_int_equal(disk->ops->sync(disk, file), ERR_IO);
    assert_int_equal(disk->ops->write(disk, file, "xyz", 3, 0), ERR_IO);
    assert_true(t_shows("\ntael_journal_written_bytes_total 3\n"));
    assert_true(t_shows("\ntael_journal_sync_seconds_count 2\n"));
    assert_true(t_shows("\ntael_journal_failures_total 2\n"));
    disk->ops->close(disk, file);
    os_sim_disk_destroy(&sim);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
