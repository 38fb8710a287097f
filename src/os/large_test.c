#include "os/large.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LARGE (UINT64_C(2) << 20)

/* Each size around the bounds: zeroed, aligned, its own up to the last byte, and given back whole.
 */
static void
test_sizes(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 4096, 4097, LARGE - 1, LARGE, LARGE + 1, 5 * LARGE + 4096};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (int again = 0; again < 3; again++) {
            char *memory = os_large_alloc(sizes[i]);
            char *other = os_large_alloc(sizes[i]);
            assert_non_null(memory);
            assert_non_null(other);
            assert_int_equal((uintptr_t)memory % (sizes[i] < LARGE ? 4096 : LARGE), 0);
            memset(other, 2, sizes[i]);
            for (size_t at = 0; at < sizes[i]; at++) {
                assert_true(memory[at] == 0);
            }
            memset(memory, 1, sizes[i]);
            assert_true(other[0] == 2 && other[sizes[i] - 1] == 2);
            os_large_free(memory, sizes[i]);
            assert_true(other[0] == 2 && other[sizes[i] - 1] == 2);
            os_large_free(other, sizes[i]);
        }
    }
    os_large_free(NULL, 1);
}

/* Memory of malloc's keeps what it has, whatever its bounds are. */
static void
test_wish(void **state)
{
    (void)state;
    const size_t sizes[] = {1, LARGE - 1, LARGE, 3 * LARGE + 5};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char *memory = malloc(sizes[i]);
        assert_non_null(memory);
        memset(memory, 1, sizes[i] / 2);
        os_large_wish(memory, sizes[i]);
        memset(memory + sizes[i] / 2, 1, sizes[i] - sizes[i] / 2);
        for (size_t at = 0; at < sizes[i]; at++) {
            assert_true(memory[at] == 1);
        }
        free(memory);
    }
    os_large_wish(NULL, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_wish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
