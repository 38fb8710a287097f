/*
 * Any bytes as a code that a payer shows: as its base64, and as what is in it. What is accepted
 * lies within what was decoded, and every template is filled by its children.
 */
#include "emvqr/consumer.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(struct span text)
{
    uint8_t memory[EMVQR_CONSUMER_BYTES_MAX];
    struct emvqr_consumer code;
    struct emvqr_refusal refusal;
    if (emvqr_consumer_parse(text, memory, &code, &refusal) != ERR_OK) {
        ASSERT(refusal.problem != EMVQR_FINE);
        return;
    }
    ASSERT(code.application_count > 0);
    for (uint32_t i = 0; i < code.node_count; i++) {
        const struct emvqr_consumer_node *node = &code.nodes[i];
        const char *start = code.decoded.data;
        ASSERT(node->value.data >= start);
        ASSERT(node->value.data + node->value.size <= start + code.decoded.size);
        ASSERT(node->depth < EMVQR_CONSUMER_DEPTH_MAX);
        for (uint32_t c = 0; c < node->child_count; c++) {
            ASSERT(code.nodes[node->first_child + c].parent == i);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[EMVQR_CONSUMER_TEXT_MAX];
    size_t length = 0;
    check(span_of(data, size));
    for (size_t i = 0; i < size && length < sizeof(text); i += 3) {
        uint32_t group = 0;
        size_t count = size - i < 3 ? size - i : 3;
        for (size_t b = 0; b < 3; b++) {
            group = (group << 8) | (b < count ? data[i + b] : 0U);
        }
        for (size_t b = 0; b < 4; b++) {
            text[length++] = b <= count ? digits[(group >> (18 - 6 * b)) & 63U] : '=';
        }
    }
    check(span_of(text, length));
    return 0;
}
