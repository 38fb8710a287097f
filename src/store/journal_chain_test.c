/*
 * JOURNAL-3, the chain of digests: what frames carry against SHA-256 computed here, a history that
 * was rewritten with every checksum right, and journals of version 1, at each step of a crash.
 */
#include "journal_chain_testing.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

/* Each frame carries the SHA-256 of its body, and that of the header of the frame before it; so
 * does each segment's header. */
static void
frames_carry_the_digest(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    uint8_t digest[JOURNAL_DIGEST_SIZE] = {0};
    struct os_file *file = NULL;
    char *data = NULL;
    uint64_t frames = 0;
    uint64_t number = 1;
    for (; (data = t_segment(&t, number, &file)) != NULL; number++) {
        struct journal_segment_header segment;
        const char *reason = NULL;
        assert_int_equal(journal_segment_decode(data, &segment, &reason), ERR_OK);
        assert_memory_equal(segment.digest, digest, sizeof(digest));
        struct journal_frame_header header;
        for (uint64_t at = JOURNAL_BLOCK;
             at < SEGMENT_SIZE && journal_frame_peek(data + at, &header);
             at += header.size) {
            assert_memory_equal(header.digest, digest, sizeof(digest));
            const unsigned char *bytes = (unsigned char *)data + at;
            SHA256(bytes + sizeof(header), header.size - sizeof(header), digest);
            assert_memory_equal(header.body_digest, digest, sizeof(digest));
            SHA256(bytes, sizeof(header), digest);
            frames++;
        }
        t.disk->ops->close(t.disk, file);
        free(data);
    }
    assert_true(number > 3);
    assert_int_equal(frames, FRAMES);
    t_expect_sound(&t, FRAMES - 1);
    t_release(&t);
}

/* A frame that carries another digest than that of the frame before it, all checksums right. */
static void
a_broken_chain_is_found(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    struct t_rewrite rewrite = {.checksums = true, .tampered = 7};
    t_rewrite(&t, &rewrite);
    struct store_verify_report report;
    uint64_t seen = 0;
    assert_int_equal(t_verify(&t, &report, &seen), ERR_CORRUPT);
    assert_non_null(strstr(t.error.message, "another digest"));
    assert_non_null(strstr(t.error.message, "00000001.log"));
    t_release(&t);
}

/* The newest segment, which is to be of this version with this digest in its header. */
static void
t_expect_upgraded(struct t_chain *t, const uint8_t digest[JOURNAL_DIGEST_SIZE])
{
    struct os_file *file = NULL;
    char *data = NULL;
    bool upgraded = false;
    for (uint64_t number = 1; (data = t_segment(t, number, &file)) != NULL; number++) {
        struct journal_segment_header segment;
        const char *reason = NULL;
        assert_int_equal(journal_segment_decode(data, &segment, &reason), ERR_OK);
        if (segment.version == JOURNAL_VERSION && !upgraded) {
            upgraded = true;
            assert_memory_equal(segment.digest, digest, JOURNAL_DIGEST_SIZE);
            struct journal_frame_header header;
            if (journal_frame_peek(data + JOURNAL_BLOCK, &header)) {
                assert_memory_equal(header.digest, digest, JOURNAL_DIGEST_SIZE);
            }
        }
        t->disk->ops->close(t->disk, file);
        free(data);
    }
    assert_true(upgraded);
}

static bool
t_count(void *context, const struct ledger_event *event)
{
    (void)event;
    ++*(uint64_t *)context;
    return true;
}

/* Through the frames of both versions, whose sections begin at different places. */
static void
t_expect_events(struct t_chain *t, uint64_t expected)
{
    struct store_query query = {.limit = 8190, .sides = STORE_SIDE_DEBITS | STORE_SIDE_CREDITS};
    uint64_t all = 0;
    uint64_t of_account = 0;
    assert_int_equal(
        t->store->ops->events(t->store, &query, true, t_count, &all, &t->error), ERR_OK);
    assert_int_equal(all, expected);
    assert_int_equal(
        t->store->ops->account_events(t->store, &query, t_count, &of_account, &t->error), ERR_OK);
    assert_int_equal(of_account, expected);
}

static void
the_first_version_goes_on(void **state)
{
    (void)state;
    struct t_chain t;
    uint8_t digest[JOURNAL_DIGEST_SIZE];
    t_make_first_version(&t, false, digest);
    t_expect_sound(&t, FRAMES - 1);
    assert_int_equal(t_open(&t), ERR_OK);
    assert_int_equal(t.transfers, FRAMES - 1);
    t_expect_upgraded(&t, digest);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(t_transfer(&t), ERR_OK);
    }
    t_expect_events(&t, FRAMES - 1 + 20);
    t_close(&t);
    t_expect_upgraded(&t, digest);
    t_expect_sound(&t, FRAMES - 1 + 20);
    assert_int_equal(t_open(&t), ERR_OK);
    assert_int_equal(t.transfers, FRAMES - 1 + 20);
    t_close(&t);
    /* What the upgrade covered is covered for good. */
    struct t_rewrite rewrite = {.checksums = true, .tampered = 7};
    t_rewrite(&t, &rewrite);
    struct store_verify_report report;
    uint64_t seen = 0;
    assert_int_equal(t_verify(&t, &report, &seen), ERR_CORRUPT);
    assert_non_null(strstr(t.error.message, "another digest"));
    t_release(&t);
}

/* A power cut at each step of the first start of this version: nothing is lost, and the digest is
 * what it would have been. */
static void
the_upgrade_survives_power_cuts(void **state)
{
    (void)state;
    uint64_t steps = 0;
    for (uint64_t at = 1;; at++) {
        struct t_chain t;
        uint8_t digest[JOURNAL_DIGEST_SIZE];
        t_make_first_version(&t, true, digest);
        os_sim_disk_stop_at(t.sim, os_sim_disk_operations(t.sim) + at);
        err_t code = t_open(&t);
        bool stopped = os_sim_disk_is_stopped(t.sim);
        t_close(&t);
        if (!stopped) {
            assert_int_equal(code, ERR_OK);
            t_release(&t);
            break;
        }
        steps++;
        os_sim_disk_crash(t.sim);
        if (t_open(&t) != ERR_OK) {
            fail_msg("step %llu: %s", (unsigned long long)at, t.error.message);
        }
        assert_int_equal(t.transfers, FRAMES - 1);
        assert_int_equal(t_transfer(&t), ERR_OK);
        t_close(&t);
        t_expect_upgraded(&t, digest);
        t_expect_sound(&t, FRAMES);
        t_release(&t);
    }
    assert_true(steps >= 6); /* rewrite, sync, folder; create, allocate, header, rename, ... */
}

/* A frame of version 1 behind one of version 2, or the other way round, is no frame there. */
static void
versions_do_not_mix(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    struct os_file *file = NULL;
    char *data = t_segment(&t, 2, &file);
    assert_non_null(data);
    struct journal_segment_header segment;
    const char *reason = NULL;
    assert_int_equal(journal_segment_decode(data, &segment, &reason), ERR_OK);
    segment.version = JOURNAL_VERSION_FIRST;
    t_segment_seal(data, &segment);
    t_segment_put(&t, file, data);
    struct store_verify_report report;
    uint64_t seen = 0;
    assert_int_equal(t_verify(&t, &report, &seen), ERR_CORRUPT);
    assert_non_null(strstr(t.error.message, "older version"));
    t_release(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_carry_the_digest),
        cmocka_unit_test(a_broken_chain_is_found),
        cmocka_unit_test(the_first_version_goes_on),
        cmocka_unit_test(the_upgrade_survives_power_cuts),
        cmocka_unit_test(versions_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
