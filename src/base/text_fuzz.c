/* What reads text reads back what it writes: numbers, base 64, ids and currencies; splitting
 * loses nothing. */
#include "base/assert.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/money.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
t_numbers(struct span text)
{
    char memory[64];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    uint64_t u64;
    int64_t i64;
    u128 wide;
    if (span_parse_u64(text, &u64)) {
        ASSERT(u128_parse(text, &wide) && wide == u64);
        uint64_t back;
        buf_append_u64(&out, u64);
        ASSERT(span_parse_u64(buf_span(&out), &back) && back == u64);
        ASSERT(span_ends_with(text, buf_span(&out)));
    }
    if (span_parse_i64(text, &i64)) {
        int64_t back;
        buf_clear(&out);
        buf_append_i64(&out, i64);
        ASSERT(span_parse_i64(buf_span(&out), &back) && back == i64);
    }
    if (u128_parse(text, &wide)) {
        buf_clear(&out);
        buf_append_u128(&out, wide);
        ASSERT(span_ends_with(text, buf_span(&out)));
    }
}

static void
t_base64(struct span text)
{
    enum {
        TEXT_MAX = 1024
    };

    char bytes[BASE64_BYTES_MAX(TEXT_MAX)];
    char memory[TEXT_MAX];
    size_t size;
    size_t position;
    struct buf out;
    if (text.size > TEXT_MAX) {
        return;
    }
    if (!base64_decode(text, bytes, &size, &position)) {
        ASSERT(position <= text.size);
        return;
    }
    buf_init_fixed(&out, memory, sizeof(memory));
    base64_encode(&out, span_of(bytes, size));
    ASSERT(span_equal(buf_span(&out), text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    t_numbers(text);
    t_base64(text);
    u128 id;
    if (id_parse("pi_", text, &id)) {
        char back[ID_TEXT_SIZE];
        ASSERT(span_equal(span_of(back, id_format("pi_", id, back)), text));
    }
    const struct currency *currency = currency_find(text);
    ASSERT(currency == NULL || span_equal_nocase(span_from_cstr(currency->code), text));

    size_t pieces = 0;
    size_t bytes = 0;
    for (struct span rest = text; rest.size > 0; pieces++) {
        struct span piece = span_cut(&rest, ',');
        bytes += piece.size;
        ASSERT(span_find(piece, ',', 0) == piece.size);
        /* A separator that ends a character's bytes would make its parts valid alone. */
        ASSERT(!span_is_utf8(text) || span_is_utf8(piece));
    }
    bool ends_with_separator = size > 0 && data[size - 1] == ',';
    ASSERT(size == 0 || bytes + pieces == size + (ends_with_separator ? 0 : 1));
    return 0;
}
