/* Disputes in messages: what the network tells, and evidence in parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evidence.h"
#include "testing.h"

#include <stdlib.h>

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
        t_build(&rail, &t_card);
        assert_null(network_request_read(&t_message, &asked));
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
    t_build(&rail, &t_card);
    assert_int_equal(t_message.type, 600);
    t_travel(&iso8583_ascii, &t_message);
    assert_null(network_request_read(&t_message, &asked));
    assert_int_equal(asked.rail.operation, PORT_RAIL_NEWS);
    assert_true(asked.rail.position == behind);
    network_echo_take(&t_message, &echo);
    assert_int_equal(network_answer_build(&echo, PORT_RAIL_NEWS, &answer, &t_answered), ERR_OK);
    t_travel(&iso8583_binary, &t_answered);
    assert_true(network_answer_read(&t_answered, &rail, &read));
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

/* NETWORK-8. */
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
                .identity = &t_identity, .rail = &rail, .card = &t_card, .part = part};
            assert_int_equal(network_request_build(&request, &t_message), ERR_OK);
            assert_int_equal(t_message.type, 620);
            t_travel(part % 2 == 0 ? &iso8583_ascii : &iso8583_binary, &t_message);
            assert_null(network_request_read(&t_message, &asked));
            assert_int_equal(asked.rail.operation, PORT_RAIL_EVIDENCE);
            assert_int_equal(asked.part, part);
            assert_int_equal(asked.parts, parts);
            assert_true(network_part_get(&t_message, memory, &bytes));
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
        .identity = &t_identity, .rail = &rail, .card = &t_card, .part = 1};
    assert_int_equal(network_request_build(&request, &t_message), ERR_RANGE);
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

/* NETWORK-8: repeats, gaps, other counts, and more under way than there is room for. */
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
        iso8583_init(&t_message, 620);
        assert_int_equal(iso8583_set(&t_message, 121, span_from_cstr(texts[i])), ERR_OK);
        assert_false(network_part_get(&t_message, memory, &part));
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_test),
        cmocka_unit_test(notice_test),
        cmocka_unit_test(no_notice_test),
        cmocka_unit_test(evidence_test),
        cmocka_unit_test(parts_test),
        cmocka_unit_test(no_evidence_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
