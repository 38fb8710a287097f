#include "url.h"

/* Schemes that make a browser run or read something instead of going somewhere. */
static bool
scheme_is_harmful(struct span scheme)
{
    static const char *const harmful[] = {
        "javascript", "data", "vbscript", "file", "blob", "about", "view-source"};
    for (size_t i = 0; i < sizeof(harmful) / sizeof(harmful[0]); i++) {
        if (span_equal_nocase(scheme, span_from_cstr(harmful[i]))) {
            return true;
        }
    }
    return false;
}

static bool
is_scheme_byte(char byte, bool first)
{
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    bool digit = byte >= '0' && byte <= '9';
    return letter || (!first && (digit || byte == '+' || byte == '-' || byte == '.'));
}

bool
payments_url_is_sound(struct span url)
{
    size_t colon = span_find(url, ':', 0);
    struct span rest = span_slice(url, colon, url.size);
    if (colon == 0 || !span_starts_with(rest, SPAN("://")) || rest.size == 3) {
        return false;
    }
    for (size_t i = 0; i < colon; i++) {
        if (!is_scheme_byte(url.data[i], i == 0)) {
            return false;
        }
    }
    for (size_t i = 0; i < url.size; i++) {
        char byte = url.data[i];
        /* Printable ASCII without what RFC 3986 leaves out: it goes into a header and a page. */
        if (byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '<' || byte == '>' ||
            byte == '\\' || byte == '^' || byte == '`' || byte == '{' || byte == '|' ||
            byte == '}') {
            return false;
        }
    }
    return !scheme_is_harmful(span_slice(url, 0, colon));
}

bool
payments_url_read_token(struct span token, struct span *ret_id, struct span *ret_secret)
{
    size_t at = token.size;
    while (at > 0 && token.data[at - 1] != '_') {
        at--;
    }
    if (at < 2) {
        return false;
    }
    *ret_id = span_slice(token, 0, at - 1);
    *ret_secret = span_slice(token, at, token.size);
    return ret_secret->size != 0;
}
