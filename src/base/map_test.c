#include "base/map.h"

#include "base/hash.h"
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define T_COUNT 1000

struct t_element {
    struct map_link link;
    uint64_t key;
    int seen;
};

static struct t_element *
t_find(const struct map *map, uint64_t hash, uint64_t key)
{
    for (struct map_link *link = map_find(map, hash); link != NULL; link = map_next(link)) {
        struct t_element *element = CONTAINER_OF(link, struct t_element, link);
        if (element->key == key) {
            return element;
        }
    }
    return NULL;
}

/* Few hash values, so that many elements share one and more share a bucket. */
static uint64_t
t_poor_hash(uint64_t key)
{
    return key % 7 * 16;
}

static void
t_mark(void *context, struct map_link *link)
{
    (*(int *)context)++;
    CONTAINER_OF(link, struct t_element, link)->seen++;
}

static void
t_run(uint64_t (*hash)(uint64_t key))
{
    static struct t_element elements[T_COUNT];
    struct map map;
    map_init(&map, T_COUNT);
    assert_null(map_find(&map, 0));
    for (uint64_t i = 0; i < T_COUNT; i++) {
        elements[i] = (struct t_element){.key = i};
        assert_int_equal(map_insert(&map, hash(i), &elements[i].link), ERR_OK);
    }
    assert_int_equal(map.size, T_COUNT);
    assert_true(map.bucket_count >= T_COUNT); /* chains stay short */
    struct map_link extra;
    assert_int_equal(map_insert(&map, 1, &extra), ERR_FULL);
    int count = 0;
    map_each(&map, t_mark, &count);
    assert_int_equal(count, T_COUNT);
    for (uint64_t i = 0; i < T_COUNT; i++) {
        assert_int_equal(elements[i].seen, 1);
        assert_ptr_equal(t_find(&map, hash(i), i), &elements[i]);
    }
    for (uint64_t i = 0; i < T_COUNT; i += 2) {
        map_remove(&map, &elements[i].link);
    }
    assert_int_equal(map.size, T_COUNT / 2);
    for (uint64_t i = 0; i < T_COUNT; i++) {
        assert_ptr_equal(t_find(&map, hash(i), i), i % 2 == 0 ? NULL : &elements[i]);
    }
    assert_int_equal(map_insert(&map, hash(0), &elements[0].link), ERR_OK);
    assert_ptr_equal(t_find(&map, hash(0), 0), &elements[0]);
    map_release(&map);
}

static void
t_good_hash(void **state)
{
    (void)state;
    t_run(hash_u64);
}

static void
t_colliding_hash(void **state)
{
    (void)state;
    t_run(t_poor_hash);
}

static void
t_limit_of_zero(void **state)
{
    (void)state;
    struct map map;
    struct map_link link;
    map_init(&map, 0);
    assert_int_equal(map_insert(&map, 1, &link), ERR_FULL);
    map_release(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_good_hash),
        cmocka_unit_test(t_colliding_hash),
        cmocka_unit_test(t_limit_of_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
