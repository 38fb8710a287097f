#include "testing.h"

#include "base/list.h"
#include "resource/pages.h"
#include "json/json.h"

#include <string.h>

/* ------------------------------------------------------------------------------ the service */

#define FIELD(member, kind_, column_)                                                              \
    {                                                                                              \
        .name = #member, .kind = kind_, .offset = offsetof(struct t_thing, member),                \
        .column = column_                                                                          \
    }

const struct document_kind t_thing_kind = {
    .name = "thing",
    .columns =
        {
            {"colour", DOCUMENT_TEXT, .indexed = true, .any_case = true},
            {"name", DOCUMENT_TEXT, .indexed = true},
        },
    .column_count = 2,
    .copied = true, /* where the documents are shared */
};
static const struct resource_field thing_fields[] = {
    FIELD(name, RESOURCE_FIELD_TEXT, T_NAME),
    FIELD(colour, RESOURCE_FIELD_TEXT, T_COLOUR),
    FIELD(parent, RESOURCE_FIELD_TEXT, -1),
    FIELD(count, RESOURCE_FIELD_INTEGER, -1),
    FIELD(metadata, RESOURCE_FIELD_JSON, -1),
};

static void
thing_render(struct resource_render *render, const void *document)
{
    const struct t_thing *thing = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &t_thing_type, thing);
    json_member_text(json, "name", thing->name);
    json_member_text_or_null(json, "colour", thing->colour);
    resource_render_reference(render, "parent", &t_thing_type, thing->parent);
    json_member_i64(json, "count", thing->count);
    json_member_raw(json, "metadata", thing->metadata.size > 0 ? thing->metadata : SPAN("{}"));
    json_object_end(json);
}

static const struct resource_shown thing_public_members[] = {
    {.name = "id"}, {.name = "name"}, {.name = NULL}};
const struct resource_type t_thing_type = {
    .object = "thing",
    .prefix = "th_",
    .kind = &t_thing_kind,
    .fields = thing_fields,
    .field_count = sizeof(thing_fields) / sizeof(thing_fields[0]),
    .struct_size = sizeof(struct t_thing),
    .render = thing_render,
    .public_members = thing_public_members,
};

static struct t_thing *
thing_new(struct resource_op *op)
{
    struct t_thing *thing = resource_new(op, &t_thing_type);
    assert_non_null(thing);
    (void)resource_text(op, "name", &thing->name);
    (void)resource_text(op, "colour", &thing->colour);
    (void)resource_text(op, "parent", &thing->parent);
    return thing;
}

static void
fail_executed(struct resource_op *op)
{
    struct resource_error error = {
        .status = 402,
        .type = "card_error",
        .code = "card_declined",
        .decline_code = "lost_card",
        .message = SPAN("Declined."),
        .executed = true,
    };
    resource_fail(op, &error);
}

static void
thing_create(struct resource_op *op)
{
    struct t_thing *thing = thing_new(op);
    struct span how = SPAN_EMPTY;
    if (resource_metadata(op, SPAN_EMPTY, &thing->metadata) != ERR_OK) {
        return;
    }
    err_t error = resource_save(op, &t_thing_type, thing);
    if (error == ERR_OK) {
        error = resource_emit(op, "thing.created", &t_thing_type, thing, SPAN_EMPTY);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "thing");
        return;
    }
    (void)resource_text(op, "fail", &how);
    if (span_equal_cstr(how, "invalid")) {
        resource_invalid(op, "amount_too_small", "name", "No %s.", "good");
    } else if (span_equal_cstr(how, "executed")) {
        fail_executed(op);
    } else if (span_equal_cstr(how, "internal")) {
        resource_internal(op, ERR_IO, "told to");
    } else {
        resource_answer_emitted(op, &t_thing_type, thing);
    }
}

static void
thing_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &t_thing_type, resource_op_capture(op, 0));
}

static void
thing_update_locked(struct resource_op *op)
{
    void *found;
    err_t error = resource_load(op, &t_thing_type, resource_op_capture(op, 0), &found);
    if (error == ERR_NOT_FOUND) {
        resource_missing(op, "thing", "id", resource_op_capture(op, 0));
        return;
    }
    struct t_thing *thing = found;
    thing->count++;
    if (resource_metadata(op, thing->metadata, &thing->metadata) != ERR_OK) {
        return;
    }
    error = resource_save(op, &t_thing_type, thing);
    if (error != ERR_OK) {
        resource_internal(op, error, "thing");
        return;
    }
    struct span how = SPAN_EMPTY;
    (void)resource_text(op, "fail", &how);
    if (span_equal_cstr(how, "invalid")) {
        resource_invalid(op, NULL, "fail", "No good.");
        return;
    }
    if (span_equal_cstr(how, "hang")) {
        return; /* whatever it waits for does not come */
    }
    resource_answer_object(op, &t_thing_type, thing);
}

static void
thing_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), thing_update_locked);
}

static void
thing_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"colour", T_COLOUR}, {"either", RESOURCE_EITHER(T_COLOUR, T_NAME)}};
    resource_answer_list(op, &t_thing_type, "/v1/things", filters, 2);
}

static struct span
thing_shown_heavy(const void *document)
{
    return ((const struct t_thing *)document)->count >= 100 ? SPAN("true") : SPAN("false");
}

static const struct resource_search_field search_fields[] = {
    {.name = "name", .kind = RESOURCE_SEARCH_TEXT},
    {.name = "colour", .kind = RESOURCE_SEARCH_TEXT},
    {.name = "parent", .kind = RESOURCE_SEARCH_ID},
    {.name = "count", .kind = RESOURCE_SEARCH_NUMBER},
    {.name = "created", .kind = RESOURCE_SEARCH_NUMBER},
    {.name = "metadata", .kind = RESOURCE_SEARCH_METADATA},
    {.name = "metadata.box.size", .kind = RESOURCE_SEARCH_NUMBER},
    {.name = "metadata.box.label", .kind = RESOURCE_SEARCH_TEXT},
    {.name = "heavy", .kind = RESOURCE_SEARCH_BOOLEAN, .show = thing_shown_heavy},
};

const struct resource_search t_thing_search = {
    .type = &t_thing_type,
    .objects = "things",
    .url = "/v1/things/search",
    .fields = search_fields,
    .field_count = sizeof(search_fields) / sizeof(search_fields[0]),
};

static void
thing_search(struct resource_op *op)
{
    resource_answer_search(op, &t_thing_search);
}

struct outside {
    struct os_task task;
    struct resource_op *op;
    struct t_world *world;
    struct t_thing *thing;
};

static void
outside_answered(struct os_task *task)
{
    struct outside *outside = CONTAINER_OF(task, struct outside, task);
    struct resource_op *op = outside->op;
    struct span how = SPAN_EMPTY;
    outside->thing->count = 100;
    err_t error = resource_save(op, &t_thing_type, outside->thing);
    if (error != ERR_OK) {
        resource_internal(op, error, "thing");
        return;
    }
    (void)resource_text(op, "fail", &how);
    if (span_equal_cstr(how, "invalid")) {
        resource_invalid(op, NULL, "name", "No good.");
    } else {
        resource_answer_object(op, &t_thing_type, outside->thing);
    }
}

static void
charge_durable(struct resource_op *op)
{
    struct outside *outside = resource_op_state(op);
    outside->world->outside_calls++;
    if (!outside->world->outside_hangs) {
        outside->task.run = outside_answered;
        os_post(resource_op_executor(op), &outside->task);
    }
}

static void
thing_charge(struct resource_op *op)
{
    struct t_thing *thing = thing_new(op);
    struct outside *outside = ARENA_NEW(resource_op_arena(op), struct outside);
    assert_non_null(outside);
    outside->op = op;
    outside->world = resource_op_service(op);
    outside->thing = thing;
    thing->count = 1;
    if (outside->world->charged != NULL) {
        outside->world->charged(op);
    }
    err_t error = resource_save(op, &t_thing_type, thing);
    if (error != ERR_OK) {
        resource_internal(op, error, "thing");
        return;
    }
    resource_op_set_state(op, outside);
    resource_after_commit(op, charge_durable);
}

static void
thing_card(struct resource_op *op)
{
    const struct port_vault_card *card = resource_card(op);
    struct buf body;
    buf_init(&body, 1000);
    buf_append_format(
        &body,
        "{\"token\":\"%s\",\"number_seen\":%s}",
        card == NULL ? "" : card->token,
        resource_present(op, "method[card][number]") ? "true" : "false");
    resource_answer(op, 200, &body);
}

static void
thing_public(struct resource_op *op)
{
    struct buf body;
    buf_init(&body, 1000);
    buf_append_format(&body, "{\"scope\":%d}", (int)resource_op_caller(op)->scope);
    resource_answer(op, 200, &body);
}

static const char *const sizes[] = {"small", "medium", "large", NULL};
static const char *const shades[] = {"", "dark", "light", NULL};
static const struct resource_param create_params[] = {
    {.name = "name", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 40},
    {.name = "colour", .kind = RESOURCE_PARAM_TEXT, .maximum = 20},
    {.name = "parent", .kind = RESOURCE_PARAM_TEXT, .maximum = 64},
    {.name = "fail", .kind = RESOURCE_PARAM_TEXT, .maximum = 20},
    {.name = "metadata", .kind = RESOURCE_PARAM_METADATA},
    RESOURCE_EXPAND_PARAM,
};
static const struct resource_param list_params[] = {
    RESOURCE_LIST_PARAMS,
    {.name = "either", .kind = RESOURCE_PARAM_TEXT, .maximum = 20},
    {.name = "colour", .kind = RESOURCE_PARAM_TEXT, .maximum = 20},
};
static const struct resource_param search_params[] = {RESOURCE_SEARCH_PARAMS};
static const struct resource_param update_params[] = {
    {.name = "metadata", .kind = RESOURCE_PARAM_METADATA},
    {.name = "fail", .kind = RESOURCE_PARAM_TEXT, .maximum = 20},
    RESOURCE_EXPAND_PARAM,
};
static const struct resource_param card_params[] = {
    {.name = "method", .kind = RESOURCE_PARAM_HASH},
    {.name = "method[card]", .kind = RESOURCE_PARAM_HASH},
    {.name = "method[card][number]", .kind = RESOURCE_PARAM_TEXT, .maximum = 30},
    {.name = "method[card][cvc]", .kind = RESOURCE_PARAM_TEXT, .maximum = 4},
    {.name = "method[card][exp_month]",
     .kind = RESOURCE_PARAM_INTEGER,
     .minimum = INT64_MIN,
     .maximum = INT64_MAX},
    {.name = "method[card][exp_year]",
     .kind = RESOURCE_PARAM_INTEGER,
     .minimum = INT64_MIN,
     .maximum = INT64_MAX},
};
static const struct resource_param check_params[] = {
    {.name = "text", .kind = RESOURCE_PARAM_TEXT, .maximum = 5},
    {.name = "number", .kind = RESOURCE_PARAM_INTEGER, .minimum = 1, .maximum = 9},
    {.name = "flag", .kind = RESOURCE_PARAM_BOOLEAN},
    {.name = "size", .kind = RESOURCE_PARAM_ENUM, .values = sizes},
    {.name = "shade", .kind = RESOURCE_PARAM_ENUM, .values = shades},
    {.name = "at", .kind = RESOURCE_PARAM_TIMESTAMP},
    {.name = "currency", .kind = RESOURCE_PARAM_CURRENCY},
    {.name = "list", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = 3},
    {.name = "metadata", .kind = RESOURCE_PARAM_METADATA},
    {.name = "hash", .kind = RESOURCE_PARAM_HASH},
    {.name = "hash[needed]", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 5},
    {.name = "hash[deep]", .kind = RESOURCE_PARAM_HASH},
    {.name = "hash[deep][est]", .kind = RESOURCE_PARAM_INTEGER, .minimum = 0, .maximum = 5},
    {.name = "any", .kind = RESOURCE_PARAM_ANY_HASH},
    {.name = "items", .kind = RESOURCE_PARAM_HASH_LIST, .maximum = 2},
    {.name = "items[][count]", .kind = RESOURCE_PARAM_INTEGER, .minimum = 1, .maximum = 9},
    {.name = "items[][what]", .kind = RESOURCE_PARAM_HASH, .required = true},
    {.name = "items[][what][name]", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 5},
    {.name = "created", .kind = RESOURCE_PARAM_RANGE},
    RESOURCE_EXPAND_PARAM,
};

/* What the checked parameters read as. */
static void
thing_check(struct resource_op *op)
{
    struct buf body;
    struct json_writer json;
    struct span text = SPAN_EMPTY;
    int64_t number = -1;
    bool flag = false;
    buf_init(&body, 100000);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_member_bool(&json, "has_text", resource_text(op, "text", &text));
    json_member_text(&json, "text", text);
    json_member_bool(&json, "has_number", resource_integer(op, "number", &number));
    json_member_i64(&json, "number", number);
    json_member_bool(&json, "has_flag", resource_boolean(op, "flag", &flag));
    json_member_bool(&json, "flag", flag);
    json_member_raw(&json, "any", resource_json(op, "any"));
    json_member_raw(&json, "list", resource_json(op, "list"));
    json_object_end(&json);
    resource_answer(op, 200, &body);
}

static void
thing_page(struct resource_op *op)
{
    if (resource_present(op, "metadata")) {
        resource_answer_redirect(op, SPAN("https://shop.example/"));
        return;
    }
    struct buf body;
    buf_init(&body, 1000);
    buf_append_format(&body, "<p>%s", resource_op_caller(op)->merchant_id);
    resource_answer_typed(op, 200, "text/html; charset=utf-8", &body);
}

static void
page_card_kept(struct resource_op *op)
{
    struct buf body;
    buf_init(&body, 1000);
    buf_append_format(
        &body,
        "{\"outcome\":%d,\"token\":\"%s\"}",
        (int)resource_card_outcome(op),
        resource_card(op)->token);
    resource_answer(op, 200, &body);
}

static void
thing_page_card(struct resource_op *op)
{
    struct span name = SPAN_EMPTY;
    bool number;
    bool cvc;
    (void)resource_text(op, "name", &name);
    if (span_equal_cstr(name, "good")) {
        resource_card_keep(op, 12, 2030, page_card_kept);
        return;
    }
    struct buf body;
    resource_card_given(op, &number, &cvc);
    buf_init(&body, 1000);
    buf_append_format(
        &body,
        "{\"number\":%s,\"cvc\":%s,\"number_seen\":%s}",
        number ? "true" : "false",
        cvc ? "true" : "false",
        resource_present(op, "card[number]") ? "true" : "false");
    resource_answer(op, 200, &body);
}

static const struct resource_param page_card_params[] = {
    {.name = "name", .kind = RESOURCE_PARAM_TEXT, .maximum = 40},
    {.name = "card", .kind = RESOURCE_PARAM_HASH},
};

#define PARAMS(table) .params = table, .param_count = sizeof(table) / sizeof(table[0])

const struct resource_route t_routes[T_ROUTE_COUNT] = {
    [T_CREATE] =
        {.method = "POST",
         .pattern = "/v1/things",
         .handler = thing_create,
         PARAMS(create_params),
         .permission = "things",
         .answers = &t_thing_type},
    [T_RETRIEVE] =
        {.method = "GET",
         .pattern = "/v1/things/:id",
         .handler = thing_retrieve,
         PARAMS(update_params),
         .permission = "things"},
    [T_UPDATE] =
        {.method = "POST",
         .pattern = "/v1/things/:id",
         .handler = thing_update,
         PARAMS(update_params),
         .permission = "things"},
    [T_LIST] =
        {.method = "GET",
         .pattern = "/v1/things",
         .handler = thing_list,
         PARAMS(list_params),
         .permission = "things"},
    [T_CHARGE] =
        {.method = "POST",
         .pattern = "/v1/things/charge",
         .handler = thing_charge,
         PARAMS(create_params),
         .flags = RESOURCE_OUTSIDE_EFFECTS | RESOURCE_PUBLISHABLE,
         .permission = "charges"},
    [T_CARD] =
        {.method = "POST",
         .pattern = "/v1/things/card",
         .handler = thing_card,
         PARAMS(card_params),
         .flags = RESOURCE_CARD_DATA,
         .card_parameter = "method[card]"},
    [T_PUBLIC] =
        {.method = "GET",
         .pattern = "/v1/things/public",
         .handler = thing_public,
         .flags = RESOURCE_PUBLISHABLE},
    [T_PAGE] =
        {.method = "POST",
         .pattern = "/hosted/:scope/:secret",
         .handler = thing_page,
         PARAMS(update_params),
         .flags = RESOURCE_PUBLIC},
    [T_PAGE_CARD] =
        {.method = "POST",
         .pattern = "/card/:scope/:secret",
         .handler = thing_page_card,
         PARAMS(page_card_params),
         .flags = RESOURCE_PUBLIC | RESOURCE_CARD_DATA,
         .card_parameter = "card"},
    [T_CHECK] =
        {.method = "POST",
         .pattern = "/v1/things/check",
         .handler = thing_check,
         PARAMS(check_params)},
    [T_SEARCH] =
        {.method = "GET",
         .pattern = "/v1/things/search",
         .handler = thing_search,
         PARAMS(search_params),
         .permission = "things",
         .answers = &t_thing_type,
         .answers_search = true},
};
