#include "code.h"

#include "base/assert.h"

#include <string.h>

static const char prefix[] = MOBILE_CODE_PREFIX;

/* The digit that makes the whole divisible; the text is all digits but that one. */
static char
check_digit(const char *digits, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(digits[count - 1 - i] - '0');
        if (i % 2 == 0) {
            digit *= 2;
            digit -= digit > 9 ? 9 : 0;
        }
        sum += digit;
    }
    return (char)('0' + (10 - sum % 10) % 10);
}

void
mobile_code_format(u128 random, char out[PORT_MOBILE_CODE_DIGITS + 1])
{
    size_t at = sizeof(prefix) - 1;
    memcpy(out, prefix, at);
    for (; at < PORT_MOBILE_CODE_DIGITS - 1; at++) {
        out[at] = (char)('0' + (unsigned)(random % 10));
        random /= 10;
    }
    out[at] = check_digit(out, at);
    out[at + 1] = '\0';
}

bool
mobile_code_is_plausible(struct span code)
{
    if (code.size != PORT_MOBILE_CODE_DIGITS || !span_starts_with(code, SPAN(MOBILE_CODE_PREFIX))) {
        return false;
    }
    for (size_t i = 0; i < code.size; i++) {
        if (code.data[i] < '0' || code.data[i] > '9') {
            return false;
        }
    }
    return code.data[code.size - 1] == check_digit(code.data, code.size - 1);
}
