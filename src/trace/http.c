#include "trace/http.h"

#define SERVER_ERROR 500

struct tracecontext_headers
trace_http_headers(const struct http_head *head)
{
    struct tracecontext_headers headers = {.parent_count = 0};
    for (uint32_t i = 0; head != NULL && i < head->field_count; i++) {
        const struct http_head_field *field = &head->fields[i];
        tracecontext_headers_add(
            &headers, http_head_text(head, field->name), http_head_text(head, field->value));
    }
    return headers;
}

const char *
trace_http_method(enum http_method method)
{
    static const char *const names[] = {
        [HTTP_METHOD_GET] = "GET",
        [HTTP_METHOD_HEAD] = "HEAD",
        [HTTP_METHOD_POST] = "POST",
        [HTTP_METHOD_PUT] = "PUT",
        [HTTP_METHOD_PATCH] = "PATCH",
        [HTTP_METHOD_DELETE] = "DELETE",
        [HTTP_METHOD_OPTIONS] = "OPTIONS",
        [HTTP_METHOD_TRACE] = "TRACE",
    };
    size_t index = (size_t)method;
    const char *name = index < sizeof(names) / sizeof(names[0]) ? names[index] : NULL;
    return name == NULL ? "_OTHER" : name;
}

void
trace_http_status(struct trace_span *span, unsigned status)
{
    trace_span_number(span, "http.response.status_code", status);
    if (status >= SERVER_ERROR) {
        trace_span_fail(span, status == SERVER_ERROR ? "500" : "5xx");
    }
}
