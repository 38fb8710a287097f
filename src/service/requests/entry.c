/*
 * REQUESTS-1. What is kept of a request is chosen by what it is, never by what it is not: a name is
 * one of the route's table, a value is of a kind that can hold no secret (an id of Tael's, one of
 * the table's words, yes or no, a currency, a number of at most ten digits), and an answer gives
 * ids and an error's codes. The texts that a client chooses freely are two, the idempotency key and
 * the user agent: card numbers in them are masked, and what looks like a secret is left out.
 */
#include "requests_internal.h"

#include "base/assert.h"
#include "trace/redact.h"
#include "json/json.h"
#include "json/json_in.h"

#include <string.h>

#define OBJECTS_MAX      8
#define PARAMETERS_MAX   32
#define DIGITS_MAX       10 /* of a number: amounts and times have no more, cards have more */
#define TOKEN_MAX        64
#define KEY_MAX          255
#define AGENT_MAX        160
#define ADDRESS_MAX      45
#define ANSWER_VALUES    4096
#define PREFIX_LETTERS   2
#define TEXT_SIZE        1024
#define NANOS_PER_MILLIS 1000000U

struct ids {
    struct span all[OBJECTS_MAX];
    uint32_t count;
};

/* ------------------------------------------------------------------------------- what is harmless
 */

static bool
is_lower(char byte)
{
    return byte >= 'a' && byte <= 'z';
}

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_letter(char byte)
{
    return is_lower(byte) || (byte >= 'A' && byte <= 'Z');
}

bool
requests_is_id(struct span text)
{
    if (text.size < PREFIX_LETTERS + 1 + ID_DIGITS || text.size >= ID_TEXT_SIZE) {
        return false;
    }
    size_t prefix = text.size - ID_DIGITS - 1;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool fits = i < prefix    ? is_lower(byte)
                    : i == prefix ? byte == '_'
                                  : is_letter(byte) || is_digit(byte);
        if (!fits) {
            return false;
        }
    }
    return true;
}

/* "pm_card_visa": what stands for a card in test mode. No digit, so it is nothing else. */
static bool
is_test_token(struct span text)
{
    if (!span_starts_with(text, SPAN("pm_card_")) || text.size > TOKEN_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (!is_letter(text.data[i]) && text.data[i] != '_') {
            return false;
        }
    }
    return true;
}

static bool
is_name(struct span text)
{
    return requests_is_id(text) || is_test_token(text);
}

static bool
is_short_number(struct span text)
{
    struct span digits = span_starts_with(text, SPAN("-")) ? span_slice(text, 1, text.size) : text;
    for (size_t i = 0; i < digits.size; i++) {
        if (!is_digit(digits.data[i])) {
            return false;
        }
    }
    return digits.size > 0 && digits.size <= DIGITS_MAX;
}

static bool
is_currency(struct span text)
{
    return text.size == 3 && is_letter(text.data[0]) && is_letter(text.data[1]) &&
           is_letter(text.data[2]);
}

static bool
is_word_of(const char *const *words, struct span text)
{
    for (; *words != NULL; words++) {
        if (span_equal_cstr(text, *words)) {
            return true;
        }
    }
    return false;
}

static bool
is_shown(const struct resource_param *param, struct span value)
{
    switch (param->kind) {
    case RESOURCE_PARAM_TEXT:
        return is_name(value);
    case RESOURCE_PARAM_ENUM:
        return is_word_of(param->values, value);
    case RESOURCE_PARAM_BOOLEAN:
        return span_equal(value, SPAN("true")) || span_equal(value, SPAN("false"));
    case RESOURCE_PARAM_CURRENCY:
        return is_currency(value);
    case RESOURCE_PARAM_INTEGER:
    case RESOURCE_PARAM_TIMESTAMP:
    case RESOURCE_PARAM_RANGE:
        return is_short_number(value);
    case RESOURCE_PARAM_TEXT_LIST:
    case RESOURCE_PARAM_METADATA:
    case RESOURCE_PARAM_HASH:
    case RESOURCE_PARAM_ANY_HASH:
    case RESOURCE_PARAM_HASH_LIST:
        break;
    }
    return false;
}

static bool
contains(struct span text, const char *part)
{
    return memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static bool
looks_secret(struct span text)
{
    static const char *const marks[] = {
        "sk_test_", "sk_live_", "rk_test_", "rk_live_", "whsec_", "_secret_"};
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (contains(text, marks[i])) {
            return true;
        }
    }
    return false;
}

/* What a client has chosen freely. */
static void
member_free(struct json_writer *json, const char *name, struct span text, size_t maximum)
{
    char memory[TEXT_SIZE];
    struct buf redacted;
    if (text.size == 0) {
        json_member_null(json, name);
        return;
    }
    if (looks_secret(text)) {
        json_member_cstr(json, name, "(left out)");
        return;
    }
    buf_init_fixed(&redacted, memory, sizeof(memory));
    trace_redact(span_slice(text, 0, maximum), &redacted);
    json_member_text(json, name, buf_failed(&redacted) ? SPAN("(left out)") : buf_span(&redacted));
}

static void
member_address(struct json_writer *json, struct span address)
{
    bool fits = address.size > 0 && address.size <= ADDRESS_MAX;
    for (size_t i = 0; fits && i < address.size; i++) {
        char byte = address.data[i];
        fits = is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F') ||
               byte == '.' || byte == ':';
    }
    json_member_text_or_null(json, "ip_address", fits ? address : SPAN_EMPTY);
}

static void
ids_add(struct ids *ids, struct span text)
{
    if (ids->count == OBJECTS_MAX || !requests_is_id(text)) {
        return;
    }
    for (uint32_t i = 0; i < ids->count; i++) {
        if (span_equal(ids->all[i], text)) {
            return;
        }
    }
    ids->all[ids->count++] = text;
}

/* ------------------------------------------------------------------------------------- parameters
 */

static const struct resource_param *
find_param(const struct resource_route *route, struct span name)
{
    for (uint32_t i = 0; name.size > 0 && i < route->param_count; i++) {
        const char *known = route->params[i].name;
        if (known[0] == name.data[0] && strncmp(known, name.data, name.size) == 0 &&
            known[name.size] == '\0') {
            return &route->params[i];
        }
    }
    return NULL;
}

/* Behind `node` and what is in it. NULL: that was all. */
static const struct form_node *
step_over(const struct form_node *root, const struct form_node *node)
{
    while (node != root && node->next == NULL) {
        node = node->parent;
    }
    return node == root ? NULL : node->next;
}

static bool
is_card(const struct resource_route *route, const struct resource_param *param)
{
    return route->card_parameter != NULL && strcmp(param->name, route->card_parameter) == 0;
}

/* null: it was sent, and is not kept. */
static void
parameter_write(
    struct json_writer *json,
    struct ids *ids,
    const struct resource_param *param,
    const struct form_node *node)
{
    json_key(json, param->name);
    if (node->kind == FORM_TEXT && is_shown(param, node->text)) {
        json_text(json, node->text);
        ids_add(ids, node->text);
    } else {
        json_null(json);
    }
}

static void
parameters_write(
    struct json_writer *json,
    struct arena *scratch,
    struct ids *ids,
    const struct resource_request *request)
{
    const struct resource_route *route = request->route;
    const struct form_node *root = request->params;
    const struct form_node *node = root->first_child;
    uint32_t count = 0;
    json_key(json, "parameters");
    json_object_begin(json);
    while (node != NULL && count < PARAMETERS_MAX) {
        struct span name = node->parent == root ? node->name : form_full_name(node, scratch);
        const struct resource_param *param = find_param(route, name);
        bool enters = param != NULL && param->kind == RESOURCE_PARAM_HASH &&
                      node->kind == FORM_HASH && node->first_child != NULL &&
                      !is_card(route, param);
        if (enters) {
            node = node->first_child;
            continue;
        }
        if (param != NULL) {
            parameter_write(json, ids, param, node);
            count++;
        }
        node = step_over(root, node);
    }
    json_object_end(json);
}

/* ------------------------------------------------------------------------------------- the answer
 */

/* An object's answer begins with its id. */
static void
answered_object(const struct resource_request *request, struct ids *ids)
{
    static const struct span begin = {.data = "{\"id\":\"", .size = 7};
    struct span body = buf_span(&request->body);
    if (span_starts_with(body, begin)) {
        size_t end = span_find(body, '"', begin.size);
        ids_add(ids, span_slice(body, begin.size, end));
    }
}

/* The longest beginning of a parameter's name that the route knows: the rest is the client's. */
static struct span
known_part(const struct resource_route *route, struct span name)
{
    struct span known = SPAN_EMPTY;
    for (uint32_t i = 0; i < route->param_count; i++) {
        struct span one = span_from_cstr(route->params[i].name);
        struct span rest = span_slice(name, one.size, name.size);
        bool begins =
            span_starts_with(name, one) && (rest.size == 0 || span_starts_with(rest, SPAN("[")));
        if (begins && one.size > known.size) {
            known = one;
        }
    }
    return known;
}

static void
error_write(
    struct json_writer *json,
    struct arena *scratch,
    struct ids *ids,
    const struct resource_request *request)
{
    static const char *const objects[] = {"payment_intent", "setup_intent"};
    struct json_value *root = NULL;
    struct json_problem problem;
    json_key(json, "error");
    if (request->status < 400 || request->content_type != NULL ||
        json_read(buf_span(&request->body), scratch, ANSWER_VALUES, &root, &problem) != ERR_OK) {
        json_null(json);
        return;
    }
    const struct json_value *error = json_value_member(root, SPAN("error"));
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        ids_add(
            ids,
            json_value_member_text(
                json_value_member(error, span_from_cstr(objects[i])), SPAN("id")));
    }
    ids_add(ids, json_value_member_text(error, SPAN("charge")));
    json_object_begin(json);
    json_member_text_or_null(json, "code", json_value_member_text(error, SPAN("code")));
    json_member_text_or_null(
        json, "decline_code", json_value_member_text(error, SPAN("decline_code")));
    json_member_text_or_null(
        json, "param", known_part(request->route, json_value_member_text(error, SPAN("param"))));
    json_member_text_or_null(json, "type", json_value_member_text(error, SPAN("type")));
    json_object_end(json);
}

/* ----------------------------------------------------------------------------------------- entry
 */

/* What is no id stays what it is called in the pattern: "/v1/customers/:id". */
static void
path_write(struct json_writer *json, struct ids *ids, const struct resource_request *request)
{
    char memory[TEXT_SIZE];
    struct buf path;
    struct span rest = span_from_cstr(request->route->pattern);
    uint32_t captured = 0;
    buf_init_fixed(&path, memory, sizeof(memory));
    rest = span_slice(rest, 1, rest.size);
    while (rest.size > 0) {
        struct span segment = span_cut(&rest, '/');
        buf_append_byte(&path, '/');
        if (segment.size > 0 && segment.data[0] == ':') {
            struct span capture = request->captures[captured++];
            segment = is_name(capture) ? capture : segment;
            ids_add(ids, segment);
        }
        buf_append_span(&path, segment);
    }
    json_member_text(json, "path", buf_failed(&path) ? SPAN("/") : buf_span(&path));
}

static int64_t
created_of(const struct resource_request *request)
{
    u128 id;
    bool known = id_parse("req_", span_from_cstr(request->request_id), &id);
    return known ? (int64_t)(id_unix_ms(id) / 1000) : 0;
}

static void
duration_write(struct json_writer *json, const struct resource_request *request, uint64_t now_ns)
{
    if (request->arrived_ns == 0 || request->arrived_ns > now_ns) {
        json_member_null(json, "duration_ms");
        return;
    }
    json_member_i64(
        json, "duration_ms", (int64_t)((now_ns - request->arrived_ns) / NANOS_PER_MILLIS));
}

void
requests_entry_write(
    struct buf *out,
    struct arena *scratch,
    const struct resource_caller *caller,
    const struct resource_request *request,
    uint64_t now_ns)
{
    struct json_writer json;
    struct ids ids = {.count = 0};
    ASSERT(request->route != NULL && request->params != NULL);
    arena_clear(scratch);
    json_begin(&json, out);
    json_object_begin(&json);
    json_member_cstr(&json, "id", request->request_id);
    json_member_cstr(&json, "object", "request_log");
    json_member_i64(&json, "created", created_of(request));
    json_member_bool(&json, "livemode", caller->live);
    json_member_cstr(&json, "api_key", caller->key_id);
    duration_write(&json, request, now_ns);
    answered_object(request, &ids);
    error_write(&json, scratch, &ids, request);
    member_free(&json, "idempotency_key", request->idempotency_key, KEY_MAX);
    member_address(&json, request->address);
    json_member_cstr(&json, "method", request->route->method);
    json_member_text_or_null(
        &json,
        "original_request",
        request->replayed ? span_from_cstr(request->original_request_id) : SPAN_EMPTY);
    parameters_write(&json, scratch, &ids, request);
    path_write(&json, &ids, request);
    json_member_i64(&json, "status", request->status);
    member_free(&json, "user_agent", request->agent, AGENT_MAX);
    json_key(&json, "objects");
    json_array_begin(&json);
    for (uint32_t i = 0; i < ids.count; i++) {
        json_text(&json, ids.all[i]);
    }
    json_array_end(&json);
    json_object_end(&json);
}
