#include "path.h"

#include "http/target.h"

static bool
is_unreserved(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

static char
capital(char digit)
{
    return digit >= 'a' && digit <= 'f' ? (char)(digit - 'a' + 'A') : digit;
}

/* "..;x": servers that strip parameters from segments (RFC 3986 section 3.3) see "..". */
static bool
has_dots_with_parameters(struct span path)
{
    struct span rest = path;
    while (rest.size > 0) {
        struct span segment = span_cut(&rest, '/');
        size_t dots = 0;
        while (dots < segment.size && segment.data[dots] == '.') {
            dots++;
        }
        struct span behind = span_slice(segment, dots, segment.size);
        bool parameters =
            span_starts_with(behind, SPAN(";")) || span_starts_with(behind, SPAN("%3B"));
        if ((dots == 1 || dots == 2) && parameters) {
            return true;
        }
    }
    return false;
}

err_t
gateway_path_normalize(struct span path, char *out, struct span *ret_path)
{
    TRY(http_path_check(path));
    size_t size = 0;
    for (size_t i = 0; i < path.size; i++) {
        if (path.data[i] != '%') {
            out[size++] = path.data[i];
            continue;
        }
        /* http_path_check has seen that two hex digits follow. */
        char byte;
        size_t one;
        TRY(http_percent_decode(span_slice(path, i, i + 3), &byte, &one));
        if (is_unreserved(byte)) {
            out[size++] = byte;
        } else {
            out[size++] = '%';
            out[size++] = capital(path.data[i + 1]);
            out[size++] = capital(path.data[i + 2]);
        }
        i += 2;
    }
    if (has_dots_with_parameters(span_of(out, size))) {
        return ERR_INVALID;
    }
    *ret_path = span_of(out, size);
    return ERR_OK;
}

bool
gateway_path_is_below(struct span path, struct span prefix)
{
    if (!span_starts_with(path, prefix)) {
        return false;
    }
    return path.size == prefix.size || prefix.data[prefix.size - 1] == '/' ||
           path.data[prefix.size] == '/';
}
