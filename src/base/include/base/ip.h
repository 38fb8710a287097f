/* Numeric addresses of the internet as 16 bytes; IPv4 is ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2).
 */
#ifndef BASE_IP_H
#define BASE_IP_H

#include "base/err.h"
#include "base/span.h"

/* The longest text of one, and a zero. */
#define IP_TEXT_SIZE 48

/* "203.0.113.7" or "2001:db8::1" (RFC 4291 section 2.2), and nothing else: no brackets, port or
 * zone. ERR_INVALID. Any thread. */
MUST_USE err_t ip_parse(struct span text, uint8_t ret_ip[16]);
bool ip_is_v4(const uint8_t ip[16]);

/* "HOST:PORT" or "[V6]:PORT" apart: the host is a part of `text`, not empty, without the brackets;
 * what it may consist of is for the caller to say. A port is of 0 to 65535. False: it is neither.
 * Any thread. */
bool ip_port_split(struct span text, struct span *ret_host, uint16_t *ret_port);

#endif
