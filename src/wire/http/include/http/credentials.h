/* What an Authorization header says, of the two schemes that carry a secret as it is. */
#ifndef HTTP_CREDENTIALS_H
#define HTTP_CREDENTIALS_H

#include "base/err.h"
#include "base/span.h"

/* Reads the value of the header: the token of Bearer (RFC 6750 section 2.1), or the user name of
 * Basic (RFC 7617), whose password must be empty. The secret lives in `value`, or in the `room`
 * bytes of `memory`, for which value.size is always enough. An absent header (empty value) gives
 * the empty secret. ERR_INVALID: another scheme, or not what the scheme asks for; ERR_FULL: no
 * room. */
MUST_USE err_t
http_credentials_read(struct span value, char *memory, size_t room, struct span *ret_secret);

#endif
