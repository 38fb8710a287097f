#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "issuer/issuer.h"
#include "os/sim.h"
#include "os/sim_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T_STEPS 100000

struct t_bench {
    struct os_sim *sim;
    struct os_sim_disk *disk;
    struct os_loop *loop;
    struct issuer *issuer;
    struct issuer_settings settings;
    uint32_t answers;
};

static void
t_start(struct t_bench *bench)
{
    assert_int_equal(os_loops_create(os_sim_loops(bench->sim), "issuer", &bench->loop), ERR_OK);
    struct issuer_parts parts = {
        .loop = bench->loop,
        .clock = os_sim_clock(bench->sim),
        .entropy = os_sim_entropy(bench->sim),
        .disk = os_sim_disk_ops(bench->disk),
        .folder = "issuer",
        .settings = bench->settings,
    };
    assert_int_equal(issuer_create(&parts, &bench->issuer), ERR_OK);
    assert_int_equal(os_loop_start(bench->loop), ERR_OK);
}

static void
t_stop(struct t_bench *bench)
{
    os_loop_stop(bench->loop);
    issuer_destroy(&bench->issuer);
    os_loop_destroy(bench->loop);
}

static int
setup(void **state)
{
    struct t_bench *bench = calloc(1, sizeof(*bench));
    struct os_sim_disk_settings settings = {.seed = 3};
    assert_non_null(bench);
    assert_int_equal(os_sim_create(11, &bench->sim), ERR_OK);
    assert_int_equal(os_sim_disk_create(&settings, &bench->disk), ERR_OK);
    bench->settings = issuer_settings_default();
    t_start(bench);
    *state = bench;
    return 0;
}

static int
teardown(void **state)
{
    struct t_bench *bench = *state;
    t_stop(bench);
    os_sim_disk_destroy(&bench->disk);
    os_sim_destroy(&bench->sim);
    free(bench);
    return 0;
}

static void
count_answer(struct port_network_request *request)
{
    struct t_bench *bench = request->vault;
    bench->answers++;
}

/* Sends one request and lets ten seconds pass, which is its deadline. */
static struct port_rail_answer
t_send(struct t_bench *bench, struct port_rail_request *rail, const char *number)
{
    struct port_network_request request = {
        .reply_to = os_loop_executor(bench->loop),
        .done = count_answer,
        .rail = rail,
        .vault = bench,
    };
    uint32_t before = bench->answers;
    rail->deadline_ns = os_monotonic_ns(os_sim_clock(bench->sim)) + 10 * OS_NS_PER_S;
    (void)snprintf(request.card.number, sizeof(request.card.number), "%s", number);
    (void)snprintf(request.card.cvc, sizeof(request.card.cvc), "123");
    struct port_network *network = issuer_network(bench->issuer);
    network->submit(network, &request);
    assert_true(os_sim_run_for(bench->sim, 11 * OS_NS_PER_S, T_STEPS));
    assert_int_equal(request.error, ERR_OK);
    assert_int_equal(bench->answers, before + 1);
    static const struct port_network_card wiped;
    assert_memory_equal(&request.card, &wiped, sizeof(wiped));
    return request.answer;
}

static struct port_rail_answer
t_ask(
    struct t_bench *bench,
    enum port_rail_operation operation,
    uint32_t id,
    uint32_t original,
    int64_t amount)
{
    struct port_rail_request rail = {
        .operation = operation,
        .id = id,
        .original_id = original,
        .reference = 1000 + id,
        .amount = {.amount = amount, .currency = currency_find(SPAN("usd"))},
    };
    return t_send(bench, &rail, "");
}

static struct port_rail_answer
t_authorize(struct t_bench *bench, uint32_t id, int64_t amount, bool capture, const char *number)
{
    struct port_rail_request rail = {
        .operation = PORT_RAIL_AUTHORIZE,
        .id = id,
        .capture = capture,
        .reference = 1000 + id,
        .amount = {.amount = amount, .currency = currency_find(SPAN("usd"))},
    };
    return t_send(bench, &rail, number);
}

static void
test_life_of_a_payment(void **state)
{
    struct t_bench *bench = *state;
    assert_int_equal(
        t_authorize(bench, 1, 1000, false, "4242424242424242").outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(bench, PORT_RAIL_CAPTURE, 2, 1, 1001).outcome, PORT_RAIL_DECLINED);
    assert_int_equal(t_ask(bench, PORT_RAIL_CAPTURE, 3, 1, 600).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(bench, PORT_RAIL_CAPTURE, 4, 1, 100).outcome, PORT_RAIL_DECLINED);
    assert_int_equal(t_ask(bench, PORT_RAIL_REFUND, 5, 1, 400).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(bench, PORT_RAIL_REFUND, 6, 1, 201).outcome, PORT_RAIL_DECLINED);
    /* ISSUER-2: a repeat changes nothing and answers the same. */
    assert_int_equal(t_ask(bench, PORT_RAIL_REFUND, 5, 1, 400).outcome, PORT_RAIL_APPROVED);
    struct port_rail_answer report = t_ask(bench, PORT_RAIL_REPORT, 0, 1, 0);
    assert_int_equal(report.outcome, PORT_RAIL_APPROVED);
    assert_int_equal(report.captured_amount, 600);
    assert_int_equal(report.refunded_amount, 400);
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 99, 0).outcome, PORT_RAIL_NOT_FOUND);
}

static void
test_declines(void **state)
{
    struct t_bench *bench = *state;
    struct port_rail_answer answer = t_authorize(bench, 1, 1000, true, "4000000000009995");
    assert_int_equal(answer.outcome, PORT_RAIL_DECLINED);
    assert_string_equal(answer.error_code, "card_declined");
    assert_string_equal(answer.decline_code, "insufficient_funds");
    assert_string_equal(answer.network_code, "51");
    /* A good check at attaching, a decline at charging. */
    assert_int_equal(
        t_authorize(bench, 2, 0, false, "4000000000000341").outcome, PORT_RAIL_APPROVED);
    assert_int_equal(
        t_authorize(bench, 3, 1000, false, "4000000000000341").outcome, PORT_RAIL_DECLINED);
    assert_int_equal(
        t_authorize(bench, 4, 0, false, "4000000000000002").outcome, PORT_RAIL_DECLINED);
}

static void
test_void_before_arrival(void **state)
{
    struct t_bench *bench = *state;
    assert_int_equal(t_ask(bench, PORT_RAIL_VOID, 7, 1, 0).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(
        t_authorize(bench, 1, 1000, true, "4242424242424242").outcome, PORT_RAIL_DECLINED);
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 1, 0).captured_amount, 0);
}

static void
test_late_refunds(void **state)
{
    struct t_bench *bench = *state;
    (void)t_authorize(bench, 1, 1000, true, "4000000000007726");
    (void)t_authorize(bench, 2, 1000, true, "4000000000005126");
    assert_int_equal(t_ask(bench, PORT_RAIL_REFUND, 3, 1, 1000).outcome, PORT_RAIL_PENDING);
    assert_int_equal(t_ask(bench, PORT_RAIL_REFUND, 4, 2, 1000).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 3, 0).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 4, 0).outcome, PORT_RAIL_FAILED);
}

static struct port_rail_answer
t_challenge(struct t_bench *bench, uint32_t id, uint32_t passed, const char *number)
{
    struct port_rail_request rail = {
        .operation = PORT_RAIL_AUTHORIZE,
        .id = id,
        .original_id = passed,
        .may_challenge = true,
        .amount = {.amount = 1000, .currency = currency_find(SPAN("usd"))},
    };
    return t_send(bench, &rail, number);
}

static void
test_challenges(void **state)
{
    struct t_bench *bench = *state;
    const char *always = "4000000000003220";
    assert_int_equal(t_challenge(bench, 1, 0, always).outcome, PORT_RAIL_CHALLENGE);
    /* ISSUER-2: a repeat gets the same answer, and so does a report. */
    assert_int_equal(t_challenge(bench, 1, 0, always).outcome, PORT_RAIL_CHALLENGE);
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 1, 0).outcome, PORT_RAIL_CHALLENGE);
    /* Nothing is held: there is nothing to capture. */
    assert_int_equal(t_ask(bench, PORT_RAIL_CAPTURE, 2, 1, 1000).outcome, PORT_RAIL_DECLINED);
    struct port_rail_answer answer = t_challenge(bench, 3, 1, always);
    assert_int_equal(answer.outcome, PORT_RAIL_APPROVED);
    assert_int_equal(answer.proof, PORT_RAIL_PROOF_AUTHENTICATED);
    assert_int_equal(t_ask(bench, PORT_RAIL_CAPTURE, 4, 3, 1000).outcome, PORT_RAIL_APPROVED);
    /* ISSUER-5: it is no proof for another card, nor is one that was never asked. */
    assert_int_equal(t_challenge(bench, 5, 1, "4000000000003063").outcome, PORT_RAIL_CHALLENGE);
    assert_int_equal(t_challenge(bench, 6, 99, always).outcome, PORT_RAIL_CHALLENGE);
    /* An authorization that was approved proves nothing either. */
    assert_int_equal(t_challenge(bench, 7, 3, always).outcome, PORT_RAIL_CHALLENGE);
    /* Nobody is there. */
    answer = t_authorize(bench, 8, 1000, true, always);
    assert_int_equal(answer.outcome, PORT_RAIL_DECLINED);
    assert_string_equal(answer.error_code, "authentication_required");
    assert_string_equal(answer.network_code, "1A");
    assert_int_equal(t_authorize(bench, 9, 0, false, always).outcome, PORT_RAIL_APPROVED);
}

static struct port_rail_answer
t_off_session(struct t_bench *bench, uint32_t id, uint32_t agreement, const char *number)
{
    struct port_rail_request rail = {
        .operation = PORT_RAIL_AUTHORIZE,
        .id = id,
        .off_session = true,
        .agreement_id = agreement,
        .amount = {.amount = 1000, .currency = currency_find(SPAN("usd"))},
    };
    return t_send(bench, &rail, number);
}

static void
test_agreements(void **state)
{
    struct t_bench *bench = *state;
    const char *number = "4000002500003155";
    assert_int_equal(t_challenge(bench, 1, 0, number).outcome, PORT_RAIL_CHALLENGE);
    struct port_rail_request setup = {
        .operation = PORT_RAIL_AUTHORIZE,
        .id = 2,
        .original_id = 1,
        .may_challenge = true,
        .sets_up = true,
        .amount = {.amount = 0, .currency = currency_find(SPAN("usd"))},
    };
    assert_int_equal(t_send(bench, &setup, number).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_off_session(bench, 3, 2, number).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_off_session(bench, 4, 0, number).outcome, PORT_RAIL_DECLINED);
    assert_int_equal(t_off_session(bench, 5, 99, number).outcome, PORT_RAIL_DECLINED);
    /* One that was challenged, or paid without an agreement, set nothing up. */
    assert_int_equal(t_off_session(bench, 6, 1, number).outcome, PORT_RAIL_DECLINED);
    assert_int_equal(t_challenge(bench, 7, 1, number).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_off_session(bench, 8, 7, number).outcome, PORT_RAIL_DECLINED);
    t_stop(bench);
    t_start(bench);
    assert_int_equal(t_off_session(bench, 9, 2, number).outcome, PORT_RAIL_APPROVED);
}

static void
test_increments(void **state)
{
    struct t_bench *bench = *state;
    (void)t_authorize(bench, 1, 1000, false, "4242424242424242");
    assert_int_equal(t_ask(bench, PORT_RAIL_INCREMENT, 2, 1, 500).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(bench, PORT_RAIL_INCREMENT, 2, 1, 500).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(bench, PORT_RAIL_INCREMENT, 3, 1, 0).outcome, PORT_RAIL_DECLINED);
    assert_int_equal(t_ask(bench, PORT_RAIL_INCREMENT, 4, 99, 1).outcome, PORT_RAIL_NOT_FOUND);
    t_stop(bench);
    t_start(bench);
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 1, 0).authorized_amount, 1500);
    assert_int_equal(t_ask(bench, PORT_RAIL_CAPTURE, 5, 1, 1501).outcome, PORT_RAIL_DECLINED);
    assert_int_equal(t_ask(bench, PORT_RAIL_CAPTURE, 6, 1, 1500).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(bench, PORT_RAIL_INCREMENT, 7, 1, 1).outcome, PORT_RAIL_DECLINED);
    (void)t_authorize(bench, 8, 1000, false, "4000000000000515");
    for (uint32_t i = 0; i < 2; i++) {
        struct port_rail_answer answer = t_ask(bench, PORT_RAIL_INCREMENT, 9, 8, 500);
        assert_int_equal(answer.outcome, PORT_RAIL_DECLINED);
        assert_string_equal(answer.decline_code, "insufficient_funds");
    }
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 8, 0).authorized_amount, 1000);
    (void)t_authorize(bench, 20, 1000, false, "4000000000000523");
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(t_ask(bench, PORT_RAIL_VOID, 21, 20, 0).outcome, PORT_RAIL_DECLINED);
    }
    assert_false(t_ask(bench, PORT_RAIL_REPORT, 0, 20, 0).voided);
    (void)t_authorize(bench, 10, 1000, false, "4242424242424242");
    (void)t_ask(bench, PORT_RAIL_VOID, 11, 10, 0);
    assert_int_equal(t_ask(bench, PORT_RAIL_INCREMENT, 12, 10, 1).outcome, PORT_RAIL_DECLINED);
}

static void
test_restart_remembers(void **state)
{
    struct t_bench *bench = *state;
    (void)t_authorize(bench, 1, 1000, true, "4242424242424242");
    (void)t_ask(bench, PORT_RAIL_REFUND, 2, 1, 300);
    t_stop(bench);
    t_start(bench);
    struct port_rail_answer report = t_ask(bench, PORT_RAIL_REPORT, 0, 1, 0);
    assert_int_equal(report.outcome, PORT_RAIL_APPROVED);
    assert_int_equal(report.captured_amount, 1000);
    assert_int_equal(report.refunded_amount, 300);
}

/* Over an update of the program too, so its bytes are as they were. */
static void
test_file_format(void **state)
{
    struct t_bench *bench = *state;
    const uint32_t checksums[] = {0xddefd492, 0x4b495002};
    char *text;
    size_t size;
    (void)t_authorize(bench, 1, 1000, true, "4242424242424242");
    (void)t_ask(bench, PORT_RAIL_REFUND, 2, 1, 300);
    struct os_disk *disk = os_sim_disk_ops(bench->disk);
    assert_int_equal(os_file_load(disk, "issuer/issuer.log", 4096, &text, &size), ERR_OK);
    assert_int_equal(size, 2 * 64);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t number;
        uint32_t checksum;
        memcpy(&number, text + i * 64 + 48, sizeof(number));
        memcpy(&checksum, text + i * 64 + 56, sizeof(checksum));
        assert_int_equal(number, i + 1);
        assert_int_equal(checksum, checksums[i]);
    }
    free(text);
}

/* --- disputes --- */

static struct port_rail_notice
t_news(struct t_bench *bench, uint64_t position)
{
    struct port_rail_request rail = {.operation = PORT_RAIL_NEWS, .position = position};
    struct port_rail_answer answer = t_send(bench, &rail, "");
    assert_int_equal(answer.outcome, PORT_RAIL_APPROVED);
    return answer.notice;
}

/* A payment of 10.00 that is disputed; its first news. */
static struct port_rail_notice
t_disputed(struct t_bench *bench, uint32_t id, uint64_t position, const char *number)
{
    struct port_rail_request rail = {
        .operation = PORT_RAIL_AUTHORIZE,
        .id = id,
        .capture = true,
        .scope = 6,
        .reference = 1000 + id,
        .amount = {.amount = 1000, .currency = currency_find(SPAN("usd"))},
    };
    assert_int_equal(t_send(bench, &rail, number).outcome, PORT_RAIL_APPROVED);
    struct port_rail_notice notice = t_news(bench, position);
    assert_true(notice.authorization == id && notice.reference == 1000 + id);
    assert_int_equal(notice.scope, 6);
    return notice;
}

static enum port_rail_outcome
t_evidence(struct t_bench *bench, uint32_t id, u128 dispute, const char *text)
{
    struct port_rail_request rail = {
        .operation = PORT_RAIL_EVIDENCE,
        .id = id,
        .original_id = dispute,
        .evidence = span_from_cstr(text),
    };
    return t_send(bench, &rail, "").outcome;
}

#define T_FRAUD   "4000000000000259"
#define T_INQUIRY "4000000000001976"
#define T_TWICE   "4000000404000079"
#define T_WINNING "{\"customer_name\":\"J\",\"uncategorized_text\":\"winning_evidence\"}"
#define T_LOSING  "{\"uncategorized_text\":\"losing_evidence\"}"
#define T_GROWING "{\"uncategorized_text\":\"escalate_inquiry_evidence\"}"

static void
test_dispute_won(void **state)
{
    struct t_bench *bench = *state;
    assert_int_equal(t_news(bench, 0).news, PORT_RAIL_NEWS_NONE);
    struct port_rail_notice opened = t_disputed(bench, 1, 0, T_FRAUD);
    assert_int_equal(opened.news, PORT_RAIL_NEWS_DISPUTED);
    assert_int_equal(opened.amount, 1000);
    assert_string_equal(opened.reason, "fraudulent");
    assert_true(opened.due_ms - opened.opened_ms == UINT64_C(7) * 24 * 3600 * 1000);
    /* The same question has the same answer, over a restart as well. */
    t_stop(bench);
    t_start(bench);
    struct port_rail_notice again = t_news(bench, 0);
    assert_memory_equal(&again, &opened, sizeof(opened));
    assert_int_equal(t_news(bench, opened.position).news, PORT_RAIL_NEWS_NONE);
    assert_int_equal(t_ask(bench, PORT_RAIL_REFUND, 2, 1, 1).outcome, PORT_RAIL_DECLINED);
    assert_int_equal(t_evidence(bench, 3, opened.dispute, T_WINNING), PORT_RAIL_APPROVED);
    assert_int_equal(t_evidence(bench, 3, opened.dispute, T_WINNING), PORT_RAIL_APPROVED);
    assert_int_equal(t_evidence(bench, 4, opened.dispute, T_LOSING), PORT_RAIL_DECLINED);
    struct port_rail_notice won = t_news(bench, opened.position);
    assert_int_equal(won.news, PORT_RAIL_NEWS_WON);
    assert_true(won.dispute == opened.dispute && won.opened_ms == opened.opened_ms);
    t_stop(bench);
    t_start(bench);
    struct port_rail_answer report = t_ask(bench, PORT_RAIL_REPORT, 0, 1, 0);
    assert_int_equal(report.disputed_amount, 1000);
    assert_int_equal(report.reinstated_amount, 1000);
    assert_int_equal(t_news(bench, won.position).news, PORT_RAIL_NEWS_NONE);
    assert_int_equal(t_ask(bench, PORT_RAIL_REFUND, 5, 1, 1000).outcome, PORT_RAIL_APPROVED);
}

static void
test_dispute_lost(void **state)
{
    struct t_bench *bench = *state;
    struct port_rail_notice opened = t_disputed(bench, 1, 0, T_FRAUD);
    assert_int_equal(t_evidence(bench, 2, opened.dispute, T_LOSING), PORT_RAIL_APPROVED);
    struct port_rail_notice lost = t_news(bench, opened.position);
    assert_int_equal(lost.news, PORT_RAIL_NEWS_LOST);
    assert_int_equal(t_ask(bench, PORT_RAIL_ACCEPT, 3, 1, 0).outcome, PORT_RAIL_NOT_FOUND);
    /* Accepted. */
    opened = t_disputed(bench, 10, lost.position, T_FRAUD);
    struct port_rail_request accept = {
        .operation = PORT_RAIL_ACCEPT, .id = 11, .original_id = opened.dispute};
    assert_int_equal(t_send(bench, &accept, "").outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_send(bench, &accept, "").outcome, PORT_RAIL_APPROVED);
    lost = t_news(bench, opened.position);
    assert_int_equal(lost.news, PORT_RAIL_NEWS_LOST);
    assert_int_equal(t_evidence(bench, 12, opened.dispute, T_WINNING), PORT_RAIL_DECLINED);
    assert_int_equal(t_news(bench, lost.position).news, PORT_RAIL_NEWS_NONE);
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 10, 0).reinstated_amount, 0);
}

/* What convinces nobody does not put off what is due. */
static void
test_dispute_unanswered(void **state)
{
    struct t_bench *bench = *state;
    t_stop(bench);
    bench->settings.dispute_due_ms = 60000;
    t_start(bench);
    struct port_rail_notice opened = t_disputed(bench, 1, 0, T_FRAUD);
    assert_int_equal(t_evidence(bench, 2, opened.dispute, "{}"), PORT_RAIL_APPROVED);
    assert_int_equal(t_news(bench, opened.position).news, PORT_RAIL_NEWS_NONE);
    assert_true(os_sim_run_for(bench->sim, 60 * OS_NS_PER_S, T_STEPS));
    assert_int_equal(t_news(bench, opened.position).news, PORT_RAIL_NEWS_LOST);
}

static void
test_inquiries(void **state)
{
    struct t_bench *bench = *state;
    struct port_rail_notice asked = t_disputed(bench, 1, 0, T_INQUIRY);
    assert_int_equal(asked.news, PORT_RAIL_NEWS_INQUIRY);
    struct port_rail_request accept = {
        .operation = PORT_RAIL_ACCEPT, .id = 2, .original_id = asked.dispute};
    assert_int_equal(t_send(bench, &accept, "").outcome, PORT_RAIL_DECLINED);
    assert_int_equal(t_ask(bench, PORT_RAIL_REFUND, 3, 1, 400).outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_evidence(bench, 4, asked.dispute, T_GROWING), PORT_RAIL_APPROVED);
    struct port_rail_notice grown = t_news(bench, asked.position);
    assert_int_equal(grown.news, PORT_RAIL_NEWS_DISPUTED);
    assert_int_equal(grown.amount, 600);
    assert_true(grown.dispute == asked.dispute && grown.opened_ms == asked.opened_ms);
    assert_int_equal(t_evidence(bench, 5, asked.dispute, T_GROWING), PORT_RAIL_APPROVED);
    assert_int_equal(t_news(bench, grown.position).news, PORT_RAIL_NEWS_NONE);
    asked = t_disputed(bench, 10, grown.position, T_INQUIRY);
    assert_int_equal(t_evidence(bench, 11, asked.dispute, T_WINNING), PORT_RAIL_APPROVED);
    assert_int_equal(t_news(bench, asked.position).news, PORT_RAIL_NEWS_CLOSED);
}

static void
test_disputes_of_what_is_left(void **state)
{
    struct t_bench *bench = *state;
    struct port_rail_notice first = t_disputed(bench, 1, 0, T_TWICE);
    struct port_rail_notice second = t_news(bench, first.position);
    assert_int_equal(first.amount, 500);
    assert_int_equal(second.amount, 500);
    assert_true(first.dispute != second.dispute);
    /* Never captured, voided, given back: there is nothing to dispute. */
    (void)t_authorize(bench, 10, 1000, false, T_FRAUD);
    t_stop(bench);
    bench->settings.dispute_delay_ms = 60000;
    t_start(bench);
    (void)t_authorize(bench, 11, 1000, true, T_FRAUD);
    (void)t_ask(bench, PORT_RAIL_VOID, 12, 11, 0);
    (void)t_authorize(bench, 13, 1000, true, T_FRAUD);
    (void)t_ask(bench, PORT_RAIL_REFUND, 14, 13, 1000);
    (void)t_authorize(bench, 15, 1000, true, T_FRAUD);
    (void)t_ask(bench, PORT_RAIL_REFUND, 16, 15, 300);
    /* Nor is there anybody to tell of what has no reference. */
    struct port_rail_request nameless = {
        .operation = PORT_RAIL_AUTHORIZE,
        .id = 17,
        .capture = true,
        .amount = {.amount = 1000, .currency = currency_find(SPAN("usd"))},
    };
    assert_int_equal(t_send(bench, &nameless, T_FRAUD).outcome, PORT_RAIL_APPROVED);
    assert_true(os_sim_run_for(bench->sim, 60 * OS_NS_PER_S, T_STEPS));
    struct port_rail_notice left = t_news(bench, second.position);
    assert_true(left.authorization == 15);
    assert_int_equal(left.amount, 700);
    assert_int_equal(t_news(bench, left.position).news, PORT_RAIL_NEWS_NONE);
}

static void
t_misbehave(struct t_bench *bench, struct issuer_settings settings)
{
    t_stop(bench);
    settings.refund_settle_ms = 1000;
    bench->settings = settings;
    t_start(bench);
}

static void
test_misbehaviour(void **state)
{
    struct t_bench *bench = *state;
    t_misbehave(bench, (struct issuer_settings){.lost_per_mille = 1000});
    assert_int_equal(
        t_authorize(bench, 1, 1000, true, "4242424242424242").outcome, PORT_RAIL_UNKNOWN);
    t_misbehave(bench, (struct issuer_settings){.dropped_per_mille = 1000});
    assert_int_equal(
        t_authorize(bench, 2, 1000, true, "4242424242424242").outcome, PORT_RAIL_UNKNOWN);
    t_misbehave(bench, (struct issuer_settings){.late_per_mille = 1000});
    assert_int_equal(
        t_authorize(bench, 3, 1000, true, "4242424242424242").outcome, PORT_RAIL_UNKNOWN);
    t_misbehave(bench, (struct issuer_settings){.twice_per_mille = 1000});
    assert_int_equal(
        t_authorize(bench, 4, 1000, true, "4242424242424242").outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(bench, PORT_RAIL_REFUND, 5, 4, 600).outcome, PORT_RAIL_APPROVED);
    t_misbehave(bench, (struct issuer_settings){.latency_ms = 50, .jitter_ms = 50});
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 1, 0).captured_amount, 1000);
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 2, 0).outcome, PORT_RAIL_NOT_FOUND);
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 3, 0).captured_amount, 1000);
    assert_int_equal(t_ask(bench, PORT_RAIL_REPORT, 0, 4, 0).refunded_amount, 600);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life_of_a_payment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_declines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_void_before_arrival, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_refunds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_challenges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_agreements, setup, teardown),
        cmocka_unit_test_setup_teardown(test_increments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_remembers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_misbehaviour, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dispute_won, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dispute_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dispute_unanswered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inquiries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disputes_of_what_is_left, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
