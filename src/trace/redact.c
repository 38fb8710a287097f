#include "trace/redact.h"

#include "base/assert.h"

#include <string.h>

/* ISO/IEC 7812-1. */
#define PAN_DIGITS_MIN   13
#define PAN_DIGITS_MAX   19
#define MASK_SHOWN_FIRST 6
#define MASK_SHOWN_LAST  4
#define MASK_STARS_MAX   32

static_assert(MASK_SHOWN_FIRST + MASK_STARS_MAX + MASK_SHOWN_LAST == TRACE_MASK_MAX, "mask");
static_assert(PAN_DIGITS_MIN > MASK_SHOWN_FIRST + MASK_SHOWN_LAST, "something is hidden");

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_separator(char byte)
{
    return byte == ' ' || byte == '-' || byte == '+';
}

static size_t
group_end(struct span text, size_t at)
{
    while (at < text.size && is_digit(text.data[at])) {
        at++;
    }
    return at;
}

/* The next group of the same row behind one that ends at `end`, or text.size. */
static size_t
next_group(struct span text, size_t end)
{
    bool joined =
        end + 1 < text.size && is_separator(text.data[end]) && is_digit(text.data[end + 1]);
    return joined ? end + 1 : text.size;
}

/* Digits at even places from the right are doubled (ISO/IEC 7812-1 annex B). */
static bool
passes_luhn(const char *digits, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(digits[count - 1 - i] - '0');
        if (i % 2 == 1) {
            digit = digit < 5 ? digit * 2 : digit * 2 - 9;
        }
        sum += digit;
    }
    return sum % 10 == 0;
}

/* The end of the longest card number that begins with the group at `at`, or `at` if none does. */
static size_t
number_end(struct span text, size_t at)
{
    char digits[PAN_DIGITS_MAX];
    size_t count = 0;
    size_t found = at;
    for (size_t group = at; group < text.size;) {
        size_t end = group_end(text, group);
        if (end - group > PAN_DIGITS_MAX - count) {
            break;
        }
        memcpy(digits + count, text.data + group, end - group);
        count += end - group;
        if (count >= PAN_DIGITS_MIN && passes_luhn(digits, count)) {
            found = end;
        }
        group = next_group(text, end);
    }
    explicit_bzero(digits, sizeof(digits));
    return found;
}

/* The same with all numbers that overlap it: a longer accident must not uncover the end of a real
 * one. */
static size_t
numbers_end(struct span text, size_t at)
{
    size_t end = number_end(text, at);
    for (size_t group = at; group < end; group = next_group(text, group_end(text, group))) {
        size_t other = number_end(text, group);
        end = other > end && other > group ? other : end;
    }
    return end;
}

static size_t
mask_digits(struct span number, char mask[TRACE_MASK_MAX])
{
    size_t total = 0;
    for (size_t i = 0; i < number.size; i++) {
        total += is_digit(number.data[i]);
    }
    ASSERT(total >= PAN_DIGITS_MIN);
    size_t hidden = total - MASK_SHOWN_FIRST - MASK_SHOWN_LAST;
    size_t stars = hidden > MASK_STARS_MAX ? MASK_STARS_MAX : hidden;
    size_t size = 0;
    size_t place = 0;
    for (size_t i = 0; i < number.size; i++) {
        if (!is_digit(number.data[i])) {
            continue;
        }
        bool shown = place < MASK_SHOWN_FIRST || place >= total - MASK_SHOWN_LAST;
        if (shown) {
            mask[size++] = number.data[i];
        } else if (place - MASK_SHOWN_FIRST < stars) {
            mask[size++] = '*';
        }
        place++;
    }
    ASSERT(size <= TRACE_MASK_MAX);
    return size;
}

void
trace_redactor_init(struct trace_redactor *redactor, struct span text)
{
    redactor->text = text;
    redactor->at = 0;
}

bool
trace_redactor_next(struct trace_redactor *redactor, struct span *ret_piece)
{
    struct span text = redactor->text;
    size_t from = redactor->at;
    if (from >= text.size) {
        return false;
    }
    size_t to = from;
    if (!is_digit(text.data[from])) {
        while (to < text.size && !is_digit(text.data[to])) {
            to++;
        }
        redactor->at = to;
        *ret_piece = span_slice(text, from, to);
        return true;
    }
    to = numbers_end(text, from);
    if (to > from) {
        size_t size = mask_digits(span_slice(text, from, to), redactor->mask);
        redactor->at = to;
        *ret_piece = span_of(redactor->mask, size);
        return true;
    }
    redactor->at = group_end(text, from);
    *ret_piece = span_slice(text, from, redactor->at);
    return true;
}

void
trace_redact(struct span text, struct buf *out)
{
    struct trace_redactor redactor;
    struct span piece;
    trace_redactor_init(&redactor, text);
    while (trace_redactor_next(&redactor, &piece)) {
        buf_append_span(out, piece);
    }
}

static bool
is_word_byte(char byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool
word_is_secret(struct span word)
{
    static const char *const words[] = {
        "cvc",
        "cvv",
        "number",
        "pan",
        "pin",
        "track",
        "secret",
        "password",
        "authorization",
        "key",
        "token",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_equal_nocase(word, span_from_cstr(words[i]))) {
            return true;
        }
    }
    return false;
}

bool
trace_name_is_secret(struct span name)
{
    size_t at = 0;
    while (at < name.size) {
        size_t from = at;
        while (at < name.size && is_word_byte(name.data[at])) {
            at++;
        }
        if (word_is_secret(span_slice(name, from, at))) {
            return true;
        }
        at++;
    }
    return false;
}
