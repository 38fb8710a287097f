/* The API key of a request (RFC 7617, RFC 6750). */
#ifndef API_CREDENTIALS_H
#define API_CREDENTIALS_H

#include "base/arena.h"
#include "base/err.h"

/* Reads the value of an Authorization header: the user name of Basic, whose password must be
 * empty, or the token of Bearer. The key lives in `value` or in the arena. An absent header
 * (empty value) gives the empty key. ERR_INVALID: another scheme, or not what the scheme asks for;
 * ERR_FULL: the arena is full. */
MUST_USE err_t api_credentials_read(struct span value, struct arena *arena, struct span *ret_key);

#endif
