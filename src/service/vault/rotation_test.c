/* VAULT-6: rotation, cut off at every step, beside cards that come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cards_testing.h"
#include "keys.h"
#include "vault/master.h"

#include <stdio.h>
#include <string.h>

static void
test_rotate(void **state)
{
    struct t_bench *bench = *state;
    t_add_many(bench, 250);
    struct vault_rotation before = t_look(bench);
    assert_int_equal(before.generation, 1);
    assert_false(before.under_way);
    assert_int_equal(t_rotate(bench), ERR_OK);
    assert_int_equal(t_look(bench).generation, 2);
    assert_true(t_look(bench).under_way);
    assert_int_equal(t_look(bench).cards, 0);
    assert_true(t_is_there(bench, "master.key"));
    assert_true(t_is_there(bench, "master-2.key"));
    assert_int_equal(t_rotate(bench), ERR_BUSY);
    t_check(bench); /* under the old key yet */
    t_add(bench);   /* under the new one */
    t_finish(bench);
    assert_int_equal(t_look(bench).generation, 2);
    assert_int_equal(t_look(bench).cards, 250);
    assert_int_equal(t_look(bench).aside.count, 0);
    assert_false(t_is_there(bench, "master.key"));
    assert_true(t_is_there(bench, "master-2.key"));
    t_check(bench);
    /* The data key in use, and the fingerprints'. */
    assert_int_equal(t_count(bench, &vault_data_key_kind), 2);
    assert_int_equal(t_look(bench).generation, 2);
    t_check(bench);
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    assert_int_equal(t_look(bench).generation, 3);
    assert_false(t_is_there(bench, "master-2.key"));
    t_check(bench);
}

static void
test_rotate_without_cards(void **state)
{
    struct t_bench *bench = *state;
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    assert_int_equal(t_look(bench).generation, 2);
    assert_false(t_is_there(bench, "master.key"));
}

/* A step after a step, and a restart between any two of them. */
static void
test_cut_off_between_steps(void **state)
{
    struct t_bench *bench = *state;
    uint32_t restarts = 0;
    t_add_many(bench, 250);
    assert_int_equal(t_rotate(bench), ERR_OK);
    while (t_look(bench).under_way) {
        t_stop(bench);
        t_start(bench);
        restarts++;
        assert_int_equal(t_look(bench).generation, 2);
        /* Of each state in turn: the cache of look-ups is empty, and then it is not. */
        t_check_one(bench, &t_cards.all[restarts]);
        t_add(bench);
        assert_true(os_sim_run_for(bench->sim, 15 * OS_NS_PER_MS, T_STEPS));
        t_check(bench);
    }
    assert_true(restarts >= 3);
    assert_false(t_is_there(bench, "master.key"));
}

/* The loop stops with a step under way in its group, or before any. */
static void
test_random(void **state)
{
    struct t_bench *bench = *state;
    struct os_prng *prng = os_sim_prng(bench->sim);
    uint32_t rotations = 1;
    for (uint32_t i = 0; i < 600; i++) {
        switch (os_prng_below(prng, 12)) {
        case 0:
            t_stop(bench);
            t_start(bench);
            break;
        case 1: {
            err_t error = t_rotate(bench);
            assert_true(error == ERR_OK || error == ERR_BUSY);
            rotations += error == ERR_OK;
            break;
        }
        case 2:
        case 3:
            assert_true(os_sim_run_for(bench->sim, 11 * OS_NS_PER_MS, T_STEPS));
            break;
        case 4:
        case 5:
        case 6:
        case 7:
            if (t_cards.count < T_CARDS_MAX) {
                t_add(bench);
            }
            break;
        default:
            if (t_cards.count > 0) {
                t_check_one(bench, &t_cards.all[os_prng_below(prng, t_cards.count)]);
            }
        }
        assert_int_equal(t_look(bench).generation, rotations);
    }
    assert_true(rotations > 3);
    t_finish(bench);
    t_check(bench);
}

/* A file that no row uses: of a rotation that was cut off before its commit. */
static void
test_cut_off_before_commit(void **state)
{
    struct t_bench *bench = *state;
    t_add(bench);
    t_stop(bench);
    assert_int_equal(
        vault_master_make(bench->disk, os_sim_entropy(bench->sim), bench->folder, 2), ERR_OK);
    t_start(bench);
    assert_int_equal(t_look(bench).generation, 1);
    t_finish(bench);
    assert_true(t_is_there(bench, "master.key"));
    t_check(bench);
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    t_stop(bench);
    t_start(bench);
    t_check(bench);
    assert_int_equal(t_look(bench).generation, 2);
}

/* The rows are gone, the file is not. */
static void
test_cut_off_before_the_file_went(void **state)
{
    struct t_bench *bench = *state;
    t_add(bench);
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    t_stop(bench);
    assert_int_equal(
        vault_master_make(bench->disk, os_sim_entropy(bench->sim), bench->folder, 1), ERR_OK);
    t_start(bench);
    assert_true(t_look(bench).under_way);
    t_finish(bench);
    assert_false(t_is_there(bench, "master.key"));
    t_check(bench);
}

/* ----------------------------------------------------------------------------------- failures */

static void
t_refused(struct t_bench *bench, err_t expected, const char *part)
{
    char message[VAULT_MESSAGE_SIZE];
    t_stop(bench);
    assert_int_equal(t_try_start(bench, message), expected);
    assert_non_null(strstr(message, part));
}

static void
test_wrong_files_are_refused(void **state)
{
    struct t_bench *bench = *state;
    char path[256], other[256];
    t_add(bench);
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    t_path(bench, "master-2.key", path);
    t_path(bench, "kept", other);
    assert_int_equal(rename(path, other), 0);
    t_refused(bench, ERR_NOT_FOUND, "master-2.key");
    assert_false(t_is_there(bench, "master.key")); /* none is made for a vault that has one */
    assert_false(t_is_there(bench, "master-2.key"));
    assert_int_equal(
        vault_master_make(bench->disk, os_sim_entropy(bench->sim), bench->folder, 2), ERR_OK);
    t_refused(bench, ERR_CORRUPT, "master-2.key: it does not open vault.db");
    assert_int_equal(rename(other, path), 0);
    t_stop(bench);
    t_start(bench);
    t_check(bench);
    /* The database is gone, and the key is that of a later generation. */
    t_stop(bench);
    t_path(bench, "vault.db", path);
    t_path(bench, "kept", other);
    assert_int_equal(rename(path, other), 0);
    char message[VAULT_MESSAGE_SIZE];
    assert_int_equal(t_try_start(bench, message), ERR_CORRUPT);
    assert_non_null(strstr(message, "master-2.key: it is there, and vault.db"));
    t_stop(bench);
    assert_int_equal(rename(other, path), 0);
    t_start(bench);
    t_check(bench);
}

static err_t
rename_fails(struct os_disk *disk, const char *from, const char *to)
{
    (void)disk;
    (void)from;
    (void)to;
    return ERR_DISK_FULL;
}

static err_t
remove_fails(struct os_disk *disk, const char *path)
{
    (void)disk;
    (void)path;
    return ERR_IO;
}

static void
test_disk_fails(void **state)
{
    struct t_bench *bench = *state;
    struct os_disk_ops ops = *os_disk_real()->ops;
    struct os_disk failing = {.ops = &ops};
    t_add(bench);
    t_stop(bench);
    bench->disk = &failing;
    ops.rename = rename_fails;
    t_start(bench);
    assert_int_equal(t_rotate(bench), ERR_DISK_FULL);
    assert_int_equal(t_look(bench).generation, 1);
    assert_false(t_look(bench).under_way);
    ops = *os_disk_real()->ops;
    ops.remove = remove_fails;
    assert_int_equal(t_rotate(bench), ERR_OK);
    assert_true(os_sim_run_for(bench->sim, OS_NS_PER_S, T_STEPS));
    assert_true(t_look(bench).failing);
    assert_true(t_look(bench).under_way);
    assert_true(t_is_there(bench, "master.key"));
    ops = *os_disk_real()->ops;
    t_finish(bench);
    assert_false(t_look(bench).failing);
    assert_false(t_is_there(bench, "master.key"));
    t_check(bench);
}

/* The keys in memory are those of the database, whatever failed. */
static void
test_commit_fails(void **state)
{
    struct t_bench *bench = *state;
    char message[VAULT_MESSAGE_SIZE];
    struct vault_key_memory *keys, *again;
    t_stop(bench);
    struct document_store *documents = t_open_documents(bench);
    const struct vault_keys_place place = {
        .disk = bench->disk,
        .entropy = os_sim_entropy(bench->sim),
        .documents = documents,
        .folder = bench->folder,
    };
    assert_int_equal(vault_keys_open(&place, 1, &keys, message), ERR_OK);
    t_fail_commit(documents, 0);
    assert_int_equal(vault_keys_rotate(keys, &place, 2), ERR_DISK_FULL);
    assert_int_equal(keys->generation, 1);
    assert_int_equal(keys->data_count, 1);
    /* A clock that goes back does not bring the old key into use. */
    assert_int_equal(vault_keys_rotate(keys, &place, 0), ERR_OK);
    t_fail_commit(documents, 0);
    assert_int_equal(vault_keys_retire(keys, &place), ERR_DISK_FULL);
    assert_int_equal(vault_keys_old_count(keys), 1);
    assert_int_equal(vault_keys_open(&place, 3, &again, message), ERR_OK);
    assert_memory_equal(keys->data, again->data, sizeof(keys->data));
    assert_memory_equal(keys->fingerprint, again->fingerprint, sizeof(keys->fingerprint));
    assert_int_equal(vault_keys_current(again)->generation, 2);
    vault_keys_close(&again);
    assert_int_equal(vault_keys_retire(keys, &place), ERR_OK);
    assert_int_equal(keys->data_count, 1);
    assert_int_equal(vault_keys_open(&place, 3, &again, message), ERR_OK);
    assert_memory_equal(keys->data, again->data, sizeof(keys->data));
    vault_keys_close(&again);
    vault_keys_close(&keys);
    documents->ops->close(documents);
    t_start(bench);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rotate, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_rotate_without_cards, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_cut_off_between_steps, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_random, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_cut_off_before_commit, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(
            test_cut_off_before_the_file_went, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_files_are_refused, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_disk_fails, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_commit_fails, t_cards_setup, t_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
