#include "engine/replay.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void
collect(void *context, struct span text)
{
    buf_append_span(context, text);
    buf_append_byte(context, '\n');
}

/* Runs a script and compares everything that it tells. */
static void
t_replay(const char *script, const char *expected, err_t expected_code)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    struct ledger_replay_settings settings = {
        .url = "memory:", .disk = os_disk_real(), .line = collect, .context = &out};
    struct ledger_replay_summary summary;
    struct store_error error;
    err_t code = ledger_engine_replay(&settings, span_from_cstr(script), &summary, &error);
    buf_append_byte(&out, '\0');
    assert_false(buf_failed(&out));
    assert_string_equal(out.data, expected);
    assert_int_equal(code, expected_code);
    assert_int_equal(summary.not_understood == 0, code == ERR_OK);
    buf_release(&out);
}

#define TWO_ACCOUNTS                                                                               \
    "{\"op\":\"create_accounts\",\"events\":[{\"id\":\"1\",\"ledger\":1,\"code\":1,"               \
    "\"flags\":[\"history\"]},{\"id\":2,\"ledger\":1,\"code\":1}]}\n"
#define TWO_CREATED                                                                                \
    "{\"results\":[{\"status\":\"created\",\"timestamp\":\"2\"},"                                  \
    "{\"status\":\"created\",\"timestamp\":\"3\"}]}\n"

static void
counts_time(void **state)
{
    (void)state;
    t_replay(
        "{\"op\":\"tick\",\"ns\":\"5000000000\"}\n"
        "{\"op\":\"lookup_accounts\",\"ids\":[]}\n"
        "{\"op\":\"create_transfers\",\"events\":[]}\n"
        "{\"op\":\"tick\",\"ns\":0}\n",
        "{\"clock\":\"5000000000\"}\n{\"accounts\":[]}\n{\"results\":[]}\n"
        "{\"clock\":\"5000000002\"}\n",
        ERR_OK);
    t_replay(
        "{\"op\":\"tick\",\"ns\":-1}\n{\"op\":\"tick\",\"ns\":\"7\"}\n"
        "{\"op\":\"lookup_accounts\",\"ids\":[]}\n",
        "{\"clock\":\"9223372036854775806\"}\n{\"clock\":\"9223372036854775807\"}\n"
        "{\"error\":{\"message\":\"Time has come to its end.\"}}\n",
        ERR_INVALID);
}

static void
prints_records(void **state)
{
    (void)state;
    t_replay(
        TWO_ACCOUNTS
        "{\"op\":\"create_transfers\",\"events\":[{\"id\":\"9\",\"debit_account_id\":\"1\","
        "\"credit_account_id\":\"2\",\"amount\":\"10\",\"ledger\":1,\"code\":1}]}\n"
        "{\"op\":\"lookup_accounts\",\"ids\":[\"2\",7]}\n"
        "{\"op\":\"lookup_transfers\",\"ids\":[\"9\"]}\n"
        "{\"op\":\"get_account_balances\",\"filter\":{\"account_id\":1,"
        "\"flags\":[\"debits\"],\"limit\":5}}\n",
        TWO_CREATED
        "{\"results\":[{\"status\":\"created\",\"timestamp\":\"5\"}]}\n"
        "{\"accounts\":[{\"id\":\"2\",\"debits_pending\":\"0\",\"debits_posted\":\"0\","
        "\"credits_pending\":\"0\",\"credits_posted\":\"10\",\"user_data_128\":\"0\","
        "\"user_data_64\":\"0\",\"user_data_32\":\"0\",\"ledger\":\"1\",\"code\":\"1\","
        "\"flags\":[],\"timestamp\":\"3\"}]}\n"
        "{\"transfers\":[{\"id\":\"9\",\"debit_account_id\":\"1\",\"credit_account_id\":\"2\","
        "\"amount\":\"10\",\"pending_id\":\"0\",\"user_data_128\":\"0\",\"user_data_64\":\"0\","
        "\"user_data_32\":\"0\",\"timeout\":\"0\",\"ledger\":\"1\",\"code\":\"1\",\"flags\":[],"
        "\"timestamp\":\"5\"}]}\n"
        "{\"balances\":[{\"timestamp\":\"5\",\"debits_pending\":\"0\",\"debits_posted\":\"10\","
        "\"credits_pending\":\"0\",\"credits_posted\":\"0\"}]}\n",
        ERR_OK);
}

/* The hold of timestamp 5 expires a second later; the pulse takes 8,190 ns and its event comes at
 * its end. */
static void
expires(void **state)
{
    (void)state;
    t_replay(
        TWO_ACCOUNTS
        "{\"op\":\"create_transfers\",\"events\":[{\"id\":\"9\",\"debit_account_id\":\"1\","
        "\"credit_account_id\":\"2\",\"amount\":\"10\",\"ledger\":1,\"code\":1,\"timeout\":1,"
        "\"flags\":[\"pending\"]}]}\n"
        "{\"op\":\"tick\",\"ns\":999999999}\n"
        "{\"op\":\"tick\",\"ns\":1}\n"
        "{\"op\":\"get_change_events\",\"filter\":{\"timestamp_min\":6,\"limit\":10}}\n",
        TWO_CREATED
        "{\"results\":[{\"status\":\"created\",\"timestamp\":\"5\"}]}\n"
        "{\"clock\":\"1000000004\"}\n"
        "{\"clock\":\"1000008195\"}\n"
        "{\"events\":[{\"type\":\"two_phase_expired\",\"timestamp\":\"1000008195\","
        "\"transfer\":{\"id\":\"9\",\"debit_account_id\":\"1\",\"credit_account_id\":\"2\","
        "\"amount\":\"10\",\"pending_id\":\"0\",\"user_data_128\":\"0\",\"user_data_64\":\"0\","
        "\"user_data_32\":\"0\",\"timeout\":\"1\",\"ledger\":\"1\",\"code\":\"1\","
        "\"flags\":[\"pending\"],\"timestamp\":\"5\"},"
        "\"debit_account\":{\"id\":\"1\",\"debits_pending\":\"0\",\"debits_posted\":\"0\","
        "\"credits_pending\":\"0\",\"credits_posted\":\"0\",\"user_data_128\":\"0\","
        "\"user_data_64\":\"0\",\"user_data_32\":\"0\",\"ledger\":\"1\",\"code\":\"1\","
        "\"flags\":[\"history\"],\"timestamp\":\"2\"},"
        "\"credit_account\":{\"id\":\"2\",\"debits_pending\":\"0\",\"debits_posted\":\"0\","
        "\"credits_pending\":\"0\",\"credits_posted\":\"0\",\"user_data_128\":\"0\","
        "\"user_data_64\":\"0\",\"user_data_32\":\"0\",\"ledger\":\"1\",\"code\":\"1\","
        "\"flags\":[],\"timestamp\":\"3\"}}]}\n",
        ERR_OK);
}

static void
says_what_it_does_not_understand(void **state)
{
    (void)state;
    t_replay(
        "{\"op\":\"create_accounts\",\"events\":[{},{\"code\":\"x\"}]}\r\n"
        "\n"
        "{\"op\":\"dance\"}\n"
        "{\"op\":\"tick\",\"ns\":0.5}\n"
        "{\"op\":\"lookup_accounts\",\"ids\":[],\"note\":1}\n"
        "{\n"
        "{\"op\":\"tick\",\"ns\":1}",
        "{\"error\":{\"message\":\"Expected a whole number, or a string of decimal digits.\","
        "\"param\":\"events[1].code\"}}\n"
        "{\"error\":{\"message\":\"There is no operation of this name.\",\"param\":\"op\"}}\n"
        "{\"error\":{\"message\":\"Expected nanoseconds as a whole number.\",\"param\":\"ns\"}}\n"
        "{\"error\":{\"message\":\"There is no field of this name.\",\"param\":\"note\"}}\n"
        "{\"error\":{\"message\":\"A member's name in quotes was expected.\"}}\n"
        "{\"clock\":\"1\"}\n",
        ERR_INVALID);
}

static void
count_line(void *context, struct span text)
{
    struct buf *last = context;
    buf_clear(last);
    buf_append_span(last, text);
}

/* The largest batch with every field is a line; one event more is refused. */
static void
takes_the_largest_batch(void **state)
{
    (void)state;
    for (uint32_t extra = 0; extra < 2; extra++) {
        struct buf script;
        struct buf last;
        buf_init(&script, 1 << 23);
        buf_init(&last, 1 << 23);
        buf_append_cstr(&script, "{\"op\":\"create_transfers\",\"events\":[");
        for (uint32_t i = 0; i < LEDGER_BATCH_MAX + extra; i++) {
            buf_append_cstr(&script, i == 0 ? "" : ",");
            buf_append_format(
                &script,
                "{\"id\":%u,\"debit_account_id\":1,\"credit_account_id\":2,\"amount\":\"1\","
                "\"pending_id\":0,\"user_data_128\":\"1\",\"user_data_64\":\"2\","
                "\"user_data_32\":3,\"timeout\":0,\"ledger\":1,\"code\":1,\"flags\":["
                "\"pending\",\"balancing_debit\",\"balancing_credit\",\"closing_debit\","
                "\"closing_credit\"],\"timestamp\":0}",
                i + 1);
        }
        buf_append_cstr(&script, "]}");
        assert_false(buf_failed(&script));
        struct ledger_replay_settings settings = {
            .url = "memory:", .disk = os_disk_real(), .line = count_line, .context = &last};
        struct ledger_replay_summary summary;
        struct store_error error;
        err_t code = ledger_engine_replay(&settings, buf_span(&script), &summary, &error);
        assert_int_equal(code, extra == 0 ? ERR_OK : ERR_INVALID);
        assert_false(buf_failed(&last));
        assert_int_equal(last.size > 8190 * 30, extra == 0);
        buf_release(&script);
        buf_release(&last);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_time),
        cmocka_unit_test(prints_records),
        cmocka_unit_test(expires),
        cmocka_unit_test(says_what_it_does_not_understand),
        cmocka_unit_test(takes_the_largest_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
