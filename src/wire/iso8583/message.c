/* A message in memory: fields in and out, elements of private fields, frames. */
#include "iso8583/iso8583.h"

#include "base/assert.h"

#include <string.h>

void
iso8583_init(struct iso8583_message *message, uint16_t type)
{
    ASSERT(type <= 9999);
    message->type = type;
    message->extended = false;
    message->used = 0;
    message->present[0] = 0;
    message->present[1] = 0;
}

void
iso8583_wipe(struct iso8583_message *message)
{
    explicit_bzero(message, sizeof(*message));
}

static uint64_t
bit_of(unsigned field)
{
    ASSERT(field >= 1);
    ASSERT(field <= ISO8583_FIELDS);
    return UINT64_C(1) << (63 - (field - 1) % 64);
}

bool
iso8583_has(const struct iso8583_message *message, unsigned field)
{
    return (message->present[(field - 1) / 64] & bit_of(field)) != 0;
}

struct span
iso8583_get(const struct iso8583_message *message, unsigned field)
{
    if (!iso8583_has(message, field)) {
        return SPAN_EMPTY;
    }
    return span_of(message->values + message->at[field], message->size[field]);
}

bool
iso8583_get_number(const struct iso8583_message *message, unsigned field, uint64_t *ret_value)
{
    return span_parse_u64(iso8583_get(message, field), ret_value);
}

err_t
iso8583_set(struct iso8583_message *message, unsigned field, struct span value)
{
    ASSERT(field >= 2);
    ASSERT(!iso8583_has(message, field));
    if (value.size > (size_t)ISO8583_VALUES_MAX - message->used) {
        return ERR_FULL;
    }
    if (value.size > 0) {
        memcpy(message->values + message->used, value.data, value.size);
    }
    message->at[field] = message->used;
    message->size[field] = (uint16_t)value.size;
    message->used = (uint16_t)(message->used + value.size);
    message->present[(field - 1) / 64] |= bit_of(field);
    message->extended = message->extended || field > 64;
    return ERR_OK;
}

err_t
iso8583_set_number(struct iso8583_message *message, unsigned field, uint64_t value)
{
    char digits[20];
    size_t size = iso8583_ascii.fields[field].maximum;
    ASSERT(iso8583_ascii.fields[field].prefix == 0);
    ASSERT(size <= sizeof(digits));
    for (size_t i = size; i > 0; i--) {
        digits[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return value != 0 ? ERR_RANGE : iso8583_set(message, field, span_of(digits, size));
}

err_t
iso8583_set_padded(struct iso8583_message *message, unsigned field, struct span value)
{
    char text[64];
    size_t size = iso8583_ascii.fields[field].maximum;
    ASSERT(iso8583_ascii.fields[field].prefix == 0);
    ASSERT(size <= sizeof(text));
    value = span_slice(value, 0, size);
    memset(text, ' ', size);
    if (value.size > 0) {
        memcpy(text, value.data, value.size);
    }
    return iso8583_set(message, field, span_of(text, size));
}

const char *
iso8583_problem_text(enum iso8583_problem problem)
{
    static const char *const texts[] = {
        [ISO8583_FINE] = "fine",
        [ISO8583_TOO_LONG] = "the message is too long",
        [ISO8583_TRUNCATED] = "the message ends within it",
        [ISO8583_TRAILING] = "bytes follow the last field",
        [ISO8583_TYPE] = "the message type is not four digits",
        [ISO8583_VERSION] = "the message type is not of ISO 8583:1987",
        [ISO8583_BITMAP] = "the bitmap is not capital hexadecimal digits",
        [ISO8583_NO_FIELD] = "there is no such field",
        [ISO8583_LENGTH] = "its length is no number",
        [ISO8583_LENGTH_RANGE] = "its length is out of range",
        [ISO8583_CHARACTER] = "it has a character that its kind does not have",
        [ISO8583_PADDING] = "its padding is not zero",
    };
    return texts[problem];
}

/* ------------------------------------------------------------------------------- elements --- */

enum {
    ELEMENT_HEAD = 5,
    ELEMENT_VALUE_MAX = 999
};

static void
digits_append(struct buf *out, unsigned value, unsigned count)
{
    unsigned divisor = count == 3 ? 100 : 10;
    for (; divisor > 0; divisor /= 10) {
        buf_append_byte(out, (char)('0' + value / divisor % 10));
    }
}

void
iso8583_element_append(struct buf *out, unsigned tag, struct span value)
{
    ASSERT(tag <= 99);
    ASSERT(value.size <= ELEMENT_VALUE_MAX);
    digits_append(out, tag, 2);
    digits_append(out, (unsigned)value.size, 3);
    buf_append_span(out, value);
}

bool
iso8583_element_next(struct span *rest, unsigned *ret_tag, struct span *ret_value)
{
    uint64_t tag;
    uint64_t size;
    if (!span_parse_u64(span_slice(*rest, 0, 2), &tag) || rest->size < ELEMENT_HEAD ||
        !span_parse_u64(span_slice(*rest, 2, ELEMENT_HEAD), &size) ||
        size > rest->size - ELEMENT_HEAD) {
        return false;
    }
    *ret_tag = (unsigned)tag;
    *ret_value = span_slice(*rest, ELEMENT_HEAD, ELEMENT_HEAD + size);
    *rest = span_slice(*rest, ELEMENT_HEAD + size, rest->size);
    return true;
}

bool
iso8583_element_find(struct span field, unsigned tag, struct span *ret_value)
{
    unsigned found;
    struct span value;
    while (iso8583_element_next(&field, &found, &value)) {
        if (found == tag) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* --------------------------------------------------------------------------------- frames --- */

err_t
iso8583_frame_read(struct span input, struct span *ret_message)
{
    if (input.size < ISO8583_FRAME_HEAD) {
        return ERR_INCOMPLETE;
    }
    size_t size = (size_t)(uint8_t)input.data[0] << 8 | (uint8_t)input.data[1];
    if (size > ISO8583_MESSAGE_MAX) {
        return ERR_RANGE;
    }
    if (input.size - ISO8583_FRAME_HEAD < size) {
        return ERR_INCOMPLETE;
    }
    *ret_message = span_slice(input, ISO8583_FRAME_HEAD, ISO8583_FRAME_HEAD + size);
    return ERR_OK;
}

void
iso8583_frame_head(size_t size, char out[ISO8583_FRAME_HEAD])
{
    ASSERT(size <= ISO8583_MESSAGE_MAX);
    out[0] = (char)(size >> 8);
    out[1] = (char)(size & 0xff);
}
