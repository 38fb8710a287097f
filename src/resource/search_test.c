/* Searches over many objects: pages, turns, indexes, bounds. */
#include "resource/merchants.h"
#include "resource/pages.h"
#include "testing.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `extra` are further parameters, "limit=2&..."; NULL: none. */
static struct t_call *
t_send_search(struct t_world *world, const char *query, const char *extra)
{
    struct buf form;
    buf_init(&form, 100000);
    form_append(&form, "query", span_from_cstr(query));
    if (extra != NULL) {
        buf_append_byte(&form, '&');
        buf_append_cstr(&form, extra);
    }
    buf_append_byte(&form, '\0');
    assert_false(buf_failed(&form));
    struct t_call *call = t_send(world, T_SEARCH, NULL, form.data);
    buf_release(&form);
    return call;
}

static struct t_call *
t_search(struct t_world *world, const char *query, const char *extra)
{
    struct t_call *call = t_send_search(world, query, extra);
    t_run(world);
    return call;
}

/* The page behind this one. */
static struct t_call *
t_next(struct t_world *world, const char *query, const char *extra, const struct t_call *before)
{
    char parameters[300];
    (void)snprintf(
        parameters,
        sizeof(parameters),
        "%s%spage=%s",
        extra == NULL ? "" : extra,
        extra == NULL ? "" : "&",
        t_text(before, "next_page"));
    return t_search(world, query, parameters);
}

/* The names in the page, with spaces between. */
static void
t_expect(const struct t_call *call, const char *names, bool has_more)
{
    char memory[400];
    struct buf text;
    size_t index;
    json_t *item;
    buf_init_fixed(&text, memory, sizeof(memory));
    if (call->request.status != 200) {
        fail_msg("%.*s", SPAN_PRINTF(buf_span(&call->request.body)));
    }
    json_array_foreach((json_t *)(uintptr_t)t_json(call, "data"), index, item)
    {
        buf_append_cstr(&text, index == 0 ? "" : " ");
        buf_append_cstr(&text, json_string_value(json_object_get(item, "name")));
    }
    buf_append_byte(&text, '\0');
    assert_string_equal(memory, names);
    assert_int_equal(json_is_true(t_json(call, "has_more")), has_more);
    assert_int_equal(json_is_string(t_json(call, "next_page")), has_more);
}

static void
t_create(struct t_world *world, const char *name, const char *colour)
{
    char form[100];
    (void)snprintf(form, sizeof(form), "name=%s&colour=%s&metadata[n]=%s", name, colour, name);
    assert_int_equal(t_do(world, T_CREATE, NULL, form)->request.status, 200);
}

/* n0 to n11, ten seconds apart; every third one red. */
static void
t_fill(struct t_world *world)
{
    for (int i = 0; i < 12; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", i);
        t_create(world, name, i % 3 == 0 ? "Red" : "blue");
        os_sim_advance(world->sim, 10 * OS_NS_PER_S);
    }
}

struct t_many {
    uint32_t count;
    const char *colour;
};

static void
many_step(struct resource_op *op)
{
    const struct t_many *many = resource_op_state(op);
    for (uint32_t i = 0; i < many->count; i++) {
        struct t_thing *thing = resource_new(op, &t_thing_type);
        assert_non_null(thing);
        thing->name = arena_format(resource_op_arena(op), "m%u", i);
        thing->colour = span_from_cstr(many->colour);
        assert_int_equal(resource_save(op, &t_thing_type, thing), ERR_OK);
    }
    resource_finish(op);
}

/* m0, m1 ... of one second. */
static void
t_fill_many(struct t_world *world, uint32_t count, const char *colour)
{
    struct t_many many = {.count = count, .colour = colour};
    assert_int_equal(resource_start_internal(world->runtime, 2, NULL, many_step, &many), ERR_OK);
    t_run(world);
}

static void
pages_follow_one_another(void **state)
{
    struct t_world *world = *state;
    struct t_call *empty = t_search(world, "name:'n1'", NULL);
    t_expect(empty, "", false);
    assert_string_equal(t_text(empty, "object"), "search_result");
    assert_string_equal(t_text(empty, "url"), "/v1/things/search");
    assert_true(json_is_null(t_json(empty, "next_page")));
    assert_null(t_json(empty, "total_count"));
    t_fill(world);
    t_expect(t_search(world, "name~'n10'", NULL), "n10", false);
    t_expect(t_search(world, "count:0", NULL), "n11 n10 n9 n8 n7 n6 n5 n4 n3 n2", true);
    t_expect(t_search(world, "colour:'red'", "limit=4"), "n9 n6 n3 n0", false);
    struct t_call *page = t_search(world, "-colour:'red'", "limit=3");
    t_expect(page, "n11 n10 n8", true);
    page = t_next(world, "-colour:'red'", "limit=2", page);
    t_expect(page, "n7 n5", true);
    page = t_next(world, "-colour:'red'", "limit=3", page);
    t_expect(page, "n4 n2 n1", false);
}

static void
rows_that_are_added_do_not_move_pages(void **state)
{
    struct t_world *world = *state;
    t_fill(world);
    struct t_call *page = t_search(world, "count:0", "limit=2");
    t_expect(page, "n11 n10", true);
    t_create(world, "late", "red");
    page = t_next(world, "count:0", "limit=2", page);
    t_expect(page, "n9 n8", true);
    t_restart(world); /* a page's name outlives the process */
    page = t_next(world, "count:0", "limit=9", page);
    t_expect(page, "n7 n6 n5 n4 n3 n2 n1 n0", false);
    /* And what is written is found at once. */
    t_expect(t_search(world, "metadata['n']:'LATE'", NULL), "late", false);
}

static void
a_page_goes_with_its_query(void **state)
{
    struct t_world *world = *state;
    t_fill(world);
    struct t_call *page = t_search(world, "count:0", "limit=2");
    t_expect_error(t_next(world, "count:1", NULL, page), 400, "", "page");
    t_expect_error(t_search(world, "count:0", "page=x"), 400, "", "page");
    char wrong[200];
    (void)snprintf(wrong, sizeof(wrong), "page=%s", t_text(page, "next_page"));
    wrong[strlen(wrong) - 1] = wrong[strlen(wrong) - 1] == 'A' ? 'B' : 'A';
    t_expect_error(t_search(world, "count:0", wrong), 400, "", "page");
    wrong[5 + 32] = '\0'; /* the signature alone */
    t_expect_error(t_search(world, "count:0", wrong), 400, "", "page");
    t_expect(t_search(world, "name:'n3'", "page="), "n3", false);
}

static void
matches_are_counted_when_asked_for(void **state)
{
    struct t_world *world = *state;
    t_fill(world);
    struct t_call *page = t_search(world, "-colour:'red'", "limit=3&expand[]=total_count");
    t_expect(page, "n11 n10 n8", true);
    assert_int_equal(t_integer(page, "total_count"), 8);
    page = t_next(world, "-colour:'red'", "limit=4&expand[]=total_count", page);
    t_expect(page, "n7 n5 n4 n2", true);
    assert_int_equal(t_integer(page, "total_count"), 8);
    page = t_search(world, "name:'none'", "expand[]=total_count");
    assert_int_equal(t_integer(page, "total_count"), 0);
    t_fill_many(world, RESOURCE_SEARCH_COUNTED_MAX + 1, "red");
    page = t_search(world, "colour:'red'", "limit=1&expand[]=total_count");
    t_expect(page, "m10000", true);
    assert_int_equal(t_integer(page, "total_count"), RESOURCE_SEARCH_COUNTED_MAX);
}

static void
references_expand(void **state)
{
    struct t_world *world = *state;
    struct t_call *parent = t_do(world, T_CREATE, NULL, "name=p");
    char form[100];
    (void)snprintf(form, sizeof(form), "name=c&parent=%s", t_text(parent, "id"));
    (void)t_do(world, T_CREATE, NULL, form);
    char query[100];
    (void)snprintf(query, sizeof(query), "parent:'%s'", t_text(parent, "id"));
    struct t_call *call = t_search(world, query, "expand[]=data.parent&expand[]=total_count");
    t_expect(call, "c", false);
    assert_string_equal(t_text(call, "data.0.parent.name"), "p");
    assert_int_equal(t_integer(call, "total_count"), 1);
    t_expect_error(t_search(world, query, "expand[]=parent"), 400, "", "expand");
    t_expect_error(t_search(world, query, "expand[]=data.colour"), 400, "", "expand");
    t_expect_error(t_search(world, query, "expand[]=total_count.x"), 400, "", "expand");
    t_expect_error(t_do(world, T_EVENTS, NULL, "expand[]=total_count"), 400, "", "expand");
}

static void
wrong_parameters_are_refused(void **state)
{
    struct t_world *world = *state;
    t_expect_error(t_do(world, T_SEARCH, NULL, NULL), 400, "parameter_missing", "query");
    t_expect_error(t_do(world, T_SEARCH, NULL, "query="), 400, "parameter_invalid_empty", "query");
    t_expect_error(t_search(world, "count", NULL), 400, "", "query");
    t_expect_error(t_search(world, "size:1", NULL), 400, "", "query");
    t_expect_error(
        t_search(world, "count:1", "limit=0"), 400, "parameter_invalid_integer", "limit");
    t_expect_error(
        t_search(world, "count:1", "limit=101"), 400, "parameter_invalid_integer", "limit");
    t_expect_error(
        t_search(world, "count:1", "starting_after=x"), 400, "parameter_unknown", "starting_after");
}

static void
merchants_do_not_see_one_another(void **state)
{
    struct t_world *world = *state;
    char first[RESOURCE_KEY_TEXT_SIZE], other[ID_TEXT_SIZE];
    t_fill(world);
    struct t_call *page = t_search(world, "count:0", "limit=2");
    memcpy(first, world->key, sizeof(first));
    assert_int_equal(resource_merchant_create(world->runtime, "Other", other), ERR_OK);
    assert_int_equal(
        resource_key_create(
            world->runtime, other, RESOURCE_KEY_SECRET, false, "its", NULL, world->key),
        ERR_OK);
    t_expect(t_search(world, "count:0", NULL), "", false);
    t_create(world, "theirs", "red");
    t_expect(t_search(world, "count:0 OR colour:'red'", NULL), "theirs", false);
    t_expect(t_search(world, "colour:'red'", NULL), "theirs", false);
    t_expect_error(t_next(world, "count:0", NULL, page), 400, "", "page");
    /* The live mode of the same merchant. */
    assert_int_equal(
        resource_key_create(
            world->runtime, world->merchant, RESOURCE_KEY_SECRET, true, "live", NULL, world->key),
        ERR_OK);
    t_expect(t_search(world, "count:0", NULL), "", false);
    t_expect_error(t_next(world, "count:0", NULL, page), 400, "", "page");
    memcpy(world->key, first, sizeof(first));
    t_expect(t_search(world, "colour:'red'", NULL), "n9 n6 n3 n0", false);
}

/* ------------------------------------------------------------------------------- indexes --- */

static uint64_t
t_rows_read(struct t_world *world, const char *query, const char *names)
{
    world->store.rows_listed = 0;
    t_expect(t_search(world, query, "limit=20"), names, false);
    return world->store.rows_listed;
}

static void
only_what_may_match_is_read(void **state)
{
    struct t_world *world = *state;
    long long start = (long long)(OS_SIM_START_WALL_NS / OS_NS_PER_S);
    char query[200];
    t_fill(world);
    assert_int_equal(t_rows_read(world, "colour:'red'", "n9 n6 n3 n0"), 4);
    assert_int_equal(t_rows_read(world, "colour:'RED' name:'n3'", "n3"), 4);
    assert_int_equal(t_rows_read(world, "name:'n3' AND colour:'red'", "n3"), 4);
    /* No index, or more than its rows may match. */
    assert_int_equal(t_rows_read(world, "name:'n3'", "n3"), 12);
    assert_int_equal(t_rows_read(world, "colour:'red' OR name:'n1'", "n9 n6 n3 n1 n0"), 12);
    assert_int_equal(t_rows_read(world, "-colour:'blue'", "n9 n6 n3 n0"), 12);
    assert_int_equal(t_rows_read(world, "colour~'red'", "n9 n6 n3 n0"), 12);
    assert_int_equal(
        t_rows_read(
            world,
            "colour:'r\xc3\xa9"
            "d'",
            ""),
        12);

    static const struct {
        const char *operation;
        int offset;
        const char *names;
        uint64_t rows;
    } bounds[] = {
        {"=", 20, "n2", 1},
        {":", 21, "", 0},
        {">=", 90, "n11 n10 n9", 3},
        {">", 90, "n11 n10", 2},
        {"<", 20, "n1 n0", 2},
        {"<=", 20, "n2 n1 n0", 3},
        {"<", -2000000000, "", 0},
    };

    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        (void)snprintf(
            query, sizeof(query), "created%s%lld", bounds[i].operation, start + bounds[i].offset);
        assert_int_equal(t_rows_read(world, query, bounds[i].names), bounds[i].rows);
    }
    (void)snprintf(query, sizeof(query), "created>%lld created<%lld", start + 30, start + 60);
    assert_int_equal(t_rows_read(world, query, "n5 n4"), 2);
    (void)snprintf(query, sizeof(query), "colour:'red' created>=%lld", start + 60);
    assert_int_equal(t_rows_read(world, query, "n9 n6"), 2);
    (void)snprintf(query, sizeof(query), "-created>=%lld", start + 20);
    assert_int_equal(t_rows_read(world, query, "n1 n0"), 12);
    assert_int_equal(t_rows_read(world, "created>9223372036854775807", ""), 0);
    assert_int_equal(t_rows_read(world, "created<-5", ""), 0);
    t_expect(t_search(world, "created<=9223372036854775807", "limit=1"), "n11", true);
    t_expect(t_search(world, "created>=-9223372036854775808", "limit=1"), "n11", true);
}

/* Behind a page's end nothing is read but one match that shows that there is more. */
static void
a_page_reads_no_further(void **state)
{
    struct t_world *world = *state;
    t_fill(world);
    world->store.rows_listed = 0;
    struct t_call *page = t_search(world, "count:0", "limit=3");
    assert_int_equal(world->store.rows_listed, 4);
    page = t_next(world, "count:0", "limit=3", page);
    t_expect(page, "n8 n7 n6", true);
    assert_int_equal(world->store.rows_listed, 8);
}

/* ------------------------------------------------------------------------------- turns --- */

/* Runs what is next; at most a turn is read by it. */
static void
t_step(struct t_world *world) /* RESOURCE-9 */
{
    uint64_t before = world->store.rows_listed;
    assert_true(os_sim_step(world->sim));
    assert_true(world->store.rows_listed - before <= 512);
}

static void
a_long_search_lets_others_pass(void **state) /* RESOURCE-9 */
{
    struct t_world *world = *state;
    t_fill(world);
    t_fill_many(world, 3000, "blue");
    world->store.rows_listed = 0;
    struct t_call *slow = t_send_search(world, "name:'n3'", NULL);
    struct t_call *other = t_send_search(world, "name:'n4'", NULL);
    struct t_call *quick = t_send_search(world, "colour:'red' name:'n0'", NULL);
    struct t_call *write = t_send(world, T_CREATE, NULL, "name=between");
    while (!write->done || !quick->done) {
        t_step(world);
    }
    assert_false(slow->done);
    assert_false(other->done);
    assert_true(world->store.rows_listed < 3000);
    while (!slow->done || !other->done) {
        t_step(world);
    }
    t_expect(slow, "n3", false);
    t_expect(other, "n4", false);
    t_expect(quick, "n0", false);
    assert_true(world->store.rows_listed >= 2 * 3012);
}

static void
a_search_whose_reads_are_in_doubt_says_so(void **state)
{
    struct t_world *world = *state;
    t_fill_many(world, 2000, "blue");
    struct t_call *search = t_send_search(world, "name:'lost' OR name:'m1'", NULL);
    struct t_call *write = t_send(world, T_CREATE, NULL, "name=lost");
    if (t_with_sync_loop) {
        world->store.sync_fails = ERR_OUTCOME_UNKNOWN;
    } else {
        world->store.commit_fails = ERR_IO;
    }
    t_run(world);
    assert_int_equal(write->request.status, 500);
    if (t_with_sync_loop) {
        /* What it has seen may be gone after a restart. */
        assert_int_equal(search->request.status, 500);
    } else {
        t_expect(search, "m1", false);
    }
}

static void
the_runtime_may_go_while_one_waits_for_its_turn(void **state)
{
    struct t_world *world = *state;
    t_fill_many(world, 2000, "blue");
    struct t_call *search = t_send_search(world, "name:'none'", NULL);
    while (world->store.rows_listed < 600) {
        assert_true(os_sim_step(world->sim));
    }
    assert_false(search->done);
    t_restart(world); /* the sanitizers see what is left behind */
    t_expect(t_search(world, "name:'m1'", NULL), "m1", false);
}

/* ------------------------------------------------------------------------------- bounds --- */

static void
there_is_an_end_to_looking(void **state)
{
    struct t_world *world = *state;
    t_close(world);
    world->settings.search_looked_max = 5;
    t_open(world);
    t_fill(world);
    /* A page with something in it: the next one goes on where it ended. */
    struct t_call *page = t_search(world, "colour~'red'", "limit=3");
    t_expect(page, "n9", true);
    page = t_next(world, "colour~'red'", "limit=3", page);
    t_expect(page, "n6 n3", true);
    page = t_next(world, "colour~'red'", "limit=3", page);
    t_expect(page, "n0", false);
    /* A full page needs no more looking. */
    t_expect(t_search(world, "count:0", "limit=4"), "n11 n10 n9 n8", true);
    t_expect(t_search(world, "colour:'red'", NULL), "n9 n6 n3 n0", false);
    /* With nothing in it an SDK would stop: so it is refused, and told how to go on. */
    struct t_call *none = t_search(world, "name:'n3'", NULL);
    t_expect_error(none, 400, "", "query");
    long long created = (long long)(OS_SIM_START_WALL_NS / OS_NS_PER_S) + 70;
    char expected[60];
    (void)snprintf(expected, sizeof(expected), "created<=%lld", created);
    assert_non_null(strstr(t_text(none, "error.message"), "The 5 newest of the things"));
    assert_non_null(strstr(t_text(none, "error.message"), expected));
    char query[100];
    (void)snprintf(query, sizeof(query), "name:'n3' %s", expected);
    t_expect(t_search(world, query, NULL), "n3", true);
    t_expect_error(t_search(world, "colour~'red'", "expand[]=total_count"), 400, "", "query");
    /* A million, unless told otherwise. */
    t_close(world);
    world->settings.search_looked_max = 0;
    t_open(world);
    t_expect(t_search(world, "name:'n3'", NULL), "n3", false);
}

static void
a_hundred_searches_under_way_all_end(void **state)
{
    struct t_world *world = *state;
    struct t_call *calls[100];
    t_fill(world);
    t_fill_many(world, 700, "blue");
    for (int i = 0; i < 100; i++) {
        char query[40];
        (void)snprintf(query, sizeof(query), "name:'n%d'", i % 12);
        calls[i] = t_send_search(world, query, NULL);
    }
    t_run(world);
    for (int i = 0; i < 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", i % 12);
        t_expect(calls[i], name, false);
    }
}

static void
what_cannot_be_read_matches_nothing(void **state)
{
    struct t_world *world = *state;
    t_fill(world);
    struct t_call *page = t_search(world, "colour:'red'", "limit=2");
    t_expect(page, "n9 n6", true);
    t_damage(world, "thing", t_text(page, "data.1.id"));
    page = t_search(world, "colour:'red'", "limit=2");
    t_expect(page, "n9 n3", true);
    assert_non_null(strstr(world->logged, "cannot be read"));
    t_expect(t_next(world, "colour:'red'", "limit=2", page), "n0", false);
    page = t_search(world, "colour:'red'", "limit=2&expand[]=total_count");
    assert_int_equal(t_integer(page, "total_count"), 3);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(pages_follow_one_another),
        T(what_cannot_be_read_matches_nothing),
        T(rows_that_are_added_do_not_move_pages),
        T(a_page_goes_with_its_query),
        T(matches_are_counted_when_asked_for),
        T(references_expand),
        T(wrong_parameters_are_refused),
        T(merchants_do_not_see_one_another),
        T(only_what_may_match_is_read),
        T(a_page_reads_no_further),
        T(a_long_search_lets_others_pass),
        T(a_search_whose_reads_are_in_doubt_says_so),
        T(the_runtime_may_go_while_one_waits_for_its_turn),
        T(there_is_an_end_to_looking),
        T(a_hundred_searches_under_way_all_end),
    };
    return T_RUN("resource search", tests);
}
