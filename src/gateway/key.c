#include "key.h"

#include "base/assert.h"

#include <string.h>

#define PREFIX_SIZE 8 /* sk_test_, sk_live_ */
/* Behind the prefix; the last four are shown, so there must be more. */
#define RANDOM_SIZE_MIN 8
#define SHOWN_TAIL      4

static int
base64_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* RFC 4648 section 4; padding may be missing, as some clients leave it out. */
static err_t
base64_decode(struct span text, char memory[GATEWAY_KEY_SIZE_MAX + 1], struct span *ret_bytes)
{
    for (size_t pad = 0; pad < 2 && text.size > 0 && text.data[text.size - 1] == '='; pad++) {
        text.size--;
    }
    if (text.size % 4 == 1 || text.size / 4 * 3 + 3 > GATEWAY_KEY_SIZE_MAX) {
        return ERR_INVALID;
    }
    size_t size = 0;
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    for (size_t i = 0; i < text.size; i++) {
        int value = base64_value(text.data[i]);
        if (value < 0) {
            return ERR_INVALID;
        }
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            memory[size++] = (char)(bits >> bit_count & 0xff);
        }
    }
    *ret_bytes = span_of(memory, size);
    return ERR_OK;
}

/* A user name that is the key, and a password that is empty: anything else is a mistake. */
static err_t
read_basic(struct span encoded, char memory[GATEWAY_KEY_SIZE_MAX + 1], struct span *ret_text)
{
    struct span pair;
    TRY(base64_decode(encoded, memory, &pair));
    size_t colon = span_find(pair, ':', 0);
    if (colon + 1 != pair.size) {
        return ERR_INVALID;
    }
    *ret_text = span_slice(pair, 0, colon);
    return ERR_OK;
}

static enum gateway_key_kind
kind_of(char letter)
{
    switch (letter) {
    case 's':
        return GATEWAY_KEY_SECRET;
    case 'r':
        return GATEWAY_KEY_RESTRICTED;
    case 'p':
        return GATEWAY_KEY_PUBLISHABLE;
    default:
        return GATEWAY_KEY_NONE;
    }
}

static bool
is_key_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_';
}

static err_t
classify(struct span text, struct gateway_key *ret_key)
{
    if (text.size < PREFIX_SIZE + RANDOM_SIZE_MIN || text.size > GATEWAY_KEY_SIZE_MAX) {
        return ERR_INVALID;
    }
    enum gateway_key_kind kind = kind_of(text.data[0]);
    struct span mode = span_slice(text, 1, PREFIX_SIZE);
    bool live = span_equal(mode, SPAN("k_live_"));
    if (kind == GATEWAY_KEY_NONE || (!live && !span_equal(mode, SPAN("k_test_")))) {
        return ERR_INVALID;
    }
    for (size_t i = PREFIX_SIZE; i < text.size; i++) {
        if (!is_key_byte(text.data[i])) {
            return ERR_INVALID;
        }
    }
    *ret_key = (struct gateway_key){.kind = kind, .live = live, .text = text};
    return ERR_OK;
}

err_t
gateway_key_read(
    struct span authorization, char memory[GATEWAY_KEY_SIZE_MAX + 1], struct gateway_key *ret_key)
{
    *ret_key = (struct gateway_key){.kind = GATEWAY_KEY_NONE};
    if (authorization.size == 0) {
        return ERR_OK;
    }
    struct span rest = authorization;
    struct span scheme = span_cut(&rest, ' ');
    struct span text = span_trim(rest);
    if (span_equal_nocase(scheme, SPAN("basic"))) {
        TRY(read_basic(text, memory, &text));
    } else if (!span_equal_nocase(scheme, SPAN("bearer"))) {
        return ERR_INVALID;
    }
    return classify(text, ret_key);
}

struct span
gateway_key_show(const struct gateway_key *key, char out[GATEWAY_KEY_SHOWN_SIZE])
{
    if (key->kind == GATEWAY_KEY_NONE) {
        return SPAN_EMPTY;
    }
    ASSERT(key->text.size >= PREFIX_SIZE + RANDOM_SIZE_MIN);
    memcpy(out, key->text.data, PREFIX_SIZE);
    memcpy(out + PREFIX_SIZE, "...", 3);
    memcpy(out + PREFIX_SIZE + 3, key->text.data + key->text.size - SHOWN_TAIL, SHOWN_TAIL);
    return span_of(out, PREFIX_SIZE + 3 + SHOWN_TAIL);
}

const char *
gateway_key_kind_name(enum gateway_key_kind kind)
{
    switch (kind) {
    case GATEWAY_KEY_NONE:
        return "none";
    case GATEWAY_KEY_SECRET:
        return "secret";
    case GATEWAY_KEY_RESTRICTED:
        return "restricted";
    case GATEWAY_KEY_PUBLISHABLE:
        return "publishable";
    }
    UNREACHABLE();
}
