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

/* What the file has is what is loaded, in its order; or the message says which line is wrong. */
static void
load(struct os_disk *disk, const char *text, err_t error, const char *part, uint32_t count)
{
    struct callback_keys *keys = NULL;
    char message[CALLBACK_MESSAGE_SIZE] = "";
    assert_int_equal(os_file_save(disk, "w", "some.key", span_from_cstr(text)), ERR_OK);
    assert_int_equal(callback_keys_load(disk, "w/some.key", &keys, message), error);
    assert_non_null(strstr(message, part));
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(keys->count, count);
        assert_int_equal(keys->keys[i].bytes[0], i + 1);
        assert_int_equal(keys->keys[i].bytes[CALLBACK_KEY_SIZE - 1], 0);
        assert_int_equal(keys->sealing, 0);
    }
    callback_keys_close(&keys);
}

#define ZEROS "00000000000000000000000000000000000000000000000000000000000000"
#define KEY_1 "01" ZEROS "\n"
#define KEY_2 "02" ZEROS "\n"

static void
test_key_file(void **state)
{
    (void)state;
    struct os_sim *sim;
    struct os_sim_disk *sim_disk;
    struct callback_keys *keys;
    char message[CALLBACK_MESSAGE_SIZE] = "";
    assert_int_equal(os_sim_create(1, &sim), ERR_OK);
    assert_int_equal(
        os_sim_disk_create(&(struct os_sim_disk_settings){.seed = 1}, &sim_disk), ERR_OK);
    struct os_disk *disk = os_sim_disk_ops(sim_disk);
    struct os_entropy *entropy = os_sim_entropy(sim);
    assert_int_equal(callback_keys_open(disk, entropy, "w", true, &keys, message), ERR_NOT_FOUND);
    assert_non_null(strstr(message, "w/master.key"));
    assert_int_equal(callback_keys_open(disk, entropy, "w", false, &keys, message), ERR_OK);
    assert_int_equal(keys->count, 1);
    struct callback_key first = keys->keys[0];
    callback_keys_close(&keys);
    assert_null(keys);
    assert_int_equal(callback_keys_open(disk, entropy, "w", true, &keys, message), ERR_OK);
    assert_memory_equal(&first, &keys->keys[0], sizeof(first));
    callback_keys_close(&keys);
    assert_int_equal(callback_keys_load(disk, "w/master.key", &keys, message), ERR_OK);
    assert_memory_equal(&first, &keys->keys[0], sizeof(first));
    callback_keys_close(&keys);
    assert_int_equal(callback_keys_load(disk, "w/other.key", &keys, message), ERR_NOT_FOUND);
    assert_non_null(strstr(message, "w/other.key"));
    load(disk, KEY_1, ERR_OK, "", 1);
    load(disk, KEY_1 "\n# before 2026\n" KEY_2, ERR_OK, "", 2);
    load(disk, KEY_1 "00112233\n", ERR_CORRUPT, "w/some.key: line 2: not 64 hex", 0);
    load(disk, "# none\n", ERR_CORRUPT, "w/some.key: line 1: ", 0);
    load(
        disk,
        KEY_1 KEY_2 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1,
        ERR_FULL,
        "line 9: more than 8 keys",
        0);
    assert_int_equal(os_file_save(disk, "w", "master.key", SPAN("00112233\n")), ERR_OK);
    assert_int_equal(callback_keys_open(disk, entropy, "w", false, &keys, message), ERR_CORRUPT);
    os_sim_disk_destroy(&sim_disk);
    os_sim_destroy(&sim);
}

/* Any of several opens, and tells which it was. */
static void
test_several_keys(void **state)
{
    (void)state;
    struct os_sim *sim;
    char sealed[CALLBACK_SEALED_SIZE], clear[CALLBACK_SECRET_SIZE];
    char name[CALLBACK_KEY_NAME_SIZE];
    struct callback_keys keys = {.keys = {{.bytes = {1}}, {.bytes = {2}}}, .count = 2};
    struct span id = SPAN("we_1");
    assert_int_equal(os_sim_create(1, &sim), ERR_OK);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t found = 9;
        keys.sealing = i;
        assert_int_equal(
            callback_secret_seal(
                callback_keys_sealing(&keys), os_sim_entropy(sim), id, SECRET, sealed),
            ERR_OK);
        struct span text = span_of(sealed, sizeof(sealed));
        memset(clear, 0, sizeof(clear));
        assert_int_equal(callback_keys_unseal(&keys, id, text, clear, &found), ERR_OK);
        assert_int_equal(found, i);
        assert_memory_equal(clear, SECRET, sizeof(clear));
    }
    keys.count = 1; /* the second one's secret is there yet */
    assert_int_equal(
        callback_keys_unseal(&keys, id, span_of(sealed, sizeof(sealed)), clear, NULL), ERR_CORRUPT);
    assert_null(callback_keys_sealing(&keys));
    callback_key_name(&keys.keys[0], name); /* worked out with sha256sum */
    assert_string_equal(name, "01d0fabd");
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
        cmocka_unit_test(test_several_keys),
    };
    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
