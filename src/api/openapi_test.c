#include "openapi.h"
#include "resource/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#define DOCUMENT_MAX (1U << 20)

static const struct resource_type thing = {.object = "thing"};
static const char *const colours[] = {"", "red", "green", NULL};

static const struct resource_param paint_params[] = {
    {.name = "colour", .kind = RESOURCE_PARAM_ENUM, .values = colours},
    {.name = "size", .kind = RESOURCE_PARAM_HASH},
    {.name = "size[width]",
     .kind = RESOURCE_PARAM_INTEGER,
     .required = true,
     .minimum = 1,
     .maximum = 9},
    {.name = "size[unit]", .kind = RESOURCE_PARAM_HASH},
    {.name = "size[unit][name]", .kind = RESOURCE_PARAM_TEXT, .maximum = 7},
    {.name = "sizes", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 3},
    {.name = "tags", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = 5},
    {.name = "metadata", .kind = RESOURCE_PARAM_METADATA},
    {.name = "any", .kind = RESOURCE_PARAM_ANY_HASH},
    {.name = "layers", .kind = RESOURCE_PARAM_HASH_LIST, .maximum = 7},
    {.name = "layers[][coat]", .kind = RESOURCE_PARAM_HASH, .required = true},
    {.name = "layers[][coat][name]", .kind = RESOURCE_PARAM_TEXT, .maximum = 3},
    {.name = "many", .kind = RESOURCE_PARAM_INTEGER, .minimum = INT64_MIN, .maximum = INT64_MAX},
};
static const struct resource_param list_params[] = {RESOURCE_LIST_PARAMS};

#define PARAMS(table) .params = (table), .param_count = sizeof(table) / sizeof((table)[0])

static const struct resource_route routes[] = {
    {.method = "POST",
     .pattern = "/v1/things/:id/paint",
     PARAMS(paint_params),
     .flags = RESOURCE_CARD_DATA | RESOURCE_PUBLISHABLE,
     .permission = "things",
     .answers = &thing},
    {.method = "GET",
     .pattern = "/v1/things",
     PARAMS(list_params),
     .answers = &thing,
     .answers_list = true},
    {.method = "GET", .pattern = "/v1/things/search", .answers = &thing, .answers_search = true},
    {.method = "DELETE", .pattern = "/v1/things/:id/parts/:id", .answers = &thing},
    {.method = "POST", .pattern = "/v1/raw", .flags = RESOURCE_RAW_BODY},
    {.method = "GET", .pattern = "/page/:scope/:secret", .flags = RESOURCE_PUBLIC},
    {.method = "POST", .pattern = "/v1/things", .flags = RESOURCE_NOT_KEPT, .answers = &thing},
};

static int
setup(void **state)
{
    struct api_openapi_routes all = {.count = 0};
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        all.routes[all.count++] = &routes[i];
    }
    struct buf out;
    buf_init(&out, DOCUMENT_MAX);
    api_openapi_write(&all, &out);
    assert_false(buf_failed(&out));
    json_error_t error;
    *state = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, &error);
    buf_release(&out);
    if (*state == NULL) {
        print_error("%s at %d\n", error.text, error.position);
    }
    return *state == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
    json_decref(*state);
    return 0;
}

/* The value at names that end with NULL. */
static json_t *
t_at(json_t *value, ...)
{
    va_list names;
    va_start(names, value);
    for (const char *name = va_arg(names, const char *); name != NULL;
         name = va_arg(names, const char *)) {
        value = json_object_get(value, name);
    }
    va_end(names);
    return value;
}

static const char *
t_text(json_t *value, const char *name)
{
    return json_string_value(json_object_get(value, name));
}

static long long
t_integer(json_t *value, const char *name)
{
    json_t *number = json_object_get(value, name);
    assert_true(json_is_integer(number));
    return json_integer_value(number);
}

static json_t *
t_operation(void **state, const char *path, const char *method)
{
    json_t *operation = t_at(*state, "paths", path, method, NULL);
    assert_non_null(operation);
    return operation;
}

static json_t *
t_form(void **state)
{
    return t_at(
        t_operation(state, "/v1/things/{id}/paint", "post"),
        "requestBody",
        "content",
        "application/x-www-form-urlencoded",
        NULL);
}

static bool
t_answers(json_t *operation, const char *status)
{
    return t_at(operation, "responses", status, NULL) != NULL;
}

static void
parameters_are_nested_as_they_are_written(void **state)
{
    json_t *schema = t_at(t_form(state), "schema", NULL);
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    json_t *properties = json_object_get(schema, "properties");
    assert_int_equal(json_object_size(properties), 8);
    json_t *size = json_object_get(properties, "size");
    assert_string_equal(t_text(size, "type"), "object");
    json_t *width = t_at(size, "properties", "width", NULL);
    assert_string_equal(t_text(width, "type"), "integer");
    assert_int_equal(t_integer(width, "minimum"), 1);
    assert_int_equal(t_integer(width, "maximum"), 9);
    assert_int_equal(json_object_size(json_object_get(size, "properties")), 2);
    assert_int_equal(
        t_integer(t_at(size, "properties", "unit", "properties", "name", NULL), "maxLength"), 7);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(size, "required"), 0)), "width");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(schema, "required"), 0)), "sizes");
    assert_int_equal(json_array_size(json_object_get(schema, "required")), 1);
}

static void
kinds_have_their_schemas(void **state)
{
    json_t *properties = t_at(t_form(state), "schema", "properties", NULL);
    assert_int_equal(json_array_size(t_at(properties, "colour", "enum", NULL)), 3);
    json_t *tags = json_object_get(properties, "tags[]");
    assert_string_equal(t_text(tags, "type"), "array");
    assert_int_equal(t_integer(tags, "maxItems"), 5);
    assert_int_equal(t_integer(json_object_get(properties, "metadata"), "maxProperties"), 50);
    assert_true(json_is_true(t_at(properties, "any", "additionalProperties", NULL)));
    assert_null(t_at(properties, "many", "minimum", NULL));
    assert_null(t_at(properties, "many", "maximum", NULL));
    assert_int_equal(t_integer(json_object_get(properties, "sizes"), "minLength"), 1);
    json_t *layers = json_object_get(properties, "layers");
    assert_string_equal(t_text(layers, "type"), "array");
    assert_int_equal(t_integer(layers, "maxItems"), 7);
    json_t *layer = json_object_get(layers, "items");
    assert_string_equal(
        json_string_value(json_array_get(t_at(layer, "required", NULL), 0)), "coat");
    json_t *coat = t_at(layer, "properties", "coat", NULL);
    assert_int_equal(t_integer(t_at(coat, "properties", "name", NULL), "maxLength"), 3);
    json_t *encoding = json_object_get(t_form(state), "encoding");
    assert_string_equal(t_text(json_object_get(encoding, "layers"), "style"), "deepObject");
    assert_string_equal(t_text(json_object_get(encoding, "tags[]"), "style"), "form");
    assert_string_equal(t_text(json_object_get(encoding, "size"), "style"), "deepObject");
    assert_null(json_object_get(encoding, "colour"));
}

static void
a_query_has_parameters(void **state)
{
    json_t *parameters = json_object_get(t_operation(state, "/v1/things", "get"), "parameters");
    json_t *limit = json_array_get(parameters, 0);
    assert_string_equal(t_text(limit, "name"), "limit");
    assert_string_equal(t_text(limit, "in"), "query");
    assert_non_null(t_text(limit, "description"));
    json_t *created = json_array_get(parameters, 3);
    assert_string_equal(t_text(created, "style"), "deepObject");
    assert_int_equal(json_array_size(t_at(created, "schema", "anyOf", NULL)), 2);
    assert_null(json_object_get(t_operation(state, "/v1/things", "get"), "requestBody"));
}

static void
captures_have_names_of_their_own(void **state)
{
    json_t *parameters = json_object_get(
        t_operation(state, "/v1/things/{thing_id}/parts/{part_id}", "delete"), "parameters");
    assert_string_equal(t_text(json_array_get(parameters, 0), "name"), "thing_id");
    assert_string_equal(t_text(json_array_get(parameters, 1), "name"), "part_id");
    assert_string_equal(t_text(json_array_get(parameters, 1), "in"), "path");
}

static void
methods_of_one_path_stand_together(void **state)
{
    assert_int_equal(json_object_size(t_at(*state, "paths", "/v1/things", NULL)), 2);
}

static void
statuses_follow_from_the_route(void **state)
{
    json_t *paint = t_operation(state, "/v1/things/{id}/paint", "post");
    json_t *list = t_operation(state, "/v1/things", "get");
    json_t *raw = t_operation(state, "/v1/raw", "post");
    json_t *page = t_operation(state, "/page/{scope}/{secret}", "get");
    static const char *const always[] = {"400", "429", "500", "503"};
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        assert_true(t_answers(paint, always[i]) && t_answers(list, always[i]));
        assert_true(t_answers(raw, always[i]) && t_answers(page, always[i]));
    }
    assert_true(t_answers(paint, "402") && !t_answers(list, "402"));
    assert_true(t_answers(paint, "404") && !t_answers(list, "404"));
    assert_true(t_answers(paint, "409") && !t_answers(list, "409") && !t_answers(raw, "409"));
    assert_true(t_answers(paint, "413") && !t_answers(list, "413"));
    assert_true(t_answers(list, "414") && !t_answers(paint, "414"));
    assert_true(t_answers(paint, "401") && !t_answers(page, "401") && !t_answers(page, "403"));
}

static void
rights_and_keys_follow_from_the_route(void **state)
{
    json_t *paint = t_operation(state, "/v1/things/{id}/paint", "post");
    assert_string_equal(t_text(paint, "x-permission"), "things:write");
    assert_true(json_is_true(json_object_get(paint, "x-publishable-key")));
    json_t *headers = t_at(paint, "responses", "200", "headers", NULL);
    assert_non_null(json_object_get(headers, "Idempotent-Replayed"));
    headers = t_at(t_operation(state, "/v1/things", "post"), "responses", "200", "headers", NULL);
    assert_non_null(json_object_get(headers, "Request-Id"));
    assert_null(json_object_get(headers, "Idempotent-Replayed"));
    json_t *page = t_operation(state, "/page/{scope}/{secret}", "get");
    assert_int_equal(json_array_size(json_object_get(page, "security")), 0);
    assert_int_equal(json_array_size(json_object_get(page, "parameters")), 2);
}

static json_t *
t_schema(json_t *operation)
{
    return t_at(operation, "responses", "200", "content", "application/json", "schema", NULL);
}

static void
answers_are_objects_lists_or_searches(void **state)
{
    json_t *schema = t_schema(t_operation(state, "/v1/things/{id}/paint", "post"));
    assert_string_equal(t_text(schema, "$ref"), "#/components/schemas/thing");
    schema = t_schema(t_operation(state, "/v1/things", "get"));
    assert_string_equal(t_text(t_at(schema, "properties", "object", NULL), "const"), "list");
    assert_string_equal(
        t_text(t_at(schema, "properties", "data", "items", NULL), "$ref"),
        "#/components/schemas/thing");
    assert_null(t_at(schema, "properties", "next_page", NULL));
    schema = t_schema(t_operation(state, "/v1/things/search", "get"));
    assert_string_equal(
        t_text(t_at(schema, "properties", "object", NULL), "const"), "search_result");
    assert_non_null(t_at(schema, "properties", "next_page", NULL));
    assert_null(t_schema(t_operation(state, "/v1/raw", "post")));
}

#define T(test) cmocka_unit_test(test)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(parameters_are_nested_as_they_are_written),
        T(kinds_have_their_schemas),
        T(a_query_has_parameters),
        T(captures_have_names_of_their_own),
        T(methods_of_one_path_stand_together),
        T(statuses_follow_from_the_route),
        T(rights_and_keys_follow_from_the_route),
        T(answers_are_objects_lists_or_searches),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
