#include "testing.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THINGS 12

struct t_things {
    char id[THINGS][ID_TEXT_SIZE]; /* oldest first, ten seconds apart */
};

static void
t_fill(struct t_world *world, struct t_things *things)
{
    for (int i = 0; i < THINGS; i++) {
        char form[40];
        (void)snprintf(form, sizeof(form), "name=n%d&colour=%s", i, i % 3 == 0 ? "red" : "blue");
        struct t_call *call = t_do(world, T_CREATE, NULL, form);
        assert_int_equal(call->request.status, 200);
        (void)snprintf(things->id[i], ID_TEXT_SIZE, "%s", t_text(call, "id"));
        os_sim_advance(world->sim, 10 * OS_NS_PER_S);
    }
}

/* The names in the page, without their n: "11 10 9". */
static void
t_expect_page(const struct t_call *call, const char *names, bool has_more)
{
    char memory[200];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof(memory));
    assert_int_equal(call->request.status, 200);
    const json_t *data = t_json(call, "data");
    size_t index;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)data, index, item)
    {
        buf_append_cstr(&text, index == 0 ? "" : " ");
        buf_append_cstr(&text, json_string_value(json_object_get(item, "name")) + 1);
    }
    buf_append_byte(&text, '\0');
    assert_string_equal(memory, names);
    assert_int_equal(json_is_true(t_json(call, "has_more")), has_more);
}

static struct t_call *
t_list(struct t_world *world, const char *format, const char *id)
{
    char form[200];
    struct buf text;
    buf_init_fixed(&text, form, sizeof(form));
    const char *mark = strchr(format, '@');
    buf_append(&text, format, mark == NULL ? strlen(format) : (size_t)(mark - format));
    if (mark != NULL) {
        buf_append_cstr(&text, id);
        buf_append_cstr(&text, mark + 1);
    }
    buf_append_byte(&text, '\0');
    return t_do(world, T_LIST, NULL, form);
}

static void
pages_go_both_ways(void **state)
{
    struct t_world *world = *state;
    struct t_things things;
    struct t_call *empty = t_do(world, T_LIST, NULL, NULL);
    t_expect_page(empty, "", false);
    assert_string_equal(t_text(empty, "object"), "list");
    assert_string_equal(t_text(empty, "url"), "/v1/things");
    t_fill(world, &things);
    t_expect_page(t_do(world, T_LIST, NULL, NULL), "11 10 9 8 7 6 5 4 3 2", true);
    t_expect_page(t_list(world, "limit=12", NULL), "11 10 9 8 7 6 5 4 3 2 1 0", false);
    t_expect_page(t_list(world, "limit=2&starting_after=@", things.id[7]), "6 5", true);
    t_expect_page(t_list(world, "limit=3&starting_after=@", things.id[2]), "1 0", false);
    t_expect_page(t_list(world, "starting_after=@", things.id[0]), "", false);
    t_expect_page(t_list(world, "limit=2&ending_before=@", things.id[7]), "9 8", true);
    t_expect_page(t_list(world, "limit=4&ending_before=@", things.id[7]), "11 10 9 8", false);
    t_expect_page(t_list(world, "ending_before=@", things.id[11]), "", false);
}

/* How many rows were told of as damaged, in this process. */
static uint64_t
t_damaged_count(void)
{
    static const char name[] = "\ntael_document_damaged_total ";
    struct buf text;
    buf_init(&text, 1U << 20);
    resource_metrics_render(&text);
    buf_append_byte(&text, '\0');
    assert_false(buf_failed(&text));
    const char *found = strstr(text.data, name);
    assert_non_null(found);
    uint64_t count = strtoull(found + sizeof(name) - 1, NULL, 10);
    buf_release(&text);
    return count;
}

static void
what_cannot_be_read_is_left_out(void **state)
{
    struct t_world *world = *state;
    struct t_things things;
    t_fill(world, &things);
    uint64_t before = t_damaged_count();
    t_damage(world, "thing", things.id[8]);
    t_expect_page(t_list(world, "limit=3", NULL), "11 10 9", true);
    assert_int_equal(t_damaged_count(), before + 1);
    assert_non_null(strstr(world->logged, "ERR_CORRUPT"));
    assert_non_null(strstr(world->logged, things.id[8]));
    t_expect_page(t_list(world, "limit=4", NULL), "11 10 9 7", true);
    t_expect_page(t_list(world, "limit=1&starting_after=@", things.id[9]), "7", true);
    t_expect_page(t_list(world, "limit=2&ending_before=@", things.id[6]), "9 7", true);
    t_expect_page(t_list(world, "limit=100", NULL), "11 10 9 7 6 5 4 3 2 1 0", false);
    /* A cursor that was good when it was given. */
    t_expect_page(t_list(world, "limit=1&starting_after=@", things.id[8]), "7", true);
    t_expect_page(t_list(world, "limit=1&ending_before=@", things.id[8]), "9", true);
    t_damage(world, "thing", things.id[0]);
    t_expect_page(t_list(world, "starting_after=@", things.id[1]), "", false);
    t_expect_page(t_list(world, "limit=1&starting_after=@", things.id[2]), "1", false);
}

/* A page is filled from behind them: clients take an empty one for the end. */
static void
a_page_of_what_cannot_be_read_is_passed(void **state)
{
    struct t_world *world = *state;
    struct t_things things;
    t_fill(world, &things);
    for (int i = 2; i < 11; i++) {
        t_damage(world, "thing", things.id[i]);
    }
    t_expect_page(t_list(world, "limit=1", NULL), "11", true);
    t_expect_page(t_list(world, "limit=1&starting_after=@", things.id[11]), "1", true);
    t_expect_page(t_list(world, "limit=2&starting_after=@", things.id[11]), "1 0", false);
    t_expect_page(t_list(world, "limit=1&ending_before=@", things.id[1]), "11", false);
    t_expect_page(t_list(world, "colour=blue&limit=2", NULL), "11 1", false);
    t_expect_page(t_list(world, "either=n1&limit=1", NULL), "1", false);
    t_expect_page(t_list(world, "created[lt]=9999999999&limit=2", NULL), "11 1", true);
}

/* So many, newer than anything that is made here. */
static void
t_fill_damaged(struct t_world *world, uint32_t count)
{
    static u128 made;
    struct document_store *store = world->store.real;
    u128 first = id_floor(OS_SIM_START_WALL_NS / OS_NS_PER_MS + 60000);
    assert_int_equal(store->ops->begin(store), ERR_OK);
    for (uint32_t i = 0; i < count; i++) {
        char id[ID_TEXT_SIZE];
        const struct document_row row = {
            .scope = T_SCOPE,
            .id = span_of(id, id_format("th_", first + made++, id)),
            .body = SPAN("no document of ours"),
            .columns = {{.is_null = true}, {.is_null = true}},
        };
        assert_int_equal(store->ops->insert(store, &t_thing_kind, &row), ERR_OK);
    }
    assert_int_equal(store->ops->commit(store), ERR_OK);
}

static void
so_many_are_no_accident(void **state)
{
    struct t_world *world = *state;
    (void)t_do(world, T_CREATE, NULL, "name=n0");
    t_fill_damaged(world, RESOURCE_LIST_LEFT_OUT_MAX);
    t_expect_page(t_list(world, "limit=1", NULL), "0", false);
    t_fill_damaged(world, 1);
    t_expect_error(t_list(world, "limit=1", NULL), 500, "", NULL);
}

static void
filters_and_times_narrow_it(void **state)
{
    struct t_world *world = *state;
    struct t_things things;
    char form[100];
    long long start = (long long)(OS_SIM_START_WALL_NS / OS_NS_PER_S);
    t_fill(world, &things);
    t_expect_page(t_list(world, "colour=red", NULL), "9 6 3 0", false);
    t_expect_page(t_list(world, "colour=red&limit=2&starting_after=@", things.id[9]), "6 3", true);
    t_expect_page(t_list(world, "colour=green", NULL), "", false);
    t_expect_page(t_list(world, "colour=&limit=1", NULL), "11", true);

    static const struct {
        const char *format;
        int offset;
        const char *expected;
    } cases[] = {
        {"created=%lld", 20, "2"},
        {"created=%lld", 21, ""},
        {"created[gte]=%lld", 90, "11 10 9"},
        {"created[gt]=%lld", 90, "11 10"},
        {"created[lt]=%lld", 20, "1 0"},
        {"created[lte]=%lld", 20, "2 1 0"},
        {"created[lte]=%lld&colour=red", 50, "3 0"},
        {"created[lt]=%lld&created[gte]=0", 10, "0"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text;
        buf_init_fixed(&text, form, sizeof(form));
        const char *mark = strstr(cases[i].format, "%lld");
        buf_append(&text, cases[i].format, (size_t)(mark - cases[i].format));
        buf_append_i64(&text, start + cases[i].offset);
        buf_append_cstr(&text, mark + 4);
        buf_append_byte(&text, '\0');
        t_expect_page(t_do(world, T_LIST, NULL, form), cases[i].expected, false);
    }
    t_expect_page(t_list(world, "limit=2&created[lte]=9223372036854775807", NULL), "11 10", true);
    t_expect_page(t_list(world, "created[gt]=9223372036854775807", NULL), "", false);
    t_expect_page(t_list(world, "created=9223372036854775807", NULL), "", false);
}

/* Rows that match by the one column, by the other, or by both: each once, in order, in pages. */
static void
one_filter_looks_at_two_columns(void **state)
{
    struct t_world *world = *state;
    static const char *const rows[] = {
        "name=n0&colour=n4",
        "name=n1",
        "name=n4&colour=n4",
        "name=n3&colour=blue",
        "name=n4",
        "name=n5&colour=n4",
        "name=n4&colour=red"};
    char ids[7][ID_TEXT_SIZE];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct t_call *made = t_do(world, T_CREATE, NULL, rows[i]);
        (void)snprintf(ids[i], ID_TEXT_SIZE, "%s", t_text(made, "id"));
        os_sim_advance(world->sim, OS_NS_PER_S);
    }
    t_expect_page(t_list(world, "either=n4", NULL), "4 5 4 4 0", false);
    t_expect_page(t_list(world, "either=n4&limit=2", NULL), "4 5", true);
    t_expect_page(t_list(world, "either=n4&limit=2&starting_after=@", ids[5]), "4 4", true);
    t_expect_page(t_list(world, "either=n4&limit=2&starting_after=@", ids[2]), "0", false);
    t_expect_page(t_list(world, "either=n4&limit=2&ending_before=@", ids[0]), "4 4", true);
    t_expect_page(t_list(world, "either=n4&limit=3&ending_before=@", ids[2]), "4 5 4", false);
    t_expect_page(t_list(world, "either=n3", NULL), "3", false);
    t_expect_page(t_list(world, "either=n4&colour=red", NULL), "4", false);
    t_expect_page(t_list(world, "either=none", NULL), "", false);
    t_expect_page(t_list(world, "either=&limit=1", NULL), "4", true);
}

static void
wrong_cursors_and_limits_are_refused(void **state)
{
    struct t_world *world = *state;
    struct t_things things;
    t_fill(world, &things);
    struct t_call *call = t_do(world, T_LIST, NULL, "starting_after=th_none");
    t_expect_error(call, 400, "resource_missing", "starting_after");
    assert_string_equal(t_text(call, "error.message"), "No such thing: 'th_none'");
    t_expect_error(
        t_do(world, T_LIST, NULL, "ending_before=th_none"),
        400,
        "resource_missing",
        "ending_before");
    call = t_list(world, "ending_before=x&starting_after=@", things.id[3]);
    t_expect_error(call, 400, "parameters_exclusive", NULL);
    t_expect_error(t_do(world, T_LIST, NULL, "limit=0"), 400, "parameter_invalid_integer", "limit");
    t_expect_error(
        t_do(world, T_LIST, NULL, "limit=101"), 400, "parameter_invalid_integer", "limit");
    t_expect_error(t_do(world, T_LIST, NULL, "color=red"), 400, "parameter_unknown", "color");
}

static void
references_expand(void **state)
{
    struct t_world *world = *state;
    struct t_call *a = t_do(world, T_CREATE, NULL, "name=a");
    char form[200];
    (void)snprintf(form, sizeof(form), "name=b&parent=%s", t_text(a, "id"));
    struct t_call *b = t_do(world, T_CREATE, NULL, form);
    (void)snprintf(form, sizeof(form), "name=c&parent=%s&expand[]=parent.parent", t_text(b, "id"));
    struct t_call *c = t_do(world, T_CREATE, NULL, form);
    assert_string_equal(t_text(b, "parent"), t_text(a, "id"));
    assert_string_equal(t_text(c, "parent.name"), "b");
    assert_string_equal(t_text(c, "parent.parent.name"), "a");
    struct t_call *read = t_do(world, T_RETRIEVE, t_text(c, "id"), "expand[]=parent");
    assert_string_equal(t_text(read, "parent.parent"), t_text(a, "id"));
    struct t_call *list = t_do(world, T_LIST, NULL, "expand[]=data.parent");
    assert_string_equal(t_text(list, "data.0.parent.name"), "b");
    assert_string_equal(t_text(list, "data.1.parent.name"), "a");
    assert_true(json_is_null(t_json(list, "data.2.parent")));
    t_expect_error(t_do(world, T_LIST, NULL, "expand[]=parent"), 400, "", "expand");
    t_expect_error(t_do(world, T_LIST, NULL, "expand[]=data"), 400, "", "expand");
    t_expect_error(t_do(world, T_LIST, NULL, "expand[]=data.name"), 400, "", "expand");
    t_expect_error(t_do(world, T_RETRIEVE, t_text(c, "id"), "expand[]=nam"), 400, "", "expand");
    /* A reference to what is not there, or cannot be read, stays an id. */
    struct t_call *lost = t_do(world, T_CREATE, NULL, "name=d&parent=th_gone&expand[]=parent");
    assert_string_equal(t_text(lost, "parent"), "th_gone");
    uint64_t before = t_damaged_count();
    t_damage(world, "thing", t_text(a, "id"));
    read = t_do(world, T_RETRIEVE, t_text(c, "id"), "expand[]=parent.parent");
    assert_string_equal(t_text(read, "parent.parent"), t_text(a, "id"));
    assert_int_equal(t_damaged_count(), before + 1);
}

static void
events_tell_what_happened(void **state) /* RESOURCE-5 */
{
    struct t_world *world = *state;
    struct t_call *call = t_send(world, T_CREATE, NULL, "name=a");
    t_use_key(call, "k1");
    call->request.api_version = SPAN("2020-08-27");
    t_run(world);
    (void)t_do(world, T_CREATE, NULL, "name=b");
    struct t_call *events = t_do(world, T_EVENTS, NULL, NULL);
    assert_int_equal(json_array_size(t_json(events, "data")), 2);
    assert_string_equal(t_text(events, "url"), "/v1/events");
    assert_string_equal(t_text(events, "data.1.object"), "event");
    assert_string_equal(t_text(events, "data.1.type"), "thing.created");
    assert_string_equal(t_text(events, "data.1.api_version"), "2020-08-27");
    assert_string_equal(t_text(events, "data.0.api_version"), "2026-08-26.dahlia");
    assert_string_equal(t_text(events, "data.1.request.id"), call->request.request_id);
    assert_string_equal(t_text(events, "data.1.request.idempotency_key"), "k1");
    assert_true(json_is_null(t_json(events, "data.0.request.idempotency_key")));
    assert_int_equal(t_integer(events, "data.0.pending_webhooks"), 0);
    assert_true(json_equal(t_json(events, "data.1.data.object"), call->json));
    struct t_call *read = t_do(world, T_RETRIEVE, t_text(call, "id"), NULL);
    assert_true(json_equal(read->json, call->json)); /* which answered what the event shows */
    /* As it was then, whatever becomes of it. */
    (void)t_do(world, T_UPDATE, t_text(call, "id"), NULL);
    struct t_call *event = t_do(world, T_EVENT, t_text(events, "data.1.id"), NULL);
    assert_true(json_equal(event->json, t_json(events, "data.1")));
    t_expect_error(t_do(world, T_EVENT, "evt_none", NULL), 404, "resource_missing", "id");
}

struct emit {
    const char *type;
};

static void
emit_step(struct resource_op *op)
{
    struct emit *emit = resource_op_state(op);
    struct t_thing *thing = resource_new(op, &t_thing_type);
    assert_non_null(thing);
    thing->name = SPAN("x");
    assert_int_equal(
        resource_emit(op, emit->type, &t_thing_type, thing, SPAN("{\"count\":7}")), ERR_OK);
    resource_finish(op);
}

static void
t_emit(struct t_world *world, const char *type)
{
    struct emit emit = {.type = type};
    assert_int_equal(resource_start_internal(world->runtime, 2, NULL, emit_step, &emit), ERR_OK);
    t_run(world);
}

/* The types on the page, with spaces between. */
static void
t_expect_types(struct t_world *world, const char *form, const char *expected, bool has_more)
{
    struct t_call *call = t_do(world, T_EVENTS, NULL, form);
    char memory[300];
    struct buf text;
    size_t index;
    buf_init_fixed(&text, memory, sizeof(memory));
    json_t *item;
    assert_int_equal(call->request.status, 200);
    json_array_foreach((json_t *)(uintptr_t)t_json(call, "data"), index, item)
    {
        buf_append_cstr(&text, index == 0 ? "" : " ");
        buf_append_cstr(&text, json_string_value(json_object_get(item, "type")));
    }
    buf_append_byte(&text, '\0');
    assert_string_equal(memory, expected);
    assert_int_equal(json_is_true(t_json(call, "has_more")), has_more);
}

static void
events_are_found_by_type(void **state)
{
    struct t_world *world = *state;
    static const char *const types[] = {"a.one", "b.one", "a.two", "ab.x", "a.one", "b.one"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        t_emit(world, types[i]);
    }
    for (int round = 0; round < 2; round++) {
        t_expect_types(world, "type=a.one", "a.one a.one", false);
        t_expect_types(world, "type=a.*", "a.one a.two a.one", false);
        t_expect_types(world, "type=a.*&limit=2", "a.one a.two", true);
        t_expect_types(world, "type=*&limit=3", "b.one a.one ab.x", true);
        t_expect_types(world, "types[]=b.one&types[]=ab.x", "b.one ab.x b.one", false);
        t_expect_types(world, "types[]=b.*&types[]=b.one&types[]=none", "b.one b.one", false);
        t_expect_types(world, "type=none", "", false);
        t_expect_types(world, "type=none.*", "", false);
        t_restart(world); /* the types are remembered */
    }
    struct t_call *page = t_do(world, T_EVENTS, NULL, "type=a.*&limit=1");
    char form[100];
    (void)snprintf(
        form, sizeof(form), "type=a.*&limit=1&starting_after=%s", t_text(page, "data.0.id"));
    t_expect_types(world, form, "a.two", true);
    struct t_call *last = t_do(world, T_EVENTS, NULL, "type=a.*&limit=3");
    (void)snprintf(
        form, sizeof(form), "type=a.*&limit=1&ending_before=%s", t_text(last, "data.2.id"));
    t_expect_types(world, form, "a.two", true);
    assert_int_equal(t_integer(last, "data.0.data.previous_attributes.count"), 7);
    t_expect_error(
        t_do(world, T_EVENTS, NULL, "type=a&types[]=b"), 400, "parameters_exclusive", NULL);
}

/* By type, by object, and of all; in pages. */
static void
events_that_cannot_be_read_are_left_out(void **state)
{
    struct t_world *world = *state;
    static const char *const types[] = {"a.one", "b.one", "a.one", "a.two", "a.one"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        t_emit(world, types[i]);
        os_sim_advance(world->sim, OS_NS_PER_S);
    }
    struct t_call *all = t_do(world, T_EVENTS, NULL, NULL);
    t_damage(world, "event", t_text(all, "data.1.id"));
    t_damage(world, "event", t_text(all, "data.2.id"));
    uint64_t before = t_damaged_count();
    t_expect_types(world, NULL, "a.one b.one a.one", false);
    assert_int_equal(t_damaged_count(), before + 2);
    t_expect_types(world, "limit=2", "a.one b.one", true);
    t_expect_types(world, "type=a.*", "a.one a.one", false);
    t_expect_types(world, "types[]=a.one&types[]=a.two&limit=1", "a.one", true);
    char form[100];
    (void)snprintf(
        form, sizeof(form), "type=a.*&limit=1&starting_after=%s", t_text(all, "data.0.id"));
    t_expect_types(world, form, "a.one", false);
    (void)snprintf(form, sizeof(form), "type=a.*&ending_before=%s", t_text(all, "data.3.id"));
    t_expect_types(world, form, "a.one", false);
    t_expect_types(world, "delivery_success=true", "a.one b.one a.one", false);
    t_expect_error(t_do(world, T_EVENT, t_text(all, "data.1.id"), NULL), 500, "", NULL);
}

/* Its name is its id. */
static void
a_type_that_cannot_be_read_is_known(void **state)
{
    struct t_world *world = *state;
    t_emit(world, "a.one");
    t_emit(world, "a.two");
    t_damage(world, "event_type", "a.one");
    t_restart(world);
    t_emit(world, "a.one");
    t_expect_types(world, "type=a.*", "a.one a.two a.one", false);
}

static void
a_type_of_a_lost_transaction_is_not_known(void **state)
{
    struct t_world *world = *state;
    world->store.commit_fails = ERR_IO;
    t_emit(world, "a.one");
    t_expect_types(world, "type=a.*", "", false);
    t_emit(world, "a.one");
    t_expect_types(world, "type=a.*", "a.one", false);
    t_restart(world);
    t_expect_types(world, "type=a.*", "a.one", false);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(pages_go_both_ways),
        T(what_cannot_be_read_is_left_out),
        T(a_page_of_what_cannot_be_read_is_passed),
        T(so_many_are_no_accident),
        T(filters_and_times_narrow_it),
        T(one_filter_looks_at_two_columns),
        T(wrong_cursors_and_limits_are_refused),
        T(references_expand),
        T(events_tell_what_happened),
        T(events_are_found_by_type),
        T(events_that_cannot_be_read_are_left_out),
        T(a_type_that_cannot_be_read_is_known),
        T(a_type_of_a_lost_transaction_is_not_known),
    };
    return T_RUN("resource list", tests);
}
