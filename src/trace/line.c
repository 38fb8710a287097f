/*
 * One log line: JSON (RFC 8259), card numbers masked, never longer than TRACE_LINE_MAX.
 *
 * What is written is written in whole units (a character, an escape, a key with what stands around
 * it), so a line that ran full is still valid JSON.
 */
#include "trace/log.h"

#include "base/assert.h"
#include "base/u128.h"
#include "trace/redact.h"

#include <string.h>

/* Kept free for what ends a line that ran full: the quote of a text, the mark, the newline. */
#define LINE_END      ",\"truncated\":true}\n"
#define LINE_BODY_MAX (TRACE_LINE_MAX - sizeof("\"" LINE_END))

struct line {
    char *data;
    size_t size;
    bool truncated; /* from here on nothing more is added, only closed */
};

static bool
put(struct line *line, struct span unit)
{
    /* A closing quote may already stand behind LINE_BODY_MAX. */
    if (line->truncated || unit.size > LINE_BODY_MAX || line->size > LINE_BODY_MAX - unit.size) {
        line->truncated = true;
        return false;
    }
    memcpy(line->data + line->size, unit.data, unit.size);
    line->size += unit.size;
    return true;
}

/* Into the room that LINE_BODY_MAX keeps free. */
static void
put_closing(struct line *line, struct span unit)
{
    ASSERT(unit.size <= TRACE_LINE_MAX - line->size);
    memcpy(line->data + line->size, unit.data, unit.size);
    line->size += unit.size;
}

static bool
put_control(struct line *line, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    char unit[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    return put(line, span_of(unit, sizeof(unit)));
}

static bool
put_ascii(struct line *line, char byte)
{
    switch (byte) {
    case '"':
        return put(line, SPAN("\\\""));
    case '\\':
        return put(line, SPAN("\\\\"));
    case '\n':
        return put(line, SPAN("\\n"));
    case '\r':
        return put(line, SPAN("\\r"));
    case '\t':
        return put(line, SPAN("\\t"));
    default:
        break;
    }
    if ((unsigned char)byte < 0x20 || byte == 0x7f) {
        return put_control(line, (unsigned char)byte);
    }
    return put(line, span_of(&byte, 1));
}

/* Bytes of the multi-byte character at `at`, or 0. The shortest valid slice is one character. */
static size_t
character_size(struct span text, size_t at)
{
    for (size_t size = 2; size <= 4 && size <= text.size - at; size++) {
        if (span_is_utf8(span_slice(text, at, at + size))) {
            return size;
        }
    }
    return 0;
}

static void
put_escaped(struct line *line, struct span text)
{
    for (size_t at = 0; at < text.size && !line->truncated;) {
        if ((unsigned char)text.data[at] < 0x80) {
            (void)put_ascii(line, text.data[at]);
            at++;
            continue;
        }
        size_t size = character_size(text, at);
        (void)put(line, size == 0 ? SPAN("\\ufffd") : span_slice(text, at, at + size));
        at += size == 0 ? 1 : size;
    }
}

/* The quoted text, its opening quote being there already. */
static void
put_text(struct line *line, struct span text)
{
    struct trace_redactor redactor;
    struct span piece;
    trace_redactor_init(&redactor, text);
    while (!line->truncated && trace_redactor_next(&redactor, &piece)) {
        put_escaped(line, piece);
    }
    put_closing(line, SPAN("\""));
}

/* ,"key": and an opening quote; or nothing and false. Keys are redacted as texts are. */
static bool
put_key(struct line *line, struct span key, struct span after)
{
    size_t start = line->size;
    (void)put(line, SPAN(",\""));
    struct trace_redactor redactor;
    struct span piece;
    trace_redactor_init(&redactor, key);
    while (!line->truncated && trace_redactor_next(&redactor, &piece)) {
        put_escaped(line, piece);
    }
    if (!put(line, after)) {
        line->size = start;
        return false;
    }
    return true;
}

static void
put_text_field(struct line *line, const char *key, struct span text)
{
    if (put_key(line, span_from_cstr(key), SPAN("\":\""))) {
        put_text(line, text);
    }
}

/* A number that is a card number becomes a text, masked. */
static void
put_number_field(struct line *line, const char *key, struct span digits)
{
    char memory[TRACE_MASK_MAX + 1];
    struct buf redacted;
    buf_init_fixed(&redacted, memory, sizeof(memory));
    trace_redact(digits, &redacted);
    ASSERT(!buf_failed(&redacted));
    if (!span_equal(buf_span(&redacted), digits)) {
        put_text_field(line, key, digits);
        return;
    }
    size_t start = line->size;
    if (put_key(line, span_from_cstr(key), SPAN("\":")) && !put(line, digits)) {
        line->size = start;
    }
}

static void
put_field(struct line *line, const struct trace_field *field)
{
    if (trace_name_is_secret(span_from_cstr(field->key))) {
        put_text_field(line, field->key, SPAN("[masked]"));
        return;
    }
    char memory[1 + U128_DECIMAL_SIZE];
    struct buf digits;
    buf_init_fixed(&digits, memory, sizeof(memory));
    switch (field->kind) {
    case TRACE_FIELD_TEXT:
        put_text_field(line, field->key, field->text);
        return;
    case TRACE_FIELD_I64:
        buf_append_i64(&digits, field->i64);
        break;
    case TRACE_FIELD_U64:
        buf_append_u64(&digits, field->u64);
        break;
    case TRACE_FIELD_BOOLEAN:
        buf_append_cstr(&digits, field->boolean ? "true" : "false");
        break;
    }
    put_number_field(line, field->key, buf_span(&digits));
}

/* An id of 128 bits is written as it is, digits or not: it finds the request's other lines and its
 * spans only if it is whole, and one in five hundred would pass for a card number. */
static void
put_trace_id(struct line *line, struct span id)
{
    unsigned char bits[sizeof(u128)];
    if (!span_parse_hex(id, bits, sizeof(bits))) {
        put_text_field(line, "trace", id);
        return;
    }
    if (put_key(line, SPAN("trace"), SPAN("\":\""))) {
        (void)put(line, id);
        put_closing(line, SPAN("\""));
    }
}

size_t
trace_line_format(const struct trace_entry *entry, uint64_t wall_ns, char out[TRACE_LINE_MAX])
{
    struct line line = {0};
    line.data = out;
    char time[TRACE_TIME_SIZE];
    trace_time_format(wall_ns, time);
    (void)put(&line, SPAN("{\"time\":\""));
    (void)put(&line, span_from_cstr(time));
    (void)put(&line, SPAN("\",\"level\":\""));
    (void)put(&line, span_from_cstr(trace_level_name(entry->level)));
    (void)put(&line, SPAN("\""));
    put_text_field(&line, "component", span_from_cstr(entry->component));
    if (entry->trace_id.size > 0) {
        put_trace_id(&line, entry->trace_id);
    }
    put_text_field(&line, "message", entry->message);
    for (size_t i = 0; i < entry->field_count && !line.truncated; i++) {
        if (entry->fields[i].key != NULL) {
            put_field(&line, &entry->fields[i]);
        }
    }
    put_closing(&line, line.truncated ? SPAN(LINE_END) : SPAN("}\n"));
    return line.size;
}

static void
put_decimal(char *out, size_t width, uint64_t value)
{
    for (size_t i = width; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

void
trace_time_format(uint64_t wall_ns, char out[TRACE_TIME_SIZE])
{
    const uint64_t ns_per_ms = 1000000;
    uint64_t ms = wall_ns / ns_per_ms;
    uint64_t second_of_day = ms / 1000 % 86400;
    /* Days since 0000-03-01, so that the leap day ends a year: eras of 400 years are all alike. */
    uint64_t days = ms / 1000 / 86400 + 719468;
    uint64_t era = days / 146097;
    uint64_t day_of_era = days % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    uint64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);
    memcpy(out, "0000-00-00T00:00:00.000Z", TRACE_TIME_SIZE);
    put_decimal(out, 4, year);
    put_decimal(out + 5, 2, month);
    put_decimal(out + 8, 2, day);
    put_decimal(out + 11, 2, second_of_day / 3600);
    put_decimal(out + 14, 2, second_of_day / 60 % 60);
    put_decimal(out + 17, 2, second_of_day % 60);
    put_decimal(out + 20, 3, ms % 1000);
}
