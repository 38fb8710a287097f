#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codes.h"
#include "testing.h"

#include <string.h>

/* What the rail asks is what the host reads, in both dialects. */
static void
authorize_test(void **state)
{
    (void)state;
    struct port_rail_request rail = t_rail(PORT_RAIL_AUTHORIZE);
    rail.capture = true;
    rail.off_session = true;
    rail.sets_up = true;
    rail.original_id = 99;
    rail.agreement_id = U128_MAX;
    rail.postal_code = SPAN("1010");
    rail.address_line1 = SPAN("Stra\xc3\x9f"
                              "e 1");
    rail.statement_descriptor = SPAN("TAEL");
    static struct network_asked asked;
    for (int i = 0; i < 2; i++) {
        t_build(&rail, &t_card);
        assert_int_equal(t_message.type, 200);
        t_travel(i == 0 ? &iso8583_ascii : &iso8583_binary, &t_message);
        assert_null(network_request_read(&t_message, &asked));
        assert_int_equal(asked.rail.operation, PORT_RAIL_AUTHORIZE);
        assert_true(asked.rail.id == rail.id);
        assert_true(asked.rail.original_id == 99);
        assert_true(asked.rail.agreement_id == U128_MAX);
        assert_true(asked.rail.capture);
        assert_true(asked.rail.off_session);
        assert_true(asked.rail.sets_up);
        assert_false(asked.rail.may_challenge);
        assert_false(asked.rail.wants_proof);
        assert_int_equal(asked.rail.amount.amount, 1999);
        assert_ptr_equal(asked.rail.amount.currency, rail.amount.currency);
        assert_string_equal(asked.card.number, t_card.number);
        assert_string_equal(asked.card.cvc, "123");
        assert_int_equal(asked.card.exp_month, 12);
        assert_int_equal(asked.card.exp_year, 2034);
        assert_true(span_equal_cstr(asked.rail.postal_code, "1010"));
        assert_true(span_equal_cstr(asked.rail.address_line1, "Stra??e 1"));
    }
    assert_true(span_equal_cstr(iso8583_get(&t_message, 22), "102"));
    rail.off_session = false;
    rail.amount.amount = 0;
    t_build(&rail, &t_card);
    assert_true(span_equal_cstr(iso8583_get(&t_message, 22), "812"));
    assert_true(span_equal_cstr(iso8583_get(&t_message, 25), "51"));
}

static void
follow_up_test(void **state)
{
    (void)state;

    const struct {
        enum port_rail_operation operation;
        uint16_t type;
    } all[] = {
        {PORT_RAIL_INCREMENT, 100},
        {PORT_RAIL_CAPTURE, 220},
        {PORT_RAIL_VOID, 420},
        {PORT_RAIL_REFUND, 200},
        {PORT_RAIL_REPORT, 600},
        {PORT_RAIL_ACCEPT, 620},
    };
    static struct network_asked asked;
    char reference[12];
    network_reference(u128_make(UINT64_MAX, 4), reference);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct port_rail_request rail = t_rail(all[i].operation);
        t_build(&rail, &t_card);
        assert_int_equal(t_message.type, all[i].type);
        assert_int_equal(network_request_type(&rail, true), all[i].type + 1);
        /* NETWORK-5: only an authorization has the card. */
        assert_false(iso8583_has(&t_message, 2));
        assert_false(iso8583_has(&t_message, 14));
        assert_true(span_equal(iso8583_get(&t_message, 37), span_of(reference, 12)));
        t_travel(&iso8583_ascii, &t_message);
        assert_null(network_request_read(&t_message, &asked));
        assert_int_equal(asked.rail.operation, all[i].operation);
        assert_true(asked.rail.id == rail.id);
        assert_true(asked.rail.original_id == rail.original_id);
        assert_true(asked.rail.scope == rail.scope);
        assert_string_equal(asked.card.number, "");
    }
    struct port_rail_request rail = t_rail(PORT_RAIL_VOID);
    t_build(&rail, &t_card);
    assert_true(
        span_equal_cstr(iso8583_get(&t_message, 90), "020000000611230714590000012345600000000000"));
    assert_int_equal(network_answer_type(421), 430);
    assert_int_equal(network_answer_type(100), 110);
}

static void
amount_test(void **state)
{
    (void)state;
    struct port_rail_request rail = t_rail(PORT_RAIL_CAPTURE);
    const struct network_request request = {
        .identity = &t_identity, .rail = &rail, .card = &t_card};
    rail.amount.amount = INT64_C(999999999999);
    assert_int_equal(network_request_build(&request, &t_message), ERR_OK);
    rail.amount.amount++;
    assert_int_equal(network_request_build(&request, &t_message), ERR_RANGE);
    rail.amount.amount = -1;
    assert_int_equal(network_request_build(&request, &t_message), ERR_RANGE);
}

static void
refused_test(void **state)
{
    (void)state;
    static struct network_asked asked;
    struct port_rail_request rail = t_rail(PORT_RAIL_AUTHORIZE);

    const struct {
        unsigned field;
        const char *value;
        const char *code;
    } all[] = {
        {48, "01004beef", "30"},
        {48, "", "12"},
        {49, "000", "13"},
        {14, "2913", "30"},
        {2, "4242", "30"},
        {42, "ZZZZZZZZZZZZZZZ", "03"},
        {42, "00000000000000a", "03"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        static struct iso8583_message changed;
        t_build(&rail, &t_card);
        iso8583_init(&changed, t_message.type);
        for (unsigned field = 2; field <= ISO8583_FIELDS; field++) {
            struct span value = field == all[i].field ? span_from_cstr(all[i].value)
                                                      : iso8583_get(&t_message, field);
            if (iso8583_has(&t_message, field)) {
                assert_int_equal(iso8583_set(&changed, field, value), ERR_OK);
            }
        }
        assert_string_equal(network_request_read(&changed, &asked), all[i].code);
    }
    t_message.type = 302;
    assert_string_equal(network_request_read(&t_message, &asked), "12");
}

static void
t_answer(const struct port_rail_answer *answer, enum port_rail_operation operation, bool reads)
{
    struct port_rail_request rail = t_rail(operation);
    struct port_rail_answer read;
    struct network_echo echo;
    t_build(&rail, &t_card);
    network_echo_take(&t_message, &echo);
    assert_int_equal(network_answer_build(&echo, operation, answer, &t_answered), ERR_OK);
    t_travel(&iso8583_binary, &t_answered);
    assert_true(network_answer_read(&t_answered, &rail, &read) == reads);
    assert_false(iso8583_has(&t_answered, 2));
    assert_true(span_equal_cstr(iso8583_get(&t_answered, 41), "TAEL0001"));
    if (reads) {
        assert_int_equal(read.outcome, answer->outcome);
        assert_string_equal(read.error_code, answer->error_code);
        assert_string_equal(read.decline_code, answer->decline_code);
        assert_string_equal(read.advice_code, answer->advice_code);
        assert_string_equal(read.network_code, answer->network_code);
        assert_string_equal(read.authorization_code, answer->authorization_code);
        assert_string_equal(read.network_transaction_id, answer->network_transaction_id);
        assert_string_equal(read.risk_level, answer->risk_level);
        assert_int_equal(read.risk_score, answer->risk_score);
        assert_int_equal(read.cvc_check, answer->cvc_check);
        assert_int_equal(read.address_check, answer->address_check);
        assert_int_equal(read.postal_code_check, answer->postal_code_check);
        assert_int_equal(read.proof, answer->proof);
        assert_int_equal(read.straight_to_available, answer->straight_to_available);
        assert_int_equal(read.captured, answer->captured);
        assert_int_equal(read.voided, answer->voided);
        assert_int_equal(read.authorized_amount, answer->authorized_amount);
        assert_int_equal(read.captured_amount, answer->captured_amount);
        assert_int_equal(read.refunded_amount, answer->refunded_amount);
        assert_int_equal(read.disputed_amount, answer->disputed_amount);
        assert_int_equal(read.reinstated_amount, answer->reinstated_amount);
    }
}

/* Everything that the port's answer can say arrives. */
static void
answer_test(void **state)
{
    (void)state;
    const struct port_rail_answer all[] = {
        {.outcome = PORT_RAIL_APPROVED,
         .authorization_code = "123456",
         .network_transaction_id = "000000000000017",
         .risk_level = "elevated",
         .risk_score = 70,
         .cvc_check = PORT_RAIL_CHECK_PASS,
         .address_check = PORT_RAIL_CHECK_FAIL,
         .postal_code_check = PORT_RAIL_CHECK_UNAVAILABLE,
         .proof = PORT_RAIL_PROOF_ATTEMPTED,
         .straight_to_available = true,
         .captured = true,
         .authorized_amount = 3000,
         .captured_amount = 2000,
         .refunded_amount = 1000,
         .disputed_amount = 900,
         .reinstated_amount = INT64_C(999999999999)},
        {.outcome = PORT_RAIL_DECLINED,
         .error_code = "card_declined",
         .decline_code = "generic_decline",
         .advice_code = "try_again_later",
         .network_code = "05"},
        {.outcome = PORT_RAIL_DECLINED,
         .error_code = "card_declined",
         .decline_code = "insufficient_funds",
         .advice_code = "try_again_later",
         .network_code = "51"},
        {.outcome = PORT_RAIL_DECLINED, /* not sent to the network */
         .error_code = "card_declined",
         .decline_code = "fraudulent",
         .advice_code = "do_not_try_again",
         .risk_level = "highest",
         .risk_score = 92},
        {.outcome = PORT_RAIL_DECLINED,
         .error_code = "authentication_required",
         .decline_code = "authentication_required",
         .network_code = "1A"},
        {.outcome = PORT_RAIL_PENDING},
        {.outcome = PORT_RAIL_FAILED},
        {.outcome = PORT_RAIL_NOT_FOUND},
        {.outcome = PORT_RAIL_CHALLENGE},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        t_answer(&all[i], PORT_RAIL_AUTHORIZE, true);
        t_answer(&all[i], PORT_RAIL_REPORT, true);
    }
}

static bool
t_read(
    const char *code,
    const char *elements,
    struct port_rail_request *rail,
    struct port_rail_answer *ret)
{
    iso8583_init(&t_message, network_answer_type(network_request_type(rail, false)));
    assert_int_equal(iso8583_set(&t_message, 39, span_from_cstr(code)), ERR_OK);
    if (elements != NULL) {
        assert_int_equal(iso8583_set(&t_message, 48, span_from_cstr(elements)), ERR_OK);
    }
    return network_answer_read(&t_message, rail, ret);
}

/* A host that knows nothing of our elements says all with DE 39. */
static void
foreign_test(void **state)
{
    (void)state;

    const struct {
        const char *code;
        enum port_rail_operation operation;
        enum port_rail_outcome outcome;
        const char *decline_code;
    } all[] = {
        {"00", PORT_RAIL_AUTHORIZE, PORT_RAIL_APPROVED, ""},
        {"85", PORT_RAIL_AUTHORIZE, PORT_RAIL_APPROVED, ""},
        {"05", PORT_RAIL_AUTHORIZE, PORT_RAIL_DECLINED, "do_not_honor"},
        {"ZZ", PORT_RAIL_AUTHORIZE, PORT_RAIL_DECLINED, "generic_decline"},
        {"68", PORT_RAIL_AUTHORIZE, PORT_RAIL_UNKNOWN, ""},
        {"25", PORT_RAIL_AUTHORIZE, PORT_RAIL_DECLINED, "invalid_account"},
        {"25", PORT_RAIL_VOID, PORT_RAIL_NOT_FOUND, ""},
        {"21", PORT_RAIL_VOID, PORT_RAIL_NOT_FOUND, ""},
        {"91", PORT_RAIL_VOID, PORT_RAIL_UNKNOWN, ""},
        {"96", PORT_RAIL_VOID, PORT_RAIL_UNKNOWN, ""},
        {"12", PORT_RAIL_VOID, PORT_RAIL_DECLINED, "transaction_not_allowed"},
        {"91", PORT_RAIL_AUTHORIZE, PORT_RAIL_DECLINED, "issuer_not_available"},
        {"91", PORT_RAIL_REPORT, PORT_RAIL_UNKNOWN, ""},
        {"25", PORT_RAIL_REPORT, PORT_RAIL_NOT_FOUND, ""},
        {"00", PORT_RAIL_NEWS, PORT_RAIL_APPROVED, ""},
        {"12", PORT_RAIL_NEWS, PORT_RAIL_DECLINED, "transaction_not_allowed"},
        {"91", PORT_RAIL_EVIDENCE, PORT_RAIL_UNKNOWN, ""},
        {"21", PORT_RAIL_ACCEPT, PORT_RAIL_DECLINED, "processing_error"},
        {"25", PORT_RAIL_EVIDENCE, PORT_RAIL_NOT_FOUND, ""},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct port_rail_answer answer;
        struct port_rail_request rail = t_rail(all[i].operation);
        assert_true(t_read(all[i].code, NULL, &rail, &answer));
        assert_int_equal(answer.outcome, all[i].outcome);
        assert_string_equal(answer.decline_code, all[i].decline_code);
    }
    struct port_rail_answer answer;
    struct port_rail_request rail = t_rail(PORT_RAIL_AUTHORIZE);
    rail.may_challenge = true;
    assert_true(t_read("1A", NULL, &rail, &answer));
    assert_int_equal(answer.outcome, PORT_RAIL_CHALLENGE);
}

/* NETWORK-3: what contradicts itself is no answer; words that are none do not go on to merchants.
 */
static void
nonsense_test(void **state)
{
    (void)state;
    struct port_rail_answer answer;
    struct port_rail_request rail = t_rail(PORT_RAIL_AUTHORIZE);
    assert_true(t_read("00", "50001A560081999,0,0", &rail, &answer));
    assert_false(t_read("00", "50001A56006-1,0,0", &rail, &answer));
    assert_false(t_read("00", "50001A560091999,-1,0", &rail, &answer));
    assert_false(t_read("51", "50001A", &rail, &answer));
    assert_false(t_read("00", "50001D", &rail, &answer));
    assert_false(t_read("00", "50001?", &rail, &answer));
    assert_false(t_read("00", "50001Z", &rail, &answer));
    assert_false(t_read("0", NULL, &rail, &answer));
    assert_false(t_read("00", "50001A56003x,y", &rail, &answer));
    assert_false(t_read("00", "560071,2,3,4", &rail, &answer));
    assert_true(t_read("00", "560051,2,3", &rail, &answer)); /* a host without disputes */
    assert_int_equal(answer.refunded_amount, 3);
    assert_true(t_read("51", "50001D51010<b>,a,b,cc", &rail, &answer));
    assert_string_equal(answer.error_code, "card_declined");
    assert_string_equal(answer.decline_code, "insufficient_funds");
}

/* Each code once, with all of its words or none. */
static void
codes_test(void **state)
{
    (void)state;
    const struct network_code *code;
    for (size_t i = 1; (code = network_code_at(i)) != NULL; i++) {
        assert_int_equal(strlen(code->code), 2);
        assert_ptr_equal(network_code_find(span_from_cstr(code->code)), code);
        assert_int_equal(network_code_index(code), i);
        assert_true((code->error_code == NULL) == (code->decline_code == NULL));
        assert_true((code->error_code == NULL) == (code->advice_code == NULL));
    }
}

static void
date_time_test(void **state)
{
    (void)state;
    assert_int_equal(network_date_time(0), 101000000);
    assert_int_equal(network_date_time(1763881500), 1123070500); /* 2025-11-23T07:05:00Z */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authorize_test),
        cmocka_unit_test(follow_up_test),
        cmocka_unit_test(amount_test),
        cmocka_unit_test(refused_test),
        cmocka_unit_test(answer_test),
        cmocka_unit_test(foreign_test),
        cmocka_unit_test(nonsense_test),
        cmocka_unit_test(codes_test),
        cmocka_unit_test(date_time_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
