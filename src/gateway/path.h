/*
 * The one reading of a request's path that routes, limits and services see (RFC 3986 section 6).
 *
 * What two servers might read differently is refused by http_path_check: empty segments ("//"),
 * dot segments, backslashes, control bytes, encoded '/', '\' and NUL; here also dot segments with
 * parameters ("..;a"). What is left is normalised:
 * an encoded byte that need not be is decoded, the hex digits of the others are capitals.
 */
#ifndef GATEWAY_PATH_H
#define GATEWAY_PATH_H

#include "base/err.h"
#include "base/span.h"

/* `out` has room for path.size bytes. ERR_INVALID: more than one reading. */
MUST_USE err_t gateway_path_normalize(struct span path, char *out, struct span *ret_path);

/* Whether `path` is `prefix` or lies below it: "/v1" covers "/v1" and "/v1/a", not "/v1x"; "/v1/"
 * covers only what lies below; "/" covers everything. */
bool gateway_path_is_below(struct span path, struct span prefix);

#endif
