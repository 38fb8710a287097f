/* Any bytes as a form, against a table with every kind of parameter: accepted, or answered with one
 * well-formed error. What was accepted reads without complaint. */
#include "runtime.h"
#include "scan.h"

#include "base/assert.h"
#include "resource/pages.h"

#include <string.h>

static const char *const sizes[] = {"small", "large", NULL};
static const struct resource_param params[] = {
    {.name = "text", .kind = RESOURCE_PARAM_TEXT, .maximum = 5},
    {.name = "number", .kind = RESOURCE_PARAM_INTEGER, .minimum = -5, .maximum = 9},
    {.name = "flag", .kind = RESOURCE_PARAM_BOOLEAN},
    {.name = "size", .kind = RESOURCE_PARAM_ENUM, .values = sizes},
    {.name = "at", .kind = RESOURCE_PARAM_TIMESTAMP},
    {.name = "currency", .kind = RESOURCE_PARAM_CURRENCY},
    {.name = "list", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = 3},
    {.name = "metadata", .kind = RESOURCE_PARAM_METADATA},
    {.name = "h", .kind = RESOURCE_PARAM_HASH},
    {.name = "h[n]", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 5},
    {.name = "any", .kind = RESOURCE_PARAM_ANY_HASH},
    {.name = "i", .kind = RESOURCE_PARAM_HASH_LIST, .maximum = 3},
    {.name = "i[][n]", .kind = RESOURCE_PARAM_INTEGER, .minimum = 0, .maximum = 9},
    {.name = "i[][h]", .kind = RESOURCE_PARAM_HASH, .required = true},
    {.name = "i[][h][t]", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 5},
    RESOURCE_LIST_PARAMS,
};
static const struct resource_route route = {
    .method = "POST",
    .pattern = "/fuzz",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
};

static void
read_all(struct resource_op *op)
{
    struct span text;
    int64_t number;
    bool flag;
    for (uint32_t i = 0; i < route.param_count; i++) {
        (void)resource_text(op, params[i].name, &text);
        (void)resource_boolean(op, params[i].name, &flag);
        struct span json = resource_json(op, params[i].name);
        if (json.size > 0) {
            struct resource_scan scan = resource_scan_of(json);
            err_t error = resource_scan_value(&scan, &text);
            ASSERT(error == ERR_OK);
            ASSERT(text.size == json.size);
        }
    }
    if (resource_integer(op, "number", &number)) {
        ASSERT(number >= -5 && number <= 9);
    }
    if (resource_metadata(op, SPAN("{\"a\":\"1\"}"), &text) == ERR_OK && text.size > 0) {
        struct resource_scan scan = resource_scan_of(text);
        err_t error = resource_scan_value(&scan, &text);
        ASSERT(error == ERR_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct resource_runtime runtime = {.op_count = 1};
    struct resource_request request = {.route = &route};
    struct resource_op op = {.runtime = &runtime, .request = &request, .route = &route};
    struct span param, message;
    arena_init(&arena, 1 << 22);
    arena_init(&op.arena, 1 << 22);
    list_init(&runtime.pending);
    if (form_parse(span_of(data, size), &arena, &request.params, &param, &message) == ERR_OK) {
        if (resource_params_check(&op) && resource_expand_check(&op)) {
            read_all(&op);
        }
        if (op.phase == RESOURCE_OP_ENDED) {
            struct resource_scan scan = resource_scan_of(buf_span(&op.body));
            struct span whole;
            err_t error = resource_scan_value(&scan, &whole);
            ASSERT(error == ERR_OK);
            ASSERT(scan.at == scan.end);
            ASSERT(span_is_utf8(whole));
        }
    }
    buf_release(&op.body);
    arena_release(&op.arena);
    arena_release(&arena);
    return 0;
}
