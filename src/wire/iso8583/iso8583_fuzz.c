/* Any bytes as a message, in both dialects: ISO8583-1 to ISO8583-3. */
#include "iso8583/iso8583.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct iso8583_dialect *dialect, struct span text)
{
    static struct iso8583_message message;
    struct iso8583_refusal refusal;
    if (iso8583_decode(dialect, text, &message, &refusal) != ERR_OK) {
        ASSERT(refusal.problem != ISO8583_FINE);
        ASSERT(refusal.field <= ISO8583_FIELDS);
        ASSERT(refusal.position <= text.size);
        return;
    }
    char memory[ISO8583_MESSAGE_MAX];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    ASSERT(iso8583_encode(dialect, &message, &out, &refusal) == ERR_OK);
    ASSERT(span_equal(buf_span(&out), text));
    for (unsigned field = 2; field <= ISO8583_FIELDS; field++) {
        struct span value = iso8583_get(&message, field);
        ASSERT(value.size <= dialect->fields[field].maximum);
        struct span rest = value;
        unsigned tag;
        struct span element;
        while (iso8583_element_next(&rest, &tag, &element)) {
            ASSERT(tag <= 99);
            ASSERT(element.data + element.size == rest.data || rest.size == 0);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct span inside;
    check(&iso8583_ascii, text);
    check(&iso8583_binary, text);
    if (iso8583_frame_read(text, &inside) == ERR_OK) {
        ASSERT(inside.size + ISO8583_FRAME_HEAD <= size);
    }
    return 0;
}
