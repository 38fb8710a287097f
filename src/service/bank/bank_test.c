#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bank/bank.h"

#include "os/sim.h"
#include "os/sim_disk.h"

#include <stdlib.h>
#include <string.h>

struct t_bench {
    struct os_sim *sim;
    struct os_sim_disk *disk;
    struct os_loop *loop;
    struct bank *bank;
    struct os_executor replies;
    bool answered;
};

static void
t_open(struct t_bench *bench)
{
    assert_int_equal(os_loops_create(os_sim_loops(bench->sim), "bank", &bench->loop), ERR_OK);
    const struct bank_parts parts = {
        .loop = bench->loop,
        .clock = os_sim_clock(bench->sim),
        .disk = os_sim_disk_ops(bench->disk),
        .folder = "bank",
        .settings = {.settle_ms = 2000, .return_ms = 3000},
    };
    assert_int_equal(bank_create(&parts, &bench->bank), ERR_OK);
    assert_int_equal(os_loop_start(bench->loop), ERR_OK);
}

static void
t_close(struct t_bench *bench)
{
    os_loop_stop(bench->loop);
    bank_destroy(&bench->bank);
    os_loop_destroy(bench->loop);
}

static int
t_setup(void **state)
{
    static struct t_bench bench;
    const struct os_sim_disk_settings disk = {.seed = 1, .faults = true};
    memset(&bench, 0, sizeof(bench));
    assert_int_equal(os_sim_create(1, &bench.sim), ERR_OK);
    assert_int_equal(os_sim_disk_create(&disk, &bench.disk), ERR_OK);
    bench.replies.post = os_post_now;
    t_open(&bench);
    *state = &bench;
    return 0;
}

static int
t_teardown(void **state)
{
    struct t_bench *bench = *state;
    t_close(bench);
    os_sim_disk_destroy(&bench->disk);
    os_sim_destroy(&bench->sim);
    return 0;
}

static void
t_done(struct port_rail_request *request)
{
    (void)request;
}

static struct port_rail_request
t_ask(struct t_bench *bench, enum port_rail_operation operation, u128 id, const char *account)
{
    struct port_rail_request request = {
        .reply_to = &bench->replies,
        .done = t_done,
        .operation = operation,
        .id = id,
        .original_id = id,
        .amount = {.amount = 1000, .currency = currency_find(SPAN("usd"))},
    };
    size_t size = strlen(account);
    assert_true(size < sizeof(request.token));
    memcpy(request.token, account, size);
    struct port_rail *rail = bank_rail(bench->bank);
    rail->submit(rail, &request);
    assert_true(os_sim_run_until_idle(bench->sim, 1000));
    return request;
}

static void
t_expect(
    struct t_bench *bench,
    enum port_rail_operation operation,
    u128 id,
    const char *account,
    enum port_rail_outcome outcome,
    const char *code)
{
    struct port_rail_request request = t_ask(bench, operation, id, account);
    assert_int_equal(request.error, ERR_OK);
    assert_int_equal(request.answer.outcome, outcome);
    assert_string_equal(request.answer.error_code, code);
}

static void
t_pass(struct t_bench *bench, uint64_t milliseconds)
{
    os_sim_advance(bench->sim, milliseconds * OS_NS_PER_MS);
}

static void
accounts_behave(void **state)
{
    struct t_bench *bench = *state;
    t_expect(bench, PORT_RAIL_PAY, 1, "000123456789", PORT_RAIL_PENDING, "");
    t_expect(bench, PORT_RAIL_PAY, 2, "DE89370400440532013000", PORT_RAIL_PENDING, "");
    t_expect(bench, PORT_RAIL_PAY, 3, "000111111116", PORT_RAIL_DECLINED, "no_account");
    t_expect(bench, PORT_RAIL_PAY, 4, "000111111113", PORT_RAIL_DECLINED, "account_closed");
    t_expect(bench, PORT_RAIL_PAY, 5, "000444444440", PORT_RAIL_DECLINED, "invalid_currency");
    t_expect(bench, PORT_RAIL_PAY, 6, "000222222227", PORT_RAIL_PENDING, "");
    t_expect(bench, PORT_RAIL_PAY, 7, "000333333335", PORT_RAIL_PENDING, "");
    t_expect(bench, PORT_RAIL_PAY, 8, "000777777771", PORT_RAIL_PENDING, "");
    t_expect(bench, PORT_RAIL_PAY, 9, "000666666660", PORT_RAIL_UNKNOWN, "");
    t_pass(bench, 1999);
    t_expect(bench, PORT_RAIL_REPORT, 1, "", PORT_RAIL_PENDING, "");
    t_pass(bench, 1);
    t_expect(bench, PORT_RAIL_REPORT, 1, "", PORT_RAIL_APPROVED, "");
    t_expect(bench, PORT_RAIL_REPORT, 2, "", PORT_RAIL_APPROVED, "");
    t_expect(bench, PORT_RAIL_REPORT, 3, "", PORT_RAIL_DECLINED, "no_account");
    t_expect(bench, PORT_RAIL_REPORT, 6, "", PORT_RAIL_FAILED, "could_not_process");
    t_expect(bench, PORT_RAIL_REPORT, 7, "", PORT_RAIL_APPROVED, "");
    t_expect(bench, PORT_RAIL_REPORT, 8, "", PORT_RAIL_PENDING, "");
    t_expect(bench, PORT_RAIL_REPORT, 9, "", PORT_RAIL_APPROVED, "");
    t_pass(bench, 3000);
    t_expect(bench, PORT_RAIL_REPORT, 1, "", PORT_RAIL_APPROVED, "");
    t_expect(bench, PORT_RAIL_REPORT, 7, "", PORT_RAIL_FAILED, "account_frozen");
    t_pass(bench, 1000000);
    t_expect(bench, PORT_RAIL_REPORT, 8, "", PORT_RAIL_PENDING, "");
}

/* BANK-1 */
static void
one_id_is_one_payment(void **state)
{
    struct t_bench *bench = *state;
    t_expect(bench, PORT_RAIL_PAY, 1, "000123456789", PORT_RAIL_PENDING, "");
    /* Whatever the repeat says. */
    t_expect(bench, PORT_RAIL_PAY, 1, "000111111116", PORT_RAIL_PENDING, "");
    t_pass(bench, 2000);
    t_expect(bench, PORT_RAIL_PAY, 1, "000123456789", PORT_RAIL_APPROVED, "");
    t_expect(bench, PORT_RAIL_REPORT, 2, "", PORT_RAIL_NOT_FOUND, "");
}

/* BANK-2 */
static void
it_keeps_its_word_over_a_restart(void **state)
{
    struct t_bench *bench = *state;
    t_expect(bench, PORT_RAIL_PAY, 1, "000333333335", PORT_RAIL_PENDING, "");
    t_expect(bench, PORT_RAIL_PAY, 2, "000111111113", PORT_RAIL_DECLINED, "account_closed");
    os_sim_disk_kill(bench->disk);
    t_close(bench);
    t_open(bench);
    t_expect(bench, PORT_RAIL_REPORT, 1, "", PORT_RAIL_PENDING, "");
    t_expect(bench, PORT_RAIL_REPORT, 2, "", PORT_RAIL_DECLINED, "account_closed");
    t_pass(bench, 2000);
    t_expect(bench, PORT_RAIL_REPORT, 1, "", PORT_RAIL_APPROVED, "");
}

/* BANK-2: over an update of the program too, so its bytes are as they were. */
static void
the_file_has_its_format(void **state)
{
    struct t_bench *bench = *state;
    const uint32_t checksums[] = {0x222297ce, 0x526fe4e8};
    char *text;
    size_t size;
    t_expect(bench, PORT_RAIL_PAY, 7, "000333333335", PORT_RAIL_PENDING, "");
    t_expect(bench, PORT_RAIL_PAY, 8, "000111111113", PORT_RAIL_DECLINED, "account_closed");
    struct os_disk *disk = os_sim_disk_ops(bench->disk);
    assert_int_equal(os_file_load(disk, "bank/bank.log", 4096, &text, &size), ERR_OK);
    assert_int_equal(size, 2 * 64);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t number;
        uint32_t checksum;
        memcpy(&number, text + i * 64 + 40, sizeof(number));
        memcpy(&checksum, text + i * 64 + 56, sizeof(checksum));
        assert_int_equal(number, i + 1);
        assert_int_equal(checksum, checksums[i]);
    }
    free(text);
}

static void
a_full_disk_is_told(void **state)
{
    struct t_bench *bench = *state;
    const struct os_sim_rule rule = {
        .operation = OS_SIM_WRITE, .effect = OS_SIM_FAIL, .times = 1, .code = ERR_DISK_FULL};
    os_sim_disk_add_rule(bench->disk, &rule);
    assert_int_equal(t_ask(bench, PORT_RAIL_PAY, 1, "000123456789").error, ERR_DISK_FULL);
    t_expect(bench, PORT_RAIL_REPORT, 1, "", PORT_RAIL_NOT_FOUND, "");
    t_expect(bench, PORT_RAIL_PAY, 1, "000123456789", PORT_RAIL_PENDING, "");
}

static void
it_only_pays(void **state)
{
    struct t_bench *bench = *state;
    assert_int_equal(t_ask(bench, PORT_RAIL_AUTHORIZE, 1, "0001").error, ERR_UNSUPPORTED);
    assert_int_equal(t_ask(bench, PORT_RAIL_REFUND, 1, "0001").error, ERR_UNSUPPORTED);
    assert_string_equal(bank_rail(bench->bank)->name, "bank");
    assert_true(bank_rail(bench->bank)->simulated);
}

#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(accounts_behave),
        T(one_id_is_one_payment),
        T(it_keeps_its_word_over_a_restart),
        T(the_file_has_its_format),
        T(a_full_disk_is_told),
        T(it_only_pays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
