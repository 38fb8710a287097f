/* Any bytes as the claims of a trusted proxy: what comes out can be read again, and stays short. */
#include "forwarded.h"

#include "base/assert.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char memory[16384];
    static const struct http_limits limits = {
        .target = 64, .head = sizeof(memory), .fields = 8, .body = 1};
    static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\n";
    if (size == 0 || size > 8192) {
        return 0;
    }
    const char *name = (data[0] & 1) != 0 ? "X-Forwarded-For: " : "Forwarded: ";
    struct buf text;
    buf_init_fixed(&text, memory, sizeof(memory));
    buf_append_cstr(&text, start);
    buf_append_cstr(&text, name);
    buf_append(&text, data + 1, size - 1);
    buf_append_cstr(&text, "\r\n\r\n");
    struct http_parser parser;
    http_parser_begin_request(&parser, &limits);
    if (http_parser_feed(&parser, buf_span(&text)) != HTTP_DONE) {
        return 0;
    }
    static const struct gateway_cidr everybody = {.bits = 0};
    const uint8_t peer[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};
    struct gateway_forwarded forwarded;
    gateway_forwarded_read(&parser.head, peer, true, &everybody, 1, &forwarded);
    ASSERT(forwarded.hop_count >= 1);
    ASSERT(forwarded.hop_count <= GATEWAY_HOPS_MAX);
    ASSERT(memcmp(forwarded.hops[forwarded.hop_count - 1], peer, sizeof(peer)) == 0);
    struct buf out;
    buf_init(&out, 8192);
    gateway_forwarded_write(&forwarded, &out);
    struct gateway_hop hops[GATEWAY_ELEMENTS_MAX];
    size_t count;
    err_t read_back = gateway_forwarded_decode(buf_span(&out), hops, &count);
    ASSERT(read_back == ERR_OK);
    ASSERT(count == forwarded.hop_count);
    for (size_t i = 0; i < count; i++) {
        ASSERT(hops[i].known);
        ASSERT(memcmp(hops[i].ip, forwarded.hops[i], sizeof(hops[i].ip)) == 0);
    }
    buf_release(&out);
    return 0;
}
