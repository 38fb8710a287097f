/* What operators are answered in JSON. */
#include "roles.h"

#include "json/json.h"

#include <stdarg.h>
#include <stdio.h>

#define ANSWER_SIZE_MAX (4U << 20)
#define MESSAGE_SIZE    512

void
role_operators_begin(struct net_exchange *exchange, struct json_writer *json, unsigned status)
{
    static const struct http_header no_store = {
        .name = {.data = "Cache-Control", .size = 13}, .value = {.data = "no-store", .size = 8}};
    struct net_answer *answer = &exchange->answer;
    answer->status = status;
    answer->content_type = SPAN("application/json");
    answer->headers = &no_store;
    answer->header_count = 1;
    buf_init(&answer->body, ANSWER_SIZE_MAX);
    json_begin(json, &answer->body);
    json_object_begin(json);
}

void
role_operators_refuse(
    struct net_exchange *exchange, unsigned status, const char *param, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    struct json_writer json;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    role_operators_begin(exchange, &json, status);
    json_key(&json, "error");
    json_object_begin(&json);
    json_member_cstr(&json, "type", status >= 500 ? "api_error" : "invalid_request_error");
    if (param != NULL) {
        json_member_cstr(&json, "param", param);
    }
    json_member_cstr(&json, "message", message);
    json_object_end(&json);
    json_object_end(&json);
}
