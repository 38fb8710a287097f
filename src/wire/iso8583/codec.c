/* Bytes to messages and back, as a dialect's table says. */
#include "iso8583/iso8583.h"

#include "base/assert.h"

#include <string.h>

enum {
    TYPE_DIGITS = 4,
    BITMAP_BYTES = 8
};

static const char hex_digits[] = "0123456789ABCDEF";

/* What of a kind a character may be. */
static bool
is_of_kind(enum iso8583_kind kind, char c)
{
    bool digit = c >= '0' && c <= '9';
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    switch (kind) {
    case ISO8583_N:
    case ISO8583_XN: /* behind its sign */
        return digit;
    case ISO8583_NS:
        return c > ' ' && c < 0x7f && !letter;
    case ISO8583_AN:
        return digit || letter || c == ' ';
    case ISO8583_ANS:
        return c >= ' ' && c < 0x7f;
    case ISO8583_Z:
        return digit || c == '=' || c == 'D';
    case ISO8583_B:
        return true;
    case ISO8583_NONE:
    case ISO8583_KINDS:
        break;
    }
    return false;
}

static bool
is_sign(char c)
{
    return c == 'C' || c == 'D';
}

static bool
is_all_of_kind(enum iso8583_kind kind, struct span value)
{
    for (size_t i = 0; i < value.size; i++) {
        bool good =
            kind == ISO8583_XN && i == 0 ? is_sign(value.data[i]) : is_of_kind(kind, value.data[i]);
        if (!good) {
            return false;
        }
    }
    return true;
}

/* Digits in half bytes. Those of a value of fixed length stand right, else left. */
static bool
pads_left(const struct iso8583_field *field)
{
    return field->prefix == 0;
}

/* ------------------------------------------------------------------------------- encoding --- */

static unsigned
nibble_of(char c)
{
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : 0xD;
}

static void
pack(struct buf *out, struct span digits, bool left)
{
    size_t odd = digits.size % 2;
    size_t nibbles = digits.size + odd;
    for (size_t i = 0; i < nibbles; i += 2) {
        unsigned pair[2];
        for (size_t side = 0; side < 2; side++) {
            size_t at = left ? i + side - odd : i + side;
            bool filler = left ? i + side < odd : at >= digits.size;
            pair[side] = filler ? 0 : nibble_of(digits.data[at]);
        }
        buf_append_byte(out, (char)(pair[0] << 4 | pair[1]));
    }
}

static void
hex_append(struct buf *out, struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        buf_append_byte(out, hex_digits[(uint8_t)bytes.data[i] >> 4]);
        buf_append_byte(out, hex_digits[(uint8_t)bytes.data[i] & 0xf]);
    }
}

static void
value_append(
    const struct iso8583_dialect *dialect,
    const struct iso8583_field *field,
    struct span value,
    struct buf *out)
{
    bool packed = dialect->value[field->kind] == ISO8583_PACKED;
    if (field->kind == ISO8583_B) {
        if (packed) {
            buf_append_span(out, value);
        } else {
            hex_append(out, value);
        }
    } else if (!packed) {
        buf_append_span(out, value);
    } else if (field->kind == ISO8583_XN) {
        buf_append_byte(out, value.data[0]);
        pack(out, span_slice(value, 1, value.size), true);
    } else {
        pack(out, value, pads_left(field));
    }
}

static void
number_append(enum iso8583_packing packing, size_t value, unsigned digits, struct buf *out)
{
    char text[TYPE_DIGITS];
    ASSERT(digits <= sizeof(text));
    for (unsigned i = digits; i > 0; i--) {
        text[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    if (packing == ISO8583_PACKED) {
        pack(out, span_of(text, digits), true);
    } else {
        buf_append(out, text, digits);
    }
}

static void
bitmap_append(const struct iso8583_dialect *dialect, uint64_t bits, struct buf *out)
{
    char bytes[BITMAP_BYTES];
    for (size_t i = 0; i < BITMAP_BYTES; i++) {
        bytes[i] = (char)(bits >> (56 - 8 * i) & 0xff);
    }
    if (dialect->bitmap == ISO8583_PACKED) {
        buf_append(out, bytes, sizeof(bytes));
    } else {
        hex_append(out, span_of(bytes, sizeof(bytes)));
    }
}

static enum iso8583_problem
value_problem(const struct iso8583_field *field, struct span value)
{
    if (field->kind == ISO8583_NONE) {
        return ISO8583_NO_FIELD;
    }
    if (value.size > field->maximum || (field->prefix == 0 && value.size != field->maximum)) {
        return ISO8583_LENGTH_RANGE;
    }
    return is_all_of_kind(field->kind, value) ? ISO8583_FINE : ISO8583_CHARACTER;
}

static err_t
refuse(
    struct iso8583_refusal *refusal, enum iso8583_problem problem, unsigned field, size_t position)
{
    ASSERT(problem != ISO8583_FINE);
    refusal->problem = problem;
    refusal->field = (uint8_t)field;
    refusal->position = (uint16_t)position;
    return ERR_INVALID;
}

err_t
iso8583_encode(
    const struct iso8583_dialect *dialect,
    const struct iso8583_message *message,
    struct buf *out,
    struct iso8583_refusal *refusal)
{
    *refusal = (struct iso8583_refusal){.problem = ISO8583_FINE};
    if (message->type >= 1000) {
        return refuse(refusal, ISO8583_VERSION, 0, 0);
    }
    for (unsigned i = 2; i <= ISO8583_FIELDS; i++) {
        if (iso8583_has(message, i)) {
            enum iso8583_problem problem =
                value_problem(&dialect->fields[i], iso8583_get(message, i));
            if (problem != ISO8583_FINE) {
                return refuse(refusal, problem, i, 0);
            }
        }
    }
    size_t before = out->size;
    number_append(dialect->type, message->type, TYPE_DIGITS, out);
    bitmap_append(dialect, message->present[0] | (message->extended ? UINT64_C(1) << 63 : 0), out);
    if (message->extended) {
        bitmap_append(dialect, message->present[1], out);
    }
    for (unsigned i = 2; i <= ISO8583_FIELDS; i++) {
        if (iso8583_has(message, i)) {
            const struct iso8583_field *field = &dialect->fields[i];
            struct span value = iso8583_get(message, i);
            if (field->prefix > 0) {
                number_append(dialect->length, value.size, field->prefix, out);
            }
            value_append(dialect, field, value, out);
        }
    }
    if (buf_failed(out)) {
        return ERR_MEMORY;
    }
    if (out->size - before > ISO8583_MESSAGE_MAX) {
        explicit_bzero(out->data + before, out->size - before);
        out->size = before;
        return refuse(refusal, ISO8583_TOO_LONG, 0, 0);
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------------------- decoding --- */

struct reader {
    const struct iso8583_dialect *dialect;
    struct span rest;
    struct iso8583_message *message;
};

/* The next bytes; an empty span with NULL data: there are not so many. */
static bool
take(struct reader *reader, size_t size, struct span *ret_bytes)
{
    if (size > reader->rest.size) {
        return false;
    }
    *ret_bytes = span_slice(reader->rest, 0, size);
    reader->rest = span_slice(reader->rest, size, reader->rest.size);
    return true;
}

/* `count` digits, or with `track` the nibble D too, into characters. */
static enum iso8583_problem
unpack(struct span bytes, size_t count, bool left, bool track, char *out)
{
    size_t odd = count % 2;
    for (size_t i = 0; i < count + odd; i++) {
        uint8_t byte = (uint8_t)bytes.data[i / 2];
        unsigned nibble = i % 2 == 0 ? byte >> 4 : byte & 0xfU;
        bool filler = odd == 1 && i == (left ? 0 : count);
        if (filler) {
            if (nibble != 0) {
                return ISO8583_PADDING;
            }
            continue;
        }
        if (nibble > 9 && !(track && nibble == 0xD)) {
            return ISO8583_CHARACTER;
        }
        out[left ? i - odd : i] = nibble == 0xD ? '=' : (char)('0' + nibble);
    }
    return ISO8583_FINE;
}

static bool
hex_value(char digit, unsigned *ret_value)
{
    const char *at = memchr(hex_digits, digit, sizeof(hex_digits) - 1);
    if (at == NULL) {
        return false;
    }
    *ret_value = (unsigned)(at - hex_digits);
    return true;
}

static enum iso8583_problem
unhex(struct span text, char *out)
{
    ASSERT(text.size % 2 == 0);
    for (size_t i = 0; i < text.size; i += 2) {
        unsigned high = 0;
        unsigned low = 0;
        if (!hex_value(text.data[i], &high) || !hex_value(text.data[i + 1], &low)) {
            return ISO8583_CHARACTER;
        }
        out[i / 2] = (char)(high << 4 | low);
    }
    return ISO8583_FINE;
}

static enum iso8583_problem
read_number(
    struct reader *reader, enum iso8583_packing packing, unsigned digits, uint64_t *ret_value)
{
    char text[TYPE_DIGITS];
    struct span bytes;
    bool packed = packing == ISO8583_PACKED;
    ASSERT(digits <= sizeof(text));
    if (!take(reader, packed ? (digits + 1) / 2 : digits, &bytes)) {
        return ISO8583_TRUNCATED;
    }
    if (packed) {
        if (unpack(bytes, digits, true, false, text) != ISO8583_FINE) {
            return ISO8583_LENGTH;
        }
        bytes = span_of(text, digits);
    }
    return span_parse_u64(bytes, ret_value) ? ISO8583_FINE : ISO8583_LENGTH;
}

static enum iso8583_problem
read_bitmap(struct reader *reader, uint64_t *ret_bits)
{
    char bytes[BITMAP_BYTES] = {0};
    struct span text;
    bool packed = reader->dialect->bitmap == ISO8583_PACKED;
    if (!take(reader, packed ? BITMAP_BYTES : 2 * (size_t)BITMAP_BYTES, &text)) {
        return ISO8583_TRUNCATED;
    }
    if (packed) {
        memcpy(bytes, text.data, sizeof(bytes));
    } else if (unhex(text, bytes) != ISO8583_FINE) {
        return ISO8583_BITMAP;
    }
    uint64_t bits = 0;
    for (size_t i = 0; i < BITMAP_BYTES; i++) {
        bits = bits << 8 | (uint8_t)bytes[i];
    }
    *ret_bits = bits;
    return ISO8583_FINE;
}

/* Bytes that a value of so many digits, characters or bytes takes. */
static size_t
packed_size(const struct iso8583_dialect *dialect, const struct iso8583_field *field, size_t size)
{
    bool packed = dialect->value[field->kind] == ISO8583_PACKED;
    if (field->kind == ISO8583_B) {
        return packed ? size : 2 * size;
    }
    if (!packed) {
        return size;
    }
    return field->kind == ISO8583_XN ? 1 + size / 2 : (size + 1) / 2;
}

/* `out` has room for `size`. */
static enum iso8583_problem
value_unpack(
    const struct reader *reader,
    const struct iso8583_field *field,
    struct span bytes,
    size_t size,
    char *out)
{
    bool packed = reader->dialect->value[field->kind] == ISO8583_PACKED;
    if (field->kind == ISO8583_B && !packed) {
        return unhex(bytes, out);
    }
    if (!packed || field->kind == ISO8583_B) {
        if (size > 0) {
            memcpy(out, bytes.data, size);
        }
        return is_all_of_kind(field->kind, span_of(out, size)) ? ISO8583_FINE : ISO8583_CHARACTER;
    }
    if (field->kind == ISO8583_XN) {
        out[0] = bytes.data[0];
        if (!is_sign(out[0])) {
            return ISO8583_CHARACTER;
        }
        return unpack(span_slice(bytes, 1, bytes.size), size - 1, true, false, out + 1);
    }
    return unpack(bytes, size, pads_left(field), field->kind == ISO8583_Z, out);
}

static enum iso8583_problem
read_field(struct reader *reader, unsigned index)
{
    const struct iso8583_dialect *dialect = reader->dialect;
    const struct iso8583_field *field = &dialect->fields[index];
    struct iso8583_message *message = reader->message;
    if (field->kind == ISO8583_NONE) {
        return ISO8583_NO_FIELD;
    }
    uint64_t size = field->maximum;
    if (field->prefix > 0) {
        enum iso8583_problem problem = read_number(reader, dialect->length, field->prefix, &size);
        if (problem != ISO8583_FINE) {
            return problem;
        }
        if (size > field->maximum) {
            return ISO8583_LENGTH_RANGE;
        }
    }
    struct span bytes;
    if (!take(reader, packed_size(dialect, field, size), &bytes)) {
        return ISO8583_TRUNCATED;
    }
    /* Two digits in a byte at most, so the values of the longest message fit. */
    ASSERT(size <= (size_t)ISO8583_VALUES_MAX - message->used);
    char *out = message->values + message->used;
    enum iso8583_problem problem = value_unpack(reader, field, bytes, size, out);
    message->at[index] = message->used;
    message->size[index] = (uint16_t)size;
    message->used = (uint16_t)(message->used + size);
    return problem;
}

static enum iso8583_problem
read_type(struct reader *reader)
{
    uint64_t type;
    enum iso8583_problem problem = read_number(reader, reader->dialect->type, TYPE_DIGITS, &type);
    if (problem != ISO8583_FINE) {
        return problem == ISO8583_LENGTH ? ISO8583_TYPE : problem;
    }
    reader->message->type = (uint16_t)type;
    return type >= 1000 ? ISO8583_VERSION : ISO8583_FINE;
}

static enum iso8583_problem
read_bitmaps(struct reader *reader)
{
    struct iso8583_message *message = reader->message;
    uint64_t first = 0;
    enum iso8583_problem problem = read_bitmap(reader, &first);
    message->extended = first >> 63 != 0;
    if (problem == ISO8583_FINE && message->extended) {
        problem = read_bitmap(reader, &message->present[1]);
    }
    message->present[0] = first & ~(UINT64_C(1) << 63);
    return problem;
}

err_t
iso8583_decode(
    const struct iso8583_dialect *dialect,
    struct span text,
    struct iso8583_message *message,
    struct iso8583_refusal *refusal)
{
    struct reader reader = {.dialect = dialect, .rest = text, .message = message};
    *refusal = (struct iso8583_refusal){.problem = ISO8583_FINE};
    iso8583_init(message, 0);
    if (text.size > ISO8583_MESSAGE_MAX) {
        return refuse(refusal, ISO8583_TOO_LONG, 0, 0);
    }
    enum iso8583_problem problem = read_type(&reader);
    if (problem != ISO8583_FINE) {
        return refuse(refusal, problem, 0, 0);
    }
    size_t position = text.size - reader.rest.size;
    problem = read_bitmaps(&reader);
    unsigned last = 1;
    for (unsigned i = 2; i <= ISO8583_FIELDS && problem == ISO8583_FINE; i++) {
        if (iso8583_has(message, i)) {
            position = text.size - reader.rest.size;
            last = i;
            problem = read_field(&reader, i);
        }
    }
    if (problem == ISO8583_FINE && reader.rest.size > 0) {
        position = text.size - reader.rest.size;
        problem = ISO8583_TRAILING;
    }
    return problem == ISO8583_FINE ? ERR_OK : refuse(refusal, problem, last, position);
}
