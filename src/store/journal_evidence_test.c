/* JOURNAL-3, what is told of the chain: heads to be noted down, and evidence of single transfers.
 */
#include "journal_chain_testing.h"

#include <openssl/sha.h>
#include <string.h>

/* --- heads --- */

static struct store_head
t_head(struct t_chain *t)
{
    struct store_head head;
    if (store_head_read("journal:" FOLDER, t->disk, &head, &t->error) != ERR_OK) {
        fail_msg("%s", t->error.message);
    }
    return head;
}

/* The head from the newest segment alone is what the store says, and what reading everything
 * finds; at each length of a journal, at segments' ends too. */
static void
heads_agree(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    for (int i = 0; i < 20; i++) {
        struct store_verify_report report;
        uint64_t seen = 0;
        struct store_head head = t_head(&t);
        assert_int_equal(t_verify_noted(&t, &head, &report, &seen), ERR_OK);
        assert_memory_equal(&report.head, &head, sizeof(head));
        assert_int_equal(head.sequence, t.transfers + 1);
        assert_int_equal(head.timestamp, 10 + t.transfers);
        assert_int_equal(t_open(&t), ERR_OK);
        struct store_head of_store;
        t.store->ops->head(t.store, &of_store);
        assert_memory_equal(&of_store, &head, sizeof(head));
        assert_int_equal(t_transfer(&t), ERR_OK);
        t.store->ops->head(t.store, &of_store);
        t_close(&t);
        head = t_head(&t);
        assert_memory_equal(&of_store, &head, sizeof(head));
    }
    t_release(&t);
}

/* Whoever rewrites history and makes every checksum and digest right is found by a head that was
 * noted at or after the change, and by nothing else. */
static void
a_noted_head_finds_rewritten_history(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    struct store_head noted = t_head(&t);
    assert_int_equal(t_open(&t), ERR_OK);
    assert_int_equal(t_transfer(&t), ERR_OK);
    t_close(&t);
    struct store_verify_report report;
    uint64_t seen = 0;
    assert_int_equal(t_verify_noted(&t, &noted, &report, &seen), ERR_OK);
    for (uint64_t tampered = 2; tampered <= FRAMES + 1; tampered++) {
        struct t_rewrite rewrite = {.tampered = tampered};
        t_rewrite(&t, &rewrite);
        t_expect_sound(&t, FRAMES); /* without the head nothing is to be seen */
        err_t code = t_verify_noted(&t, &noted, &report, &seen);
        if (tampered <= noted.sequence) {
            assert_int_equal(code, ERR_CORRUPT);
            assert_non_null(strstr(t.error.message, "rewritten"));
        } else {
            assert_int_equal(code, ERR_OK); /* what came after it does not concern it */
        }
        rewrite = (struct t_rewrite){.tampered = tampered};
        t_rewrite(&t, &rewrite); /* back again */
        assert_int_equal(t_verify_noted(&t, &noted, &report, &seen), ERR_OK);
    }
    noted.sequence += 2;
    assert_int_equal(t_verify_noted(&t, &noted, &report, &seen), ERR_CORRUPT);
    assert_non_null(strstr(t.error.message, "history ends"));
    t_release(&t);
}

static void
heads_are_text(void **state)
{
    (void)state;
    struct store_head head = {.sequence = 12, .segment = 1, .offset = 69632, .timestamp = 5};
    struct store_head again;
    const char *reason = NULL;
    char text[STORE_HEAD_TEXT_SIZE];
    memset(head.digest, 0xa5, sizeof(head.digest));
    store_head_format(&head, text);
    assert_int_equal(strncmp(text, "12:1/69632:5:a5a5", 17), 0);
    assert_int_equal(store_head_parse(span_from_cstr(text), &again, &reason), ERR_OK);
    assert_memory_equal(&again, &head, sizeof(head));
    head.sequence = head.segment = head.offset = head.timestamp = UINT64_MAX;
    store_head_format(&head, text);
    assert_int_equal(store_head_parse(span_from_cstr(text), &again, &reason), ERR_OK);
    assert_memory_equal(&again, &head, sizeof(head));

    static const char *const bad[] = {
        "",
        ":",
        "x:1/2:3:",
        "1:2:3:",
        "1:2/3:4",
        "1:2/3:4:",
        "1:2/3::a5",
        "1:2/:4:a5",
        "18446744073709551616:1/2:3:",
        "1:2/3:4:A5",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        reason = NULL;
        assert_int_equal(store_head_parse(span_from_cstr(bad[i]), &again, &reason), ERR_INVALID);
        assert_non_null(reason);
    }
    text[strlen(text) - 1] = 'g';
    assert_int_equal(store_head_parse(span_from_cstr(text), &again, &reason), ERR_INVALID);
    text[strlen(text) - 1] = '\0';
    assert_int_equal(store_head_parse(span_from_cstr(text), &again, &reason), ERR_INVALID);
}

/* --- evidence --- */

/* What an auditor does: recomputes from the bytes that were told. */
struct t_evidence {
    uint8_t digest[JOURNAL_DIGEST_SIZE]; /* of the last header */
    bool whole;
    uint64_t headers;
    struct ledger_transfer transfer;
};

static err_t
t_found(
    void *context,
    const struct store_proof_frame *frame,
    uint64_t transfer_at,
    const struct ledger_transfer *transfer)
{
    struct t_evidence *evidence = context;
    const unsigned char *bytes = (const unsigned char *)frame->bytes;
    uint8_t body[JOURNAL_DIGEST_SIZE];
    SHA256(bytes + frame->header_size, frame->size - frame->header_size, body);
    evidence->whole = memcmp(body, bytes + 96, sizeof(body)) == 0 &&
                      memcmp(bytes + transfer_at, transfer, sizeof(*transfer)) == 0;
    evidence->transfer = *transfer;
    SHA256(bytes, frame->header_size, evidence->digest);
    return ERR_OK;
}

static err_t
t_later(void *context, const struct store_proof_frame *frame)
{
    struct t_evidence *evidence = context;
    evidence->headers++;
    if (memcmp(frame->bytes + 64, evidence->digest, sizeof(evidence->digest)) != 0) {
        evidence->whole = false;
    }
    SHA256((const unsigned char *)frame->bytes, frame->header_size, evidence->digest);
    return ERR_OK;
}

static err_t
t_prove(
    struct t_chain *t,
    u128 id,
    const struct store_head *noted,
    const struct store_proof_visitor *visitor,
    struct store_head *ret_head)
{
    const struct store_proof_question question = {id, noted};
    return store_prove("journal:" FOLDER, t->disk, &question, visitor, ret_head, &t->error);
}

static void
transfers_are_proved(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    struct store_head newest = t_head(&t);
    struct store_head head;
    for (uint64_t number = 1; number < FRAMES; number++) {
        struct t_evidence evidence = {.headers = 0};
        const struct store_proof_visitor visitor = {
            .found = t_found, .later = t_later, .context = &evidence};
        assert_int_equal(t_prove(&t, 1000 + number, NULL, &visitor, &head), ERR_OK);
        assert_true(evidence.whole);
        assert_true(evidence.transfer.id == 1000 + number);
        assert_int_equal(evidence.headers, FRAMES - 1 - number);
        assert_memory_equal(evidence.digest, newest.digest, sizeof(newest.digest));
        assert_memory_equal(&head, &newest, sizeof(head));
    }
    struct t_evidence evidence = {.headers = 0};
    const struct store_proof_visitor visitor = {
        .found = t_found, .later = t_later, .context = &evidence};
    assert_int_equal(t_prove(&t, 5, NULL, &visitor, &head), ERR_NOT_FOUND);
    /* Up to a head in between; what came behind it is not there for it. */
    assert_int_equal(t_open(&t), ERR_OK);
    assert_int_equal(t_transfer(&t), ERR_OK);
    t_close(&t);
    evidence = (struct t_evidence){.headers = 0};
    assert_int_equal(t_prove(&t, 1001, &newest, &visitor, &head), ERR_OK);
    assert_memory_equal(&head, &newest, sizeof(head));
    assert_memory_equal(evidence.digest, newest.digest, sizeof(newest.digest));
    assert_int_equal(t_prove(&t, 1000 + t.transfers, &newest, &visitor, &head), ERR_NOT_FOUND);
    newest.digest[0] ^= 1;
    assert_int_equal(t_prove(&t, 1001, &newest, &visitor, &head), ERR_CORRUPT);
    t_release(&t);
}

/* Of version 1 there is no evidence but the whole; and a head only behind the upgrade. */
static void
the_first_version_has_no_short_evidence(void **state)
{
    (void)state;
    struct t_chain t;
    uint8_t digest[JOURNAL_DIGEST_SIZE];
    t_make_first_version(&t, false, digest);
    struct store_head head;
    struct store_head again;
    assert_int_equal(store_head_read("journal:" FOLDER, t.disk, &head, &t.error), ERR_VERSION);
    struct store_verify_report report;
    uint64_t seen = 0;
    assert_int_equal(t_verify(&t, &report, &seen), ERR_OK);
    assert_memory_equal(report.head.digest, digest, sizeof(digest));
    assert_int_equal(t_open(&t), ERR_OK);
    t_close(&t);
    head = t_head(&t);
    assert_memory_equal(&head, &report.head, sizeof(head));
    assert_int_equal(t_open(&t), ERR_OK);
    assert_int_equal(t_transfer(&t), ERR_OK);
    t_close(&t);
    struct t_evidence evidence = {.headers = 0};
    const struct store_proof_visitor visitor = {
        .found = t_found, .later = t_later, .context = &evidence};
    assert_int_equal(t_prove(&t, 1001, NULL, &visitor, &again), ERR_UNSUPPORTED);
    assert_int_equal(t_prove(&t, 1000 + t.transfers, NULL, &visitor, &again), ERR_OK);
    assert_true(evidence.whole);
    assert_int_equal(t_verify_noted(&t, &head, &report, &seen), ERR_OK);
    t_release(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_agree),
        cmocka_unit_test(a_noted_head_finds_rewritten_history),
        cmocka_unit_test(heads_are_text),
        cmocka_unit_test(transfers_are_proved),
        cmocka_unit_test(the_first_version_has_no_short_evidence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
