/*
 * Base 64 (RFC 4648 section 4), padded and without a bit that is not used: whatever has a text has
 * one. Pure.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Characters that so many bytes become, and the most bytes that so many characters do. */
#define BASE64_TEXT_SIZE(bytes)     (((bytes) + 2) / 3 * 4)
#define BASE64_BYTES_MAX(text_size) ((text_size) / 4 * 3)

/* Appends. */
void base64_encode(struct buf *out, struct span bytes);
/* `out` has room for BASE64_BYTES_MAX. False: the text is none, and *ret_position says where. */
bool base64_decode(struct span text, void *out, size_t *ret_size, size_t *ret_position);

#endif
