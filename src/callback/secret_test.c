/* Secrets at rest and signatures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "callback/secret.h"

#include "base/assert.h"
#include "os/sim.h"
#include "os/sim_disk.h"

#include <string.h>

#define SECRET "whsec_0123456789abcdefghijABCDEFGHIJ01"
static_assert(sizeof(SECRET) - 1 == CALLBACK_SECRET_SIZE, "as long as they are");

/* Worked out with Python's hmac module. */
static void
test_signature(void **state)
{
    (void)state;
    char text[256];
    struct buf out;
    struct span secrets[] = {SPAN(SECRET), SPAN("whsec_other"), SPAN_EMPTY};
    buf_init_fixed(&out, text, sizeof(text) - 1);
    callback_sign(&out, secrets, 3, 1767225600, SPAN("{\"a\":1}"));
    text[out.size] = '\0';
    assert_string_equal(
        text,
        "t=1767225600,"
        "v1=d749437b5ada3c870944f35e9aa8301383bcce96b8e809fb83a933c9c7625a3c,"
        "v1=d0bd819b2e33f6bc6edc99f8a97dbedbfadcbd70a588e64a66cf7497735ade94");
}

static void
test_new_secrets_differ(void **state)
{
    (void)state;
    struct os_sim *sim;
    char one[CALLBACK_SECRET_SIZE], other[CALLBACK_SECRET_SIZE];
    assert_int_equal(os_sim_create(1, &sim), ERR_OK);
    callback_secret_make(os_sim_entropy(sim), one);
    callback_secret_make(os_sim_entropy(sim), other);
    assert_memory_equal(one, "whsec_", 6);
    assert_memory_not_equal(one, other, CALLBACK_SECRET_SIZE);
    for (size_t i = 6; i < CALLBACK_SECRET_SIZE; i++) {
        char byte = one[i];
        assert_true(
            (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
            (byte >= 'A' && byte <= 'Z'));
    }
    os_sim_destroy(&sim);
}

static void
test_seal_and_open(void **state)
{
    (void)state;
    struct os_sim *sim;
    char sealed[CALLBACK_SEALED_SIZE], again[CALLBACK_SEALED_SIZE], clear[CALLBACK_SECRET_SIZE];
    const struct callback_key key = {.bytes = {1, 2, 3}};
    const struct callback_key other_key = {.bytes = {1, 2, 4}};
    struct span id = SPAN("we_1");
    assert_int_equal(os_sim_create(1, &sim), ERR_OK);
    struct os_entropy *entropy = os_sim_entropy(sim);
    assert_int_equal(callback_secret_seal(&key, entropy, id, SECRET, sealed), ERR_OK);
    assert_int_equal(callback_secret_seal(&key, entropy, id, SECRET, again), ERR_OK);
    assert_memory_not_equal(sealed, again, sizeof(sealed));
    struct span text = span_of(sealed, sizeof(sealed));
    assert_int_equal(callback_secret_open(&key, id, text, clear), ERR_OK);
    assert_memory_equal(clear, SECRET, sizeof(clear));
    memset(clear, 0, sizeof(clear)); /* written on success only */
    assert_int_equal(callback_secret_open(&other_key, id, text, clear), ERR_CORRUPT);
    assert_int_equal(callback_secret_open(&key, SPAN("we_2"), text, clear), ERR_CORRUPT);
    assert_memory_not_equal(clear, SECRET, sizeof(clear));
    for (size_t i = 0; i < sizeof(sealed); i++) {
        char was = sealed[i];
        sealed[i] = was == '0' ? '1' : '0';
        assert_int_equal(callback_secret_open(&key, id, text, clear), ERR_CORRUPT);
        sealed[i] = 'x';
        assert_int_equal(callback_secret_open(&key, id, text, clear), ERR_CORRUPT);
        sealed[i] = was;
    }
    text.size--;
    assert_int_equal(callback_secret_open(&key, id, text, clear), ERR_CORRUPT);
    os_sim_destroy(&sim);
}

static void
test_key_file(void **state)
{
    (void)state;
    struct os_sim *sim;
    struct os_sim_disk *sim_disk;
    struct callback_key *key;
    char message[CALLBACK_MESSAGE_SIZE] = "";
    assert_int_equal(os_sim_create(1, &sim), ERR_OK);
    assert_int_equal(
        os_sim_disk_create(&(struct os_sim_disk_settings){.seed = 1}, &sim_disk), ERR_OK);
    struct os_disk *disk = os_sim_disk_ops(sim_disk);
    struct os_entropy *entropy = os_sim_entropy(sim);
    assert_int_equal(callback_key_open(disk, entropy, "w", true, &key, message), ERR_NOT_FOUND);
    assert_non_null(strstr(message, "w/master.key"));
    assert_int_equal(callback_key_open(disk, entropy, "w", false, &key, message), ERR_OK);
    struct callback_key first = *key;
    callback_key_close(&key);
    assert_null(key);
    assert_int_equal(callback_key_open(disk, entropy, "w", true, &key, message), ERR_OK);
    assert_memory_equal(&first, key, sizeof(first));
    callback_key_close(&key);
    assert_int_equal(callback_key_load(disk, "w/master.key", &key, message), ERR_OK);
    assert_memory_equal(&first, key, sizeof(first));
    callback_key_close(&key);
    assert_int_equal(callback_key_load(disk, "w/other.key", &key, message), ERR_NOT_FOUND);
    assert_non_null(strstr(message, "w/other.key"));
    assert_int_equal(os_file_save(disk, "w", "master.key", SPAN("00112233\n")), ERR_OK);
    assert_int_equal(callback_key_load(disk, "w/master.key", &key, message), ERR_CORRUPT);
    assert_int_equal(callback_key_open(disk, entropy, "w", false, &key, message), ERR_CORRUPT);
    os_sim_disk_destroy(&sim_disk);
    os_sim_destroy(&sim);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_new_secrets_differ),
        cmocka_unit_test(test_seal_and_open),
        cmocka_unit_test(test_key_file),
    };
    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
