/* Addresses that a merchant gives for its customers to go to. */
#ifndef PAYMENTS_URL_H
#define PAYMENTS_URL_H

#include "base/span.h"

#include <stdbool.h>

/* An absolute URI of printable ASCII whose scheme takes a browser somewhere: it may stand in a
 * Location header and in a link. */
bool payments_url_is_sound(struct span url);

/* What a page's address ends in: "<id>_<secret>". */
bool payments_url_read_token(struct span token, struct span *ret_id, struct span *ret_secret);

#endif
