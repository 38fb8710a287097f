#include "callback/url.h"

#define HOST_MAX  253
#define LABEL_MAX 63
#define V6_MAX    45

static bool
is_alphanumeric(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

/* Labels of letters, digits, '-' and '_' (which names in use have), apart by single dots. */
static bool
is_host_name(struct span host)
{
    size_t label = 0;
    for (size_t i = 0; i < host.size; i++) {
        char byte = host.data[i];
        if (byte == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (!is_alphanumeric(byte) && byte != '-' && byte != '_') {
            return false;
        } else if (++label > LABEL_MAX) {
            return false;
        }
    }
    return host.size > 0 && host.size <= HOST_MAX && label > 0;
}

static bool
is_v6(struct span host)
{
    for (size_t i = 0; i < host.size; i++) {
        char byte = host.data[i];
        bool hex = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
                   (byte >= 'A' && byte <= 'F');
        if (!hex && byte != ':' && byte != '.') {
            return false;
        }
    }
    return span_find(host, ':', 0) < host.size && host.size <= V6_MAX;
}

static bool
is_target(struct span target)
{
    for (size_t i = 0; i < target.size; i++) {
        char byte = target.data[i];
        if (byte <= ' ' || byte > '~' || byte == '"' || byte == '<' || byte == '>' ||
            byte == '\\' || byte == '^' || byte == '`' || byte == '{' || byte == '|' ||
            byte == '}') {
            return false;
        }
    }
    return target.size == 0 || target.data[0] == '/';
}

/* Behind the host: nothing, or a colon and a number. */
static bool
parse_port(struct span rest, uint16_t *port)
{
    uint64_t value;
    if (rest.size == 0) {
        return true;
    }
    if (rest.data[0] != ':' || rest.size > 6 ||
        !span_parse_u64(span_slice(rest, 1, rest.size), &value) || value == 0 ||
        value > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static const char *
parse_authority(struct span authority, struct callback_url *url)
{
    struct span rest;
    if (span_find(authority, '@', 0) < authority.size) {
        return "A URL with a user name or password in it is not accepted.";
    }
    if (authority.size > 0 && authority.data[0] == '[') {
        size_t end = span_find(authority, ']', 0);
        url->host = span_slice(authority, 1, end);
        rest = span_slice(authority, end + 1, authority.size);
        if (end == authority.size || !is_v6(url->host)) {
            return "The address in brackets is none.";
        }
    } else {
        size_t end = span_find(authority, ':', 0);
        url->host = span_slice(authority, 0, end);
        rest = span_slice(authority, end, authority.size);
        if (!is_host_name(url->host)) {
            return "The host's name is none.";
        }
    }
    return parse_port(rest, &url->port) ? NULL : "The port is no number from 1 to 65535.";
}

const char *
callback_url_parse(struct span text, struct callback_url *ret_url)
{
    struct callback_url url = {.tls = span_starts_with(text, SPAN("https://")), .port = 80};
    if (!url.tls && !span_starts_with(text, SPAN("http://"))) {
        return "An explicit scheme (such as https) must be provided.";
    }
    if (text.size > CALLBACK_URL_MAX) {
        return "It is too long.";
    }
    if (span_find(text, '#', 0) < text.size) {
        return "A fragment (behind #) is never sent.";
    }
    struct span rest = span_slice(text, url.tls ? 8 : 7, text.size);
    if (url.tls) {
        url.port = 443;
    }
    size_t end = span_find(rest, '/', 0);
    size_t query = span_find(rest, '?', 0);
    end = query < end ? query : end;
    const char *wrong = parse_authority(span_slice(rest, 0, end), &url);
    if (wrong != NULL) {
        return wrong;
    }
    url.target = span_slice(rest, end, rest.size);
    if (!is_target(url.target)) {
        return "The path has a character that must be percent-encoded, or no slash before it.";
    }
    if (url.target.size == 0) {
        url.target = SPAN("/");
    }
    *ret_url = url;
    return NULL;
}
