#include "key.h"

#include "base/assert.h"
#include "http/credentials.h"

#include <string.h>

#define PREFIX_SIZE 8 /* sk_test_, sk_live_ */
/* Behind the prefix; the last four are shown, so there must be more. */
#define RANDOM_SIZE_MIN 8
#define SHOWN_TAIL      4

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
    struct span text;
    err_t result = http_credentials_read(authorization, memory, GATEWAY_KEY_SIZE_MAX + 1, &text);
    return result == ERR_OK ? classify(text, ret_key) : ERR_INVALID;
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
