/*
 * Parameters of a route as JSON Schema: what resource/params.c checks, said in advance. The table
 * lists nested parameters by their full names, "a[b][c]"; here they are nested.
 */
#include "openapi.h"

#include "base/assert.h"
#include "json/json.h"

#include <string.h>

#define NAME_SIZE          320
#define METADATA_KEYS_MAX  50
#define METADATA_KEY_MAX   40
#define METADATA_VALUE_MAX 500
#define LIST_TEXT_MAX      500

/* What one schema is written with. */
struct writing {
    struct json_writer *json;
    const struct resource_route *route;
    const struct api_described_operation *described;
};

static void write_schema(const struct writing *writing, const struct resource_param *param);

/* ------------------------------------------------------------------------------------- texts */

static const char *
text_find(const struct api_text *texts, const char *name)
{
    for (; texts != NULL && texts->name != NULL; texts++) {
        if (strcmp(texts->name, name) == 0) {
            return texts->text;
        }
    }
    return NULL;
}

static void
write_text(const struct writing *writing, const char *name)
{
    const char *text = NULL;
    if (writing->described != NULL) {
        text = text_find(writing->described->params, name);
    }
    if (text == NULL) {
        text = text_find(api_described.params, name);
    }
    if (text != NULL) {
        json_member_cstr(writing->json, "description", text);
    }
}

/* ----------------------------------------------------------------------------------- nesting */

/* The last part of "a[b]" and "b" if `param` stands directly in `parent` (NULL: at the top). */
static bool
is_child(const struct resource_param *param, const char *parent, struct span *ret_name)
{
    struct span rest = span_from_cstr(param->name);
    if (parent == NULL) {
        *ret_name = rest;
        return span_find(rest, '[', 0) == rest.size;
    }
    size_t size = strlen(parent);
    if (strncmp(param->name, parent, size) != 0 || param->name[size] != '[') {
        return false;
    }
    rest = span_slice(rest, size + 1, rest.size);
    size_t end = span_find(rest, ']', 0);
    *ret_name = span_slice(rest, 0, end);
    return end + 1 == rest.size;
}

static bool
is_list(const struct resource_param *param)
{
    return param->kind == RESOURCE_PARAM_TEXT_LIST;
}

/* What a form writes with brackets: "a[b]=1", "a[0][b]=1". */
static bool
is_deep(const struct resource_param *param)
{
    switch (param->kind) {
    case RESOURCE_PARAM_METADATA:
    case RESOURCE_PARAM_HASH:
    case RESOURCE_PARAM_ANY_HASH:
    case RESOURCE_PARAM_HASH_LIST:
    case RESOURCE_PARAM_RANGE:
        return true;
    case RESOURCE_PARAM_TEXT:
    case RESOURCE_PARAM_INTEGER:
    case RESOURCE_PARAM_BOOLEAN:
    case RESOURCE_PARAM_ENUM:
    case RESOURCE_PARAM_TIMESTAMP:
    case RESOURCE_PARAM_CURRENCY:
    case RESOURCE_PARAM_TEXT_LIST:
        return false;
    }
    UNREACHABLE();
}

/* A list at the top is called "expand[]", which is how a form repeats it. */
static struct span
shown_name(const struct resource_param *param, struct span name, bool top, char out[NAME_SIZE])
{
    struct buf whole;
    buf_init_fixed(&whole, out, NAME_SIZE);
    buf_append_span(&whole, name);
    if (top && is_list(param)) {
        buf_append_cstr(&whole, "[]");
    }
    ASSERT(!buf_failed(&whole));
    return buf_span(&whole);
}

/* properties, required, additionalProperties of everything directly in `parent`. */
static void
write_object(const struct writing *writing, const char *parent)
{
    struct json_writer *json = writing->json;
    const struct resource_route *route = writing->route;
    struct span name;
    char shown[NAME_SIZE];
    uint32_t required = 0;
    json_member_cstr(json, "type", "object");
    json_key(json, "properties");
    json_object_begin(json);
    for (uint32_t i = 0; i < route->param_count; i++) {
        const struct resource_param *param = &route->params[i];
        if (is_child(param, parent, &name)) {
            json_key_span(json, shown_name(param, name, parent == NULL, shown));
            write_schema(writing, param);
            required += param->required;
        }
    }
    json_object_end(json);
    if (required > 0) {
        json_key(json, "required");
        json_array_begin(json);
        for (uint32_t i = 0; i < route->param_count; i++) {
            const struct resource_param *param = &route->params[i];
            if (param->required && is_child(param, parent, &name)) {
                json_text(json, shown_name(param, name, parent == NULL, shown));
            }
        }
        json_array_end(json);
    }
    json_member_bool(json, "additionalProperties", false);
}

/* ----------------------------------------------------------------------------------- schemas */

static void
write_integer(struct json_writer *json, int64_t minimum, int64_t maximum)
{
    json_member_cstr(json, "type", "integer");
    json_member_cstr(json, "format", "int64");
    if (minimum != INT64_MIN) {
        json_member_i64(json, "minimum", minimum);
    }
    if (maximum != INT64_MAX) {
        json_member_i64(json, "maximum", maximum);
    }
}

static void
write_moment(struct json_writer *json)
{
    json_member_cstr(json, "type", "integer");
    json_member_cstr(json, "format", "unix-time");
    json_member_i64(json, "minimum", 0);
}

static void
write_enum(struct json_writer *json, const char *const *values)
{
    json_member_cstr(json, "type", "string");
    json_key(json, "enum");
    json_array_begin(json);
    for (size_t i = 0; values[i] != NULL; i++) {
        json_cstr(json, values[i]);
    }
    json_array_end(json);
}

static void
write_texts(struct json_writer *json, int64_t maximum)
{
    json_member_cstr(json, "type", "array");
    json_member_i64(json, "maxItems", maximum);
    json_key(json, "items");
    json_object_begin(json);
    json_member_cstr(json, "type", "string");
    json_member_i64(json, "maxLength", LIST_TEXT_MAX);
    json_object_end(json);
}

static void
write_metadata(struct json_writer *json)
{
    json_member_cstr(json, "type", "object");
    json_member_i64(json, "maxProperties", METADATA_KEYS_MAX);
    json_key(json, "propertyNames");
    json_object_begin(json);
    json_member_i64(json, "maxLength", METADATA_KEY_MAX);
    json_object_end(json);
    json_key(json, "additionalProperties");
    json_object_begin(json);
    json_member_cstr(json, "type", "string");
    json_member_i64(json, "maxLength", METADATA_VALUE_MAX);
    json_object_end(json);
}

static void
write_range(struct json_writer *json)
{
    static const char *const bounds[] = {"gt", "gte", "lt", "lte"};
    json_key(json, "anyOf");
    json_array_begin(json);
    json_object_begin(json);
    write_moment(json);
    json_object_end(json);
    json_object_begin(json);
    json_member_cstr(json, "type", "object");
    json_key(json, "properties");
    json_object_begin(json);
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        json_key(json, bounds[i]);
        json_object_begin(json);
        write_moment(json);
        json_object_end(json);
    }
    json_object_end(json);
    json_member_bool(json, "additionalProperties", false);
    json_object_end(json);
    json_array_end(json);
}

static void
write_hashes(const struct writing *writing, const struct resource_param *param)
{
    struct json_writer *json = writing->json;
    char parent[NAME_SIZE];
    struct buf name;
    buf_init_fixed(&name, parent, sizeof(parent) - 1);
    buf_append_format(&name, "%s[]", param->name);
    ASSERT(!buf_failed(&name));
    parent[name.size] = '\0';
    json_member_cstr(json, "type", "array");
    json_member_i64(json, "maxItems", param->maximum);
    json_key(json, "items");
    json_object_begin(json);
    write_object(writing, parent);
    json_object_end(json);
}

static void
write_members(const struct writing *writing, const struct resource_param *param)
{
    struct json_writer *json = writing->json;
    switch (param->kind) {
    case RESOURCE_PARAM_TEXT:
        json_member_cstr(json, "type", "string");
        if (param->required) {
            json_member_i64(json, "minLength", 1);
        }
        json_member_i64(json, "maxLength", param->maximum);
        return;
    case RESOURCE_PARAM_INTEGER:
        write_integer(json, param->minimum, param->maximum);
        return;
    case RESOURCE_PARAM_BOOLEAN:
        json_member_cstr(json, "type", "boolean");
        return;
    case RESOURCE_PARAM_ENUM:
        write_enum(json, param->values);
        return;
    case RESOURCE_PARAM_TIMESTAMP:
        write_moment(json);
        return;
    case RESOURCE_PARAM_CURRENCY:
        json_member_cstr(json, "$ref", "#/components/schemas/currency");
        return;
    case RESOURCE_PARAM_TEXT_LIST:
        write_texts(json, param->maximum);
        return;
    case RESOURCE_PARAM_HASH_LIST:
        write_hashes(writing, param);
        return;
    case RESOURCE_PARAM_METADATA:
        write_metadata(json);
        return;
    case RESOURCE_PARAM_HASH:
        write_object(writing, param->name);
        return;
    case RESOURCE_PARAM_ANY_HASH:
        json_member_cstr(json, "type", "object");
        json_member_bool(json, "additionalProperties", true);
        return;
    case RESOURCE_PARAM_RANGE:
        write_range(json);
        return;
    }
    UNREACHABLE();
}

static void
write_schema(const struct writing *writing, const struct resource_param *param)
{
    json_object_begin(writing->json);
    write_text(writing, param->name);
    write_members(writing, param);
    json_object_end(writing->json);
}

/* ------------------------------------------------------------------------- query and body --- */

static void
write_style(struct json_writer *json, const struct resource_param *param)
{
    json_member_cstr(json, "style", is_deep(param) ? "deepObject" : "form");
    json_member_bool(json, "explode", true);
}

void
api_openapi_query(
    struct json_writer *json,
    const struct resource_route *route,
    const struct api_described_operation *described)
{
    const struct writing writing = {.json = json, .route = route, .described = described};
    struct span name;
    char shown[NAME_SIZE];
    for (uint32_t i = 0; i < route->param_count; i++) {
        const struct resource_param *param = &route->params[i];
        if (!is_child(param, NULL, &name)) {
            continue;
        }
        json_object_begin(json);
        json_key(json, "name");
        json_text(json, shown_name(param, name, true, shown));
        json_member_cstr(json, "in", "query");
        write_text(&writing, param->name);
        json_member_bool(json, "required", param->required);
        write_style(json, param);
        json_key(json, "schema");
        json_object_begin(json);
        write_members(&writing, param);
        json_object_end(json);
        json_object_end(json);
    }
}

void
api_openapi_form(
    struct json_writer *json,
    const struct resource_route *route,
    const struct api_described_operation *described)
{
    const struct writing writing = {.json = json, .route = route, .described = described};
    struct span name;
    char shown[NAME_SIZE];
    bool required = false;
    for (uint32_t i = 0; i < route->param_count; i++) {
        required =
            required || (route->params[i].required && is_child(&route->params[i], NULL, &name));
    }
    json_object_begin(json);
    json_member_bool(json, "required", required);
    json_key(json, "content");
    json_object_begin(json);
    json_key(json, "application/x-www-form-urlencoded");
    json_object_begin(json);
    json_key(json, "schema");
    json_object_begin(json);
    write_object(&writing, NULL);
    json_object_end(json);
    json_key(json, "encoding");
    json_object_begin(json);
    for (uint32_t i = 0; i < route->param_count; i++) {
        const struct resource_param *param = &route->params[i];
        if (is_child(param, NULL, &name) && (is_deep(param) || is_list(param))) {
            json_key_span(json, shown_name(param, name, true, shown));
            json_object_begin(json);
            write_style(json, param);
            json_object_end(json);
        }
    }
    json_object_end(json);
    json_object_end(json);
    json_object_end(json);
    json_object_end(json);
}
