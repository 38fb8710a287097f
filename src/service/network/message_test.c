#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codes.h"
#include "evidence.h"
#include "message.h"

#include <stdlib.h>
#include <string.h>

static struct iso8583_message message, answered;
static const struct network_identity identity = {"TAEL0001", "123456", 5999};

/* Over the wire and back, in the dialect. */
static void
t_travel(const struct iso8583_dialect *dialect, struct iso8583_message *it)
{
    char memory[ISO8583_MESSAGE_MAX];
    struct iso8583_refusal refusal;
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    err_t result = iso8583_encode(dialect, it, &out, &refusal);
    if (result != ERR_OK) {
        print_message("field %u: %s\n", refusal.field, iso8583_problem_text(refusal.problem));
    }
    assert_int_equal(result, ERR_OK);
    assert_int_equal(iso8583_decode(dialect, buf_span(&out), it, &refusal), ERR_OK);
}

static struct port_rail_request
t_rail(enum port_rail_operation operation)
{
    return (struct port_rail_request){
        .operation = operation,
        .scope = UINT64_MAX,
        .id = operation == PORT_RAIL_REPORT ? 0 : u128_make(1, 2),
        .original_id = operation == PORT_RAIL_AUTHORIZE ? 0 : u128_make(UINT64_MAX, 4),
        .amount = {1999, currency_find(SPAN("EUR"))},
    };
}

static void
t_build(const struct port_rail_request *rail, const struct port_network_card *card)
{
    const struct network_request request = {
        .identity = &identity,
        .rail = rail,
        .card = card,
        .trace = {.stan = 7, .date_time = 1123071500},
        .original_type = 200,
        .original = {.stan = 6, .date_time = 1123071459},
    };
    assert_int_equal(network_request_build(&request, &message), ERR_OK);
}

static const struct port_network_card card = {"4242424242424242", "123", 12, 2034};

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
        t_build(&rail, &card);
        assert_int_equal(message.type, 200);
        t_travel(i == 0 ? &iso8583_ascii : &iso8583_binary, &message);
        assert_null(network_request_read(&message, &asked));
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
        assert_string_equal(asked.card.number, card.number);
        assert_string_equal(asked.card.cvc, "123");
        assert_int_equal(asked.card.exp_month, 12);
        assert_int_equal(asked.card.exp_year, 2034);
        assert_true(span_equal_cstr(asked.rail.postal_code, "1010"));
        assert_true(span_equal_cstr(asked.rail.address_line1, "Stra??e 1"));
    }
    assert_true(span_equal_cstr(iso8583_get(&message, 22), "102"));
    rail.off_session = false;
    rail.amount.amount = 0;
    t_build(&rail, &card);
    assert_true(span_equal_cstr(iso8583_get(&message, 22), "812"));
    assert_true(span_equal_cstr(iso8583_get(&message, 25), "51"));
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
        t_build(&rail, &card);
        assert_int_equal(message.type, all[i].type);
        assert_int_equal(network_request_type(&rail, true), all[i].type + 1);
        /* NETWORK-5: only an authorization has the card. */
        assert_false(iso8583_has(&message, 2));
        assert_false(iso8583_has(&message, 14));
        assert_true(span_equal(iso8583_get(&message, 37), span_of(reference, 12)));
        t_travel(&iso8583_ascii, &message);
        assert_null(network_request_read(&message, &asked));
        assert_int_equal(asked.rail.operation, all[i].operation);
        assert_true(asked.rail.id == rail.id);
        assert_true(asked.rail.original_id == rail.original_id);
        assert_true(asked.rail.scope == rail.scope);
        assert_string_equal(asked.card.number, "");
    }
    struct port_rail_request rail = t_rail(PORT_RAIL_VOID);
    t_build(&rail, &card);
    assert_true(
        span_equal_cstr(iso8583_get(&message, 90), "020000000611230714590000012345600000000000"));
    assert_int_equal(network_answer_type(421), 430);
    assert_int_equal(network_answer_type(100), 110);
}

static void
amount_test(void **state)
{
    (void)state;
    struct port_rail_request rail = t_rail(PORT_RAIL_CAPTURE);
    const struct network_request request = {.identity = &identity, .rail = &rail, .card = &card};
    rail.amount.amount = INT64_C(999999999999);
    assert_int_equal(network_request_build(&request, &message), ERR_OK);
    rail.amount.amount++;
    assert_int_equal(network_request_build(&request, &message), ERR_RANGE);
    rail.amount.amount = -1;
    assert_int_equal(network_request_build(&request, &message), ERR_RANGE);
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
        t_build(&rail, &card);
        iso8583_init(&changed, message.type);
        for (unsigned field = 2; field <= ISO8583_FIELDS; field++) {
            struct span value =
                field == all[i].field ? span_from_cstr(all[i].value) : iso8583_get(&message, field);
            if (iso8583_has(&message, field)) {
                assert_int_equal(iso8583_set(&changed, field, value), ERR_OK);
            }
        }
        assert_string_equal(network_request_read(&changed, &asked), all[i].code);
    }
    message.type = 302;
    assert_string_equal(network_request_read(&message, &asked), "12");
}

static void
t_answer(const struct port_rail_answer *answer, enum port_rail_operation operation, bool reads)
{
    struct port_rail_request rail = t_rail(operation);
    struct port_rail_answer read;
    struct network_echo echo;
    t_build(&rail, &card);
    network_echo_take(&message, &echo);
    assert_int_equal(network_answer_build(&echo, operation, answer, &answered), ERR_OK);
    t_travel(&iso8583_binary, &answered);
    assert_true(network_answer_read(&answered, &rail, &read) == reads);
    assert_false(iso8583_has(&answered, 2));
    assert_true(span_equal_cstr(iso8583_get(&answered, 41), "TAEL0001"));
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
    iso8583_init(&message, network_answer_type(network_request_type(rail, false)));
    assert_int_equal(iso8583_set(&message, 39, span_from_cstr(code)), ERR_OK);
    if (elements != NULL) {
        assert_int_equal(iso8583_set(&message, 48, span_from_cstr(elements)), ERR_OK);
    }
    return network_answer_read(&message, rail, ret);
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

/* --- disputes --- */

/* What takes the money names the charge that it will be; what only holds it does not. */
static void
reference_test(void **state)
{
    (void)state;
    static struct network_asked asked;

    const struct {
        enum port_rail_operation operation;
        bool capture, named;
    } all[] = {
        {PORT_RAIL_AUTHORIZE, true, true},
        {PORT_RAIL_AUTHORIZE, false, false},
        {PORT_RAIL_CAPTURE, false, true},
        {PORT_RAIL_REFUND, false, false},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct port_rail_request rail = t_rail(all[i].operation);
        rail.capture = all[i].capture;
        rail.reference = U128_MAX - 7;
        t_build(&rail, &card);
        assert_null(network_request_read(&message, &asked));
        assert_true(asked.rail.reference == (all[i].named ? rail.reference : 0));
    }
}

static void
t_notice(const struct port_rail_notice *notice, uint64_t behind)
{
    struct port_rail_request rail = t_rail(PORT_RAIL_NEWS);
    const struct port_rail_answer answer = {.outcome = PORT_RAIL_APPROVED, .notice = *notice};
    static struct network_asked asked;
    struct network_echo echo;
    struct port_rail_answer read;
    rail.id = rail.original_id = 0;
    rail.position = behind;
    t_build(&rail, &card);
    assert_int_equal(message.type, 600);
    t_travel(&iso8583_ascii, &message);
    assert_null(network_request_read(&message, &asked));
    assert_int_equal(asked.rail.operation, PORT_RAIL_NEWS);
    assert_true(asked.rail.position == behind);
    network_echo_take(&message, &echo);
    assert_int_equal(network_answer_build(&echo, PORT_RAIL_NEWS, &answer, &answered), ERR_OK);
    t_travel(&iso8583_binary, &answered);
    assert_true(network_answer_read(&answered, &rail, &read));
    assert_int_equal(read.notice.news, notice->news);
    assert_true(read.notice.position == notice->position);
    assert_true(read.notice.dispute == notice->dispute);
    assert_true(read.notice.authorization == notice->authorization);
    assert_true(read.notice.reference == notice->reference);
    assert_true(read.notice.scope == notice->scope);
    assert_int_equal(read.notice.amount, notice->amount);
    assert_true(read.notice.opened_ms == notice->opened_ms);
    assert_true(read.notice.due_ms == notice->due_ms);
    assert_string_equal(read.notice.reason, notice->reason);
    assert_string_equal(read.notice.network_code, notice->network_code);
}

static const struct port_rail_notice whole = {
    .news = PORT_RAIL_NEWS_DISPUTED,
    .position = INT64_MAX,
    .dispute = 1,
    .authorization = U128_MAX,
    .reference = U128_MAX - 1,
    .scope = UINT64_MAX,
    .amount = INT64_C(999999999999),
    .opened_ms = UINT64_C(253402300799999),
    .due_ms = 1,
    .reason = "product_not_received",
    .network_code = "13.1",
};

static void
notice_test(void **state)
{
    (void)state;
    const struct port_rail_notice none = {.news = PORT_RAIL_NEWS_NONE};
    t_notice(&whole, INT64_MAX - 1);
    for (enum port_rail_news news = PORT_RAIL_NEWS_INQUIRY; news <= PORT_RAIL_NEWS_CLOSED; news++) {
        struct port_rail_notice notice = whole;
        notice.news = news;
        notice.position = 1;
        t_notice(&notice, 0);
    }
    t_notice(&none, UINT64_MAX);
}

/* The elements of `whole`, but for one, which says `value`, or is left out. */
static bool
t_notice_with(unsigned changed, const char *value, struct port_rail_notice *ret_notice)
{
    char memory[999];
    char other[999];
    struct buf good;
    struct buf out;
    struct span element;
    unsigned tag;
    buf_init_fixed(&good, memory, sizeof(memory));
    buf_init_fixed(&out, other, sizeof(other));
    network_notice_append(&good, &whole);
    struct span rest = buf_span(&good);
    while (iso8583_element_next(&rest, &tag, &element)) {
        if (tag != changed) {
            iso8583_element_append(&out, tag, element);
        } else if (value != NULL) {
            iso8583_element_append(&out, tag, span_from_cstr(value));
        }
    }
    return network_notice_read(buf_span(&out), 5, ret_notice);
}

static void
no_notice_test(void **state)
{
    (void)state;
    struct port_rail_notice notice;

    const struct {
        unsigned tag;
        const char *value; /* NULL: left out */
    } all[] = {
        {NETWORK_NEWS, "X"},
        {NETWORK_NEWS, "DW"},
        {NETWORK_NEWS, ""},
        {NETWORK_NEWS_POSITION, NULL},
        {NETWORK_NEWS_POSITION, "5"}, /* not behind what is known */
        {NETWORK_NEWS_POSITION, "0"},
        {NETWORK_NEWS_POSITION, "9223372036854775808"},
        {NETWORK_NEWS_DISPUTE, NULL},
        {NETWORK_NEWS_DISPUTE, "00000000000000000000000000000000"},
        {NETWORK_NEWS_AUTHORIZATION, "1"},
        {NETWORK_NEWS_REFERENCE, "g0000000000000000000000000000000"},
        {NETWORK_NEWS_SCOPE, NULL},
        {NETWORK_NEWS_SCOPE, "ZZZZZZZZZZZZZZZ"},
        {NETWORK_NEWS_SCOPE, "0"},
        {NETWORK_NEWS_AMOUNT, "0"},
        {NETWORK_NEWS_AMOUNT, "-1"},
        {NETWORK_NEWS_AMOUNT, "1000000000000"},
        {NETWORK_NEWS_TIMES, NULL},
        {NETWORK_NEWS_TIMES, "1"},
        {NETWORK_NEWS_TIMES, "1,253402300800000"},
    };

    assert_true(t_notice_with(0, NULL, &notice));
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_false(t_notice_with(all[i].tag, all[i].value, &notice));
    }
    /* What merchants are shown is of the public API, or left out. */
    assert_true(t_notice_with(NETWORK_NEWS_REASON, "<script>", &notice));
    assert_string_equal(notice.reason, "general");
    assert_true(t_notice_with(NETWORK_NEWS_REASON, NULL, &notice));
    assert_string_equal(notice.reason, "general");
    assert_true(t_notice_with(NETWORK_NEWS_CODE, "1<0>.4567890", &notice));
    assert_string_equal(notice.network_code, "10.4567");
    /* None at all: a network without disputes. */
    assert_true(t_notice_with(NETWORK_NEWS, NULL, &notice));
    assert_int_equal(notice.news, PORT_RAIL_NEWS_NONE);
}

static char large[NETWORK_EVIDENCE_MAX + 1];

/* Every size around the edges of groups, fields and parts comes whole, in both dialects. */
static void
evidence_test(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 4, 746, 747, 748, 2240, 2241, 2242, 150000, 1048788};
    static struct network_asked asked;
    struct network_evidences evidences;
    struct port_rail_request rail = t_rail(PORT_RAIL_EVIDENCE);
    network_evidences_init(&evidences);
    for (size_t i = 0; i < sizeof(large); i++) {
        large[i] = (char)(i * 31 + i / 256);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        rail.evidence = span_of(large, sizes[i]);
        rail.id = i + 1;
        uint16_t parts = network_part_count(rail.evidence);
        assert_int_equal(parts, (sizes[i] + 2240) / 2241);
        char *got = NULL;
        size_t size = 0;
        for (uint16_t part = 1; part <= parts; part++) {
            char memory[NETWORK_PART];
            struct span bytes;
            const struct network_request request = {
                .identity = &identity, .rail = &rail, .card = &card, .part = part};
            assert_int_equal(network_request_build(&request, &message), ERR_OK);
            assert_int_equal(message.type, 620);
            t_travel(part % 2 == 0 ? &iso8583_ascii : &iso8583_binary, &message);
            assert_null(network_request_read(&message, &asked));
            assert_int_equal(asked.rail.operation, PORT_RAIL_EVIDENCE);
            assert_int_equal(asked.part, part);
            assert_int_equal(asked.parts, parts);
            assert_true(network_part_get(&message, memory, &bytes));
            assert_int_equal(
                network_evidence_add(&evidences, &asked, bytes, &got, &size),
                part < parts ? ERR_INCOMPLETE : ERR_OK);
        }
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(got, large, size);
        free(got);
    }
    network_evidences_release(&evidences);
    rail.evidence = span_of(large, sizeof(large));
    const struct network_request request = {
        .identity = &identity, .rail = &rail, .card = &card, .part = 1};
    assert_int_equal(network_request_build(&request, &message), ERR_RANGE);
}

static err_t
t_part(struct network_evidences *evidences, u128 id, uint16_t part, uint16_t parts)
{
    struct network_asked asked = {.rail = {.id = id}, .part = part, .parts = parts};
    char *got = NULL;
    size_t size = 0;
    const char text[] = {(char)('0' + part)};
    err_t result = network_evidence_add(evidences, &asked, span_of(text, 1), &got, &size);
    if (result == ERR_OK) {
        assert_int_equal(size, parts);
        assert_memory_equal(got, "123456789", size);
        free(got);
    }
    return result;
}

/* Repeats, gaps, other counts, and more under way than there is room for. */
static void
parts_test(void **state)
{
    (void)state;
    struct network_evidences evidences;
    network_evidences_init(&evidences);
    assert_int_equal(t_part(&evidences, 1, 2, 3), ERR_INVALID);
    assert_int_equal(t_part(&evidences, 1, 1, 3), ERR_INCOMPLETE);
    assert_int_equal(t_part(&evidences, 1, 3, 3), ERR_INVALID);
    assert_int_equal(t_part(&evidences, 1, 2, 4), ERR_INVALID);
    assert_int_equal(t_part(&evidences, 1, 2, 3), ERR_INCOMPLETE);
    assert_int_equal(t_part(&evidences, 1, 1, 3), ERR_INCOMPLETE);
    assert_int_equal(t_part(&evidences, 1, 3, 3), ERR_OK);
    assert_int_equal(t_part(&evidences, 1, 3, 3), ERR_OK);
    for (u128 id = 2; id < 2 + NETWORK_EVIDENCES_MAX; id++) {
        assert_int_equal(t_part(&evidences, id, 1, 2), ERR_INCOMPLETE);
    }
    assert_int_equal(evidences.count, NETWORK_EVIDENCES_MAX);
    assert_int_equal(t_part(&evidences, 1, 3, 3), ERR_INVALID); /* forgotten */
    assert_int_equal(t_part(&evidences, 2, 2, 2), ERR_OK);
    network_evidences_release(&evidences);
    assert_int_equal(evidences.count, 0);
}

/* What is no part of evidence, or no answer to a dispute. */
static void
no_evidence_test(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "A",
        "AAA",
        "AA=A",
        "A===",
        "AB==",
        "AAB=",
        "AA==AAAA",
        "AA A",
        "AAAA\n",
        "====",
        "AA-_"};
    static const char *const contests[] = {
        "", "B", "1", "0,1", "2,1", "1,469", "1,", ",1", "1,2,3", "-1,1"};
    struct network_asked asked;
    char memory[NETWORK_PART];
    struct span part;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        iso8583_init(&message, 620);
        assert_int_equal(iso8583_set(&message, 121, span_from_cstr(texts[i])), ERR_OK);
        assert_false(network_part_get(&message, memory, &part));
    }
    for (size_t i = 0; i < sizeof(contests) / sizeof(contests[0]); i++) {
        char elements[64];
        struct buf out;
        buf_init_fixed(&out, elements, sizeof(elements));
        iso8583_element_append(&out, NETWORK_CONTEST, span_from_cstr(contests[i]));
        assert_false(network_contest_read(buf_span(&out), &asked));
    }
    assert_false(network_contest_read(SPAN_EMPTY, &asked));
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
        cmocka_unit_test(reference_test),
        cmocka_unit_test(notice_test),
        cmocka_unit_test(no_notice_test),
        cmocka_unit_test(evidence_test),
        cmocka_unit_test(parts_test),
        cmocka_unit_test(no_evidence_test),
        cmocka_unit_test(codes_test),
        cmocka_unit_test(date_time_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
