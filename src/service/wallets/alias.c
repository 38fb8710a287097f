#include "alias.h"

enum {
    PHONE_DIGITS_MIN = 7,
    PHONE_DIGITS_MAX = 15,
    HANDLE_MIN = 3,
    HANDLE_MAX = 30,
    LOCAL_MAX = 64,
    LABEL_MAX = 63,
};

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_letter(char byte)
{
    return byte >= 'a' && byte <= 'z';
}

static struct span
to_lower(struct span text, struct arena *arena)
{
    char *bytes = arena_alloc(arena, text.size + 1);
    if (bytes == NULL) {
        return SPAN_EMPTY;
    }
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bytes[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
    }
    return span_of(bytes, text.size);
}

/* Letters, digits and hyphens between dots, at least two labels. */
static bool
is_domain(struct span domain)
{
    size_t labels = 0;
    struct span rest = domain;
    if (domain.size == 0 || domain.data[domain.size - 1] == '.') {
        return false;
    }
    while (rest.size != 0) {
        struct span label = span_cut(&rest, '.');
        if (label.size == 0 || label.size > LABEL_MAX || label.data[0] == '-' ||
            label.data[label.size - 1] == '-') {
            return false;
        }
        for (size_t i = 0; i < label.size; i++) {
            /* Bytes of UTF-8: internationalized domain names (RFC 6531). */
            if (!is_letter(label.data[i]) && !is_digit(label.data[i]) && label.data[i] != '-' &&
                (unsigned char)label.data[i] < 0x80) {
                return false;
            }
        }
        labels++;
    }
    return labels >= 2;
}

static bool
is_local_part(struct span local)
{
    if (local.size == 0 || local.size > LOCAL_MAX || local.data[0] == '.' ||
        local.data[local.size - 1] == '.') {
        return false;
    }
    for (size_t i = 0; i < local.size; i++) {
        unsigned char byte = (unsigned char)local.data[i];
        bool special = byte <= ' ' || byte == 0x7f || byte == '"' || byte == '(' || byte == ')' ||
                       byte == ',' || byte == ':' || byte == ';' || byte == '<' || byte == '>' ||
                       byte == '[' || byte == ']' || byte == '\\' || byte == '@';
        if (special || (byte == '.' && local.data[i - 1] == '.')) {
            return false;
        }
    }
    return true;
}

static bool
is_email(struct span text)
{
    size_t at = span_find(text, '@', 0);
    return text.size <= WALLETS_ALIAS_MAX && at < text.size && span_is_utf8(text) &&
           is_local_part(span_slice(text, 0, at)) && is_domain(span_slice(text, at + 1, text.size));
}

/* Without what people put between the digits. */
static bool
read_phone(struct span text, struct arena *arena, struct span *ret_phone)
{
    char digits[1 + PHONE_DIGITS_MAX];
    size_t count = 0;
    if (text.size == 0 || text.data[0] != '+') {
        return false;
    }
    digits[count++] = '+';
    for (size_t i = 1; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == ' ' || byte == '-' || byte == '(' || byte == ')' || byte == '.') {
            continue;
        }
        if (!is_digit(byte) || count > PHONE_DIGITS_MAX || (count == 1 && byte == '0')) {
            return false;
        }
        digits[count++] = byte;
    }
    *ret_phone = arena_copy(arena, span_of(digits, count));
    return count > PHONE_DIGITS_MIN && ret_phone->data != NULL;
}

static bool
is_handle(struct span text)
{
    if (text.size < HANDLE_MIN || text.size > HANDLE_MAX || !is_letter(text.data[0])) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (!is_letter(byte) && !is_digit(byte) && byte != '_' && byte != '.' && byte != '-') {
            return false;
        }
    }
    /* An id must not be taken for a handle. */
    return !span_starts_with(text, SPAN("wal_"));
}

static struct span
without_sign(struct span text)
{
    bool sign = text.size != 0 && (text.data[0] == '@' || text.data[0] == '$');
    return sign ? span_slice(text, 1, text.size) : text;
}

bool
wallets_alias_normalize(
    enum wallets_alias_kind kind, struct span text, struct arena *arena, struct span *ret_alias)
{
    struct span trimmed = span_trim(text);
    if (kind == WALLETS_ALIAS_PHONE) {
        return read_phone(trimmed, arena, ret_alias);
    }
    if (trimmed.size > WALLETS_ALIAS_MAX) {
        return false;
    }
    struct span lower = to_lower(trimmed, arena);
    *ret_alias = kind == WALLETS_ALIAS_HANDLE ? without_sign(lower) : lower;
    return kind == WALLETS_ALIAS_HANDLE ? is_handle(*ret_alias) : is_email(*ret_alias);
}

enum wallets_alias_kind
wallets_alias_kind_of(struct span text)
{
    struct span trimmed = span_trim(text);
    if (span_find(trimmed, '@', 1) < trimmed.size) {
        return WALLETS_ALIAS_EMAIL;
    }
    bool plus = trimmed.size != 0 && trimmed.data[0] == '+';
    return plus ? WALLETS_ALIAS_PHONE : WALLETS_ALIAS_HANDLE;
}
