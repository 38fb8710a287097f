/* RECIPIENT-2: who signs, and until when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "recipient/recipient.h"

#include "os/sim.h"

#include <string.h>

#define ID   SPAN("we_1")
#define BODY SPAN("{\"a\":1}")

static struct os_sim *sim;
static struct callback_keys keys;
static char secrets[2][CALLBACK_SECRET_SIZE]; /* the present one, the one before */
static char sealed[2][CALLBACK_SEALED_SIZE];
static struct recipient recipient;
static struct arena arena;

static int
set_up(void **state)
{
    (void)state;
    assert_int_equal(os_sim_create(7, &sim), ERR_OK);
    arena_init(&arena, 65536);
    struct os_entropy *entropy = os_sim_entropy(sim);
    keys = (struct callback_keys){.count = 2};
    entropy->fill(entropy, keys.keys, 2 * sizeof(keys.keys[0]));
    for (int i = 0; i < 2; i++) {
        callback_secret_make(entropy, secrets[i]);
        assert_int_equal(
            callback_secret_seal(&keys.keys[0], entropy, ID, secrets[i], sealed[i]), ERR_OK);
    }
    recipient = (struct recipient){
        .secret = span_of(sealed[0], CALLBACK_SEALED_SIZE),
        .old_secret = span_of(sealed[1], CALLBACK_SEALED_SIZE),
        .old_secret_until = 1000,
    };
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    os_sim_destroy(&sim);
    return 0;
}

/* Signed at that time it is what the first so many secrets give. */
static void
assert_signed_by(int64_t unix_seconds, size_t secret_count)
{
    char memory[2][512];
    struct buf wanted;
    struct buf out;
    const struct span clear[2] = {
        span_of(secrets[0], CALLBACK_SECRET_SIZE), span_of(secrets[1], CALLBACK_SECRET_SIZE)};
    buf_init_fixed(&wanted, memory[0], sizeof(memory[0]));
    buf_init_fixed(&out, memory[1], sizeof(memory[1]));
    callback_sign(&wanted, clear, secret_count, unix_seconds, BODY);
    assert_int_equal(recipient_sign(&keys, ID, &recipient, unix_seconds, BODY, &out), ERR_OK);
    assert_true(span_equal(buf_span(&out), buf_span(&wanted)));
}

static void
test_the_old_secret_signs_until_its_time(void **state)
{
    (void)state;
    assert_signed_by(999, 2);
    assert_signed_by(1000, 1);
    recipient.old_secret = SPAN_EMPTY; /* as after a replacement with expires_in=0 */
    recipient.old_secret_until = 0;
    assert_signed_by(999, 1);
}

static void
test_a_secret_of_another_or_broken_signs_nothing(void **state)
{
    (void)state;
    char memory[512];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    assert_int_equal(recipient_sign(&keys, SPAN("we_2"), &recipient, 1, BODY, &out), ERR_CORRUPT);
    recipient.old_secret = span_slice(recipient.old_secret, 1, recipient.old_secret.size);
    assert_int_equal(recipient_sign(&keys, ID, &recipient, 1, BODY, &out), ERR_CORRUPT);
    assert_int_equal(out.size, 0);
    assert_signed_by(1000, 1); /* the old one is not looked at any more */
}

static void
seal_anew(bool anew, struct recipient_seals *seals)
{
    const struct recipient_seal seal = {.keys = &keys, .entropy = os_sim_entropy(sim), .id = ID};
    *seals = (struct recipient_seals){.anew = 0};
    assert_int_equal(recipient_seal_anew(&arena, &seal, anew, &recipient, seals), ERR_OK);
}

/* Both secrets go over to the key that seals, and sign as before; then the other key may go. */
static void
test_secrets_go_over_to_another_key(void **state)
{
    (void)state;
    struct recipient_seals seals;
    struct span before = recipient.secret;
    keys.sealing = 1;
    seal_anew(false, &seals);
    assert_int_equal(seals.under[0], 2);
    assert_int_equal(seals.under[1], 0);
    assert_int_equal(seals.anew, 0);
    assert_true(span_equal(recipient.secret, before));
    seal_anew(true, &seals);
    assert_int_equal(seals.under[0], 0);
    assert_int_equal(seals.under[1], 2);
    assert_int_equal(seals.anew, 2);
    memset(&keys.keys[0], 0, sizeof(keys.keys[0]));
    assert_signed_by(999, 2);
    before = recipient.secret;
    seal_anew(true, &seals);
    assert_int_equal(seals.anew, 0);
    assert_true(span_equal(recipient.secret, before));
}

static void
test_a_secret_that_no_key_opens_stays(void **state)
{
    (void)state;
    struct recipient_seals seals;
    struct span before = recipient.old_secret;
    sealed[1][20] = sealed[1][20] == '0' ? '1' : '0';
    keys.sealing = 1;
    seal_anew(true, &seals);
    assert_int_equal(seals.unreadable, 1);
    assert_int_equal(seals.under[1], 1);
    assert_ptr_equal(recipient.old_secret.data, before.data);
}

/* Whose file does not have the key that is in use must not seal with another one. */
static void
test_without_the_key_in_use_nothing_is_sealed(void **state)
{
    (void)state;
    struct recipient_seals seals = {.anew = 0};
    const struct recipient_seal seal = {.keys = &keys, .entropy = os_sim_entropy(sim), .id = ID};
    keys.sealing = keys.count;
    assert_int_equal(recipient_seal_anew(&arena, &seal, true, &recipient, &seals), ERR_DENIED);
    assert_signed_by(999, 2);
}

static void
test_what_was_shown_is_wiped(void **state)
{
    (void)state;
    char shown[CALLBACK_SECRET_SIZE];
    const char zeros[CALLBACK_SECRET_SIZE] = {0};
    memcpy(shown, secrets[0], sizeof(shown));
    recipient.shown_secret = span_of(shown, sizeof(shown));
    recipient_wipe_shown(&recipient);
    assert_memory_equal(shown, zeros, sizeof(shown));
    assert_int_equal(recipient.shown_secret.size, 0);
    recipient_wipe_shown(&recipient); /* where nothing was shown */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_the_old_secret_signs_until_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_secret_of_another_or_broken_signs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secrets_go_over_to_another_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_secret_that_no_key_opens_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_without_the_key_in_use_nothing_is_sealed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_shown_is_wiped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
