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
