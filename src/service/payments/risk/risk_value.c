#include "risk_value.h"

#include "base/assert.h"
#include "base/ip.h"

#include <string.h>

const char *const payments_risk_item_names[PAYMENTS_RISK_ITEMS + 1] = {
    [PAYMENTS_RISK_CARD_BIN] = "card_bin",
    [PAYMENTS_RISK_CARD_FINGERPRINT] = "card_fingerprint",
    [PAYMENTS_RISK_CASE_SENSITIVE_STRING] = "case_sensitive_string",
    [PAYMENTS_RISK_COUNTRY] = "country",
    [PAYMENTS_RISK_CUSTOMER_ID] = "customer_id",
    [PAYMENTS_RISK_EMAIL] = "email",
    [PAYMENTS_RISK_IP_ADDRESS] = "ip_address",
    [PAYMENTS_RISK_STRING] = "string",
};

bool
payments_risk_item_parse(struct span name, enum payments_risk_item *ret_item)
{
    for (int i = 0; i < PAYMENTS_RISK_ITEMS; i++) {
        if (span_equal_cstr(name, payments_risk_item_names[i])) {
            *ret_item = (enum payments_risk_item)i;
            return true;
        }
    }
    return false;
}

const char *
payments_risk_item_is(enum payments_risk_item item)
{
    switch (item) {
    case PAYMENTS_RISK_CARD_BIN:
        return "the first six digits of a card's number";
    case PAYMENTS_RISK_CARD_FINGERPRINT:
        return "letters and digits, as a card's fingerprint is";
    case PAYMENTS_RISK_COUNTRY:
        return "a country's two letters";
    case PAYMENTS_RISK_CUSTOMER_ID:
        return "the id of a customer, which begins with cus_";
    case PAYMENTS_RISK_EMAIL:
        return "an e-mail address";
    case PAYMENTS_RISK_IP_ADDRESS:
        return "an address of IPv4 or IPv6";
    case PAYMENTS_RISK_CASE_SENSITIVE_STRING:
    case PAYMENTS_RISK_STRING:
        return "a text of at most 800 bytes";
    case PAYMENTS_RISK_ITEMS:
        break;
    }
    UNREACHABLE();
}

/* ---------------------------------------------------------------------------------- letters --- */

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static char
lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

static char
upper(char byte)
{
    return byte >= 'a' && byte <= 'z' ? (char)(byte - 'a' + 'A') : byte;
}

static bool
is_letter(char byte)
{
    return lower(byte) >= 'a' && lower(byte) <= 'z';
}

static bool
is_alphanumeric(char byte)
{
    return is_digit(byte) || is_letter(byte);
}

static bool
all(struct span text, bool (*is)(char byte))
{
    for (size_t i = 0; i < text.size; i++) {
        if (!is(text.data[i])) {
            return false;
        }
    }
    return true;
}

static struct span
mapped(struct span text, char (*map)(char byte), struct arena *arena)
{
    char *out = arena_alloc(arena, text.size);
    if (out == NULL) {
        return SPAN_EMPTY;
    }
    for (size_t i = 0; i < text.size; i++) {
        out[i] = map(text.data[i]);
    }
    return span_of(out, text.size);
}

static bool
is_email(struct span text)
{
    size_t at = span_find(text, '@', 0);
    return at > 0 && at + 1 < text.size && span_find(text, '@', at + 1) == text.size &&
           span_find(text, ' ', 0) == text.size;
}

/* -------------------------------------------------------------------------------- addresses --- */

static bool
address_value(struct span text, struct arena *arena, struct span *ret_value)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[16];
    char out[32];
    if (ip_parse(text, bytes) != ERR_OK) {
        return false;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    *ret_value = arena_copy(arena, span_of(out, sizeof(out)));
    return true;
}

/* ----------------------------------------------------------------------------------- values --- */

bool
payments_risk_value(
    enum payments_risk_item item, struct span text, struct arena *arena, struct span *ret_value)
{
    bool is = text.size > 0 && text.size <= PAYMENTS_RISK_VALUE_MAX;
    *ret_value = SPAN_EMPTY;
    switch (item) {
    case PAYMENTS_RISK_CARD_BIN:
        is = is && text.size == 6 && all(text, is_digit);
        break;
    case PAYMENTS_RISK_CARD_FINGERPRINT:
        is = is && text.size <= 64 && all(text, is_alphanumeric);
        break;
    case PAYMENTS_RISK_COUNTRY:
        is = is && text.size == 2 && all(text, is_letter);
        *ret_value = is ? mapped(text, upper, arena) : SPAN_EMPTY;
        return is;
    case PAYMENTS_RISK_CUSTOMER_ID:
        is = is && text.size > 4 && span_starts_with(text, SPAN("cus_"));
        break;
    case PAYMENTS_RISK_EMAIL:
        is = is && is_email(text);
        *ret_value = is ? mapped(text, lower, arena) : SPAN_EMPTY;
        return is;
    case PAYMENTS_RISK_IP_ADDRESS:
        return is && address_value(text, arena, ret_value);
    case PAYMENTS_RISK_STRING:
        *ret_value = is ? mapped(text, lower, arena) : SPAN_EMPTY;
        return is;
    case PAYMENTS_RISK_CASE_SENSITIVE_STRING:
        break;
    case PAYMENTS_RISK_ITEMS:
        UNREACHABLE();
    }
    *ret_value = is ? arena_copy(arena, text) : SPAN_EMPTY;
    return is;
}
