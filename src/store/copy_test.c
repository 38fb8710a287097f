/*
 * Copies of a journal while its writer works: at every moment the cut is a whole history that has
 * what was answered before, also when a power cut follows; and cutting a copy at a time.
 */
#include "store/copy.h"

#include "store/verify.h"

#include "os/sim_disk.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER       "live"
#define COPY         "copy"
#define SEGMENT_SIZE UINT64_C(65536)
#define TRANSFERS    60 /* four segments */

struct t_live {
    struct os_sim_disk *sim;
    struct os_disk *disk;
    struct store *store;
    struct os_executor executor;
    uint64_t transfers;
    struct store_error error;
};

static err_t
t_commit(struct t_live *t, const struct ledger_delta *delta)
{
    struct store_ticket ticket = {.error.code = ERR_OK};
    struct ledger_delta copy = *delta;
    TRY(t->store->ops->admit(t->store, copy.event_count, copy.account_count));
    ticket.task.run = NULL;
    /* Without an I/O thread the ticket is told before commit returns. */
    TRY(t->store->ops->commit(t->store, &copy, &t->executor, &ticket));
    return ticket.error.code;
}

static void
t_swallow(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    (void)executor;
    (void)first;
    (void)last;
}

static void
t_open(struct t_live *t)
{
    struct store_settings settings = store_settings_default();
    settings.segment_size = SEGMENT_SIZE;
    settings.transfer_count_max = 10000;
    struct ledger_limits limits = {
        .account_count_max = 64, .pending_count_max = 64, .expiry_batch_max = 1};
    struct ledger *ledger = NULL;
    *t = (struct t_live){.executor.post = t_swallow};
    assert_int_equal(
        os_sim_disk_create(&(struct os_sim_disk_settings){.seed = 3}, &t->sim), ERR_OK);
    t->disk = os_sim_disk_ops(t->sim);
    assert_int_equal(ledger_create(&limits, &ledger), ERR_OK);
    assert_int_equal(
        store_open("journal:" FOLDER, t->disk, &settings, &t->store, &t->error), ERR_OK);
    assert_int_equal(t->store->ops->load(t->store, ledger, &t->error), ERR_OK);
    ledger_destroy(&ledger);
    struct ledger_account accounts[2] = {
        {.id = 1, .ledger = 1, .code = 1, .timestamp = 1},
        {.id = 2, .ledger = 1, .code = 1, .timestamp = 2},
    };
    struct ledger_delta delta = {.accounts = accounts, .account_count = 2, .clock = 2};
    assert_int_equal(t_commit(t, &delta), ERR_OK);
}

static void
t_release(struct t_live *t)
{
    if (t->store != NULL) {
        t->store->ops->close(t->store);
    }
    os_sim_disk_destroy(&t->sim);
}

static void
t_transfer(struct t_live *t)
{
    uint64_t number = ++t->transfers;
    struct ledger_event event;
    memset(&event, 0, sizeof(event));
    event.transfer.id = 1000 + number;
    event.transfer.debit_account_id = 1;
    event.transfer.credit_account_id = 2;
    event.transfer.amount = 1;
    event.transfer.ledger = 1;
    event.transfer.code = 1;
    event.transfer.timestamp = 10 * number;
    event.timestamp = event.transfer.timestamp;
    event.debit.debits_posted = number;
    event.credit.credits_posted = number;
    event.credit_slot = 1;
    event.kind = LEDGER_EVENT_SINGLE_PHASE;
    struct ledger_delta delta = {.events = &event, .event_count = 1, .clock = event.timestamp};
    assert_int_equal(t_commit(t, &delta), ERR_OK);
}

/* What `tael backup` does, and only afterwards. */
static void
t_copy(struct t_live *t, const struct store_copy_extent *extent)
{
    char *data = calloc(1, SEGMENT_SIZE);
    assert_non_null(data);
    assert_int_equal(t->disk->ops->make_folder(t->disk, COPY), ERR_OK);
    for (uint64_t number = 1; number <= extent->newest; number++) {
        char from[64] = FOLDER "/";
        char to[64] = COPY "/";
        struct os_file *file = NULL;
        uint64_t used = number < extent->newest ? SEGMENT_SIZE : extent->newest_used;
        store_segment_name(number, from + strlen(from));
        store_segment_name(number, to + strlen(to));
        memset(data, 0, SEGMENT_SIZE);
        assert_int_equal(
            t->disk->ops->open(t->disk, from, OS_OPEN_READ, false, &file, NULL), ERR_OK);
        assert_int_equal(t->disk->ops->read(t->disk, file, data, used, 0), ERR_OK);
        t->disk->ops->close(t->disk, file);
        err_t removed = t->disk->ops->remove(t->disk, to);
        assert_true(removed == ERR_OK || removed == ERR_NOT_FOUND);
        assert_int_equal(
            t->disk->ops->open(t->disk, to, OS_OPEN_CREATE, false, &file, NULL), ERR_OK);
        assert_int_equal(t->disk->ops->write(t->disk, file, data, SEGMENT_SIZE, 0), ERR_OK);
        t->disk->ops->close(t->disk, file);
    }
    free(data);
}

static err_t
t_see_event(void *context, const struct ledger_event *event)
{
    (void)event;
    ++*(uint64_t *)context;
    return ERR_OK;
}

/* The copy is a whole history that ends at the head. */
static void
t_expect_copy(struct t_live *t, const struct store_head *head, uint64_t transfers)
{
    uint64_t seen = 0;
    struct store_verify_report report;
    struct store_verify_visitor visitor = {
        .event = t_see_event,
        .context = &seen,
        .noted = head,
    };
    if (store_verify("journal:" COPY, t->disk, &visitor, &report, &t->error) != ERR_OK) {
        fail_msg("%s", t->error.message);
    }
    assert_int_equal(seen, transfers);
    assert_memory_equal(&report.head, head, sizeof(*head));
    assert_int_equal(report.torn_bytes, 0);
}

/* A copy that was opened long before it is cut, at each length; copied when more was written. */
static void
cuts_have_what_was_answered(void **state)
{
    (void)state;
    for (uint64_t opened = 0; opened < TRANSFERS; opened += 13) {
        for (uint64_t cut = opened; cut <= TRANSFERS; cut += 7) {
            struct t_live t;
            struct store_copy *copy = NULL;
            struct store_head head;
            struct store_head of_store;
            struct store_copy_extent extent;
            t_open(&t);
            while (t.transfers < opened) {
                t_transfer(&t);
            }
            assert_int_equal(store_copy_open("journal:" FOLDER, t.disk, &copy, &t.error), ERR_OK);
            while (t.transfers < cut) {
                t_transfer(&t);
            }
            t.store->ops->head(t.store, &of_store);
            assert_int_equal(store_copy_cut(copy, &head, &t.error), ERR_OK);
            assert_memory_equal(&head, &of_store, sizeof(head));
            store_copy_extent(copy, &extent);
            while (t.transfers < cut + 20) {
                t_transfer(&t);
            }
            t_copy(&t, &extent);
            t_expect_copy(&t, &head, cut);
            bool passes = false;
            assert_int_equal(store_copy_passes(copy, NULL, &head, &passes, &t.error), ERR_OK);
            assert_true(passes);
            head.digest[5] ^= 1;
            assert_int_equal(store_copy_passes(copy, NULL, &head, &passes, &t.error), ERR_OK);
            assert_false(passes);
            store_copy_close(&copy);
            t_release(&t);
        }
    }
}

static void
copies_are_cut_at_a_time(void **state)
{
    (void)state;
    for (uint64_t until = 2; until <= 10 * TRANSFERS + 5; until += 37) {
        struct t_live t;
        struct store_copy *copy = NULL;
        struct store_head head;
        struct store_copy_extent extent;
        t_open(&t);
        while (t.transfers < TRANSFERS) {
            t_transfer(&t);
        }
        assert_int_equal(store_copy_open("journal:" FOLDER, t.disk, &copy, &t.error), ERR_OK);
        store_copy_extent(copy, &extent);
        t_copy(&t, &extent);
        store_copy_close(&copy);
        assert_int_equal(
            store_copy_cut_at("journal:" COPY, t.disk, until, &head, &t.error), ERR_OK);
        uint64_t left = until / 10 < TRANSFERS ? until / 10 : TRANSFERS;
        assert_int_equal(head.sequence, left + 1);
        t_expect_copy(&t, &head, left);
        assert_int_equal(
            store_copy_cut_at("journal:" COPY, t.disk, 1, &head, &t.error), ERR_NOT_FOUND);
        t_release(&t);
    }
}

static void
what_is_no_journal_is_refused(void **state)
{
    (void)state;
    struct t_live t;
    struct store_copy *copy = NULL;
    t_open(&t);
    assert_int_equal(t.disk->ops->make_folder(t.disk, "empty"), ERR_OK);
    assert_int_equal(store_copy_open("journal:empty", t.disk, &copy, &t.error), ERR_NOT_FOUND);
    assert_int_equal(store_copy_open("journal:nowhere", t.disk, &copy, &t.error), ERR_NOT_FOUND);
    assert_int_equal(store_copy_open("memory:", t.disk, &copy, &t.error), ERR_UNSUPPORTED);
    struct store_head head;
    assert_int_equal(store_head_read("journal:" FOLDER, t.disk, &head, &t.error), ERR_LOCKED);
    assert_int_equal(store_copy_cut_at("journal:" FOLDER, t.disk, 5, &head, &t.error), ERR_LOCKED);
    t_release(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_have_what_was_answered),
        cmocka_unit_test(copies_are_cut_at_a_time),
        cmocka_unit_test(what_is_no_journal_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
