#include "testing.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void
t_good(struct t_world *world, const char *form)
{
    struct t_call *call = t_do(world, T_CHECK, NULL, form);
    if (call->request.status != 200) {
        fail_msg("%s: %s", form, t_text(call, "error.message"));
    }
}

static struct t_call *
t_bad(struct t_world *world, const char *form, const char *code, const char *param)
{
    struct t_call *call = t_do(world, T_CHECK, NULL, form);
    t_expect_error(call, 400, code, param);
    assert_string_equal(t_text(call, "error.type"), "invalid_request_error");
    return call;
}

static void
unknown_names_are_refused_in_full(void **state)
{
    struct t_world *world = *state;
    struct t_call *call = t_bad(world, "foo=1", "parameter_unknown", "foo");
    assert_string_equal(t_text(call, "error.message"), "Received unknown parameter: foo");
    t_bad(world, "hash[needed]=a&hash[foo]=1", "parameter_unknown", "hash[foo]");
    t_bad(world, "hash[needed]=a&hash[deep][x]=1", "parameter_unknown", "hash[deep][x]");
    t_bad(world, "text[x]=1", "", "text");
    t_bad(world, "created[after]=1", "parameter_unknown", "created[after]");
    t_bad(world, "tex=1", "parameter_unknown", "tex");
    t_bad(world, "textt=1", "parameter_unknown", "textt");
}

static void
required_ones_must_be_there(void **state)
{
    struct t_world *world = *state;
    t_good(world, "text=a");
    struct t_call *call = t_bad(world, "hash[deep][est]=1", "parameter_missing", "hash[needed]");
    assert_string_equal(t_text(call, "error.message"), "Missing required param: hash[needed].");
    t_bad(world, "hash[needed]=", "parameter_invalid_empty", "hash[needed]");
    t_expect_error(t_do(world, T_CREATE, NULL, NULL), 400, "parameter_missing", "name");
    t_expect_error(t_do(world, T_CREATE, NULL, "name="), 400, "parameter_invalid_empty", "name");
}

static void
integers_are_checked(void **state)
{
    struct t_world *world = *state;
    t_good(world, "number=1");
    t_good(world, "number=9");
    t_bad(world, "number=0", "parameter_invalid_integer", "number");
    t_bad(world, "number=10", "parameter_invalid_integer", "number");
    t_bad(world, "number=1.5", "parameter_invalid_integer", "number");
    t_bad(world, "number=1e2", "parameter_invalid_integer", "number");
    t_bad(world, "number=%2B1", "parameter_invalid_integer", "number");
    t_bad(world, "number=99999999999999999999", "parameter_invalid_integer", "number");
    t_bad(world, "at=-1", "parameter_invalid_integer", "at");
    t_bad(world, "created[gt]=x", "parameter_invalid_integer", "created[gt]");
    t_good(world, "created=5");
    t_good(world, "created[gte]=5&created[lt]=9");
}

static void
booleans_enums_and_currencies_are_checked(void **state)
{
    struct t_world *world = *state;
    t_good(world, "flag=true");
    t_bad(world, "flag=1", "", "flag");
    t_bad(world, "flag=True", "", "flag");
    t_good(world, "size=medium");
    struct t_call *call = t_bad(world, "size=huge", "", "size");
    assert_string_equal(
        t_text(call, "error.message"), "Invalid size: must be one of small, medium, or large");
    t_good(world, "currency=usd");
    t_good(world, "currency=USD");
    call = t_bad(world, "currency=xxy", "", "currency");
    assert_non_null(strstr(t_text(call, "error.message"), "Invalid currency: xxy."));
    assert_non_null(strstr(t_text(call, "error.message"), ", usd,"));
}

static void
what_has_no_value_for_none_cannot_be_empty(void **state)
{
    struct t_world *world = *state;
    t_bad(world, "number=", "parameter_invalid_empty", "number");
    t_bad(world, "flag=", "parameter_invalid_empty", "flag");
    t_bad(world, "at=", "parameter_invalid_empty", "at");
    t_bad(world, "currency=", "parameter_invalid_empty", "currency");
    t_bad(world, "size=", "parameter_invalid_empty", "size");
    t_bad(world, "created=", "parameter_invalid_empty", "created");
    t_good(world, "shade=");
    t_good(world, "text=&list=&any=");
    struct t_call *call = t_bad(world, "shade=blue", "", "shade");
    assert_string_equal(
        t_text(call, "error.message"), "Invalid shade: must be one of dark, or light");
}

static void
texts_and_lists_have_limits(void **state)
{
    struct t_world *world = *state;
    t_good(world, "text=12345");
    t_bad(world, "text=123456", "parameter_invalid_string_too_long", "text");
    t_good(world, "list[]=a&list[]=b&list[]=c");
    t_bad(world, "list[]=a&list[]=b&list[]=c&list[]=d", "", "list");
    t_bad(world, "list=a", "", "list");
    t_bad(world, "list[0][x]=a", "", "list");
    t_good(world, "list=");
    t_bad(world, "hash=x", "", "hash");
    t_bad(world, "any=x", "", "any");
    t_good(world, "any[x][y][]=1&any[z]=");
}

static void
lists_of_hashes_are_checked_item_by_item(void **state)
{
    struct t_world *world = *state;
    t_good(world, "items[0][what][name]=a&items[0][count]=2&items[1][what][name]=b");
    t_good(world, "items[4][what][name]=a");
    t_good(world, "items=");
    t_bad(world, "items=a", "", "items");
    t_bad(world, "items[x][what][name]=a", "", "items");
    t_bad(world, "items[]=a", "", "items[0]");
    t_bad(
        world, "items[0][what][name]=a&items[1][what][name]=a&items[2][what][name]=a", "", "items");
    t_bad(
        world,
        "items[0][what][name]=a&items[1][count]=10&items[1][what][name]=a",
        "parameter_invalid_integer",
        "items[1][count]");
    t_bad(
        world,
        "items[0][what][name]=a&items[0][colour]=a",
        "parameter_unknown",
        "items[0][colour]");
    t_bad(world, "items[0][count]=1", "parameter_missing", "items[0][what]");
    t_bad(world, "items[0][what][x]=1", "parameter_unknown", "items[0][what][x]");
    t_bad(
        world,
        "items[0][what][name]=a&items[3][what][name]=",
        "parameter_invalid_empty",
        "items[3][what][name]");
}

static void
metadata_keeps_to_its_rules(void **state)
{
    struct t_world *world = *state;
    char form[2000];
    char value[600];
    memset(value, 'v', sizeof(value));
    (void)snprintf(form, sizeof(form), "metadata[k]=%.500s", value);
    t_good(world, form);
    (void)snprintf(form, sizeof(form), "metadata[k]=%.501s", value);
    t_bad(world, form, "", "metadata[k]");
    (void)snprintf(form, sizeof(form), "metadata[%.40s]=1", value);
    t_good(world, form);
    (void)snprintf(form, sizeof(form), "metadata[%.41s]=1", value);
    t_bad(world, form, "", NULL);
    t_bad(world, "metadata[a][b]=1", "", "metadata[a]");
    t_bad(world, "metadata=x", "", "metadata");
    t_good(world, "metadata=");
    /* Characters count, not bytes. */
    struct buf wide;
    buf_init(&wide, 2000);
    buf_append_cstr(&wide, "metadata[k]=");
    for (int i = 0; i < 500; i++) {
        buf_append_cstr(&wide, "é");
    }
    buf_append_byte(&wide, '\0');
    t_good(world, wide.data);
    buf_release(&wide);
}

static void
metadata_merges(void **state)
{
    struct t_world *world = *state;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a&metadata[a]=1&metadata[b]=%22x");
    const char *id = t_text(thing, "id");
    struct t_call *update = t_do(world, T_UPDATE, id, "metadata[b]=&metadata[c]=3");
    assert_string_equal(t_text(update, "metadata.a"), "1");
    assert_null(t_json(update, "metadata.b"));
    assert_string_equal(t_text(update, "metadata.c"), "3");
    update = t_do(world, T_UPDATE, id, "metadata[a]=2");
    assert_string_equal(t_text(update, "metadata.a"), "2");
    assert_int_equal(json_object_size(t_json(update, "metadata")), 2);
    update = t_do(world, T_UPDATE, id, NULL);
    assert_int_equal(json_object_size(t_json(update, "metadata")), 2);
    struct buf form;
    buf_init(&form, 4000);
    for (int i = 0; i < 48; i++) {
        buf_append_format(&form, "%smetadata[k%d]=v", i == 0 ? "" : "&", i);
    }
    buf_append_byte(&form, '\0');
    update = t_do(world, T_UPDATE, id, form.data);
    buf_release(&form);
    assert_int_equal(json_object_size(t_json(update, "metadata")), 50);
    t_expect_error(t_do(world, T_UPDATE, id, "metadata[more]=1"), 400, "", "metadata");
    t_expect_error(
        t_do(world, T_UPDATE, id, "metadata[more]=1&metadata[again]=1&metadata[a]="),
        400,
        "",
        NULL);
    update = t_do(world, T_UPDATE, id, "metadata=");
    assert_int_equal(json_object_size(t_json(update, "metadata")), 0);
}

static void
handlers_read_what_was_sent(void **state)
{
    struct t_world *world = *state;
    struct t_call *call = t_do(
        world,
        T_CHECK,
        NULL,
        "text=&number=7&flag=true&any[a][b]=%22&any[c][]=1&any[c][]=2&list[]=x");
    assert_true(json_is_true(t_json(call, "has_text")));
    assert_string_equal(t_text(call, "text"), "");
    assert_int_equal(t_integer(call, "number"), 7);
    assert_true(json_is_true(t_json(call, "flag")));
    assert_string_equal(t_text(call, "any.a.b"), "\"");
    assert_string_equal(t_text(call, "any.c.1"), "2");
    assert_string_equal(t_text(call, "list.0"), "x");
    call = t_do(world, T_CHECK, NULL, "any=");
    assert_true(json_is_false(t_json(call, "has_text")));
    assert_true(json_is_false(t_json(call, "has_number")));
    assert_true(json_is_false(t_json(call, "has_flag")));
    assert_true(json_is_null(t_json(call, "any")));
    call = t_do(world, T_CHECK, NULL, "any[a]=&any[b]=1&any[c][d]=");
    assert_int_equal(json_object_size(t_json(call, "any")), 2);
    assert_string_equal(t_text(call, "any.b"), "1");
    assert_int_equal(json_object_size(t_json(call, "any.c")), 0);
}

static void
errors_show_a_wrong_value_shortened(void **state)
{
    struct t_world *world = *state;
    struct buf form;
    buf_init(&form, 1000);
    buf_append_cstr(&form, "number=");
    for (int i = 0; i < 60; i++) {
        buf_append_cstr(&form, "é€");
    }
    buf_append_byte(&form, '\0');
    struct t_call *call = t_bad(world, form.data, "parameter_invalid_integer", "number");
    assert_true(strlen(t_text(call, "error.message")) < 130);
    buf_release(&form);
}

static void
expand_paths_are_checked_before_anything_happens(void **state)
{
    struct t_world *world = *state;
    t_expect_error(t_do(world, T_CREATE, NULL, "name=a&expand[]=nothing"), 400, "", "expand");
    t_expect_error(t_do(world, T_CREATE, NULL, "name=a&expand[]=parent.name"), 400, "", "expand");
    t_expect_error(
        t_do(world, T_CREATE, NULL, "name=a&expand[]=parent.parent.parent.parent.parent"),
        400,
        "",
        "expand");
    t_expect_error(t_do(world, T_CREATE, NULL, "name=a&expand[]="), 400, "", "expand");
    t_expect_error(t_do(world, T_CREATE, NULL, "name=a&expand=parent"), 400, "", "expand");
    assert_int_equal(t_count(world, "thing"), 0);
    struct t_call *call =
        t_do(world, T_CREATE, NULL, "name=a&expand[]=parent.parent.parent.parent");
    assert_int_equal(call->request.status, 200);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(unknown_names_are_refused_in_full),
        T(required_ones_must_be_there),
        T(integers_are_checked),
        T(booleans_enums_and_currencies_are_checked),
        T(what_has_no_value_for_none_cannot_be_empty),
        T(texts_and_lists_have_limits),
        T(lists_of_hashes_are_checked_item_by_item),
        T(metadata_keeps_to_its_rules),
        T(metadata_merges),
        T(handlers_read_what_was_sent),
        T(errors_show_a_wrong_value_shortened),
        T(expand_paths_are_checked_before_anything_happens),
    };
    return T_RUN("resource params", tests);
}
