/*
 * The description of the API as one OpenAPI 3.1 document. Paths, methods, parameters and statuses
 * come from the tables that requests are routed by; objects and texts from description/. A
 * route without a text is in the document all the same: tests/e2e/test_openapi.py asks for it.
 */
#include "openapi.h"

#include "front.h"

#include "base/assert.h"
#include "base/money.h"
#include "ledger/records.h"
#include "resource/object.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

#define NAME_SIZE    160
#define CAPTURES_MAX API_CAPTURES_MAX

struct capture {
    char name[NAME_SIZE];
};

static void
raw_member(struct json_writer *json, const char *name, const char *value)
{
    json_member_raw(json, name, span_from_cstr(value));
}

static void
reference(struct json_writer *json, const char *kind, const char *name)
{
    char path[NAME_SIZE];
    (void)snprintf(path, sizeof(path), "#/components/%s/%s", kind, name);
    json_object_begin(json);
    json_member_cstr(json, "$ref", path);
    json_object_end(json);
}

/* ------------------------------------------------------------------------------------- paths */

static bool
is_capture(struct span segment)
{
    return segment.size > 1 && segment.data[0] == ':';
}

/* The capture behind the word "customers" is "id", or "customer_id" to tell it from another. */
static void
capture_name(struct span word, struct span name, bool with_word, struct capture *ret_capture)
{
    struct buf text;
    buf_init_fixed(&text, ret_capture->name, NAME_SIZE - 1);
    if (with_word) {
        bool plural = span_ends_with(word, SPAN("s"));
        buf_append_span(&text, span_slice(word, 0, plural ? word.size - 1 : word.size));
        buf_append_byte(&text, '_');
    }
    buf_append_span(&text, name);
    ASSERT(!buf_failed(&text));
    ret_capture->name[text.size] = '\0';
}

static uint32_t
read_captures(const struct resource_route *route, struct capture captures[CAPTURES_MAX])
{
    struct span names[CAPTURES_MAX];
    struct span words[CAPTURES_MAX];
    struct span rest = span_from_cstr(route->pattern);
    struct span word = SPAN_EMPTY;
    uint32_t count = 0;
    while (rest.size > 0) {
        struct span segment = span_cut(&rest, '/');
        if (is_capture(segment)) {
            ASSERT(count < CAPTURES_MAX);
            words[count] = word;
            names[count++] = span_slice(segment, 1, segment.size);
        }
        word = segment;
    }
    bool same = count == 2 && span_equal(names[0], names[1]);
    for (uint32_t i = 0; i < count; i++) {
        capture_name(words[i], names[i], same, &captures[i]);
    }
    return count;
}

/* "/v1/customers/{id}" */
static void
write_path_key(struct json_writer *json, const struct resource_route *route)
{
    char path[2 * NAME_SIZE];
    struct capture captures[CAPTURES_MAX];
    struct buf text;
    uint32_t at = 0;
    (void)read_captures(route, captures);
    buf_init_fixed(&text, path, sizeof(path));
    struct span rest = span_from_cstr(route->pattern + 1);
    while (rest.size > 0) {
        struct span segment = span_cut(&rest, '/');
        buf_append_byte(&text, '/');
        if (is_capture(segment)) {
            buf_append_format(&text, "{%s}", captures[at++].name);
        } else {
            buf_append_span(&text, segment);
        }
    }
    ASSERT(!buf_failed(&text));
    json_key_span(json, buf_span(&text));
}

static void
write_captures(struct json_writer *json, const struct resource_route *route)
{
    struct capture captures[CAPTURES_MAX];
    uint32_t count = read_captures(route, captures);
    for (uint32_t i = 0; i < count; i++) {
        json_object_begin(json);
        json_member_cstr(json, "name", captures[i].name);
        json_member_cstr(json, "in", "path");
        json_member_bool(json, "required", true);
        json_key(json, "schema");
        json_object_begin(json);
        json_member_cstr(json, "type", "string");
        json_member_i64(json, "minLength", 1);
        json_object_end(json);
        json_object_end(json);
    }
}

/* -------------------------------------------------------------------------------- operations */

static bool
is_get(const struct resource_route *route)
{
    return strcmp(route->method, "GET") == 0;
}

static bool
is_post(const struct resource_route *route)
{
    return strcmp(route->method, "POST") == 0;
}

static bool
has_flag(const struct resource_route *route, enum resource_route_flag flag)
{
    return (route->flags & (uint32_t)flag) != 0;
}

static bool
takes_key(const struct resource_route *route)
{
    return is_post(route) && !has_flag(route, RESOURCE_RAW_BODY) &&
           !has_flag(route, RESOURCE_NOT_KEPT) && !has_flag(route, RESOURCE_PUBLIC);
}

static const struct api_described_operation *
described_find(const struct resource_route *route)
{
    char name[NAME_SIZE];
    (void)snprintf(name, sizeof(name), "%s %s", route->method, route->pattern);
    for (size_t i = 0; i < api_described.operation_count; i++) {
        if (strcmp(api_described.operations[i].name, name) == 0) {
            return &api_described.operations[i];
        }
    }
    return NULL;
}

static void
write_parameters(
    struct json_writer *json,
    const struct resource_route *route,
    const struct api_described_operation *described)
{
    json_key(json, "parameters");
    json_array_begin(json);
    write_captures(json, route);
    if (!is_post(route)) {
        api_openapi_query(json, route, described);
    }
    if (takes_key(route)) {
        reference(json, "parameters", "Idempotency-Key");
    }
    if (!has_flag(route, RESOURCE_PUBLIC)) {
        reference(json, "parameters", "Stripe-Version");
    }
    json_array_end(json);
}

static void
write_body(
    struct json_writer *json,
    const struct resource_route *route,
    const struct api_described_operation *described)
{
    if (has_flag(route, RESOURCE_RAW_BODY)) {
        json_key(json, "requestBody");
        json_object_begin(json);
        json_member_bool(json, "required", true);
        raw_member(
            json, "content", described == NULL || described->body == NULL ? "{}" : described->body);
        json_object_end(json);
    } else if (is_post(route)) {
        json_key(json, "requestBody");
        api_openapi_form(json, route, described);
    }
}

/* --------------------------------------------------------------------------------- responses */

static void
write_headers(struct json_writer *json, const struct resource_route *route, bool redirects)
{
    static const char *const always[] = {"Request-Id", "Trace-Id", "Stripe-Version"};
    static const char *const kept[] = {
        "Idempotency-Key", "Idempotent-Replayed", "Original-Request"};
    json_key(json, "headers");
    json_object_begin(json);
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        json_key(json, always[i]);
        reference(json, "headers", always[i]);
    }
    for (size_t i = 0; takes_key(route) && i < sizeof(kept) / sizeof(kept[0]); i++) {
        json_key(json, kept[i]);
        reference(json, "headers", kept[i]);
    }
    if (redirects) {
        json_key(json, "Location");
        reference(json, "headers", "Location");
    }
    json_object_end(json);
}

static void
write_list_schema(struct json_writer *json, const char *object, bool is_search)
{
    json_object_begin(json);
    json_member_cstr(json, "type", "object");
    json_key(json, "properties");
    json_object_begin(json);
    json_member_raw(
        json,
        "object",
        is_search ? SPAN("{\"const\":\"search_result\"}") : SPAN("{\"const\":\"list\"}"));
    json_key(json, "data");
    json_object_begin(json);
    json_member_cstr(json, "type", "array");
    json_key(json, "items");
    reference(json, "schemas", object);
    json_object_end(json);
    json_member_raw(json, "has_more", SPAN("{\"type\":\"boolean\"}"));
    json_member_raw(json, "url", SPAN("{\"type\":\"string\"}"));
    if (is_search) {
        json_member_raw(json, "next_page", SPAN("{\"type\":[\"string\",\"null\"]}"));
        json_member_raw(json, "total_count", SPAN("{\"type\":\"integer\"}"));
    }
    json_object_end(json);
    json_member_raw(
        json,
        "required",
        is_search ? SPAN("[\"object\",\"data\",\"has_more\",\"url\",\"next_page\"]")
                  : SPAN("[\"object\",\"data\",\"has_more\",\"url\"]"));
    json_member_bool(json, "additionalProperties", false);
    json_object_end(json);
}

/* The content of a route that answers an object of a type, or a list of it. */
static void
write_content(struct json_writer *json, const struct resource_route *route)
{
    json_object_begin(json);
    json_key(json, "application/json");
    json_object_begin(json);
    if (route->answers != NULL) {
        json_key(json, "schema");
        if (route->answers_list || route->answers_search) {
            write_list_schema(json, route->answers->object, route->answers_search);
        } else {
            reference(json, "schemas", route->answers->object);
        }
    }
    json_object_end(json);
    json_object_end(json);
}

static void
write_answer(
    struct json_writer *json,
    const struct resource_route *route,
    const char *status,
    const char *content)
{
    bool redirects = status[0] == '3';
    json_key(json, status);
    json_object_begin(json);
    json_member_cstr(
        json,
        "description",
        redirects          ? "Go on there."
        : status[0] == '2' ? "Done."
                           : "Refused.");
    write_headers(json, route, redirects);
    json_key(json, "content");
    if (content != NULL) {
        json_raw(json, span_from_cstr(content));
    } else {
        write_content(json, route);
    }
    json_object_end(json);
}

/* Statuses of refusals, besides what the description adds: see README.md. */
static bool
may_answer(
    const struct resource_route *route, const struct api_described_operation *described, int status)
{
    struct capture captures[CAPTURES_MAX];
    bool public = has_flag(route, RESOURCE_PUBLIC);
    for (size_t i = 0; described != NULL && described->errors[i] != 0; i++) {
        if (described->errors[i] == status) {
            return true;
        }
    }
    switch (status) {
    case 400:
    case 429:
    case 500:
    case 503:
        return true;
    case 401:
    case 403:
        return !public;
    case 402:
        return has_flag(route, RESOURCE_CARD_DATA) || has_flag(route, RESOURCE_OUTSIDE_EFFECTS);
    case 404:
        return read_captures(route, captures) > 0;
    case 409:
        return !is_get(route) && !has_flag(route, RESOURCE_RAW_BODY);
    case 413:
        return !is_get(route);
    case 414:
        return !is_post(route);
    default:
        return false;
    }
}

static bool
is_written(const struct api_text *answers, const char *status)
{
    for (; answers != NULL && answers->name != NULL; answers++) {
        if (strcmp(answers->name, status) == 0) {
            return true;
        }
    }
    return false;
}

/* What is refused before its route is known is JSON even where people look. */
static void
write_refusal(struct json_writer *json, const struct resource_route *route, const char *status)
{
    if (route->refusal_page != NULL) {
        write_answer(
            json,
            route,
            status,
            "{\"text/html\":{},\"application/json\":{\"schema\":{\"$ref\":"
            "\"#/components/schemas/error\"}}}");
        return;
    }
    json_key(json, status);
    reference(json, "responses", status);
}

static void
write_responses(
    struct json_writer *json,
    const struct resource_route *route,
    const struct api_described_operation *described)
{
    static const struct {
        int status;
        const char *name;
    } refusals[] = {
        {400, "400"},
        {401, "401"},
        {402, "402"},
        {403, "403"},
        {404, "404"},
        {409, "409"},
        {410, "410"},
        {413, "413"},
        {414, "414"},
        {429, "429"},
        {500, "500"},
        {503, "503"},
    };

    json_key(json, "responses");
    json_object_begin(json);
    const struct api_text *written = described == NULL ? NULL : described->answers;
    if (written == NULL) {
        write_answer(json, route, "200", NULL);
    }
    for (const struct api_text *answer = written; answer != NULL && answer->name != NULL;
         answer++) {
        write_answer(json, route, answer->name, answer->text);
    }
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (may_answer(route, described, refusals[i].status) &&
            !is_written(written, refusals[i].name)) {
            write_refusal(json, route, refusals[i].name);
        }
    }
    json_object_end(json);
}

/* Who may call it: a secret key always; the others as the table says. */
static void
write_rights(struct json_writer *json, const struct resource_route *route)
{
    if (has_flag(route, RESOURCE_PUBLIC)) {
        json_member_raw(json, "security", SPAN("[]"));
        return;
    }
    json_member_bool(json, "x-publishable-key", has_flag(route, RESOURCE_PUBLISHABLE));
    if (route->permission != NULL) {
        char right[NAME_SIZE];
        (void)snprintf(
            right, sizeof(right), "%s:%s", route->permission, is_get(route) ? "read" : "write");
        json_member_cstr(json, "x-permission", right);
    }
}

static void
write_operation(struct json_writer *json, const struct resource_route *route)
{
    const struct api_described_operation *described = described_find(route);
    json_key(json, is_get(route) ? "get" : is_post(route) ? "post" : "delete");
    json_object_begin(json);
    if (described != NULL) {
        json_key(json, "tags");
        json_array_begin(json);
        json_cstr(json, described->tag);
        json_array_end(json);
        json_member_cstr(json, "operationId", described->id);
        json_member_cstr(json, "summary", described->summary);
        if (described->text[0] != '\0') {
            json_member_cstr(json, "description", described->text);
        }
    }
    write_rights(json, route);
    write_parameters(json, route, described);
    write_body(json, route, described);
    write_responses(json, route, described);
    json_object_end(json);
}

/* ---------------------------------------------------------------------------------- document */

static bool
is_first_of_path(const struct api_openapi_routes *all, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++) {
        if (strcmp(all->routes[i]->pattern, all->routes[at]->pattern) == 0) {
            return false;
        }
    }
    return true;
}

static void
write_paths(struct json_writer *json, const struct api_openapi_routes *all)
{
    json_key(json, "paths");
    json_object_begin(json);
    for (uint32_t i = 0; i < all->count; i++) {
        if (!is_first_of_path(all, i)) {
            continue;
        }
        write_path_key(json, all->routes[i]);
        json_object_begin(json);
        for (uint32_t j = i; j < all->count; j++) {
            if (strcmp(all->routes[i]->pattern, all->routes[j]->pattern) == 0) {
                write_operation(json, all->routes[j]);
            }
        }
        json_object_end(json);
    }
    for (const struct api_text *path = api_described.paths; path->name != NULL; path++) {
        raw_member(json, path->name, path->text);
    }
    json_object_end(json);
}

static void
enum_begin(struct json_writer *json, const char *name, const char *text)
{
    json_key(json, name);
    json_object_begin(json);
    json_member_cstr(json, "type", "string");
    json_member_cstr(json, "description", text);
    json_key(json, "enum");
    json_array_begin(json);
}

static void
enum_end(struct json_writer *json)
{
    json_array_end(json);
    json_object_end(json);
}

/* The tables of base/money and of the ledger are the only lists of these. */
static void
write_provided(struct json_writer *json)
{
    enum_begin(json, "currency", "A currency of ISO 4217, in small letters.");
    for (size_t i = 0; i < currency_count(); i++) {
        json_cstr(json, currency_at(i)->api_code);
    }
    enum_end(json);
#define STATUS(name, number, transient) json_cstr(json, #name);
    enum_begin(json, "ledger.account_status", "What became of an account's event.");
    LEDGER_ACCOUNT_STATUSES(STATUS)
    enum_end(json);
    enum_begin(json, "ledger.transfer_status", "What became of a transfer's event.");
    LEDGER_TRANSFER_STATUSES(STATUS)
    enum_end(json);
#undef STATUS
}

static void
write_components(struct json_writer *json)
{
    json_key(json, "components");
    json_object_begin(json);
    raw_member(json, "securitySchemes", api_described.security_schemes);
    raw_member(json, "parameters", api_described.parameters);
    raw_member(json, "headers", api_described.headers);
    raw_member(json, "responses", api_described.responses);
    json_key(json, "schemas");
    json_object_begin(json);
    write_provided(json);
    for (const struct api_text *schema = api_described.schemas; schema->name != NULL; schema++) {
        raw_member(json, schema->name, schema->text);
    }
    json_object_end(json);
    json_object_end(json);
}

void
api_openapi_write(const struct api_openapi_routes *all, struct buf *out)
{
    struct json_writer json;
    json_begin(&json, out);
    json_object_begin(&json);
    json_member_cstr(&json, "openapi", "3.1.0");
    json_key(&json, "info");
    json_object_begin(&json);
    for (const struct api_text *info = api_described.info; info->name != NULL; info++) {
        raw_member(&json, info->name, info->text);
    }
    json_member_cstr(&json, "version", API_VERSION);
    json_object_end(&json);
    json_member_raw(&json, "servers", SPAN("[{\"url\":\"/\"}]"));
    json_member_raw(&json, "security", SPAN("[{\"basic\":[]},{\"bearer\":[]}]"));
    raw_member(&json, "tags", api_described.tags);
    write_paths(&json, all);
    write_components(&json);
    json_object_end(&json);
    ASSERT(json_is_complete(&json));
}
