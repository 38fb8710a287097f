/* Master keys that come and go while a backup is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backup_keys.h"

#include "os/sim.h"
#include "vault/master.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_TEXT_SIZE (2 * VAULT_MASTER_SIZE)

struct bench {
    char folder[64];
    char vault[80];
    struct os_sim *sim;
    struct backup_keys keys;
};

static int
setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    (void)snprintf(bench->folder, sizeof(bench->folder), "/tmp/tael-keys-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    (void)snprintf(bench->vault, sizeof(bench->vault), "%s/vault", bench->folder);
    struct os_disk *disk = os_disk_real();
    assert_int_equal(disk->ops->make_folder(disk, bench->vault), ERR_OK);
    assert_int_equal(os_sim_create(3, &bench->sim), ERR_OK);
    bench->keys.disk = disk;
    *state = bench;
    return 0;
}

static int
teardown(void **state)
{
    struct bench *bench = *state;
    backup_keys_close(&bench->keys);
    assert_int_equal(bench->keys.count, 0);
    assert_int_equal(
        vault_master_remove_before(os_disk_real(), bench->vault, VAULT_GENERATION_MAX), ERR_OK);
    assert_int_equal(rmdir(bench->vault), 0);
    assert_int_equal(rmdir(bench->folder), 0);
    os_sim_destroy(&bench->sim);
    free(bench);
    return 0;
}

static void
make(struct bench *bench, uint32_t generation)
{
    assert_int_equal(
        vault_master_make(os_disk_real(), os_sim_entropy(bench->sim), bench->vault, generation),
        ERR_OK);
}

static void
look(struct bench *bench, err_t expected)
{
    char message[BACKUP_MESSAGE_SIZE] = "";
    assert_int_equal(backup_keys_look(&bench->keys, bench->folder, message), expected);
    assert_int_equal(message[0] != '\0', expected != ERR_OK);
}

static void
text_of_file(const struct bench *bench, uint32_t generation, char out[KEY_TEXT_SIZE])
{
    char name[VAULT_MASTER_NAME_SIZE], path[256];
    char *text = NULL;
    size_t size = 0;
    vault_master_name(generation, name);
    (void)snprintf(path, sizeof(path), "%s/%s", bench->vault, name);
    assert_int_equal(os_file_load(os_disk_real(), path, 4096, &text, &size), ERR_OK);
    assert_true(size >= KEY_TEXT_SIZE);
    memcpy(out, text, KEY_TEXT_SIZE);
    free(text);
}

static void
held(const struct bench *bench, uint32_t generation, const char expected[KEY_TEXT_SIZE])
{
    struct os_disk *disk = os_disk_real();
    for (uint32_t i = 0; i < bench->keys.count; i++) {
        char text[KEY_TEXT_SIZE];
        if (bench->keys.keys[i].generation == generation) {
            assert_int_equal(
                disk->ops->read(disk, bench->keys.keys[i].file, text, sizeof(text), 0), ERR_OK);
            assert_memory_equal(text, expected, sizeof(text));
            return;
        }
    }
    fail_msg("generation %u is not held", generation);
}

static void
test_names_are_the_vaults(void **state)
{
    (void)state;
    static const char *const names[] = {
        "master.key",
        "master-1.key",
        "master-0.key",
        "master-2.key",
        "master-02.key",
        "master-999999.key",
        "master-1000000.key",
        "master-4294967298.key",
        "master-2.key.tmp",
        "master.key.tmp",
        "master-",
        "master-x.key",
        "vault.db",
        ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint32_t theirs = 0, ours = 0;
        assert_int_equal(backup_key_parse(names[i], &ours), vault_master_parse(names[i], &theirs));
        assert_int_equal(ours, theirs);
    }
    for (uint32_t generation = 1; generation < 1200; generation++) {
        char theirs[VAULT_MASTER_NAME_SIZE], ours[BACKUP_KEY_NAME_SIZE];
        vault_master_name(generation, theirs);
        backup_key_name(generation, ours);
        assert_string_equal(ours, theirs);
    }
}

/* Nothing happens: what is there is held, once. */
static void
test_still(void **state)
{
    struct bench *bench = *state;
    char text[KEY_TEXT_SIZE];
    make(bench, 7);
    look(bench, ERR_OK);
    look(bench, ERR_OK);
    assert_int_equal(bench->keys.count, 1);
    text_of_file(bench, 7, text);
    held(bench, 7, text);
}

/* A rotation begins and ends around the moment: the database is of the one before or of the next.
 */
static void
test_rotated_between(void **state)
{
    struct bench *bench = *state;
    char first[KEY_TEXT_SIZE], second[KEY_TEXT_SIZE];
    make(bench, 1);
    text_of_file(bench, 1, first);
    look(bench, ERR_OK);
    make(bench, 2);
    text_of_file(bench, 2, second);
    assert_int_equal(vault_master_remove_before(os_disk_real(), bench->vault, 2), ERR_OK);
    look(bench, ERR_OK);
    assert_int_equal(bench->keys.count, 2);
    held(bench, 1, first);
    held(bench, 2, second);
}

/* What a rotation that was cut off had left is replaced by the next one. */
static void
test_replaced_between(void **state)
{
    struct bench *bench = *state;
    char left[KEY_TEXT_SIZE], second[KEY_TEXT_SIZE];
    make(bench, 1);
    make(bench, 2);
    text_of_file(bench, 2, left);
    look(bench, ERR_OK);
    make(bench, 2);
    text_of_file(bench, 2, second);
    assert_memory_not_equal(left, second, sizeof(left));
    look(bench, ERR_OK);
    assert_int_equal(bench->keys.count, 2);
    held(bench, 2, second);
}

/* The database may be of a generation whose file nobody has seen. */
static void
test_came_and_went(void **state)
{
    struct bench *bench = *state;
    make(bench, 1);
    look(bench, ERR_OK);
    make(bench, 3);
    assert_int_equal(vault_master_remove_before(os_disk_real(), bench->vault, 3), ERR_OK);
    look(bench, ERR_BUSY);
}

static void
test_too_many(void **state)
{
    struct bench *bench = *state;
    for (uint32_t i = 1; i <= BACKUP_KEYS_MAX + 1; i++) {
        make(bench, i);
    }
    look(bench, ERR_FULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_the_vaults),
        cmocka_unit_test_setup_teardown(test_still, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotated_between, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced_between, setup, teardown),
        cmocka_unit_test_setup_teardown(test_came_and_went, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
