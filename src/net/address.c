#include "address.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void
net_address_from_system(const struct sockaddr *system, struct net_address *ret_address)
{
    *ret_address = (struct net_address){0};
    if (system->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, system, sizeof(in));
        memcpy(ret_address->ip, mapped_prefix, sizeof(mapped_prefix));
        memcpy(ret_address->ip + sizeof(mapped_prefix), &in.sin_addr, 4);
        ret_address->port = ntohs(in.sin_port);
    } else if (system->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, system, sizeof(in6));
        memcpy(ret_address->ip, &in6.sin6_addr, sizeof(ret_address->ip));
        ret_address->port = ntohs(in6.sin6_port);
    }
}

bool
net_address_to_system(
    const char *text, uint16_t port, struct sockaddr_storage *ret_system, socklen_t *ret_size)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(ret_system, 0, sizeof(*ret_system));
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(ret_system, &in, sizeof(in));
        *ret_size = sizeof(in);
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
        memcpy(ret_system, &in6, sizeof(in6));
        *ret_size = sizeof(in6);
        return true;
    }
    return false;
}

uint16_t
net_address_port(const struct sockaddr_storage *system)
{
    struct net_address address;
    net_address_from_system((const struct sockaddr *)system, &address);
    return address.port;
}

void
net_address_format_host(const struct net_address *address, char out[NET_HOST_TEXT_SIZE])
{
    bool mapped = memcmp(address->ip, mapped_prefix, sizeof(mapped_prefix)) == 0;
    const char *text = mapped ? inet_ntop(AF_INET, address->ip + 12, out, NET_HOST_TEXT_SIZE)
                              : inet_ntop(AF_INET6, address->ip, out, NET_HOST_TEXT_SIZE);
    ASSERT(text != NULL);
}

void
net_address_format(const struct net_address *address, char out[NET_ADDRESS_TEXT_SIZE])
{
    char ip[NET_HOST_TEXT_SIZE];
    bool mapped = memcmp(address->ip, mapped_prefix, sizeof(mapped_prefix)) == 0;
    net_address_format_host(address, ip);
    (void)snprintf(
        out, NET_ADDRESS_TEXT_SIZE, mapped ? "%s:%u" : "[%s]:%u", ip, (unsigned)address->port);
}

/* ------------------------------------------------------------------------------------- reach */

/* Addresses whose first `bits` are those of `ip`. */
struct block {
    uint8_t ip[16];
    uint8_t bits;
};

static bool
is_in(const uint8_t ip[16], const struct block *block)
{
    size_t whole = block->bits / 8U;
    uint8_t mask = (uint8_t)(0xff00U >> (block->bits % 8U));
    return memcmp(ip, block->ip, whole) == 0 &&
           (block->bits % 8U == 0 || ((ip[whole] ^ block->ip[whole]) & mask) == 0);
}

static bool
is_in_any(const uint8_t ip[16], const struct block *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_in(ip, &blocks[i])) {
            return true;
        }
    }
    return false;
}

#define IN_ANY(ip, blocks) is_in_any(ip, blocks, sizeof(blocks) / sizeof((blocks)[0]))
#define V4(a, b, c, d, prefix)                                                                     \
    {                                                                                              \
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}, 96 + (prefix)                      \
    }

/* IPv6 addresses that carry an IPv4 one, which then is what counts: where it stands in them. */
struct carrier {
    struct block block;
    uint8_t at;
};

static const struct carrier carriers[] = {
    {{{0x00, 0x64, 0xff, 0x9b}, 96}, 12},             /* NAT64, RFC 6052 */
    {{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48}, 12}, /* a network's own NAT64, RFC 8215 */
    {{{[8] = 0xff, [9] = 0xff}, 96}, 12},             /* IPv4-translated, RFC 2765 section 2.1 */
    {{{0x20, 0x02}, 16}, 2},                          /* 6to4, RFC 3056 */
    {{{0}, 96}, 12}, /* IPv4-compatible, RFC 4291 section 2.5.5.1; :: and ::1 */
};

/* Where clouds hand their machines credentials: link-local addresses, and what single clouds have
 * taken for it instead, public addresses among them. */
static const struct block credentials[] = {
    V4(169, 254, 0, 0, 16),
    {{0xfe, 0x80}, 10},
    {{0xfd, 0x00, 0x0e, 0xc2}, 32}, /* Amazon */
    {{0xfd, 0x20, 0x00, 0xce}, 32}, /* Google */
    V4(168, 63, 129, 16, 32),       /* Azure's WireServer */
    V4(100, 100, 100, 200, 32),     /* Alibaba */
    V4(192, 0, 0, 192, 32),         /* Oracle */
};
/* The registries' entries that are not globally reachable, and multicast: RFC 6890 and what came
 * after it (iana-ipv4-special-registry, iana-ipv6-special-registry). */
static const struct block special[] = {
    V4(0, 0, 0, 0, 8),
    V4(10, 0, 0, 0, 8),
    V4(100, 64, 0, 0, 10),
    V4(127, 0, 0, 0, 8),
    V4(172, 16, 0, 0, 12),
    V4(192, 0, 0, 0, 24),
    V4(192, 0, 2, 0, 24),
    V4(192, 88, 99, 0, 24),
    V4(192, 168, 0, 0, 16),
    V4(198, 18, 0, 0, 15),
    V4(198, 51, 100, 0, 24),
    V4(203, 0, 113, 0, 24),
    V4(224, 0, 0, 0, 3), /* multicast, reserved, broadcast */
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48},
    {{[8] = 0xff, [9] = 0xff}, 96},
    {{0x20, 0x01, 0x00}, 23},
    {{0x20, 0x01, 0x0d, 0xb8}, 32},
    {{0x3f, 0xff, 0x00}, 20},
};
/* Whatever else is global is in here: RFC 4291 section 2.5.4 as IANA assigns it. */
static const struct block global_v6 = {{0x20}, 3};

static bool
is_public(const uint8_t ip[16])
{
    bool is_v4 = memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) == 0;
    return (is_v4 || is_in(ip, &global_v6)) && !IN_ANY(ip, special);
}

bool
net_address_is_within(const struct net_address *address, enum net_reach reach)
{
    if (reach == NET_REACH_ANY) {
        return true;
    }
    uint8_t ip[16];
    memcpy(ip, address->ip, sizeof(ip));
    for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
        if (is_in(ip, &carriers[i].block)) {
            uint8_t inner[4];
            memcpy(inner, ip + carriers[i].at, sizeof(inner));
            memcpy(ip, mapped_prefix, sizeof(mapped_prefix));
            memcpy(ip + sizeof(mapped_prefix), inner, sizeof(inner));
            break;
        }
    }
    if (IN_ANY(ip, credentials)) {
        return false;
    }
    return reach == NET_REACH_LOCAL || (is_public(ip) && !IN_ANY(address->ip, special));
}
