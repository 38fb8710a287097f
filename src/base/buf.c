#include "base/buf.h"

#include "base/assert.h"
#include "base/u128.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_CAPACITY_FIRST 64
/* Formatted text up to this length needs no memory of its own. */
#define BUF_FORMAT_STACK 512

void
buf_init(struct buf *buf, size_t limit)
{
    *buf = (struct buf){.limit = limit, .owned = true};
}

void
buf_init_fixed(struct buf *buf, void *memory, size_t capacity)
{
    ASSERT(memory != NULL || capacity == 0);
    *buf = (struct buf){.data = memory, .capacity = capacity, .limit = capacity};
}

void
buf_release(struct buf *buf)
{
    if (buf->owned) {
        free(buf->data);
    }
    buf->data = NULL;
    buf->size = 0;
    buf->capacity = 0;
    buf->failed = false;
}

void
buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->failed = false;
}

void
buf_wipe(struct buf *buf)
{
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->capacity);
    }
    buf_clear(buf);
}

static bool
buf_grow(struct buf *buf, size_t needed)
{
    if (!buf->owned) {
        return false;
    }
    size_t capacity = buf->capacity < BUF_CAPACITY_FIRST ? BUF_CAPACITY_FIRST : buf->capacity;
    while (capacity < needed) {
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    }
    if (capacity > buf->limit) {
        capacity = buf->limit == 0 ? 1 : buf->limit;
    }
    char *data = malloc(capacity);
    if (data == NULL) {
        return false;
    }
    /* Not realloc: it would leave a copy of what may be a card number in freed memory. */
    if (buf->data != NULL) {
        memcpy(data, buf->data, buf->size);
        explicit_bzero(buf->data, buf->capacity);
        free(buf->data);
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

char *
buf_reserve(struct buf *buf, size_t size)
{
    ASSERT(buf->size <= buf->limit);
    if (buf->failed) {
        return NULL;
    }
    if (size > buf->limit - buf->size) {
        buf->failed = true;
        return NULL;
    }
    if (buf->data == NULL || size > buf->capacity - buf->size) {
        if (!buf_grow(buf, buf->size + size)) {
            buf->failed = true;
            return NULL;
        }
    }
    return buf->data + buf->size;
}

void
buf_added(struct buf *buf, size_t size)
{
    ASSERT(!buf->failed);
    ASSERT(size <= buf->capacity - buf->size);
    ASSERT(size <= buf->limit - buf->size);
    buf->size += size;
}

void
buf_append(struct buf *buf, const void *data, size_t size)
{
    if (size == 0) {
        return;
    }
    char *room = buf_reserve(buf, size);
    if (room != NULL) {
        memcpy(room, data, size);
        buf->size += size;
    }
}

void
buf_append_span(struct buf *buf, struct span text)
{
    buf_append(buf, text.data, text.size);
}

void
buf_append_cstr(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void
buf_append_byte(struct buf *buf, char byte)
{
    buf_append(buf, &byte, 1);
}

void
buf_append_u64(struct buf *buf, uint64_t value)
{
    buf_append_u128(buf, value);
}

void
buf_append_i64(struct buf *buf, int64_t value)
{
    if (value >= 0) {
        buf_append_u128(buf, (uint64_t)value);
        return;
    }
    char text[1 + U128_DECIMAL_SIZE] = "-";
    size_t digits = u128_format(0 - (uint64_t)value, text + 1);
    buf_append(buf, text, 1 + digits);
}

void
buf_append_u128(struct buf *buf, unsigned __int128 value)
{
    char text[U128_DECIMAL_SIZE];
    buf_append(buf, text, u128_format(value, text));
}

void
buf_append_hex(struct buf *buf, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    size_t text_size;
    if (__builtin_mul_overflow(size, (size_t)2, &text_size)) {
        buf->failed = true;
        return;
    }
    char *room = text_size == 0 ? NULL : buf_reserve(buf, text_size);
    if (room == NULL) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        room[2 * i] = digits[bytes[i] >> 4];
        room[2 * i + 1] = digits[bytes[i] & 15];
    }
    buf_added(buf, text_size);
}

void
buf_append_format(struct buf *buf, const char *format, ...)
{
    if (buf->failed) {
        return;
    }
    char text[BUF_FORMAT_STACK];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length > buf->limit - buf->size) {
        buf->failed = true;
        return;
    }
    if ((size_t)length < sizeof(text)) {
        buf_append(buf, text, (size_t)length);
        return;
    }
    /* vsnprintf wants room for a zero that the buffer's limit does not grant. */
    char *longer = malloc((size_t)length + 1);
    if (longer == NULL) {
        buf->failed = true;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(longer, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buf_append(buf, longer, (size_t)length);
    explicit_bzero(longer, (size_t)length);
    free(longer);
}

void
buf_consume(struct buf *buf, size_t size)
{
    ASSERT(size <= buf->size);
    buf->size -= size;
    if (size > 0 && buf->size > 0) {
        memmove(buf->data, buf->data + size, buf->size);
    }
}
