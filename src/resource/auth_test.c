#include "resource/merchants.h"
#include "testing.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static struct t_call *
t_call_with(struct t_world *world, enum t_route route, const char *key, const char *form)
{
    struct t_call *call = t_send(world, route, route == T_RETRIEVE ? "th_x" : NULL, form);
    call->request.api_key = span_from_cstr(key);
    t_run(world);
    return call;
}

static void
t_new_key(
    struct t_world *world,
    enum resource_key_kind kind,
    bool live,
    const char *permissions,
    char ret_key[RESOURCE_KEY_TEXT_SIZE])
{
    assert_int_equal(
        resource_key_create(
            world->runtime, world->merchant, kind, live, "a key", permissions, ret_key),
        ERR_OK);
}

static void
no_key_and_wrong_keys_are_told_so(void **state)
{
    struct t_world *world = *state;
    struct t_call *call = t_call_with(world, T_CREATE, "", "name=a");
    t_expect_error(call, 401, "", NULL);
    assert_non_null(strstr(t_text(call, "error.message"), "did not provide an API key"));
    call = t_call_with(world, T_CREATE, "sk_test_0123456789abcdefSECRETwxyz", "name=a");
    t_expect_error(call, 401, "", NULL);
    assert_string_equal(
        t_text(call, "error.message"), "Invalid API Key provided: sk_test_****wxyz");
    call = t_call_with(world, T_CREATE, "4242424242424242", "name=a");
    assert_string_equal(t_text(call, "error.message"), "Invalid API Key provided: ****");
    char longer[400];
    memset(longer, 'k', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    t_expect_error(t_call_with(world, T_CREATE, longer, "name=a"), 401, "", NULL);
    assert_int_equal(t_count(world, "thing"), 0);
}

static void
keys_are_hashed_at_rest(void **state)
{
    struct t_world *world = *state;
    char key[RESOURCE_KEY_TEXT_SIZE];
    t_new_key(world, RESOURCE_KEY_SECRET, false, NULL, key);
    assert_int_equal(strlen(key), 40);
    t_close(world);
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(world->url + strlen("sqlite:"), &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT body, hash FROM api_key", -1, &statement, NULL), SQLITE_OK);
    int rows = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        rows++;
        for (int column = 0; column < 2; column++) {
            const char *text = (const char *)sqlite3_column_text(statement, column);
            assert_null(strstr(text, key + 8));
            assert_null(strstr(text, world->key + 8));
        }
    }
    assert_int_equal(rows, 2);
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    t_open(world);
    assert_int_equal(t_call_with(world, T_CREATE, key, "name=a")->request.status, 200);
}

static void
modes_and_merchants_are_apart(void **state)
{
    struct t_world *world = *state;
    char live[RESOURCE_KEY_TEXT_SIZE];
    t_new_key(world, RESOURCE_KEY_SECRET, true, NULL, live);
    assert_memory_equal(live, "sk_live_", 8);
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    struct t_call *call = t_send(world, T_RETRIEVE, t_text(thing, "id"), NULL);
    call->request.api_key = span_from_cstr(live);
    t_run(world);
    t_expect_error(call, 404, "resource_missing", "id");
    assert_non_null(strstr(t_text(call, "error.message"), "No such thing: 'th_"));
    call = t_call_with(world, T_CREATE, live, "name=a");
    assert_int_equal(call->request.status, 200);
    t_expect_error(
        t_do(world, T_RETRIEVE, t_text(call, "id"), NULL), 404, "resource_missing", NULL);
}

static void
live_keys_are_refused_while_a_rail_is_simulated(void **state)
{
    struct t_world *world = *state;
    char live[RESOURCE_KEY_TEXT_SIZE];
    t_new_key(world, RESOURCE_KEY_SECRET, true, NULL, live);
    t_close(world);
    world->refuse_live = true;
    t_open(world);
    t_expect_error(
        t_call_with(world, T_CREATE, live, "name=a"), 403, "testmode_charges_only", NULL);
    assert_int_equal(t_do(world, T_CREATE, NULL, "name=a")->request.status, 200);
}

static void
publishable_keys_reach_public_routes_only(void **state)
{
    struct t_world *world = *state;
    char key[RESOURCE_KEY_TEXT_SIZE];
    t_new_key(world, RESOURCE_KEY_PUBLISHABLE, false, NULL, key);
    assert_memory_equal(key, "pk_test_", 8);
    assert_int_equal(t_call_with(world, T_PUBLIC, key, NULL)->request.status, 200);
    t_expect_error(t_call_with(world, T_CREATE, key, "name=a"), 403, "secret_key_required", NULL);
}

static void
restricted_keys_have_what_they_were_given(void **state)
{
    struct t_world *world = *state;
    char reader[RESOURCE_KEY_TEXT_SIZE];
    char writer[RESOURCE_KEY_TEXT_SIZE];
    char nothing[RESOURCE_KEY_TEXT_SIZE];
    t_new_key(world, RESOURCE_KEY_RESTRICTED, false, "events:write, things:read", reader);
    t_new_key(world, RESOURCE_KEY_RESTRICTED, false, "things:write", writer);
    t_new_key(world, RESOURCE_KEY_RESTRICTED, false, NULL, nothing);
    assert_int_equal(t_call_with(world, T_LIST, reader, NULL)->request.status, 200);
    struct t_call *refused = t_call_with(world, T_CREATE, reader, "name=a");
    t_expect_error(refused, 403, "", NULL);
    assert_non_null(strstr(t_text(refused, "error.message"), "things:write"));
    assert_int_equal(t_call_with(world, T_CREATE, writer, "name=a")->request.status, 200);
    assert_int_equal(t_call_with(world, T_LIST, writer, NULL)->request.status, 200);
    t_expect_error(t_call_with(world, T_EVENTS, writer, NULL), 403, "", NULL);
    t_expect_error(t_call_with(world, T_LIST, nothing, NULL), 403, "", NULL);
    /* A route without a permission's name is for whole keys. */
    t_expect_error(t_call_with(world, T_CHECK, writer, NULL), 403, "", NULL);
}

struct keys {
    struct resource_key_info info[8];
    size_t count;
};

static void
note_key(void *context, const struct resource_key_info *key)
{
    struct keys *keys = context;
    assert_true(keys->count < 8);
    keys->info[keys->count++] = *key;
}

/* It opens nothing any more, and hides no other one. */
static void
a_key_that_cannot_be_read_is_left_out(void **state)
{
    struct t_world *world = *state;
    char key[RESOURCE_KEY_TEXT_SIZE];
    char other[RESOURCE_KEY_TEXT_SIZE];
    t_new_key(world, RESOURCE_KEY_RESTRICTED, false, "things:write", key);
    t_new_key(world, RESOURCE_KEY_RESTRICTED, false, "things:write", other);
    struct keys keys = {.count = 0};
    assert_int_equal(resource_key_each(world->runtime, note_key, &keys), ERR_OK);
    assert_int_equal(keys.count, 3);
    t_damage(world, "api_key", keys.info[1].id);
    t_restart(world);
    struct keys left = {.count = 0};
    assert_int_equal(resource_key_each(world->runtime, note_key, &left), ERR_OK);
    assert_int_equal(left.count, 2);
    assert_string_equal(left.info[1].id, keys.info[2].id);
    assert_non_null(strstr(world->logged, keys.info[1].id));
    assert_int_equal(t_call_with(world, T_CREATE, key, "name=a")->request.status, 500);
    assert_int_equal(t_call_with(world, T_CREATE, other, "name=a")->request.status, 200);
}

static void
keys_are_listed_and_revoked(void **state)
{
    struct t_world *world = *state;
    char key[RESOURCE_KEY_TEXT_SIZE];
    t_new_key(world, RESOURCE_KEY_RESTRICTED, false, "things:write", key);
    assert_int_equal(t_call_with(world, T_CREATE, key, "name=a")->request.status, 200);
    struct keys keys = {.count = 0};
    assert_int_equal(resource_key_each(world->runtime, note_key, &keys), ERR_OK);
    assert_int_equal(keys.count, 2);
    const struct resource_key_info *info = &keys.info[1];
    assert_string_equal(info->name, "a key");
    assert_string_equal(info->merchant_id, world->merchant);
    assert_int_equal(info->kind, RESOURCE_KEY_RESTRICTED);
    assert_false(info->live);
    assert_false(info->revoked);
    char hint[16];
    (void)snprintf(hint, sizeof(hint), "rk_test_...%s", key + strlen(key) - 4);
    assert_string_equal(info->hint, hint);
    assert_int_equal(resource_key_revoke(world->runtime, info->id), ERR_OK);
    t_expect_error(t_call_with(world, T_CREATE, key, "name=a"), 401, "api_key_expired", NULL);
    t_restart(world);
    t_expect_error(t_call_with(world, T_CREATE, key, "name=a"), 401, "api_key_expired", NULL);
    assert_int_equal(resource_key_revoke(world->runtime, "key_none"), ERR_NOT_FOUND);
    assert_int_equal(
        resource_key_create(world->runtime, "acct_none", RESOURCE_KEY_SECRET, false, "", NULL, key),
        ERR_NOT_FOUND);
}

static void
each_key_has_its_rate(void **state)
{
    struct t_world *world = *state;
    t_close(world);
    world->settings.rate_per_key = 5;
    t_open(world);
    char other[RESOURCE_KEY_TEXT_SIZE];
    t_new_key(world, RESOURCE_KEY_SECRET, false, NULL, other);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(t_do(world, T_LIST, NULL, NULL)->request.status, 200);
    }
    struct t_call *refused = t_do(world, T_LIST, NULL, NULL);
    t_expect_error(refused, 429, "rate_limit", NULL);
    assert_string_equal(refused->request.rate_limited_reason, "global-rate");
    assert_int_equal(t_call_with(world, T_LIST, other, NULL)->request.status, 200);
    os_sim_advance(world->sim, 200 * OS_NS_PER_MS);
    assert_int_equal(t_do(world, T_LIST, NULL, NULL)->request.status, 200);
    t_expect_error(t_do(world, T_LIST, NULL, NULL), 429, "rate_limit", NULL);
    os_sim_advance(world->sim, 10 * OS_NS_PER_S);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(t_do(world, T_LIST, NULL, NULL)->request.status, 200);
    }
    t_expect_error(t_do(world, T_LIST, NULL, NULL), 429, "rate_limit", NULL);
}

/* How many of `count` lists with the key are answered, not refused for their rate. */
static int
t_taken(struct t_world *world, const char *key, int count)
{
    int taken = 0;
    for (int i = 0; i < count; i++) {
        struct t_call *call = t_call_with(world, T_LIST, key, NULL);
        if (call->request.status == 429) {
            t_expect_error(call, 429, "rate_limit", NULL);
        } else {
            taken++;
        }
    }
    return taken;
}

static void
more_keys_bring_a_merchant_no_more_than_its_rate(void **state)
{
    struct t_world *world = *state;
    char key[RESOURCE_KEY_TEXT_SIZE];
    char other[RESOURCE_KEY_TEXT_SIZE];
    char shop[RESOURCE_KEY_TEXT_SIZE];
    char id[ID_TEXT_SIZE];
    t_close(world);
    world->settings.rate_per_key = 5;
    t_open(world);
    int taken = 0;
    for (int i = 0; i < 2 * RESOURCE_RATE_KEYS; i++) {
        t_new_key(
            world,
            i % 2 == 0 ? RESOURCE_KEY_SECRET : RESOURCE_KEY_RESTRICTED,
            false,
            i % 2 == 0 ? NULL : "things:read",
            key);
        taken += t_taken(world, key, 6);
    }
    assert_int_equal(taken, 5 * RESOURCE_RATE_KEYS);
    assert_int_equal(t_taken(world, world->key, 1), 0);
    /* What everybody has who opens a shop's page takes nothing from the shop, nor the other way. */
    taken = 0;
    for (int i = 0; i < 2 * RESOURCE_RATE_KEYS; i++) {
        t_new_key(world, RESOURCE_KEY_PUBLISHABLE, false, NULL, shop);
        taken += t_taken(world, shop, 6);
    }
    assert_int_equal(taken, 5 * RESOURCE_RATE_KEYS);
    /* Neither does another mode nor another merchant. */
    t_new_key(world, RESOURCE_KEY_SECRET, true, NULL, key);
    assert_int_equal(t_taken(world, key, 6), 5);
    assert_int_equal(resource_merchant_create(world->runtime, "other", id), ERR_OK);
    assert_int_equal(
        resource_key_create(world->runtime, id, RESOURCE_KEY_SECRET, false, "", NULL, other),
        ERR_OK);
    assert_int_equal(t_taken(world, other, 6), 5);
    os_sim_advance(world->sim, OS_NS_PER_S);
    assert_int_equal(t_taken(world, world->key, 6), 5);
}

/* A merchant makes and revokes keys as it likes. */
static void
a_key_that_is_revoked_gives_others_no_new_rate(void **state)
{
    struct t_world *world = *state;
    char key[RESOURCE_KEY_TEXT_SIZE];
    struct keys keys = {.count = 0};
    t_close(world);
    world->settings.rate_per_key = 5;
    t_open(world);
    t_new_key(world, RESOURCE_KEY_SECRET, false, NULL, key);
    assert_int_equal(t_taken(world, key, 1), 1);
    assert_int_equal(t_taken(world, world->key, 6), 5);
    assert_int_equal(resource_key_each(world->runtime, note_key, &keys), ERR_OK);
    assert_int_equal(resource_key_revoke(world->runtime, keys.info[1].id), ERR_OK);
    t_expect_error(t_call_with(world, T_LIST, key, NULL), 401, "api_key_expired", NULL);
    assert_int_equal(t_taken(world, world->key, 1), 0);
}

static void
names_that_cannot_be_stored_are_refused(void **state)
{
    struct t_world *world = *state;
    char id[ID_TEXT_SIZE];
    char longer[300];
    memset(longer, 'n', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(resource_merchant_create(world->runtime, longer, id), ERR_INVALID);
    assert_int_equal(resource_merchant_create(world->runtime, "\xff", id), ERR_INVALID);
    char key[RESOURCE_KEY_TEXT_SIZE];
    assert_int_equal(
        resource_key_create(
            world->runtime, world->merchant, RESOURCE_KEY_SECRET, false, longer, NULL, key),
        ERR_INVALID);
}

static void
a_page_needs_no_key_but_a_scope(void **state)
{
    struct t_world *world = *state;
    /* The first merchant's test mode. */
    struct t_call *call = t_send(world, T_PAGE, "2", NULL);
    call->request.api_key = SPAN("");
    t_run(world);
    assert_int_equal(call->request.status, 200);
    assert_string_equal(call->request.content_type, "text/html; charset=utf-8");
    struct span body = buf_span(&call->request.body);
    assert_true(span_equal_cstr(span_slice(body, 3, body.size), world->merchant));
    call = t_do(world, T_PAGE, "2", "metadata[a]=b");
    assert_int_equal(call->request.status, 303);
    assert_true(span_equal_cstr(call->request.location, "https://shop.example/"));
    t_expect_error(t_do(world, T_PAGE, "4", NULL), 404, "resource_missing", "id");
    t_expect_error(t_do(world, T_PAGE, "two", NULL), 404, "resource_missing", "id");
    assert_null(call->older->request.location.data);
    world->refuse_live = true;
    t_close(world);
    t_open(world);
    t_expect_error(t_do(world, T_PAGE, "3", NULL), 404, "resource_missing", "id");
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(no_key_and_wrong_keys_are_told_so),
        T(keys_are_hashed_at_rest),
        T(modes_and_merchants_are_apart),
        T(live_keys_are_refused_while_a_rail_is_simulated),
        T(publishable_keys_reach_public_routes_only),
        T(restricted_keys_have_what_they_were_given),
        T(a_key_that_cannot_be_read_is_left_out),
        T(keys_are_listed_and_revoked),
        T(each_key_has_its_rate),
        T(more_keys_bring_a_merchant_no_more_than_its_rate),
        T(a_key_that_is_revoked_gives_others_no_new_rate),
        T(names_that_cannot_be_stored_are_refused),
        T(a_page_needs_no_key_but_a_scope),
    };
    return T_RUN("resource auth", tests);
}
