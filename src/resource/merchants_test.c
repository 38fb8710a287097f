#include "testing.h"

#include "merchant.h"

#include <stdio.h>
#include <string.h>

/* The status of a list of things with this key. */
static int
t_status(struct t_world *world, const char *key)
{
    struct t_call *call = t_send(world, T_LIST, NULL, NULL);
    call->request.api_key = span_from_cstr(key);
    t_run(world);
    return call->request.status;
}

static err_t
t_ensure(
    struct t_world *world,
    const char *name,
    const char *idempotency_key,
    struct resource_merchant_info *ret_info,
    char ret_key[RESOURCE_KEY_TEXT_SIZE])
{
    return resource_merchant_ensure(
        world->runtime, name, span_from_cstr(idempotency_key), ret_info, ret_key);
}

static void
an_idempotency_key_makes_one_merchant(void **state)
{
    struct t_world *world = *state;
    struct resource_merchant_info first;
    struct resource_merchant_info again;
    char key[RESOURCE_KEY_TEXT_SIZE];
    char none[RESOURCE_KEY_TEXT_SIZE] = "unset";
    assert_int_equal(t_ensure(world, "Shop", "one", &first, key), ERR_OK);
    assert_string_equal(first.name, "Shop");
    assert_int_equal(first.number, 2);
    assert_int_equal(first.keys, 1);
    assert_false(first.closed);
    assert_memory_equal(key, "sk_test_", 8);
    assert_int_equal(t_status(world, key), 200);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(t_ensure(world, "Shop", "one", &again, none), ERR_OK);
        assert_string_equal(again.id, first.id);
        assert_int_equal(again.number, 2);
        assert_string_equal(none, "");
        t_restart(world);
    }
    assert_int_equal(t_ensure(world, "Shed", "one", &again, none), ERR_EXISTS);
    assert_int_equal(t_ensure(world, "Shop", "two", &again, none), ERR_OK);
    assert_string_not_equal(again.id, first.id);
    assert_int_equal(again.number, 3);
    assert_int_equal(t_status(world, key), 200);
}

static void
a_merchant_and_its_key_are_made_together(void **state)
{
    struct t_world *world = *state;
    struct resource_merchant_info info;
    char key[RESOURCE_KEY_TEXT_SIZE];
    world->store.commit_fails = ERR_IO;
    assert_int_equal(t_ensure(world, "Shop", "one", &info, key), ERR_IO);
    assert_int_equal(t_ensure(world, "Shop", "one", &info, key), ERR_OK);
    assert_memory_equal(key, "sk_test_", 8); /* so nothing was there */
    assert_int_equal(info.number, 2);
    assert_int_equal(info.keys, 1);
}

static void
who_lost_against_another_process_tries_again(void **state)
{
    struct t_world *world = *state;
    struct resource_merchant_info info;
    char key[RESOURCE_KEY_TEXT_SIZE];
    world->store.commit_fails = ERR_STALE;
    assert_int_equal(t_ensure(world, "Shop", "one", &info, key), ERR_OK);
    assert_int_equal(t_status(world, key), 200);
    world->store.commit_fails = ERR_STALE;
    assert_int_equal(
        resource_key_create(world->runtime, info.id, RESOURCE_KEY_SECRET, false, "", NULL, key),
        ERR_OK);
    assert_int_equal(t_status(world, key), 200);
    world->store.commit_fails = ERR_STALE;
    assert_int_equal(
        resource_merchant_close(world->runtime, span_from_cstr(info.id), true, &info), ERR_OK);
    assert_true(info.closed);
    assert_int_equal(info.keys, 2);
    assert_int_equal(t_status(world, key), 403);
}

static void
t_merchant_with_number(struct t_world *world, int64_t number)
{
    struct arena arena;
    arena_init(&arena, RESOURCE_PLATFORM_ARENA_LIMIT);
    struct resource_merchant *merchant =
        resource_platform_row(world->runtime, &arena, &resource_merchant_type, SPAN_EMPTY);
    assert_non_null(merchant);
    merchant->name = SPAN("Of another time");
    merchant->number = number;
    const struct resource_save save = {.type = &resource_merchant_type, .document = merchant};
    assert_int_equal(resource_save_together(world->runtime, &arena, &save, 1), ERR_OK);
    arena_release(&arena);
}

/* Ids of merchants are not in the order of their numbers, which go up all the same. */
static void
numbers_are_above_all_others(void **state)
{
    static const int64_t gaps[] = {99, 100, 1000, 1023, 1024, 1025, 65537, INT64_MAX / 2 - 1};
    struct t_world *world = *state;
    struct resource_merchant_info info;
    char key[RESOURCE_KEY_TEXT_SIZE];
    char text[32];
    int64_t last = 1;
    for (int i = 0; i < 40; i++) {
        (void)snprintf(text, sizeof(text), "key %d", i);
        assert_int_equal(t_ensure(world, "Shop", text, &info, key), ERR_OK);
        assert_int_equal(info.number, ++last);
    }
    for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
        if (gaps[i] > last) {
            t_merchant_with_number(world, gaps[i]);
            last = gaps[i];
        }
        (void)snprintf(text, sizeof(text), "gap %zu", i);
        assert_int_equal(t_ensure(world, "Shop", text, &info, key), ERR_OK);
        assert_int_equal(info.number, ++last);
    }
    assert_int_equal(last, INT64_MAX / 2);
    assert_int_equal(t_ensure(world, "Shop", "no room", &info, key), ERR_FULL);
}

/* RESOURCE-11 */
static void
keys_of_a_closed_merchant_are_refused(void **state)
{
    enum {
        KEYS = 2 * RESOURCE_PLATFORM_PAGE + 3 /* on several pages */
    };

    static char keys[KEYS][RESOURCE_KEY_TEXT_SIZE];
    struct t_world *world = *state;
    struct resource_merchant_info info;
    char more[RESOURCE_KEY_TEXT_SIZE];
    assert_int_equal(t_ensure(world, "Shop", "one", &info, keys[0]), ERR_OK);
    struct span id = span_from_cstr(info.id);
    for (int i = 1; i < KEYS; i++) {
        assert_int_equal(
            resource_key_create(
                world->runtime, info.id, RESOURCE_KEY_SECRET, false, "", NULL, keys[i]),
            ERR_OK);
    }
    assert_int_equal(t_status(world, keys[1]), 200); /* and is kept in memory */
    assert_int_equal(resource_merchant_close(world->runtime, id, true, &info), ERR_OK);
    assert_true(info.closed);
    assert_int_equal(info.keys, KEYS);
    for (int i = 0; i < KEYS; i++) {
        struct t_call *call = t_send(world, T_LIST, NULL, NULL);
        call->request.api_key = span_from_cstr(keys[i]);
        t_run(world);
        t_expect_error(call, 403, "merchant_closed", NULL);
        assert_non_null(strstr(t_text(call, "error.message"), info.id));
    }
    assert_int_equal(t_status(world, world->key), 200);
    assert_int_equal(
        resource_key_create(world->runtime, info.id, RESOURCE_KEY_SECRET, false, "", NULL, more),
        ERR_DENIED);
    t_restart(world);
    assert_int_equal(t_status(world, keys[KEYS - 1]), 403);
    assert_int_equal(resource_merchant_find(world->runtime, id, &info), ERR_OK);
    assert_true(info.closed);
    assert_int_equal(resource_merchant_close(world->runtime, id, false, &info), ERR_OK);
    assert_false(info.closed);
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(t_status(world, keys[i]), 200);
    }
}

/* Behind a crash between the merchant's row and its keys', the same again writes the rest. */
static void
a_closing_that_was_cut_off_is_finished_by_the_next(void **state)
{
    struct t_world *world = *state;
    struct resource_merchant_info info;
    char key[RESOURCE_KEY_TEXT_SIZE];
    struct arena arena;
    void *found = NULL;
    assert_int_equal(t_ensure(world, "Shop", "one", &info, key), ERR_OK);
    struct span id = span_from_cstr(info.id);
    world->store.commit_fails = ERR_IO;
    assert_int_equal(resource_merchant_close(world->runtime, id, true, &info), ERR_IO);
    assert_int_equal(t_status(world, key), 200);
    arena_init(&arena, RESOURCE_PLATFORM_ARENA_LIMIT);
    assert_int_equal(
        resource_row_load(
            world->runtime, &arena, &resource_merchant_type, RESOURCE_SCOPE_NONE, id, &found),
        ERR_OK);
    ((struct resource_merchant *)found)->closed = true;
    const struct resource_save save = {.type = &resource_merchant_type, .document = found};
    assert_int_equal(resource_save_together(world->runtime, &arena, &save, 1), ERR_OK);
    arena_release(&arena);
    t_restart(world);
    assert_int_equal(t_status(world, key), 200);
    assert_int_equal(resource_merchant_close(world->runtime, id, true, &info), ERR_OK);
    assert_int_equal(t_status(world, key), 403);
}

struct t_names {
    char text[64];
};

static void
note_name(void *context, const struct resource_merchant_info *merchant)
{
    struct t_names *names = context;
    (void)snprintf(
        names->text + strlen(names->text),
        sizeof(names->text) - strlen(names->text),
        "%s ",
        merchant->name);
}

static void
merchants_are_listed_page_by_page(void **state)
{
    struct t_world *world = *state;
    char ids[4][ID_TEXT_SIZE];
    static const char *const more_names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(resource_merchant_create(world->runtime, more_names[i], ids[i]), ERR_OK);
    }
    bool more = false;
    struct t_names names = {""};
    assert_int_equal(
        resource_merchant_list(world->runtime, SPAN_EMPTY, 3, note_name, &names, &more), ERR_OK);
    assert_string_equal(names.text, "Shop a b ");
    assert_true(more);
    names = (struct t_names){""};
    assert_int_equal(
        resource_merchant_list(world->runtime, span_from_cstr(ids[1]), 2, note_name, &names, &more),
        ERR_OK);
    assert_string_equal(names.text, "c d ");
    assert_false(more);
    names = (struct t_names){""};
    assert_int_equal(
        resource_merchant_list(
            world->runtime, span_from_cstr(ids[3]), 1000, note_name, &names, &more),
        ERR_OK);
    assert_string_equal(names.text, "");
    assert_false(more);
}

static void
names_have_bounds(void **state)
{
    struct t_world *world = *state;
    struct resource_merchant_info info;
    char key[RESOURCE_KEY_TEXT_SIZE] = "";
    char name[RESOURCE_MERCHANT_NAME_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[RESOURCE_MERCHANT_NAME_MAX + 1] = '\0';
    assert_int_equal(t_ensure(world, name, "one", &info, key), ERR_INVALID);
    assert_int_equal(t_ensure(world, "", "one", &info, key), ERR_INVALID);
    assert_int_equal(t_ensure(world, "\xff", "one", &info, key), ERR_INVALID);
    assert_string_equal(key, "");
    name[RESOURCE_MERCHANT_NAME_MAX] = '\0';
    assert_int_equal(t_ensure(world, name, "one", &info, key), ERR_OK);
    assert_string_equal(info.name, name);
}

static void
a_merchant_that_is_not_there_is_told_so(void **state)
{
    struct t_world *world = *state;
    struct resource_merchant_info info;
    assert_int_equal(
        resource_merchant_find(world->runtime, SPAN("acct_none"), &info), ERR_NOT_FOUND);
    assert_int_equal(
        resource_merchant_close(world->runtime, SPAN("acct_none"), true, &info), ERR_NOT_FOUND);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(an_idempotency_key_makes_one_merchant),
        T(a_merchant_and_its_key_are_made_together),
        T(who_lost_against_another_process_tries_again),
        T(numbers_are_above_all_others),
        T(keys_of_a_closed_merchant_are_refused),
        T(a_closing_that_was_cut_off_is_finished_by_the_next),
        T(merchants_are_listed_page_by_page),
        T(names_have_bounds),
        T(a_merchant_that_is_not_there_is_told_so),
    };
    return T_RUN("resource merchants", tests);
}
