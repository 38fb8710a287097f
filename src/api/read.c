/* What a request says, as the runtime wants to have it. */
#include "front.h"

#include "form/form.h"
#include "http/credentials.h"

enum body_kind {
    BODY_FORM,
    BODY_JSON,
    BODY_MULTIPART,
    BODY_OTHER,
};

static enum body_kind
body_kind(struct span content_type)
{
    struct span rest = content_type;
    struct span type = span_trim(span_cut(&rest, ';'));
    if (type.size == 0 || span_equal_nocase(type, SPAN("application/x-www-form-urlencoded"))) {
        return BODY_FORM;
    }
    if (span_equal_nocase(type, SPAN("application/json"))) {
        return BODY_JSON;
    }
    return span_equal_nocase(span_slice(type, 0, 10), SPAN("multipart/")) ? BODY_MULTIPART
                                                                          : BODY_OTHER;
}

static bool
refuse(struct resource_error *error, int status, struct span message)
{
    error->status = status;
    error->message = message;
    return false;
}

static bool
body_is_form(const struct net_exchange *exchange, struct resource_error *error)
{
    if (exchange->body.size == 0) {
        return true;
    }
    switch (body_kind(http_head_value(exchange->head, HTTP_FIELD_CONTENT_TYPE))) {
    case BODY_FORM:
        return true;
    case BODY_JSON:
        return refuse(
            error,
            400,
            SPAN(
                "Invalid request body: this endpoint reads forms, not JSON. Send "
                "application/x-www-form-urlencoded parameters, such as amount=1000&currency=usd."));
    case BODY_MULTIPART:
        return refuse(
            error,
            400,
            SPAN("Invalid request body: multipart/form-data is not accepted here. Send "
                 "application/x-www-form-urlencoded parameters."));
    case BODY_OTHER:
        break;
    }
    return refuse(
        error,
        400,
        SPAN("Invalid Content-Type: send application/x-www-form-urlencoded parameters."));
}

/* POST and DELETE take parameters from the body and the query, GET from the query. One text, so
 * that a name given in both is found to be given twice. */
static bool
params_text(struct api_request *request, struct span *ret_text, struct resource_error *error)
{
    const struct net_exchange *exchange = request->exchange;
    if (exchange->body.size == 0) {
        *ret_text = exchange->query;
        return true;
    }
    if (exchange->method == HTTP_METHOD_GET) {
        return refuse(
            error, 400, SPAN("A GET request has its parameters in the query, not in a body."));
    }
    if (!body_is_form(exchange, error)) {
        return false;
    }
    if (exchange->query.size == 0) {
        *ret_text = exchange->body;
        return true;
    }
    struct buf joined;
    size_t size = exchange->query.size + 1 + exchange->body.size;
    char *memory = arena_alloc(exchange->arena, size);
    if (memory == NULL) {
        return refuse(error, 413, SPAN("The request is too large."));
    }
    buf_init_fixed(&joined, memory, size);
    buf_append_span(&joined, exchange->query);
    buf_append_byte(&joined, '&');
    buf_append_span(&joined, exchange->body);
    *ret_text = buf_span(&joined);
    return true;
}

static bool
read_params(struct api_request *request, struct resource_error *error)
{
    const struct net_exchange *exchange = request->exchange;
    if (exchange->body.size > request->api->parts.form_bytes_max) {
        return refuse(error, 413, SPAN("The request body is too large."));
    }
    if (http_head_has(exchange->head, HTTP_FIELD_CONTENT_ENCODING)) {
        return refuse(error, 400, SPAN("A Content-Encoding of request bodies is not supported."));
    }
    struct span text;
    if (!params_text(request, &text, error)) {
        return false;
    }
    err_t result = form_parse(
        text, exchange->arena, &request->resource.params, &error->param, &error->message);
    if (result != ERR_OK && error->message.size == 0) {
        error->message = SPAN("The parameters cannot be read.");
    }
    return result == ERR_OK;
}

static bool
read_raw(struct api_request *request, struct resource_error *error)
{
    const struct net_exchange *exchange = request->exchange;
    if (http_head_has(exchange->head, HTTP_FIELD_CONTENT_ENCODING)) {
        return refuse(error, 400, SPAN("A Content-Encoding of request bodies is not supported."));
    }
    if (exchange->query.size != 0) {
        return refuse(error, 400, SPAN("This endpoint has no parameters in the query."));
    }
    request->resource.params = form_empty(exchange->arena);
    return request->resource.params != NULL ||
           refuse(error, 503, SPAN("Out of memory for requests. Try again."));
}

/* The setting may be another one than the deployment: then all requests seem to come from the
 * gateway, or from nowhere. Told once, by the first request that shows it. */
static void
doubt_addresses(struct api_request *request, const char *why)
{
    struct api *api = request->api;
    if (api->addresses_doubted) {
        return;
    }
    api->addresses_doubted = true;
    TRACE_LOG(
        api->parts.log,
        TRACE_WARNING,
        "api",
        span_from_cstr(request->trace_id),
        "client-address may be wrong: rules against fraud and the log of requests go by it",
        trace_cstr("why", why),
        trace_cstr("request", request->resource.request_id));
}

/* Who sends it, and with what: for those who look at requests later. */
static void
read_sender(struct api_request *request)
{
    const struct net_exchange *exchange = request->exchange;
    struct resource_request *resource = &request->resource;
    char text[NET_HOST_TEXT_SIZE];
    struct span chain;
    resource->arrived_ns = exchange->arrived_ns;
    resource->agent = http_head_value(exchange->head, HTTP_FIELD_USER_AGENT);
    switch (request->api->parts.addresses) {
    case API_ADDRESS_NONE:
        break;
    case API_ADDRESS_PEER:
        resource->address = arena_copy(exchange->arena, api_peer_address(exchange, text));
        if (http_head_has(exchange->head, HTTP_FIELD_X_FORWARDED_FOR)) {
            doubt_addresses(request, "it is connection, and X-Forwarded-For came");
        }
        break;
    case API_ADDRESS_FORWARDED:
        chain = http_head_value(exchange->head, HTTP_FIELD_X_FORWARDED_FOR);
        resource->address = span_trim(span_cut(&chain, ','));
        if (resource->address.size == 0) {
            doubt_addresses(request, "it is forwarded, and no X-Forwarded-For came");
        }
        break;
    }
}

bool
api_request_read(struct api_request *request, struct resource_error *error)
{
    const struct http_head *head = request->exchange->head;
    struct resource_request *resource = &request->resource;
    resource->api_version = http_head_value(head, HTTP_FIELD_STRIPE_VERSION);
    bool raw = (resource->route->flags & RESOURCE_RAW_BODY) != 0;
    read_sender(request);
    if ((resource->route->flags & RESOURCE_PUBLIC) != 0) {
        return read_params(request, error); /* a person's browser: no key, no other headers */
    }
    if (!raw && (resource->route->flags & RESOURCE_NOT_KEPT) == 0 &&
        http_head_has(head, HTTP_FIELD_IDEMPOTENCY_KEY)) {
        resource->idempotency_key = http_head_value(head, HTTP_FIELD_IDEMPOTENCY_KEY);
        if (resource->idempotency_key.data == NULL) {
            resource->idempotency_key = SPAN("");
        }
    }
    if (http_head_has(head, HTTP_FIELD_STRIPE_ACCOUNT) ||
        http_head_has(head, HTTP_FIELD_STRIPE_CONTEXT)) {
        return refuse(
            error, 400, SPAN("Acting for another account (Stripe-Account) is not supported."));
    }
    struct span authorization = http_head_value(head, HTTP_FIELD_AUTHORIZATION);
    char *memory = arena_alloc(request->exchange->arena, authorization.size + 1);
    if (memory == NULL ||
        http_credentials_read(authorization, memory, authorization.size, &resource->api_key) !=
            ERR_OK) {
        return refuse(
            error,
            401,
            SPAN("The Authorization header cannot be read. Give the API key as the user name of "
                 "Basic authentication, with an empty password, or as a Bearer token."));
    }
    return raw ? read_raw(request, error) : read_params(request, error);
}
