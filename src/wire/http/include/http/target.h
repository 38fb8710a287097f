/* What the bytes of a request target mean: percent-encoding and safe paths (RFC 3986). */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "base/buf.h"
#include "http/http.h"

/* Accepts only a path that has one reading: it begins with '/', every % is followed by two hex
 * digits, and it has no empty segment inside ("//"), no "." or ".." segment, no backslash, no
 * control byte, also after decoding, and no encoded '/', '\' or NUL. A '/' at the end is allowed.
 * ERR_INVALID otherwise. Gateways and routers call it before they look at a path. */
MUST_USE err_t http_path_check(struct span path);

/* Decodes %XX into `out`, which has room for text.size bytes; `out` may be text.data itself.
 * '+' stays '+'. ERR_INVALID for a % without two hex digits. */
MUST_USE err_t http_percent_decode(struct span text, char *out, size_t *ret_size);

/* Appends `text` with every byte percent-encoded that is not unreserved (RFC 3986 section 2.3). */
void http_percent_encode(struct buf *out, struct span text);

#endif
