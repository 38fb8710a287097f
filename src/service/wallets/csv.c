#include "csv.h"

#include "limits.h"

#include <string.h>

static bool
is_formula(struct span text)
{
    /* A tab or a line break is skipped by some programs before they look for one. */
    return text.size != 0 && memchr("=+-@\t\r\n", text.data[0], 7) != NULL;
}

void
wallets_csv_text(struct buf *out, struct span text)
{
    struct span rest = text;
    buf_append_byte(out, '"');
    if (is_formula(text)) {
        buf_append_byte(out, '\'');
    }
    while (rest.size != 0) {
        size_t at = span_find(rest, '"', 0);
        buf_append_span(out, span_slice(rest, 0, at));
        if (at < rest.size) {
            buf_append_cstr(out, "\"\"");
            at++;
        }
        rest = span_slice(rest, at, rest.size);
    }
    buf_append_byte(out, '"');
}

void
wallets_csv_amount(struct buf *out, struct money money)
{
    enum {
        DIGITS_MAX = 24
    };

    char digits[DIGITS_MAX];
    uint32_t count = 0;
    uint64_t rest = money.amount < 0 ? 0 - (uint64_t)money.amount : (uint64_t)money.amount;
    while (rest != 0 || count <= money.currency->exponent) {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    }
    if (money.amount < 0) {
        buf_append_byte(out, '-');
    }
    while (count > 0) {
        if (count == money.currency->exponent) {
            buf_append_byte(out, '.');
        }
        buf_append_byte(out, digits[--count]);
    }
}

void
wallets_csv_time(struct buf *out, int64_t unix_s)
{
    struct wallets_date date = wallets_date_of(unix_s);
    int64_t second = unix_s % 86400;
    buf_append_format(
        out,
        "%04lld-%02lld-%02lldT%02lld:%02lld:%02lldZ",
        (long long)date.year,
        (long long)date.month,
        (long long)date.day,
        (long long)(second / 3600),
        (long long)(second / 60 % 60),
        (long long)(second % 60));
}
