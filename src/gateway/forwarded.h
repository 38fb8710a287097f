/*
 * Who the client is, when proxies stand before us: decoding X-Forwarded-For, X-Forwarded-Proto,
 * X-Forwarded-Host and Forwarded (RFC 7239), and making them anew for the service.
 *
 * FORWARDED-1  Without a trusted proxy as the peer nothing that the request claims counts.
 * FORWARDED-2  The chain is read from its end, and only as far as each hop was a trusted proxy: the
 *              client is the first address that is none. What stands before it is dropped.
 * FORWARDED-3  What is passed on was made from addresses that were read, never copied.
 */
#ifndef GATEWAY_FORWARDED_H
#define GATEWAY_FORWARDED_H

#include "cidr.h"

#include "http/parser.h"

#include "base/buf.h"

/* Addresses of one request; a longer chain is cut to its last ones. */
#define GATEWAY_HOPS_MAX 16

struct gateway_forwarded {
    uint8_t hops[GATEWAY_HOPS_MAX][16]; /* the client first, our peer last */
    uint32_t hop_count;                 /* at least 1 */
    bool https;                         /* as the client spoke */
    struct span host;                   /* that the client asked for; of the head's memory */
};

/* `peer` and `tls` are of the connection. */
void gateway_forwarded_read(
    const struct http_head *head,
    const uint8_t peer[16],
    bool tls,
    const struct gateway_cidr *trusted,
    size_t trusted_count,
    struct gateway_forwarded *ret_forwarded);

/* The addresses of a Forwarded header's `for` parameters, in order; an element without one, or with
 * an obfuscated or unknown one, is `known` false. ERR_INVALID: malformed; ERR_FULL: too many. */
struct gateway_hop {
    bool known;
    uint8_t ip[16];
};

#define GATEWAY_ELEMENTS_MAX 64
MUST_USE err_t gateway_forwarded_decode(
    struct span value, struct gateway_hop hops[GATEWAY_ELEMENTS_MAX], size_t *ret_count);

/* "203.0.113.7, 10.0.0.1" */
void gateway_forwarded_write_for(const struct gateway_forwarded *forwarded, struct buf *out);
/* "for=203.0.113.7;host=\"api.example.com\";proto=https, for=\"[2001:db8::1]\"" */
void gateway_forwarded_write(const struct gateway_forwarded *forwarded, struct buf *out);

#endif
