/* Tables as JSON: what is written reads the same, and what was not written by one of ours is
 * refused with the field's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tables.h"

#include "base/arena.h"
#include "base/buf.h"

#include <string.h>

static struct arena arena;
static struct buf text;

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    buf_init(&text, 1 << 20);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    buf_release(&text);
    return 0;
}

static void
write_object(const struct remote_table *table, const void *object)
{
    struct json_writer json;
    buf_clear(&text);
    json_begin(&json, &text);
    remote_fields_write(table, object, &json);
    assert_true(json_is_complete(&json));
}

static err_t
read_text(const struct remote_table *table, const char *from, void *object)
{
    const char *problem;
    return remote_fields_read(table, span_from_cstr(from), &arena, object, &problem);
}

static void
refuses(const struct remote_table *table, const char *from, const char *what)
{
    char object[4096] = "";
    const char *problem = NULL;
    err_t result = remote_fields_read(table, span_from_cstr(from), &arena, object, &problem);
    assert_int_equal(result, ERR_INVALID);
    assert_string_equal(problem, what);
}

static struct port_rail_request
full_rail_request(void)
{
    return (struct port_rail_request){
        .operation = PORT_RAIL_INCREMENT,
        .scope = UINT64_MAX,
        .id = U128_MAX,
        .original_id = u128_make(1, 2),
        .amount = {.amount = INT64_MAX, .currency = currency_find(SPAN("JPY"))},
        .capture = true,
        .off_session = true,
        .may_challenge = true,
        .wants_proof = true,
        .sets_up = true,
        .agreement_id = 7,
        .token = "card_0123456789",
        .postal_code = SPAN("12345 \"x\" \\"),
        .address_line1 = SPAN("Stra\xc3\x9f"
                              "e 1\n"),
        .statement_descriptor = SPAN("A MERCHANT"),
    };
}

static void
test_rail_request(void **state)
{
    (void)state;
    struct port_rail_request in = full_rail_request();
    struct port_rail_request out;
    memset(&out, 0xee, sizeof(out));
    write_object(&remote_rail_request, &in);
    buf_append_byte(&text, '\0');
    assert_int_equal(read_text(&remote_rail_request, text.data, &out), ERR_OK);
    assert_int_equal(out.operation, in.operation);
    assert_true(out.scope == in.scope && out.id == in.id && out.original_id == in.original_id);
    assert_true(out.amount.amount == INT64_MAX && out.amount.currency == in.amount.currency);
    assert_true(out.capture && out.off_session && out.may_challenge && out.wants_proof);
    assert_true(out.sets_up && out.agreement_id == 7);
    assert_string_equal(out.token, in.token);
    assert_true(span_equal(out.postal_code, in.postal_code));
    assert_true(span_equal(out.address_line1, in.address_line1));
    assert_true(span_equal(out.statement_descriptor, in.statement_descriptor));
}

/* What is zero is left out, and reads as zero, whatever was there before. */
static void
test_zero(void **state)
{
    (void)state;
    struct port_rail_request in;
    struct port_rail_request out;
    memset(&in, 0, sizeof(in));
    memset(&out, 0xee, sizeof(out));
    write_object(&remote_rail_request, &in);
    assert_true(span_equal_cstr(buf_span(&text), "{\"operation\":\"authorize\"}"));
    buf_append_byte(&text, '\0');
    assert_int_equal(read_text(&remote_rail_request, text.data, &out), ERR_OK);
    assert_int_equal(out.operation, PORT_RAIL_AUTHORIZE);
    assert_true(out.id == 0 && out.scope == 0 && out.amount.amount == 0 && !out.capture);
    assert_null(out.amount.currency);
    assert_string_equal(out.token, "");
    assert_int_equal(out.postal_code.size, 0);
}

/* Each value of each enum has a name, and each name is that value's. */
static void
test_enums(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= PORT_RAIL_CHALLENGE; i++) {
        struct port_rail_answer in = {.outcome = (enum port_rail_outcome)i};
        struct port_rail_answer out;
        in.cvc_check = (enum port_rail_check)(i % 4);
        in.proof = (enum port_rail_proof)(i % 5);
        write_object(&remote_rail_answer, &in);
        buf_append_byte(&text, '\0');
        assert_int_equal(read_text(&remote_rail_answer, text.data, &out), ERR_OK);
        assert_int_equal(out.outcome, i);
        assert_int_equal(out.cvc_check, i % 4);
        assert_int_equal(out.proof, i % 5);
    }
    for (uint32_t i = 0; i <= PORT_RAIL_PAY; i++) {
        struct port_rail_request in = {.operation = (enum port_rail_operation)i};
        struct port_rail_request out;
        write_object(&remote_rail_request, &in);
        buf_append_byte(&text, '\0');
        assert_int_equal(read_text(&remote_rail_request, text.data, &out), ERR_OK);
        assert_int_equal(out.operation, i);
    }
}

static void
test_refused(void **state)
{
    (void)state;
    refuses(&remote_rail_request, "", "not JSON");
    refuses(&remote_rail_request, "{", "not JSON");
    refuses(&remote_rail_request, "[]", "not an object");
    refuses(&remote_rail_request, "{}", "operation");
    refuses(&remote_rail_request, "{\"operation\":\"steal\"}", "operation");
    refuses(&remote_rail_request, "{\"operation\":1}", "operation");
    refuses(&remote_rail_request, "{\"operation\":\"void\",\"pan\":\"4\"}", "an unknown member");
    refuses(&remote_rail_request, "{\"operation\":\"void\",\"id\":\"-1\"}", "id");
    refuses(&remote_rail_request, "{\"operation\":\"void\",\"amount\":1.5}", "amount");
    refuses(&remote_rail_request, "{\"operation\":\"void\",\"currency\":\"XXQ\"}", "currency");
    refuses(&remote_rail_request, "{\"operation\":\"void\",\"capture\":1}", "capture");
    refuses(&remote_rail_request, "{\"operation\":\"void\",\"capture\":null}", "capture");
    refuses(&remote_rail_request, "{\"operation\":\"void\",\"token\":\"a\\u0000b\"}", "not JSON");
    refuses(
        &remote_rail_request,
        "{\"operation\":\"void\",\"token\":\"0123456789012345678901234567890123456789\"}",
        "token");
    refuses(&remote_rail_answer, "{\"outcome\":\"approved\"}", "cvc_check");
    refuses(&remote_tokenize_request, "{\"number\":\"4242\"}", "scope");
    refuses(&remote_tokenize_answer, "{\"outcome\":\"ok\",\"exp_year\":65536}", "exp_year");
    refuses(&remote_tokenize_answer, "{\"outcome\":\"ok\",\"exp_month\":256}", "exp_month");
    refuses(&remote_ledger_filter, "{\"limit\":4294967296}", "limit");
    refuses(&remote_ledger_filter, "{}", "limit");
    refuses(&remote_wallet_release, "{\"scope\":1,\"direction\":\"in\",\"amount\":1}", "currency");
}

/* A text that fills its room but for the zero, and one byte more. */
static void
test_boundary(void **state)
{
    (void)state;
    struct port_mobile_request out;
    assert_int_equal(
        read_text(&remote_mobile_request, "{\"scope\":1,\"code\":\"123456789012345678\"}", &out),
        ERR_OK);
    assert_string_equal(out.code, "123456789012345678");
    refuses(&remote_mobile_request, "{\"scope\":1,\"code\":\"1234567890123456789\"}", "code");
}

static void
test_error_names(void **state)
{
    (void)state;
#define NAMED(error, category, number, words)                                                      \
    {                                                                                              \
        err_t found = ERR_OK;                                                                      \
        assert_true(remote_error_from_name(#error, &found));                                       \
        assert_int_equal(found, error);                                                            \
    }
    ERR_TABLE(NAMED)
#undef NAMED
    err_t none;
    assert_false(remote_error_from_name("ERR_OK", &none));
    assert_false(remote_error_from_name("", &none));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rail_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(test_enums, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_boundary, setup, teardown),
        cmocka_unit_test(test_error_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
