#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct t_element {
    int value;
    struct list_link link;
};

static void
t_order(void **state)
{
    (void)state;
    struct list list;
    struct t_element elements[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    list_init(&list);
    assert_true(list_is_empty(&list));
    assert_null(list_first(&list));
    assert_null(list_pop_front(&list));
    list_push_back(&list, &elements[1].link);
    list_push_back(&list, &elements[2].link);
    list_push_front(&list, &elements[0].link);
    list_push_back(&list, &elements[3].link);
    int next = 0;
    LIST_FOREACH_SAFE (&list, link) {
        assert_int_equal(CONTAINER_OF(link, struct t_element, link)->value, next++);
    }
    assert_int_equal(next, 4);
    list_remove(&elements[1].link);
    assert_false(list_is_linked(&elements[1].link));
    assert_true(list_is_linked(&elements[2].link));
    assert_ptr_equal(list_pop_front(&list), &elements[0].link);
    assert_ptr_equal(list_first(&list), &elements[2].link);
}

static void
t_remove_in_loop(void **state)
{
    (void)state;
    struct list list;
    struct t_element elements[5] = {0};
    list_init(&list);
    for (int i = 0; i < 5; i++) {
        elements[i].value = i;
        list_push_back(&list, &elements[i].link);
    }
    int seen = 0;
    LIST_FOREACH_SAFE (&list, link) {
        seen++;
        list_remove(link);
    }
    assert_int_equal(seen, 5);
    assert_true(list_is_empty(&list));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_order),
        cmocka_unit_test(t_remove_in_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
