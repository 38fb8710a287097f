/* On the simulated disk: what is made is what is loaded, and what is no key is refused. */
#include "os/key_file.h"

#include "os/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct os_sim_disk_settings settings = {.seed = 1};

static void
t_fill(struct os_entropy *entropy, void *out, size_t size)
{
    (void)entropy;
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)out)[i] = (uint8_t)(0xf8 + i);
    }
}

static void
t_makes_and_loads(void **state)
{
    (void)state;
    struct os_sim_disk *sim;
    struct os_entropy entropy = {.fill = t_fill};
    static const uint8_t right[4] = {0xf8, 0xf9, 0xfa, 0xfb};
    uint8_t key[4];
    char *text;
    size_t size;
    assert_int_equal(os_sim_disk_create(&settings, &sim), ERR_OK);
    struct os_disk *disk = os_sim_disk_ops(sim);
    assert_int_equal(os_key_file_load(disk, "./a.key", key, sizeof(key)), ERR_NOT_FOUND);
    assert_int_equal(os_key_file_make(disk, &entropy, ".", "a.key", sizeof(key)), ERR_OK);
    assert_int_equal(os_key_file_load(disk, "./a.key", key, sizeof(key)), ERR_OK);
    assert_memory_equal(key, right, sizeof(key));
    assert_int_equal(os_file_load(disk, "./a.key", 100, &text, &size), ERR_OK);
    assert_int_equal(size, 9);
    assert_memory_equal(text, "f8f9fafb\n", 9);
    free(text);
    os_sim_disk_destroy(&sim);
}

static void
t_refuses(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        err_t result;
    } cases[] = {
        {"f8f9fafb", ERR_OK}, /* an editor that wrote no newline */
        {"f8f9fafb\n# of the second node\n", ERR_OK},
        {"", ERR_CORRUPT},
        {"\nf8f9fafb\n", ERR_CORRUPT},
        {"f8f9fafb \n", ERR_CORRUPT},
        {"f8f9fa\n", ERR_CORRUPT},
        {"f8f9fafbfc\n", ERR_CORRUPT},
        {"F8F9FAFB\n", ERR_CORRUPT},
    };
    struct os_sim_disk *sim;
    uint8_t key[4];
    assert_int_equal(os_sim_disk_create(&settings, &sim), ERR_OK);
    struct os_disk *disk = os_sim_disk_ops(sim);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span text = span_from_cstr(cases[i].text);
        assert_int_equal(os_file_save(disk, ".", "a.key", text), ERR_OK);
        assert_int_equal(os_key_file_load(disk, "./a.key", key, sizeof(key)), cases[i].result);
    }
    os_sim_disk_destroy(&sim);
}

static void
t_several(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        err_t result;
        uint32_t count, line;
    } cases[] = {
        {"f8f9fafb\n", ERR_OK, 1, 1},
        {"f8f9fafb\n00010203", ERR_OK, 2, 2},
        {"# new\nf8f9fafb\n\n# old\n00010203\n", ERR_OK, 2, 5},
        {"f8f9fafb\n00010203\n00010203\n", ERR_FULL, 2, 3},
        {"f8f9fafb\n000102\n", ERR_CORRUPT, 1, 2},
        {"f8f9fafb\nthe second node's\n", ERR_CORRUPT, 1, 2},
        {"", ERR_CORRUPT, 0, 0},
        {"# nothing\n", ERR_CORRUPT, 0, 1},
    };
    struct os_sim_disk *sim;
    uint8_t keys[8];
    static const uint8_t right[8] = {0xf8, 0xf9, 0xfa, 0xfb, 0, 1, 2, 3};
    struct os_key_room room = {.keys = keys, .size = 4, .max = 2};
    uint32_t count, line;
    assert_int_equal(os_sim_disk_create(&settings, &sim), ERR_OK);
    struct os_disk *disk = os_sim_disk_ops(sim);
    assert_int_equal(
        os_key_file_load_several(disk, "./no.key", &room, &count, &line), ERR_NOT_FOUND);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span text = span_from_cstr(cases[i].text);
        memset(keys, 0, sizeof(keys));
        assert_int_equal(os_file_save(disk, ".", "a.key", text), ERR_OK);
        assert_int_equal(
            os_key_file_load_several(disk, "./a.key", &room, &count, &line), cases[i].result);
        assert_int_equal(count, cases[i].count);
        assert_int_equal(line, cases[i].line);
        assert_memory_equal(keys, right, 4 * (size_t)count);
    }
    os_sim_disk_destroy(&sim);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_makes_and_loads),
        cmocka_unit_test(t_refuses),
        cmocka_unit_test(t_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
