#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/records.h"
#include "sim_disk_test.h"

#include <stdlib.h>
#include <string.h>

struct t_record {
    uint64_t value;
    uint32_t number;
    uint32_t checksum;
    char text[16];
};

static const struct os_records_format t_format = {
    .name = "test.log",
    .key = {1, 2},
    .size = sizeof(struct t_record),
    .number_at = offsetof(struct t_record, number),
    .checksum_at = offsetof(struct t_record, checksum),
};

#define T_PATH "folder/test.log"
#define T_MAX  8

/* What was read: the values, in order. */
struct t_seen {
    uint64_t values[T_MAX];
    uint32_t count;
    uint32_t limit; /* more are an error */
};

static err_t
t_see(void *context, const void *record)
{
    struct t_seen *seen = context;
    if (seen->count == seen->limit) {
        return ERR_FULL;
    }
    seen->values[seen->count++] = ((const struct t_record *)record)->value;
    return ERR_OK;
}

static err_t
t_records_open(struct os_records *records, struct os_sim_disk *sim, struct t_seen *seen)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    *seen = (struct t_seen){.limit = T_MAX};
    return os_records_open(records, &t_format, disk, "folder", t_see, seen);
}

/* The values that are in the file, as decimal digits. */
static void
t_expect(struct os_sim_disk *sim, const char *digits)
{
    struct os_records records;
    struct t_seen seen;
    char text[T_MAX + 1] = "";
    assert_int_equal(t_records_open(&records, sim, &seen), ERR_OK);
    assert_int_equal(records.count, seen.count);
    os_records_close(&records);
    for (uint32_t i = 0; i < seen.count; i++) {
        text[i] = (char)('0' + seen.values[i]);
    }
    assert_string_equal(text, digits);
}

static err_t
t_add(struct os_records *records, uint64_t value)
{
    struct t_record record = {.value = value, .text = "some text"};
    err_t error = os_records_add(records, &record);
    if (error == ERR_OK) {
        assert_int_equal(record.number, records->count);
    }
    return error;
}

/* A disk with the records 1 .. count. */
static struct os_sim_disk *
t_disk_with(uint64_t count)
{
    struct os_sim_disk *sim = t_disk(1);
    struct os_records records;
    struct t_seen seen;
    assert_int_equal(t_records_open(&records, sim, &seen), ERR_OK);
    assert_int_equal(seen.count, 0);
    for (uint64_t i = 1; i <= count; i++) {
        assert_int_equal(t_add(&records, i), ERR_OK);
    }
    os_records_close(&records);
    return sim;
}

static void
t_patch(struct os_sim_disk *sim, uint64_t offset, const void *data, size_t size)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    struct os_file *file = t_open(sim, T_PATH, OS_OPEN_WRITE);
    assert_int_equal(disk->ops->write(disk, file, data, size, offset), ERR_OK);
    t_close(sim, file);
}

static void
t_cut(struct os_sim_disk *sim, uint64_t size)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    struct os_file *file = t_open(sim, T_PATH, OS_OPEN_WRITE);
    assert_int_equal(disk->ops->truncate(disk, file, size), ERR_OK);
    t_close(sim, file);
}

static void
t_append(struct os_sim_disk *sim, uint64_t value)
{
    struct os_records records;
    struct t_seen seen;
    assert_int_equal(t_records_open(&records, sim, &seen), ERR_OK);
    assert_int_equal(t_add(&records, value), ERR_OK);
    os_records_close(&records);
}

static void
what_was_added_is_read_in_order(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk_with(3);
    t_expect(sim, "123");
    t_append(sim, 4);
    t_expect(sim, "1234");
    os_sim_disk_kill(sim);
    t_expect(sim, "1234");
    os_sim_disk_destroy(&sim);
}

/* Number and checksum are where the format says, and of all the rest. */
static void
the_bytes_are_the_formats(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk_with(2);
    char *text;
    size_t size;
    struct t_record record;
    assert_int_equal(os_file_load(os_sim_disk_ops(sim), T_PATH, 4096, &text, &size), ERR_OK);
    assert_int_equal(size, 2 * sizeof(record));
    memcpy(&record, text + sizeof(record), sizeof(record));
    uint32_t checksum = record.checksum;
    record.checksum = 0;
    assert_int_equal(record.number, 2);
    assert_int_equal(record.value, 2);
    assert_int_equal(
        checksum, (uint32_t)hash_keyed(t_format.key, span_of(&record, sizeof(record))));
    free(text);
    os_sim_disk_destroy(&sim);
}

/* However much of the last record was written, it is not there, and the next takes its place. */
static void
a_torn_end_is_overwritten(void **state)
{
    (void)state;
    for (uint64_t torn = 0; torn < sizeof(struct t_record); torn++) {
        struct os_sim_disk *sim = t_disk_with(3);
        t_cut(sim, 2 * sizeof(struct t_record) + torn);
        t_expect(sim, "12");
        t_append(sim, 9);
        t_expect(sim, "129");
        struct os_file *file = t_open(sim, T_PATH, OS_OPEN_READ);
        assert_int_equal(t_size(sim, file), 3 * sizeof(struct t_record));
        t_close(sim, file);
        os_sim_disk_destroy(&sim);
    }
}

/* Space that was reserved and reads as zeros is no record either. */
static void
zeros_are_no_record(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk_with(2);
    t_cut(sim, 4 * sizeof(struct t_record));
    t_expect(sim, "12");
    t_append(sim, 3);
    t_expect(sim, "123");
    os_sim_disk_destroy(&sim);
}

/* Every bit of a record counts, and what follows a damaged one is not read. */
static void
a_flipped_bit_ends_the_file(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk_with(3);
    char *text;
    size_t size;
    assert_int_equal(os_file_load(os_sim_disk_ops(sim), T_PATH, 4096, &text, &size), ERR_OK);
    for (size_t i = 0; i < sizeof(struct t_record) * 8; i++) {
        size_t offset = sizeof(struct t_record) + i / 8;
        char flipped = (char)(text[offset] ^ (1 << i % 8));
        t_patch(sim, offset, &flipped, 1);
        t_expect(sim, "1");
        t_patch(sim, offset, text + offset, 1);
    }
    t_expect(sim, "123");
    free(text);
    os_sim_disk_destroy(&sim);
}

/* A whole record in another one's place: a write that went astray. */
static void
a_record_has_its_place(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk_with(3);
    char *text;
    size_t size;
    assert_int_equal(os_file_load(os_sim_disk_ops(sim), T_PATH, 4096, &text, &size), ERR_OK);
    t_patch(sim, sizeof(struct t_record), text, sizeof(struct t_record));
    t_expect(sim, "1");
    free(text);
    os_sim_disk_destroy(&sim);
}

static void
another_kind_of_file_is_not_read(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk_with(3);
    struct os_records_format other = t_format;
    struct os_records records;
    struct t_seen seen = {.limit = T_MAX};
    other.key.k1++;
    struct os_disk *disk = os_sim_disk_ops(sim);
    assert_int_equal(os_records_open(&records, &other, disk, "folder", t_see, &seen), ERR_OK);
    assert_int_equal(seen.count, 0);
    os_records_close(&records);
    os_sim_disk_destroy(&sim);
}

static void
without_a_folder_nothing_is_kept(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk(1);
    struct os_records records;
    struct t_seen seen = {.limit = T_MAX};
    struct os_disk *disk = os_sim_disk_ops(sim);
    assert_int_equal(os_records_open(&records, &t_format, disk, NULL, t_see, &seen), ERR_OK);
    assert_int_equal(t_add(&records, 1), ERR_OK);
    assert_int_equal(t_add(&records, 2), ERR_OK);
    assert_int_equal(records.count, 2);
    assert_int_equal(os_sim_disk_operations(sim), 0);
    os_records_close(&records);
    os_sim_disk_destroy(&sim);
}

/* A write that failed, part of it written or none, leaves its place to the next one. */
static void
a_failed_write_adds_nothing(void **state)
{
    (void)state;

    static const enum os_sim_effect effects[] = {OS_SIM_FAIL, OS_SIM_SHORT};

    for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
        struct os_sim_disk *sim = t_disk_with(1);
        struct os_records records;
        struct t_seen seen;
        const struct os_sim_rule rule = {
            .operation = OS_SIM_WRITE, .effect = effects[i], .times = 1, .code = ERR_DISK_FULL};
        assert_int_equal(t_records_open(&records, sim, &seen), ERR_OK);
        os_sim_disk_add_rule(sim, &rule);
        assert_int_equal(t_add(&records, 2), ERR_DISK_FULL);
        assert_int_equal(records.count, 1);
        assert_int_equal(t_add(&records, 3), ERR_OK);
        os_records_close(&records);
        t_expect(sim, "13");
        os_sim_disk_destroy(&sim);
    }
}

static void
errors_of_opening_are_told(void **state)
{
    (void)state;
    struct os_sim_disk *sim = t_disk_with(3);
    struct os_disk *disk = os_sim_disk_ops(sim);
    struct os_records records;
    struct t_seen seen;
    const struct os_sim_rule rule = {
        .operation = OS_SIM_READ, .effect = OS_SIM_FAIL, .skip = 1, .times = 1, .code = ERR_IO};
    os_sim_disk_add_rule(sim, &rule);
    assert_int_equal(t_records_open(&records, sim, &seen), ERR_IO);
    assert_int_equal(seen.count, 1);
    os_records_close(&records);
    seen = (struct t_seen){.limit = 2};
    assert_int_equal(os_records_open(&records, &t_format, disk, "folder", t_see, &seen), ERR_FULL);
    os_records_close(&records);
    char folder[OS_PATH_SIZE];
    memset(folder, 'a', sizeof(folder));
    folder[sizeof(folder) - sizeof("test.log")] = '\0'; /* no room for the zero of the path */
    assert_int_equal(os_records_open(&records, &t_format, disk, folder, t_see, &seen), ERR_RANGE);
    os_records_close(&records);
    folder[sizeof(folder) - sizeof("test.log") - 1] = '\0';
    assert_int_equal(os_records_open(&records, &t_format, disk, folder, t_see, &seen), ERR_OK);
    os_records_close(&records);
    os_sim_disk_destroy(&sim);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_read_in_order),
        cmocka_unit_test(the_bytes_are_the_formats),
        cmocka_unit_test(a_torn_end_is_overwritten),
        cmocka_unit_test(zeros_are_no_record),
        cmocka_unit_test(a_flipped_bit_ends_the_file),
        cmocka_unit_test(a_record_has_its_place),
        cmocka_unit_test(another_kind_of_file_is_not_read),
        cmocka_unit_test(without_a_folder_nothing_is_kept),
        cmocka_unit_test(a_failed_write_adds_nothing),
        cmocka_unit_test(errors_of_opening_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
