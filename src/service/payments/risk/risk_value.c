#include "risk_value.h"

#include "base/assert.h"

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

/* Four decimal numbers (RFC 3986 section 3.2.2, IPv4address). */
static bool
read_ipv4(struct span text, uint8_t out[4])
{
    for (int i = 0; i < 4; i++) {
        uint64_t number;
        bool last = i == 3;
        if ((span_find(text, '.', 0) == text.size) != last) {
            return false;
        }
        struct span part = span_cut(&text, '.');
        bool padded = part.size > 1 && part.data[0] == '0';
        if (padded || part.size > 3 || !span_parse_u64(part, &number) || number > 255) {
            return false;
        }
        out[i] = (uint8_t)number;
    }
    return true;
}

struct groups {
    uint8_t bytes[16];
    size_t size;
    size_t gap; /* where "::" stood; 17: nowhere */
};

/* One to four hexadecimal digits. */
static bool
read_group(struct span text, struct groups *groups)
{
    unsigned number = 0;
    if (text.size == 0 || text.size > 4 || groups->size > 14) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        int digit = span_hex_digit(text.data[i]);
        if (digit < 0) {
            return false;
        }
        number = number << 4 | (unsigned)digit;
    }
    groups->bytes[groups->size++] = (uint8_t)(number >> 8);
    groups->bytes[groups->size++] = (uint8_t)number;
    return true;
}

static bool
read_groups(struct span text, struct groups *groups)
{
    if (span_starts_with(text, SPAN("::"))) {
        groups->gap = 0;
        text = span_slice(text, 2, text.size);
    }
    while (text.size > 0) {
        size_t colon = span_find(text, ':', 0);
        struct span part = span_slice(text, 0, colon);
        bool last = colon == text.size;
        if (last && span_find(part, '.', 0) < part.size) {
            bool fits = groups->size <= 12 && read_ipv4(part, groups->bytes + groups->size);
            groups->size += 4;
            return fits;
        }
        if (!read_group(part, groups)) {
            return false;
        }
        text = span_slice(text, colon + !last, text.size);
        if (!last && text.size == 0) {
            return false;
        }
        if (!last && text.data[0] == ':') {
            if (groups->gap != 17) {
                return false;
            }
            groups->gap = groups->size;
            text = span_slice(text, 1, text.size);
        }
    }
    return true;
}

/* RFC 4291 section 2.2; one of IPv4 is kept as the IPv6 address that stands for it. */
static bool
read_address(struct span text, uint8_t out[16])
{
    struct groups groups = {.gap = 17};
    memset(out, 0, 16);
    if (read_ipv4(text, out + 12)) {
        out[10] = 0xff;
        out[11] = 0xff;
        return true;
    }
    if (!read_groups(text, &groups)) {
        return false;
    }
    if (groups.gap == 17) {
        memcpy(out, groups.bytes, 16);
        return groups.size == 16;
    }
    if (groups.size > 14) {
        return false;
    }
    size_t behind = groups.size - groups.gap;
    memcpy(out, groups.bytes, groups.gap);
    memcpy(out + 16 - behind, groups.bytes + groups.gap, behind);
    return true;
}

static bool
address_value(struct span text, struct arena *arena, struct span *ret_value)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[16];
    char out[32];
    if (!read_address(text, bytes)) {
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
