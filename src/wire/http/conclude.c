#include "conclude.h"

#include "http/writer.h"

#include "chars.h"

#include <string.h>

enum connection_option {
    OPTION_CLOSE = 1,
    OPTION_KEEP_ALIVE = 2,
    OPTION_UPGRADE = 4,
};

/* RFC 9110 section 7.6.1: a connection option never names a field intended for all recipients. A
 * gateway that obeyed "Connection: idempotency-key" would drop what makes the request safe. */
static enum http_refusal
connection_option_read(struct span option, unsigned *options)
{
    if (!http_name_is_valid(option)) {
        return HTTP_REFUSAL_CONNECTION;
    }
    if (span_equal_nocase(option, SPAN("close"))) {
        *options |= OPTION_CLOSE;
    } else if (span_equal_nocase(option, SPAN("keep-alive"))) {
        *options |= OPTION_KEEP_ALIVE;
    } else if (span_equal_nocase(option, SPAN("upgrade"))) {
        *options |= OPTION_UPGRADE;
    } else if (http_field_is_single(http_field_find(option))) {
        return HTTP_REFUSAL_CONNECTION;
    }
    return HTTP_REFUSAL_NONE;
}

static enum http_refusal
connection_read(struct http_head *head)
{
    unsigned options = 0;
    uint32_t first = head->known[HTTP_FIELD_CONNECTION];
    for (uint32_t i = first == 0 ? head->field_count : first - 1; i < head->field_count; i++) {
        if (head->fields[i].field != HTTP_FIELD_CONNECTION) {
            continue;
        }
        struct span rest = http_head_text(head, head->fields[i].value);
        while (rest.size > 0) {
            struct span option = span_trim(span_cut(&rest, ','));
            if (option.size == 0) {
                continue; /* RFC 9110 section 5.6.1: empty list elements are ignored */
            }
            enum http_refusal refusal = connection_option_read(option, &options);
            if (refusal != HTTP_REFUSAL_NONE) {
                return refusal;
            }
        }
    }
    bool close = (options & OPTION_CLOSE) != 0;
    bool keep = head->version_minor >= 1 || (options & OPTION_KEEP_ALIVE) != 0;
    head->keep_alive = keep && !close;
    head->upgrade = (options & OPTION_UPGRADE) != 0 && http_head_has(head, HTTP_FIELD_UPGRADE);
    return HTTP_REFUSAL_NONE;
}

/* Digits only: no sign, no space, no list of equal numbers, no hexadecimal. */
static enum http_refusal
content_length_read(struct http_head *head)
{
    struct span text = http_head_value(head, HTTP_FIELD_CONTENT_LENGTH);
    if (text.size == 0) {
        return HTTP_REFUSAL_CONTENT_LENGTH;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (!http_is(text.data[i], HTTP_CLASS_DIGIT)) {
            return HTTP_REFUSAL_CONTENT_LENGTH;
        }
    }
    if (!span_parse_u64(text, &head->content_length) || head->content_length > INT64_MAX) {
        return HTTP_REFUSAL_BODY_LARGE;
    }
    head->has_content_length = true;
    return HTTP_REFUSAL_NONE;
}

/* What Content-Length and Transfer-Encoding say, before the rules that know the kind of message. */
static enum http_refusal
framing_read(struct http_head *head)
{
    bool has_coding = http_head_has(head, HTTP_FIELD_TRANSFER_ENCODING);
    bool has_length = http_head_has(head, HTTP_FIELD_CONTENT_LENGTH);
    if (has_coding && has_length) {
        return HTTP_REFUSAL_LENGTH_AND_CODING;
    }
    if (has_length) {
        head->framing = HTTP_FRAMING_LENGTH;
        return content_length_read(head);
    }
    if (!has_coding) {
        return HTTP_REFUSAL_NONE;
    }
    if (head->version_minor == 0) {
        return HTTP_REFUSAL_TRANSFER_HTTP10;
    }
    struct span coding = http_head_value(head, HTTP_FIELD_TRANSFER_ENCODING);
    if (!span_equal_nocase(coding, SPAN("chunked"))) {
        return HTTP_REFUSAL_TRANSFER_CODING;
    }
    head->framing = HTTP_FRAMING_CHUNKED;
    return HTTP_REFUSAL_NONE;
}

static bool
port_is_valid(struct span port)
{
    uint64_t number = 0;
    return port.size <= 5 && span_parse_u64(port, &number) && number <= UINT16_MAX;
}

/* host [ ":" port ] with a name of letters, digits and -._~ or an address in brackets. RFC 3986
 * would also allow sub-delims and percent-encoding; no DNS name has them, and an empty port. */
static bool
host_is_valid(struct span host)
{
    size_t at = 0;
    if (host.size > 0 && host.data[0] == '[') {
        for (at = 1; at < host.size && host.data[at] != ']'; at++) {
            char byte = host.data[at];
            if (!http_is(byte, HTTP_CLASS_HEX) && byte != ':' && byte != '.') {
                return false;
            }
        }
        if (at < 3 || at == host.size) {
            return false; /* "::" is the shortest address */
        }
        at++;
    } else {
        while (at < host.size && http_is(host.data[at], HTTP_CLASS_HOST)) {
            at++;
        }
        if (at == 0) {
            return false;
        }
    }
    if (at == host.size) {
        return true;
    }
    return host.data[at] == ':' && port_is_valid(span_slice(host, at + 1, host.size));
}

static enum http_refusal
host_read(struct http_head *head)
{
    uint32_t position = head->known[HTTP_FIELD_HOST];
    if (position == 0) {
        return head->version_minor == 0 ? HTTP_REFUSAL_NONE : HTTP_REFUSAL_HOST_MISSING;
    }
    struct http_slice value = head->fields[position - 1].value;
    if (!host_is_valid(http_head_text(head, value))) {
        return HTTP_REFUSAL_HOST;
    }
    head->authority = value;
    return HTTP_REFUSAL_NONE;
}

/* http://authority/path: a server must understand it (RFC 9112 section 3.2.2). Which host counts
 * is not left open: both must be the same. */
static enum http_refusal
absolute_form_read(struct http_head *head, struct http_slice *ret_path)
{
    struct span target = http_head_text(head, head->target);
    uint32_t scheme = 0;
    if (span_equal_nocase(span_slice(target, 0, 7), SPAN("http://"))) {
        scheme = 7;
    } else if (span_equal_nocase(span_slice(target, 0, 8), SPAN("https://"))) {
        scheme = 8;
    } else {
        return HTTP_REFUSAL_TARGET;
    }
    uint32_t slash = (uint32_t)span_find(target, '/', scheme);
    struct span host = span_slice(target, scheme, slash);
    if (slash == head->target.size || !host_is_valid(host)) {
        return HTTP_REFUSAL_TARGET;
    }
    if (http_head_has(head, HTTP_FIELD_HOST) &&
        !span_equal_nocase(host, http_head_value(head, HTTP_FIELD_HOST))) {
        return HTTP_REFUSAL_HOST_MISMATCH;
    }
    head->authority = (struct http_slice){head->target.at + scheme, slash - scheme};
    *ret_path = (struct http_slice){head->target.at + slash, head->target.size - slash};
    return HTTP_REFUSAL_NONE;
}

static enum http_refusal
target_read(struct http_head *head)
{
    struct span target = http_head_text(head, head->target);
    struct http_slice path = head->target;
    if (target.data[0] != '/') {
        if (span_equal(target, SPAN("*"))) {
            return head->method == HTTP_METHOD_OPTIONS ? HTTP_REFUSAL_NONE : HTTP_REFUSAL_TARGET;
        }
        enum http_refusal refusal = absolute_form_read(head, &path);
        if (refusal != HTTP_REFUSAL_NONE) {
            return refusal;
        }
    }
    struct span text = http_head_text(head, path);
    uint32_t mark = (uint32_t)span_find(text, '?', 0);
    head->path = (struct http_slice){path.at, mark};
    if (mark < path.size) {
        head->query = (struct http_slice){path.at + mark + 1, path.size - mark - 1};
    }
    return HTTP_REFUSAL_NONE;
}

static enum http_refusal
expectation_read(struct http_head *head)
{
    if (!http_head_has(head, HTTP_FIELD_EXPECT) || head->version_minor == 0) {
        return HTTP_REFUSAL_NONE; /* RFC 9110 section 10.1.1: ignored in HTTP/1.0 */
    }
    if (!span_equal_nocase(http_head_value(head, HTTP_FIELD_EXPECT), SPAN("100-continue"))) {
        return HTTP_REFUSAL_EXPECTATION;
    }
    head->expect_continue = head->framing == HTTP_FRAMING_CHUNKED || head->content_length > 0;
    return HTTP_REFUSAL_NONE;
}

enum http_refusal
http_request_conclude(struct http_parser *parser)
{
    struct http_head *head = &parser->head;

    enum http_refusal (*const rules[])(struct http_head *) = {
        framing_read, host_read, target_read, connection_read, expectation_read};

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        enum http_refusal refusal = rules[i](head);
        if (refusal != HTTP_REFUSAL_NONE) {
            return refusal;
        }
    }
    return head->content_length > parser->limits->body ? HTTP_REFUSAL_BODY_LARGE
                                                       : HTTP_REFUSAL_NONE;
}

/* RFC 9112 section 6.3, rules 1 to 8, for responses. */
static enum http_refusal
response_framing_decide(struct http_parser *parser)
{
    struct http_head *head = &parser->head;
    bool never_has_body = head->status < 200 || head->status == 204;
    if (never_has_body && head->framing == HTTP_FRAMING_CHUNKED) {
        return HTTP_REFUSAL_TRANSFER_HTTP10;
    }
    if (never_has_body && head->content_length > 0) {
        return HTTP_REFUSAL_CONTENT_LENGTH; /* nobody knows whether the bytes follow */
    }
    if (never_has_body || head->status == 304 || parser->request_method == HTTP_METHOD_HEAD) {
        head->framing = HTTP_FRAMING_NONE;
        return HTTP_REFUSAL_NONE;
    }
    if (head->framing == HTTP_FRAMING_NONE) {
        head->framing = HTTP_FRAMING_UNTIL_CLOSE;
        head->keep_alive = false;
    }
    return head->content_length > parser->limits->body ? HTTP_REFUSAL_BODY_LARGE
                                                       : HTTP_REFUSAL_NONE;
}

enum http_refusal
http_response_conclude(struct http_parser *parser)
{
    enum http_refusal refusal = framing_read(&parser->head);
    if (refusal == HTTP_REFUSAL_NONE) {
        refusal = connection_read(&parser->head);
    }
    return refusal == HTTP_REFUSAL_NONE ? response_framing_decide(parser) : refusal;
}

static bool
connection_names(const struct http_head *head, struct span name)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].field != HTTP_FIELD_CONNECTION) {
            continue;
        }
        struct span rest = http_head_text(head, head->fields[i].value);
        while (rest.size > 0) {
            if (span_equal_nocase(span_trim(span_cut(&rest, ',')), name)) {
                return true;
            }
        }
    }
    return false;
}

bool
http_head_is_hop_by_hop(const struct http_head *head, uint32_t index)
{
    static const bool always[HTTP_FIELD_KNOWN_COUNT + 1] = {
        [HTTP_FIELD_CONNECTION] = true,
        [HTTP_FIELD_KEEP_ALIVE] = true,
        [HTTP_FIELD_PROXY_CONNECTION] = true,
        [HTTP_FIELD_TE] = true,
        [HTTP_FIELD_TRAILER] = true,
        [HTTP_FIELD_TRANSFER_ENCODING] = true,
        [HTTP_FIELD_UPGRADE] = true,
    };
    const struct http_head_field *field = &head->fields[index];
    if (always[field->field]) {
        return true;
    }
    return http_head_has(head, HTTP_FIELD_CONNECTION) &&
           connection_names(head, http_head_text(head, field->name));
}

bool
http_head_find(const struct http_head *head, struct span name, struct span *ret_value)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (span_equal_nocase(http_head_text(head, head->fields[i].name), name)) {
            *ret_value = http_head_text(head, head->fields[i].value);
            return true;
        }
    }
    return false;
}
