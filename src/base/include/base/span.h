/*
 * A span is a borrowed view of bytes: it owns nothing, and is not terminated by a zero. Text that
 * came from outside travels as spans only, so a zero byte in it cannot shorten it.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const char *data; /* may be NULL when size is 0 */
    size_t size;      /* bytes */
};

/* A span over a string literal. */
#define SPAN(literal) ((struct span){.data = "" literal, .size = sizeof(literal) - 1})
#define SPAN_EMPTY    ((struct span){.data = NULL, .size = 0})
/* For printf("%.*s"). */
#define SPAN_PRINTF(span) (int)(span).size, (span).data

struct span span_of(const void *data, size_t size);
/* NULL gives the empty span. */
struct span span_from_cstr(const char *text);
bool span_equal(struct span a, struct span b);
bool span_equal_cstr(struct span a, const char *b);
/* ASCII case only, as HTTP header names compare (RFC 9110 section 5.1). */
bool span_equal_nocase(struct span a, struct span b);
/* Takes time that depends on the sizes only; for secrets. */
bool span_equal_secret(struct span a, struct span b);
/* memcmp order, a shorter prefix first. */
int span_compare(struct span a, struct span b);
bool span_starts_with(struct span text, struct span prefix);
bool span_ends_with(struct span text, struct span suffix);
/* Bytes [from, to); both are cut to the size. */
struct span span_slice(struct span text, size_t from, size_t to);
/* Position of the first `byte` at or after `from`, or text.size if there is none. */
size_t span_find(struct span text, char byte, size_t from);
/* Without spaces and tabs at both ends. */
struct span span_trim(struct span text);
/* Splits at the first `separator`: returns what is before it and moves `rest` behind it; without
 * one returns all and leaves `rest` empty. */
struct span span_cut(struct span *rest, char separator);

/* Decimal digits only, no sign, no space, at least one digit; false if it does not fit. */
bool span_parse_u64(struct span text, uint64_t *ret_value);
/* The same with an optional leading minus. */
bool span_parse_i64(struct span text, int64_t *ret_value);
/* The value of a hexadecimal digit of either case, or -1. */
int span_hex_digit(char digit);
/* Exactly 2 * size lower-case hexadecimal digits, as buf_append_hex writes them. False: `out` is
 * not to be used. */
bool span_parse_hex(struct span text, void *out, size_t size);
/* Valid UTF-8 without surrogates and overlong forms (RFC 3629 section 3). */
bool span_is_utf8(struct span text);

#endif
