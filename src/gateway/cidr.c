#include "cidr.h"

#include "base/assert.h"
#include "base/ip.h"

#include <arpa/inet.h>
#include <string.h>

#define V4_BITS 96

static bool
is_port(struct span text)
{
    uint64_t port;
    return text.size <= 5 && span_parse_u64(text, &port) && port <= UINT16_MAX;
}

err_t
gateway_ip_parse(struct span text, uint8_t ret_ip[16])
{
    if (text.size > 0 && text.data[0] == '[') {
        size_t end = span_find(text, ']', 0);
        struct span rest = span_slice(text, end + 1, text.size);
        bool good = end < text.size &&
                    (rest.size == 0 || (rest.data[0] == ':' && is_port(span_slice(rest, 1, 9))));
        struct span inside = span_slice(text, 1, end);
        if (!good || span_find(inside, ':', 0) == inside.size) {
            return ERR_INVALID;
        }
        return ip_parse(inside, ret_ip);
    }
    size_t colon = span_find(text, ':', 0);
    bool one_colon = colon < text.size && span_find(text, ':', colon + 1) == text.size;
    if (one_colon) {
        if (!is_port(span_slice(text, colon + 1, text.size))) {
            return ERR_INVALID;
        }
        text = span_slice(text, 0, colon);
    }
    return ip_parse(text, ret_ip);
}

static bool
tail_is_zero(const struct gateway_cidr *cidr)
{
    for (uint32_t bit = cidr->bits; bit < 128; bit++) {
        if ((cidr->ip[bit / 8] >> (7 - bit % 8) & 1) != 0) {
            return false;
        }
    }
    return true;
}

err_t
gateway_cidr_parse(struct span text, struct gateway_cidr *ret_cidr)
{
    size_t slash = span_find(text, '/', 0);
    struct gateway_cidr cidr = {.bits = 128};
    TRY(ip_parse(span_slice(text, 0, slash), cidr.ip));
    if (slash < text.size) {
        struct span digits = span_slice(text, slash + 1, text.size);
        bool v4 = span_find(text, ':', 0) == text.size;
        uint64_t bits;
        if (digits.size > 3 || !span_parse_u64(digits, &bits) || bits > (v4 ? 32U : 128U)) {
            return ERR_INVALID;
        }
        cidr.bits = (uint32_t)bits + (v4 ? V4_BITS : 0);
    }
    if (!tail_is_zero(&cidr)) {
        return ERR_INVALID;
    }
    *ret_cidr = cidr;
    return ERR_OK;
}

bool
gateway_cidr_contains(const struct gateway_cidr *cidr, const uint8_t ip[16])
{
    ASSERT(cidr->bits <= 128);
    size_t whole = cidr->bits / 8;
    uint32_t rest = cidr->bits % 8;
    if (memcmp(cidr->ip, ip, whole) != 0) {
        return false;
    }
    return rest == 0 || (cidr->ip[whole] ^ ip[whole]) >> (8 - rest) == 0;
}

bool
gateway_cidr_any(const struct gateway_cidr *cidrs, size_t count, const uint8_t ip[16])
{
    for (size_t i = 0; i < count; i++) {
        if (gateway_cidr_contains(&cidrs[i], ip)) {
            return true;
        }
    }
    return false;
}

size_t
gateway_ip_format(const uint8_t ip[16], char out[GATEWAY_IP_TEXT_SIZE])
{
    bool v4 = ip_is_v4(ip);
    const char *text =
        inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip + 12 : ip, out, GATEWAY_IP_TEXT_SIZE);
    ASSERT(text != NULL);
    return strlen(text);
}
