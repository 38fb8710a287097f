/*
 * The head, line by line, left to right, each byte once.
 *
 *   BEGIN --CR LF--> METHOD --SP--> TARGET --SP--> VERSION --CR LF--+
 *     |                ^                                            v
 *     +----------------+          +-- name ":" value CR LF --- FIELD (again)
 *     |                                                             |
 *     +--> STATUS_LINE --CR LF----> FIELD                           +--CR LF--> conclude.c
 *
 * HTTP-1: the answer does not depend on how the bytes were cut into pieces. Every state consumes a
 * byte only when it is sure what it is, and stops at the first byte that is wrong; maxima are
 * checked against positions in the message, never against what has arrived.
 */
#include "http/parser.h"

#include "base/assert.h"

#include "chars.h"
#include "conclude.h"

#include <string.h>

enum parser_state {
    STATE_BEGIN,
    STATE_METHOD,
    STATE_TARGET,
    STATE_VERSION,
    STATE_STATUS_LINE,
    STATE_REASON,
    STATE_FIELD,
    STATE_OVER,
};

#define METHOD_SIZE_MAX 32
#define HEAD_SIZE_MAX   (1u << 20)

/* What one state says to the loop of http_parser_feed. */
enum step {
    STEP_ON,   /* go on with parser->state */
    STEP_MORE, /* needs a byte behind the end */
    STEP_REFUSED,
    STEP_END, /* the empty line was read */
};

static enum step
refuse(struct http_parser *parser, enum http_refusal refusal)
{
    parser->refusal = refusal;
    return STEP_REFUSED;
}

static void
parser_begin(struct http_parser *parser, const struct http_limits *limits, bool response)
{
    ASSERT(limits->head <= HEAD_SIZE_MAX);
    ASSERT(limits->fields <= HTTP_FIELDS_MAX);
    memset(&parser->head, 0, offsetof(struct http_head, fields));
    parser->refusal = HTTP_REFUSAL_NONE;
    parser->limits = limits;
    parser->state = response ? STATE_STATUS_LINE : STATE_BEGIN;
    parser->scanned = 0;
    parser->line = 0;
    parser->colon = 0;
    parser->response = response;
    parser->request_method = HTTP_METHOD_OTHER;
}

void
http_parser_begin_request(struct http_parser *parser, const struct http_limits *limits)
{
    parser_begin(parser, limits, false);
}

void
http_parser_begin_response(
    struct http_parser *parser, const struct http_limits *limits, enum http_method method)
{
    parser_begin(parser, limits, true);
    parser->request_method = method;
}

/* RFC 9112 section 2.2: one empty line before a request is ignored; more is not robustness. */
static enum step
begin_step(struct http_parser *parser, struct span text)
{
    if (text.size == 0) {
        return STEP_MORE;
    }
    if (text.data[0] == '\r') {
        if (text.size == 1) {
            return STEP_MORE;
        }
        if (text.data[1] != '\n') {
            return refuse(parser, HTTP_REFUSAL_LINE_END);
        }
        parser->scanned = 2;
        parser->line = 2;
    } else if (text.data[0] == '\n') {
        return refuse(parser, HTTP_REFUSAL_LINE_END);
    }
    parser->state = STATE_METHOD;
    return STEP_ON;
}

static enum http_method
method_find(struct span name)
{
    for (unsigned i = HTTP_METHOD_GET; i <= HTTP_METHOD_TRACE; i++) {
        if (span_equal(name, http_method_text((enum http_method)i))) {
            return (enum http_method)i;
        }
    }
    return HTTP_METHOD_OTHER;
}

static enum step
method_step(struct http_parser *parser, struct span text)
{
    struct http_head *head = &parser->head;
    uint32_t at = parser->scanned;
    while (at < text.size && http_is(text.data[at], HTTP_CLASS_TOKEN)) {
        if (at - parser->line == METHOD_SIZE_MAX) {
            return refuse(parser, HTTP_REFUSAL_METHOD);
        }
        at++;
    }
    parser->scanned = at;
    if (at == text.size) {
        return STEP_MORE;
    }
    if (text.data[at] != ' ' || at == parser->line) {
        return refuse(parser, HTTP_REFUSAL_METHOD);
    }
    head->method_text = (struct http_slice){parser->line, at - parser->line};
    struct span name = http_head_text(head, head->method_text);
    if (span_equal(name, SPAN("CONNECT"))) {
        return refuse(parser, HTTP_REFUSAL_METHOD_TUNNEL);
    }
    head->method = method_find(name);
    parser->scanned = at + 1;
    parser->line = at + 1;
    parser->state = STATE_TARGET;
    return STEP_ON;
}

static enum step
target_step(struct http_parser *parser, struct span text)
{
    uint32_t at = parser->scanned;
    uint64_t end = (uint64_t)parser->line + parser->limits->target;
    uint32_t stop = end < text.size ? (uint32_t)end : (uint32_t)text.size;
    while (at < stop && http_is(text.data[at], HTTP_CLASS_TARGET)) {
        at++;
    }
    parser->scanned = at;
    if (at == text.size) {
        return STEP_MORE;
    }
    if (http_is(text.data[at], HTTP_CLASS_TARGET)) {
        return refuse(parser, HTTP_REFUSAL_TARGET_LONG);
    }
    if (text.data[at] == '\r' || text.data[at] == '\n') {
        return refuse(parser, HTTP_REFUSAL_VERSION_SYNTAX); /* HTTP/0.9 */
    }
    if (text.data[at] != ' ' || at == parser->line) {
        return refuse(parser, HTTP_REFUSAL_TARGET);
    }
    parser->head.target = (struct http_slice){parser->line, at - parser->line};
    parser->scanned = at + 1;
    parser->line = at + 1;
    parser->state = STATE_VERSION;
    return STEP_ON;
}

#define VERSION_SIZE 8 /* HTTP/d.d */

/* Reads "HTTP/1.0" or "HTTP/1.1" at parser->line; STEP_ON when it is there in full. */
static enum step
version_read(struct http_parser *parser, struct span text)
{
    static const char form[] = "HTTP/?.?";
    const char *version = text.data + parser->line;
    while (parser->scanned - parser->line < VERSION_SIZE) {
        if (parser->scanned == text.size) {
            return STEP_MORE;
        }
        uint32_t index = parser->scanned - parser->line;
        bool fits = form[index] == '?' ? http_is(version[index], HTTP_CLASS_DIGIT)
                                       : version[index] == form[index];
        if (!fits) {
            return refuse(parser, HTTP_REFUSAL_VERSION_SYNTAX);
        }
        parser->scanned++;
    }
    if (version[5] != '1' || version[7] > '1') {
        return refuse(parser, HTTP_REFUSAL_VERSION);
    }
    parser->head.version_minor = (uint8_t)(version[7] - '0');
    return STEP_ON;
}

/* CR LF at parser->scanned; begins the next line. Never leaves `scanned` between the two. */
static enum step
line_end_read(struct http_parser *parser, struct span text, enum http_refusal otherwise)
{
    uint32_t at = parser->scanned;
    if (at == text.size) {
        return STEP_MORE;
    }
    if (text.data[at] != '\r') {
        return refuse(parser, text.data[at] == '\n' ? HTTP_REFUSAL_LINE_END : otherwise);
    }
    if (at + 1 == text.size) {
        return STEP_MORE;
    }
    if (text.data[at + 1] != '\n') {
        return refuse(parser, HTTP_REFUSAL_LINE_END);
    }
    parser->scanned = at + 2;
    parser->line = at + 2;
    parser->colon = 0;
    return STEP_ON;
}

static enum step
version_step(struct http_parser *parser, struct span text)
{
    enum step step = version_read(parser, text);
    if (step == STEP_ON) {
        step = line_end_read(parser, text, HTTP_REFUSAL_VERSION_SYNTAX);
    }
    if (step == STEP_ON) {
        parser->state = STATE_FIELD;
    }
    return step;
}

#define STATUS_SIZE (VERSION_SIZE + 4) /* HTTP/1.1 200 */

/* The status line up to and with the code. */
static enum step
status_line_step(struct http_parser *parser, struct span text)
{
    enum step step = version_read(parser, text);
    if (step != STEP_ON) {
        return step;
    }
    while (parser->scanned < STATUS_SIZE) {
        if (parser->scanned == text.size) {
            return STEP_MORE;
        }
        char byte = text.data[parser->scanned];
        if (parser->scanned == VERSION_SIZE) {
            if (byte != ' ') {
                return refuse(parser, HTTP_REFUSAL_STATUS_LINE);
            }
        } else if (!http_is(byte, HTTP_CLASS_DIGIT)) {
            return refuse(parser, HTTP_REFUSAL_STATUS_LINE);
        } else {
            parser->head.status = (uint16_t)(parser->head.status * 10 + (byte - '0'));
        }
        parser->scanned++;
    }
    if (parser->head.status < 100 || parser->head.status > 599) {
        return refuse(parser, HTTP_REFUSAL_STATUS_LINE);
    }
    parser->state = STATE_REASON;
    return STEP_ON;
}

#define SWAR_ONES  UINT64_C(0x0101010101010101)
#define SWAR_HIGHS UINT64_C(0x8080808080808080)

/* The first byte at or after `at` that is no HTTP_CLASS_VALUE. Eight bytes at a time: the first
 * term finds bytes below 0x20, the second 0x7f; a tab is a false alarm that the table settles. */
static uint32_t
value_end(struct span text, uint32_t at)
{
    for (;;) {
        while (at + 8 <= text.size) {
            uint64_t word;
            memcpy(&word, text.data + at, sizeof(word));
            uint64_t low = (word - SWAR_ONES * 0x20) & ~word;
            uint64_t del = word ^ (SWAR_ONES * 0x7f);
            del = (del - SWAR_ONES) & ~del;
            if (((low | del) & SWAR_HIGHS) != 0) {
                break;
            }
            at += 8;
        }
        uint32_t stop = at + 8 < text.size ? at + 8 : (uint32_t)text.size;
        while (at < stop && http_is(text.data[at], HTTP_CLASS_VALUE)) {
            at++;
        }
        if (at < stop || at == text.size) {
            return at;
        }
    }
}

static enum step
reason_step(struct http_parser *parser, struct span text)
{
    uint32_t at = value_end(text, parser->scanned);
    parser->scanned = at;
    if (at == text.size) {
        return STEP_MORE;
    }
    /* The space before an empty reason is required, and often missing. */
    if (at > STATUS_SIZE) {
        if (text.data[STATUS_SIZE] != ' ') {
            return refuse(parser, HTTP_REFUSAL_STATUS_LINE);
        }
        parser->head.reason = (struct http_slice){STATUS_SIZE + 1, at - STATUS_SIZE - 1};
    }
    enum step step = line_end_read(parser, text, HTTP_REFUSAL_STATUS_LINE);
    if (step == STEP_ON) {
        parser->state = STATE_FIELD;
    }
    return step;
}

static bool
is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* The line [line, end) with its colon: keeps it and looks its name up. */
static enum step
field_add(struct http_parser *parser, uint32_t line, uint32_t colon, uint32_t end)
{
    struct http_head *head = &parser->head;
    if (head->field_count == parser->limits->fields) {
        return refuse(parser, HTTP_REFUSAL_FIELD_COUNT);
    }
    uint32_t at = colon + 1;
    while (at < end && is_blank(head->base[at])) {
        at++;
    }
    while (end > at && is_blank(head->base[end - 1])) {
        end--;
    }
    struct http_head_field *field = &head->fields[head->field_count++];
    field->name = (struct http_slice){line, colon - line};
    field->value = (struct http_slice){at, end - at};
    enum http_field known = http_field_find(http_head_text(head, field->name));
    field->field = known;
    if (known == HTTP_FIELD_UNKNOWN) {
        return STEP_ON;
    }
    if (head->known[known] == 0) {
        head->known[known] = (uint8_t)head->field_count;
        return STEP_ON;
    }
    return http_field_is_single(known) ? refuse(parser, HTTP_REFUSAL_FIELD_DUPLICATE) : STEP_ON;
}

/* At the first byte of a line that is no token: the end of the head, or an error. */
static enum step
line_begin_step(struct http_parser *parser, struct span text)
{
    char byte = text.data[parser->line];
    if (is_blank(byte)) {
        return refuse(parser, HTTP_REFUSAL_FIELD_FOLDED);
    }
    enum step step = line_end_read(parser, text, HTTP_REFUSAL_FIELD_NAME);
    return step == STEP_ON ? STEP_END : step;
}

static enum step
field_step(struct http_parser *parser, struct span text)
{
    uint32_t at = parser->scanned;
    if (parser->colon == 0) {
        while (at < text.size && http_is(text.data[at], HTTP_CLASS_TOKEN)) {
            at++;
        }
        parser->scanned = at;
        if (at == text.size) {
            return STEP_MORE;
        }
        if (at == parser->line) {
            return line_begin_step(parser, text);
        }
        if (text.data[at] != ':') {
            return refuse(parser, HTTP_REFUSAL_FIELD_NAME);
        }
        parser->colon = at++;
    }
    at = value_end(text, at);
    parser->scanned = at;
    uint32_t line = parser->line;
    uint32_t colon = parser->colon;
    enum step step = line_end_read(parser, text, HTTP_REFUSAL_CONTROL_BYTE);
    return step == STEP_ON ? field_add(parser, line, colon, at) : step;
}

static enum step
parser_step(struct http_parser *parser, struct span text)
{
    switch ((enum parser_state)parser->state) {
    case STATE_BEGIN:
        return begin_step(parser, text);
    case STATE_METHOD:
        return method_step(parser, text);
    case STATE_TARGET:
        return target_step(parser, text);
    case STATE_VERSION:
        return version_step(parser, text);
    case STATE_STATUS_LINE:
        return status_line_step(parser, text);
    case STATE_REASON:
        return reason_step(parser, text);
    case STATE_FIELD:
        return field_step(parser, text);
    case STATE_OVER:
        break;
    }
    UNREACHABLE();
}

static enum http_result
parser_conclude(struct http_parser *parser)
{
    parser->head.size = parser->scanned;
    parser->refusal =
        parser->response ? http_response_conclude(parser) : http_request_conclude(parser);
    return parser->refusal == HTTP_REFUSAL_NONE ? HTTP_DONE : HTTP_REFUSED;
}

enum http_result
http_parser_feed(struct http_parser *parser, struct span message)
{
    ASSERT(parser->state != STATE_OVER);
    ASSERT(message.size >= parser->scanned);
    struct span text = span_slice(message, 0, parser->limits->head);
    parser->head.base = text.data;
    enum step step;
    do {
        step = parser_step(parser, text);
    } while (step == STEP_ON);
    if (step == STEP_MORE) {
        if (text.size < parser->limits->head) {
            return HTTP_MORE;
        }
        (void)refuse(parser, HTTP_REFUSAL_HEAD_LARGE);
    }
    parser->state = STATE_OVER;
    return step == STEP_END ? parser_conclude(parser) : HTTP_REFUSED;
}
