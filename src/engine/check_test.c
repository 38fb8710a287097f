/*
 * `ledger check` on a journal of several segments: it finds every bit that is flipped in a closed
 * segment, and names the place; so does opening for what it reads.
 *
 * TAEL_FLIP_ALL  set: every bit of the closed segments; else a sample
 */
#include "machine_testing.h"

#include "engine/check.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED        11
#define SEGMENTS    4
#define FLIPS_SHORT 1500
#define STEPS_MAX   5000

struct t_journal {
    struct t_ledger t;
    struct os_sim_disk *disk;
};

/* A closed journal of at least SEGMENTS segments, of which all but the last are closed. */
static struct t_journal *
t_journal_create(void)
{
    struct t_journal *journal = malloc(sizeof(*journal));
    assert_non_null(journal);
    struct os_sim_disk_settings settings = {.seed = SEED};
    assert_int_equal(os_sim_disk_create(&settings, &journal->disk), ERR_OK);
    t_ledger_init(&journal->t, SEED, os_sim_disk_ops(journal->disk));
    journal->t.snapshot_interval = 0; /* so that a start reads all of it */
    assert_int_equal(t_ledger_open(&journal->t), ERR_OK);
    struct os_disk *disk = os_sim_disk_ops(journal->disk);
    struct os_file *file = NULL;
    for (uint32_t step = 0; step < STEPS_MAX; step++) {
        if (!t_ledger_step(&journal->t)) {
            fail_msg("%s", journal->t.difference);
        }
        if (disk->ops->open(disk, T_FOLDER "/00000004.log", OS_OPEN_READ, false, &file, NULL) ==
            ERR_OK) {
            break;
        }
    }
    assert_non_null(file);
    disk->ops->close(disk, file);
    t_ledger_close(&journal->t);
    return journal;
}

static void
t_journal_destroy(struct t_journal *journal)
{
    t_ledger_release(&journal->t);
    os_sim_disk_destroy(&journal->disk);
    free(journal);
}

static err_t
check(struct t_journal *journal, struct ledger_check_report *report, struct store_error *error)
{
    struct ledger_check_settings settings = {
        .url = "journal:" T_FOLDER, .disk = os_sim_disk_ops(journal->disk)};
    return ledger_engine_check(&settings, report, error);
}

static void
finds_nothing_in_sound_books(void **state)
{
    (void)state;
    struct t_journal *journal = t_journal_create();
    struct ledger_check_report report;
    struct store_error error;
    err_t code = check(journal, &report, &error);
    if (code != ERR_OK) {
        fail_msg("%s", error.message);
    }
    const struct ledger_model *model = journal->t.model;
    assert_int_equal(report.segments, SEGMENTS);
    assert_int_equal(report.bytes, (uint64_t)SEGMENTS * T_SEGMENT_SIZE);
    assert_int_equal(report.accounts, ledger_model_account_count(model));
    assert_int_equal(report.transfers, ledger_model_transfer_count(model));
    assert_int_equal(report.failed_ids, ledger_model_failed_count(model));
    assert_int_equal(report.transfers + report.expiries, ledger_model_event_count(model));
    assert_int_equal(report.torn_bytes, 0);
    assert_true(report.sum_count > 1);
    uint64_t transfers = 0;
    for (uint32_t i = 0; i < report.sum_count; i++) {
        assert_true(report.sums[i].total.debits_posted == report.sums[i].total.credits_posted);
        transfers += report.sums[i].transfers;
    }
    assert_int_equal(transfers, report.transfers);
    ledger_engine_check_release(&report);
    t_journal_destroy(journal);
}

static void
flip(struct t_journal *journal, uint32_t segment, uint64_t offset, unsigned bit)
{
    char path[64];
    snprintf(path, sizeof(path), T_FOLDER "/%08u.log", segment);
    assert_int_equal(os_sim_disk_flip(journal->disk, path, offset, bit), ERR_OK);
}

/* The error names the file, and an offset at or before the flip's, of the frame that holds it. */
static void
expect_place(
    const struct store_error *error, uint32_t segment, uint64_t offset, uint64_t *ret_offset)
{
    char path[64];
    snprintf(path, sizeof(path), T_FOLDER "/%08u.log", segment);
    const char *place = strstr(error->message, "at offset ");
    if (strstr(error->message, path) == NULL || place == NULL) {
        fail_msg("flip in %s at %llu: %s", path, (unsigned long long)offset, error->message);
        return;
    }
    *ret_offset = strtoull(place + strlen("at offset "), NULL, 10);
    if (*ret_offset > offset) {
        fail_msg("flip in %s at %llu: %s", path, (unsigned long long)offset, error->message);
    }
}

static void
expect_found(struct t_journal *journal, uint32_t segment, uint64_t offset, unsigned bit)
{
    struct ledger_check_report report;
    struct store_error error;
    flip(journal, segment, offset, bit);
    err_t code = check(journal, &report, &error);
    ledger_engine_check_release(&report);
    if (code != ERR_CORRUPT && code != ERR_VERSION) {
        fail_msg(
            "flip in segment %u at %llu, bit %u: %s",
            segment,
            (unsigned long long)offset,
            bit,
            err_name(code));
    }
    uint64_t named = 0;
    expect_place(&error, segment, offset, &named);
    flip(journal, segment, offset, bit);
}

static void
finds_every_flipped_bit(void **state)
{
    (void)state;
    struct t_journal *journal = t_journal_create();
    const uint64_t bits = (uint64_t)T_SEGMENT_SIZE * 8;
    if (getenv("TAEL_FLIP_ALL") != NULL) {
        for (uint32_t segment = 1; segment < SEGMENTS; segment++) {
            for (uint64_t bit = 0; bit < bits; bit++) {
                expect_found(journal, segment, bit / 8, (unsigned)(bit % 8));
            }
        }
    } else {
        /* The borders, and a sample in between. */
        for (uint32_t segment = 1; segment < SEGMENTS; segment++) {
            expect_found(journal, segment, 0, 0);
            expect_found(journal, segment, 4095, 7);
            expect_found(journal, segment, 4096, 0);
            expect_found(journal, segment, T_SEGMENT_SIZE - 1, 7);
        }
        for (uint32_t i = 0; i < FLIPS_SHORT; i++) {
            uint64_t bit = ledger_random_below(&journal->t.random, bits);
            uint32_t segment = 1 + (uint32_t)ledger_random_below(&journal->t.random, SEGMENTS - 1);
            expect_found(journal, segment, bit / 8, (unsigned)(bit % 8));
        }
    }
    struct ledger_check_report report;
    struct store_error error;
    assert_int_equal(check(journal, &report, &error), ERR_OK);
    ledger_engine_check_release(&report);
    t_journal_destroy(journal);
}

/* STORE-4: a start refuses damage below what is known to be synced, in the newest segment too,
 * unless it is in the very last frame. */
static void
start_refuses_damage(void **state)
{
    (void)state;
    struct t_journal *journal = t_journal_create();
    struct t_ledger *t = &journal->t;
    assert_int_equal(t_ledger_open(t), ERR_OK);
    assert_true(t_ledger_catch_up(t));
    for (uint32_t step = 0; step < 12; step++) {
        assert_true(t_ledger_step(t));
    }
    t_ledger_close(t);
    for (uint32_t segment = 1; segment <= SEGMENTS; segment++) {
        for (uint64_t offset = 0; offset < 9000; offset += 701) {
            flip(journal, segment, offset, (unsigned)(offset % 8));
            err_t code = t_ledger_open(t);
            if (code == ERR_OK) {
                fail_msg("segment %u, offset %llu", segment, (unsigned long long)offset);
            }
            uint64_t named = 0;
            expect_place(&t->store_error, segment, offset, &named);
            assert_true(offset - named < T_SEGMENT_SIZE);
            flip(journal, segment, offset, (unsigned)(offset % 8));
        }
    }
    assert_int_equal(t_ledger_open(t), ERR_OK);
    assert_true(t_ledger_compare_all(t));
    t_ledger_close(t);
    t_journal_destroy(journal);
}

/* Segments that are gone, shortened or exchanged. */
static void
finds_wrong_files(void **state)
{
    (void)state;
    struct t_journal *journal = t_journal_create();
    struct os_disk *disk = os_sim_disk_ops(journal->disk);
    struct ledger_check_report report;
    struct store_error error;
    assert_int_equal(disk->ops->rename(disk, T_FOLDER "/00000002.log", T_FOLDER "/away"), ERR_OK);
    assert_int_equal(check(journal, &report, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.message, "00000002.log"));
    ledger_engine_check_release(&report);
    assert_int_equal(
        disk->ops->rename(disk, T_FOLDER "/00000003.log", T_FOLDER "/00000002.log"), ERR_OK);
    assert_int_equal(check(journal, &report, &error), ERR_CORRUPT);
    ledger_engine_check_release(&report);
    assert_int_equal(
        disk->ops->rename(disk, T_FOLDER "/00000002.log", T_FOLDER "/00000003.log"), ERR_OK);
    assert_int_equal(disk->ops->rename(disk, T_FOLDER "/away", T_FOLDER "/00000002.log"), ERR_OK);
    assert_int_equal(check(journal, &report, &error), ERR_OK);
    ledger_engine_check_release(&report);
    struct os_file *file = NULL;
    assert_int_equal(
        disk->ops->open(disk, T_FOLDER "/00000001.log", OS_OPEN_WRITE, false, &file, NULL), ERR_OK);
    assert_int_equal(disk->ops->truncate(disk, file, T_SEGMENT_SIZE - 1), ERR_OK);
    disk->ops->close(disk, file);
    assert_int_equal(check(journal, &report, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.message, "00000001.log"));
    ledger_engine_check_release(&report);
    t_journal_destroy(journal);
}

/* STORE-4: what a torn write left far behind the last frame is reported, and cleared by the next
 * start, so that it cannot be taken for damage once the segment is closed. */
static void
torn_tail_is_cleared(void **state)
{
    (void)state;
    struct t_journal *journal = t_journal_create();
    struct os_disk *disk = os_sim_disk_ops(journal->disk);
    struct os_file *file = NULL;
    assert_int_equal(
        disk->ops->open(disk, T_FOLDER "/00000004.log", OS_OPEN_WRITE, false, &file, NULL), ERR_OK);
    assert_int_equal(disk->ops->write(disk, file, "torn", 4, T_SEGMENT_SIZE - 5000), ERR_OK);
    disk->ops->close(disk, file);
    struct ledger_check_report report;
    struct store_error error;
    assert_int_equal(check(journal, &report, &error), ERR_OK);
    assert_true(report.torn_bytes > 0);
    ledger_engine_check_release(&report);
    assert_int_equal(t_ledger_open(&journal->t), ERR_OK);
    assert_true(t_ledger_compare_all(&journal->t));
    t_ledger_close(&journal->t);
    assert_int_equal(check(journal, &report, &error), ERR_OK);
    assert_int_equal(report.torn_bytes, 0);
    ledger_engine_check_release(&report);
    t_journal_destroy(journal);
}

static void
refuses_a_running_server(void **state)
{
    (void)state;
    struct t_journal *journal = t_journal_create();
    struct ledger_check_report report;
    struct store_error error;
    assert_int_equal(t_ledger_open(&journal->t), ERR_OK);
    assert_int_equal(check(journal, &report, &error), ERR_LOCKED);
    ledger_engine_check_release(&report);
    t_ledger_close(&journal->t);
    t_journal_destroy(journal);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_nothing_in_sound_books),
        cmocka_unit_test(finds_every_flipped_bit),
        cmocka_unit_test(start_refuses_damage),
        cmocka_unit_test(finds_wrong_files),
        cmocka_unit_test(torn_tail_is_cleared),
        cmocka_unit_test(refuses_a_running_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
