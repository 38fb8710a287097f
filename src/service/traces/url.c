#include "url.h"

#define PORT_HTTP  80
#define PORT_HTTPS 443

static const char *
host_parse(struct span authority, struct traces_url *url)
{
    struct span port;
    if (span_starts_with(authority, SPAN("["))) {
        size_t end = span_find(authority, ']', 0);
        if (end == authority.size) {
            return "its address has no end";
        }
        url->host = span_slice(authority, 1, end);
        port = span_slice(authority, end + 1, authority.size);
    } else {
        size_t colon = span_find(authority, ':', 0);
        url->host = span_slice(authority, 0, colon);
        port = span_slice(authority, colon, authority.size);
    }
    if (url->host.size == 0 || url->host.size > TRACES_HOST_MAX) {
        return "it names no host";
    }
    uint64_t number = url->port;
    if (port.size > 0 &&
        (port.data[0] != ':' || !span_parse_u64(span_slice(port, 1, port.size), &number) ||
         number == 0 || number > UINT16_MAX)) {
        return "its port is no port";
    }
    url->port = (uint16_t)number;
    return NULL;
}

const char *
traces_url_parse(struct span text, struct traces_url *ret_url)
{
    struct traces_url url = {.tls = span_starts_with(text, SPAN("https://"))};
    if (!url.tls && !span_starts_with(text, SPAN("http://"))) {
        return "it begins neither with http:// nor with https://";
    }
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte <= ' ' || byte > '~' || byte == '?' || byte == '#' || byte == '@' || byte == '"' ||
            byte == '\\') {
            return "it has a byte that is not allowed; user names and queries are not either";
        }
    }
    url.port = url.tls ? PORT_HTTPS : PORT_HTTP;
    struct span rest = span_slice(text, url.tls ? 8 : 7, text.size);
    size_t slash = span_find(rest, '/', 0);
    url.path = span_slice(rest, slash, rest.size);
    while (span_ends_with(url.path, SPAN("/"))) {
        url.path = span_slice(url.path, 0, url.path.size - 1);
    }
    const char *problem = host_parse(span_slice(rest, 0, slash), &url);
    if (problem == NULL) {
        *ret_url = url;
    }
    return problem;
}
