/* What the gateway answers by itself, in the shape of Stripe's errors. */
#include "gateway_private.h"

#include "base/assert.h"
#include "json/json.h"

#define HEADERS_MAX 12

/* Headers of the answer grow in the arena. */
void
gateway_answer_header(struct gateway_request *request, struct span name, struct span value)
{
    struct net_answer *answer = &request->exchange->answer;
    if (answer->headers == NULL || answer->header_count >= HEADERS_MAX) {
        return; /* without memory: the status has to do */
    }
    struct http_header *headers = (struct http_header *)(uintptr_t)answer->headers;
    headers[answer->header_count++] = (struct http_header){.name = name, .value = value};
}

static void
answer_begin(struct gateway_request *request, unsigned status)
{
    struct net_answer *answer = &request->exchange->answer;
    struct arena *arena = request->exchange->arena;
    answer->status = status;
    answer->headers = ARENA_ARRAY(arena, struct http_header, HEADERS_MAX);
    answer->header_count = 0;
    struct span id = arena_copy(arena, span_from_cstr(request->id));
    gateway_answer_header(request, SPAN("Request-Id"), id);
    gateway_answer_header(
        request, SPAN("Trace-Id"), arena_copy(arena, span_from_cstr(request->trace.id)));
    struct http_header cors[4];
    size_t count = request->exchange->head == NULL ? 0 : gateway_headers_cors(request, cors);
    for (size_t i = 0; i < count; i++) {
        gateway_answer_header(request, cors[i].name, cors[i].value);
    }
}

void
gateway_answer_error(
    struct gateway_request *request,
    unsigned status,
    const char *type,
    const char *code,
    struct span message)
{
    struct net_answer *answer = &request->exchange->answer;
    answer_begin(request, status);
    gateway_answer_header(request, SPAN("Cache-Control"), SPAN("no-cache, no-store"));
    answer->content_type = SPAN("application/json");
    buf_release(&answer->body);
    buf_init(&answer->body, GATEWAY_ERROR_MAX);
    struct json_writer json;
    json_begin(&json, &answer->body);
    json_object_begin(&json);
    json_key(&json, "error");
    json_object_begin(&json);
    if (code != NULL) {
        json_member_cstr(&json, "code", code);
    }
    json_member_text(&json, "message", message);
    json_member_cstr(&json, "type", type);
    json_object_end(&json);
    json_object_end(&json);
    buf_append_byte(&answer->body, '\n');
}

void
gateway_answer_unauthenticated(struct gateway_request *request)
{
    struct span message =
        SPAN("You did not provide an API key. You need to provide your API key in the "
             "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
             "YOUR_SECRET_KEY').");
    if (request->key_is_wrong) {
        message = SPAN("Invalid API Key provided. Give the API key as a Bearer token, or as the "
                       "user name of Basic authentication, with an empty password.");
    }
    gateway_answer_error(request, 401, "invalid_request_error", NULL, message);
    gateway_answer_header(request, SPAN("WWW-Authenticate"), SPAN("Basic realm=\"Tael\""));
}

static struct span
seconds_of(struct gateway_request *request, uint64_t duration_ns)
{
    uint64_t seconds = (duration_ns + OS_NS_PER_S - 1) / OS_NS_PER_S;
    return arena_format(
        request->exchange->arena, "%llu", (unsigned long long)(seconds == 0 ? 1 : seconds));
}

void
gateway_answer_limited(
    struct gateway_request *request, enum gateway_limit_reason reason, uint64_t retry_ns)
{
    bool rate = reason == GATEWAY_LIMIT_RATE;
    gateway_answer_error(
        request,
        429,
        "invalid_request_error",
        "rate_limit",
        rate ? SPAN("Request rate limit exceeded. Slow down, and try again with exponential "
                    "backoff.")
             : SPAN("Too many requests are under way at once. Try again when some have ended."));
    gateway_answer_header(request, SPAN("Retry-After"), seconds_of(request, retry_ns));
    gateway_answer_header(
        request,
        SPAN("Stripe-Rate-Limited-Reason"),
        rate ? SPAN("global-rate") : SPAN("global-concurrency"));
}

void
gateway_answer_preflight(struct gateway_request *request)
{
    const struct gateway_cors *cors = request->route->cors;
    ASSERT(cors != NULL);
    answer_begin(request, 204);
    struct net_answer *answer = &request->exchange->answer;
    if (answer->header_count < 2) {
        return; /* the origin is none of those: without the headers a browser goes no further */
    }
    gateway_answer_header(
        request, SPAN("Access-Control-Allow-Methods"), SPAN("GET, HEAD, POST, PUT, DELETE, PATCH"));
    gateway_answer_header(request, SPAN("Access-Control-Allow-Headers"), cors->allow_headers);
    gateway_answer_header(
        request,
        SPAN("Access-Control-Max-Age"),
        arena_format(request->exchange->arena, "%lld", (long long)(cors->max_age / 1000)));
}
