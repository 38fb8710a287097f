/* The names of master keys' files, and the files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/sim.h"
#include "os/sim_disk.h"
#include "vault/master.h"

#include <stdlib.h>
#include <string.h>

static void
test_names(void **state)
{
    (void)state;

    static const struct {
        const char *name;
        uint32_t generation; /* 0: it is none */
    } cases[] = {
        {"master.key", 1},
        {"master-2.key", 2},
        {"master-10.key", 10},
        {"master-999999.key", 999999},
        {"master-1000000.key", 0},
        {"master-1.key", 0},
        {"master-0.key", 0},
        {"master-02.key", 0},
        {"master-+2.key", 0},
        {"master-2.key.tmp", 0},
        {"master-2", 0},
        {"master-.key", 0},
        {"master-x.key", 0},
        {"master-4294967298.key", 0},
        {"master.key.tmp", 0},
        {"master", 0},
        {"amaster.key", 0},
        {"vault.db", 0},
        {"", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t generation = 0;
        char name[VAULT_MASTER_NAME_SIZE];
        bool is_master = vault_master_parse(cases[i].name, &generation);
        assert_int_equal(is_master, cases[i].generation != 0);
        assert_int_equal(generation, cases[i].generation);
        if (is_master) {
            vault_master_name(generation, name);
            assert_string_equal(name, cases[i].name);
        }
    }
}

static void
t_range(struct os_disk *disk, uint32_t oldest, uint32_t newest)
{
    uint32_t is_oldest = 77;
    uint32_t is_newest = 77;
    assert_int_equal(vault_master_range(disk, "v", &is_oldest, &is_newest), ERR_OK);
    assert_int_equal(is_oldest, oldest);
    assert_int_equal(is_newest, newest);
}

static void
test_files(void **state)
{
    (void)state;
    struct os_sim *sim;
    struct os_sim_disk *sim_disk;
    uint8_t first[VAULT_MASTER_SIZE], tenth[VAULT_MASTER_SIZE], again[VAULT_MASTER_SIZE];
    assert_int_equal(os_sim_create(1, &sim), ERR_OK);
    assert_int_equal(
        os_sim_disk_create(&(struct os_sim_disk_settings){.seed = 1}, &sim_disk), ERR_OK);
    struct os_disk *disk = os_sim_disk_ops(sim_disk);
    struct os_entropy *entropy = os_sim_entropy(sim);
    assert_int_equal(disk->ops->make_folder(disk, "v"), ERR_OK);
    assert_int_equal(os_file_save(disk, "v", "vault.db", SPAN("x")), ERR_OK);
    t_range(disk, 0, 0);
    assert_int_equal(vault_master_load(disk, "v", 1, first), ERR_NOT_FOUND);
    static const uint32_t made[] = {10, 1, 9, 2};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(vault_master_make(disk, entropy, "v", made[i]), ERR_OK);
    }
    t_range(disk, 1, 10);
    assert_int_equal(vault_master_load(disk, "v", 1, first), ERR_OK);
    assert_int_equal(vault_master_load(disk, "v", 10, tenth), ERR_OK);
    assert_memory_not_equal(first, tenth, sizeof(first));
    assert_int_equal(vault_master_remove_before(disk, "v", 10), ERR_OK);
    t_range(disk, 10, 10);
    assert_int_equal(vault_master_remove_before(disk, "v", 10), ERR_OK);
    assert_int_equal(vault_master_load(disk, "v", 10, again), ERR_OK);
    assert_memory_equal(tenth, again, sizeof(again));
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(os_file_load(disk, "v/vault.db", 10, &text, &size), ERR_OK);
    free(text);
    os_sim_disk_destroy(&sim_disk);
    os_sim_destroy(&sim);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
