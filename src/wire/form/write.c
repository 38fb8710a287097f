#include "form/form.h"

static bool
is_unreserved(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

static void
append_encoded(struct buf *out, struct span text, bool is_name)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (is_unreserved(byte) || (is_name && (byte == '[' || byte == ']'))) {
            buf_append_byte(out, byte);
        } else if (byte == ' ') {
            buf_append_byte(out, '+');
        } else {
            char encoded[3] = {'%', hex[(uint8_t)byte >> 4], hex[(uint8_t)byte & 15]};
            buf_append(out, encoded, sizeof(encoded));
        }
    }
}

void
form_append(struct buf *out, const char *name, struct span value)
{
    if (out->size > 0) {
        buf_append_byte(out, '&');
    }
    append_encoded(out, span_from_cstr(name), true);
    buf_append_byte(out, '=');
    append_encoded(out, value, false);
}

void
form_append_i64(struct buf *out, const char *name, int64_t value)
{
    form_append(out, name, SPAN_EMPTY);
    buf_append_i64(out, value);
}
