#include "base/ip.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool
ip_is_v4(const uint8_t ip[16])
{
    return memcmp(ip, v4_prefix, sizeof(v4_prefix)) == 0;
}

err_t
ip_parse(struct span text, uint8_t ret_ip[16])
{
    char memory[IP_TEXT_SIZE];
    uint8_t v4[4];
    if (text.size == 0 || text.size >= sizeof(memory) || span_find(text, '\0', 0) < text.size) {
        return ERR_INVALID;
    }
    memcpy(memory, text.data, text.size);
    memory[text.size] = '\0';
    if (inet_pton(AF_INET, memory, v4) == 1) {
        memcpy(ret_ip, v4_prefix, sizeof(v4_prefix));
        memcpy(ret_ip + sizeof(v4_prefix), v4, sizeof(v4));
        return ERR_OK;
    }
    return inet_pton(AF_INET6, memory, ret_ip) == 1 ? ERR_OK : ERR_INVALID;
}

bool
ip_port_split(struct span text, struct span *ret_host, uint16_t *ret_port)
{
    size_t colon = text.size;
    uint64_t port;
    for (size_t i = 0; i < text.size; i++) {
        colon = text.data[i] == ':' ? i : colon; /* the last one */
    }
    if (!span_parse_u64(span_slice(text, colon + 1, text.size), &port) || port > UINT16_MAX) {
        return false;
    }
    struct span host = span_slice(text, 0, colon);
    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = span_slice(host, 1, host.size - 1);
    } else if (host.size == 0 || span_find(host, ':', 0) != host.size) {
        return false;
    }
    *ret_host = host;
    *ret_port = (uint16_t)port;
    return true;
}
