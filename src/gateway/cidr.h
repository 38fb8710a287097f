/* Networks of addresses: "203.0.113.0/24", "2001:db8::/32", or one address (RFC 4632, 4291). */
#ifndef GATEWAY_CIDR_H
#define GATEWAY_CIDR_H

#include "base/err.h"
#include "base/span.h"

/* Addresses are 16 bytes; IPv4 is ::ffff:a.b.c.d, as net_address holds it. */
struct gateway_cidr {
    uint8_t ip[16];
    uint32_t bits; /* 0 to 128; of an IPv4 network 96 and more */
};

/* ERR_INVALID: malformed, or bits are set behind the prefix, which is a slip more often than not.
 */
MUST_USE err_t gateway_cidr_parse(struct span text, struct gateway_cidr *ret_cidr);
/* An address alone. IPv6 may be in brackets; a port may follow ("1.2.3.4:80", "[::1]:80"), as
 * proxies write them (RFC 7239 section 6). */
MUST_USE err_t gateway_ip_parse(struct span text, uint8_t ret_ip[16]);
bool gateway_cidr_contains(const struct gateway_cidr *cidr, const uint8_t ip[16]);
/* Whether any of them does. */
bool gateway_cidr_any(const struct gateway_cidr *cidrs, size_t count, const uint8_t ip[16]);

/* "203.0.113.7" or "2001:db8::1" and a zero; returns the length. */
#define GATEWAY_IP_TEXT_SIZE 48
size_t gateway_ip_format(const uint8_t ip[16], char out[GATEWAY_IP_TEXT_SIZE]);

#endif
