#include "text.h"

#include "base/assert.h"

#include <string.h>

#define NS_PER_S       INT64_C(1000000000)
#define S_PER_DAY      INT64_C(86400)
#define TEST_LEDGERS   1000U /* docs/accounting.md: number of the currency, plus this */
#define PLATFORM_LIMIT 2000U
#define DECIMAL_MAX    U128_DECIMAL_SIZE
#define ID_LENGTH_MAX  64
#define HTTP_PORT      80
#define HTTPS_PORT     443
#define DATE_TIME_SIZE 19 /* of 2026-11-23T12:34:04 */
#define NS_MAX_SECONDS (INT64_MAX / NS_PER_S)

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* ---------------------------------------------------------------------------------- amounts */

/* The number of "20.00 USD" or "USD 20.00", whose currency has to be this one; without one, all. */
static struct span
cut_code(struct span text, const struct currency *currency, bool *ret_has_code)
{
    size_t space = span_find(text, ' ', 0);
    struct span before = span_slice(text, 0, space);
    struct span behind = span_slice(text, space + (space < text.size), text.size);
    *ret_has_code = false;
    if (space == text.size) {
        return text;
    }
    *ret_has_code = true;
    if (span_equal_nocase(before, span_from_cstr(currency->code))) {
        return behind;
    }
    return span_equal_nocase(behind, span_from_cstr(currency->code)) ? before : text;
}

err_t
text_amount_parse(struct span text, const struct currency *currency, int64_t *ret_api_amount)
{
    bool has_code;
    struct span number = cut_code(text, currency, &has_code);
    size_t point = span_find(number, '.', 0);
    struct span whole = span_slice(number, 0, point);
    struct span fraction = span_slice(number, point + (point < number.size), number.size);
    if (point < number.size &&
        (fraction.size != currency->api_exponent || fraction.size == 0 || whole.size == 0)) {
        return ERR_INVALID;
    }
    if (number.size == 0) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < number.size; i++) {
        if (i != point && !is_digit(number.data[i])) {
            return ERR_INVALID;
        }
    }
    size_t zeros = has_code && point == number.size ? currency->api_exponent : 0;
    char digits[DECIMAL_MAX];
    size_t size = whole.size + fraction.size + zeros;
    if (size > sizeof(digits)) {
        return ERR_RANGE;
    }
    memset(digits, '0', sizeof(digits));
    memcpy(digits, whole.data, whole.size);
    if (fraction.size > 0) {
        memcpy(digits + whole.size, fraction.data, fraction.size);
    }
    int64_t amount;
    if (!span_parse_i64(span_of(digits, size), &amount)) {
        return ERR_RANGE;
    }
    *ret_api_amount = amount;
    return ERR_OK;
}

bool
text_amount_is_plain(struct span text, const struct currency *currency)
{
    return currency->api_exponent > 0 && span_find(text, '.', 0) == text.size &&
           span_find(text, ' ', 0) == text.size;
}

/* Digits with a point before the last `exponent` of them. */
static void
append_decimal(struct buf *out, struct span digits, size_t exponent)
{
    size_t whole = digits.size > exponent ? digits.size - exponent : 0;
    if (whole == 0) {
        buf_append_byte(out, '0');
    }
    buf_append_span(out, span_slice(digits, 0, whole));
    if (exponent > 0) {
        buf_append_byte(out, '.');
        for (size_t i = digits.size; i < exponent; i++) {
            buf_append_byte(out, '0');
        }
        buf_append_span(out, span_slice(digits, whole, digits.size));
    }
}

void
text_amount_append(struct buf *out, int64_t api_amount, struct span code)
{
    char digits[U128_DECIMAL_SIZE];
    const struct currency *currency = currency_find(code);
    uint64_t size_of_amount = api_amount < 0 ? 0 - (uint64_t)api_amount : (uint64_t)api_amount;
    size_t size = u128_format(size_of_amount, digits);
    if (api_amount < 0) {
        buf_append_byte(out, '-');
    }
    append_decimal(out, span_of(digits, size), currency == NULL ? 0 : currency->api_exponent);
    buf_append_byte(out, ' ');
    buf_append_span(out, currency == NULL ? code : span_from_cstr(currency->code));
}

const struct currency *
text_ledger_currency(uint32_t ledger, bool *ret_test)
{
    *ret_test = ledger >= TEST_LEDGERS && ledger < PLATFORM_LIMIT;
    if (ledger >= PLATFORM_LIMIT) {
        return NULL;
    }
    return currency_by_number((uint16_t)(ledger % TEST_LEDGERS));
}

void
text_ledger_append(struct buf *out, uint32_t ledger)
{
    bool test = false;
    const struct currency *currency = text_ledger_currency(ledger, &test);
    if (currency == NULL) {
        buf_append_u64(out, ledger);
        return;
    }
    buf_append_format(out, "%s %s", currency->code, test ? "test" : "live");
}

void
text_ledger_amount_append(struct buf *out, u128 amount, bool negative, uint32_t ledger)
{
    char digits[U128_DECIMAL_SIZE];
    bool test = false;
    const struct currency *currency = text_ledger_currency(ledger, &test);
    size_t size = u128_format(amount, digits);
    if (negative && amount != 0) {
        buf_append_byte(out, '-');
    }
    append_decimal(out, span_of(digits, size), currency == NULL ? 0 : currency->exponent);
}

/* ---------------------------------------------------------------------------------- moments */

/* Days since 1970-01-01 of a date of the Gregorian calendar, by counting from 0000-03-01 in eras of
 * 400 years, so that the leap day is the last of its year. */
static int64_t
days_from_date(int64_t year, int64_t month, int64_t day)
{
    int64_t from_march = (month + 9) % 12;
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = shifted / 400;
    int64_t of_era = shifted % 400;
    int64_t day_of_year = (153 * from_march + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

static void
date_from_days(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
    int64_t from_march = days + 719468;
    int64_t era = from_march / 146097;
    int64_t day_of_era = from_march % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = era * 400 + year_of_era + (*ret_month <= 2 ? 1 : 0);
}

void
text_moment_append(struct buf *out, int64_t unix_seconds)
{
    if (unix_seconds < 0) {
        buf_append_i64(out, unix_seconds);
        return;
    }
    int64_t year;
    int64_t month;
    int64_t day;
    int64_t second = unix_seconds % S_PER_DAY;
    date_from_days(unix_seconds / S_PER_DAY, &year, &month, &day);
    buf_append_format(
        out,
        "%04lld-%02lld-%02lld %02lld:%02lld:%02lld",
        (long long)year,
        (long long)month,
        (long long)day,
        (long long)(second / 3600),
        (long long)(second / 60 % 60),
        (long long)(second % 60));
}

/* Digits at [at, at + size) of a fixed layout. */
static bool
read_field(struct span text, size_t at, size_t size, int64_t *ret_value)
{
    uint64_t value;
    if (!span_parse_u64(span_slice(text, at, at + size), &value)) {
        return false;
    }
    *ret_value = (int64_t)value;
    return true;
}

static bool
layout_is(struct span text, const char *layout)
{
    for (size_t i = 0; i < text.size; i++) {
        bool as_said = layout[i] == '0' ? is_digit(text.data[i]) : text.data[i] == layout[i];
        if (!as_said) {
            return false;
        }
    }
    return text.size == strlen(layout);
}

/* A point and one to nine digits, if there is a point at `at`; *ret_end is behind them. */
static err_t
parse_fraction(struct span text, size_t at, int64_t *ret_ns, size_t *ret_end)
{
    int64_t ns = 0;
    int64_t unit = NS_PER_S;
    size_t end = at;
    if (at < text.size && text.data[at] == '.') {
        for (end = at + 1; end < text.size && is_digit(text.data[end]); end++) {
            unit /= 10;
            ns += (text.data[end] - '0') * unit;
            if (unit == 0) {
                return ERR_INVALID;
            }
        }
        if (end == at + 1) {
            return ERR_INVALID;
        }
    }
    *ret_ns = ns;
    *ret_end = end;
    return ERR_OK;
}

/* "Z", or the offset from UTC: RFC 3339, section 5.6. */
static err_t
parse_zone(struct span text, int64_t *ret_seconds)
{
    int64_t hours = 0;
    int64_t minutes = 0;
    if (layout_is(text, "Z")) {
        *ret_seconds = 0;
        return ERR_OK;
    }
    if (!layout_is(text, "+00:00") && !layout_is(text, "-00:00")) {
        return ERR_INVALID;
    }
    bool read = read_field(text, 1, 2, &hours) && read_field(text, 4, 2, &minutes);
    ASSERT(read);
    if (hours > 23 || minutes > 59) {
        return ERR_RANGE;
    }
    int64_t seconds = hours * 3600 + minutes * 60;
    *ret_seconds = text.data[0] == '-' ? -seconds : seconds;
    return ERR_OK;
}

static err_t
parse_day(struct span text, int64_t *ret_seconds)
{
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    bool read = read_field(text, 0, 4, &year) && read_field(text, 5, 2, &month) &&
                read_field(text, 8, 2, &day);
    ASSERT(read);
    if (year < 1970 || month < 1 || month > 12 || day < 1) {
        return ERR_RANGE;
    }
    /* A day that the month does not have would come back as another date. */
    int64_t days = days_from_date(year, month, day);
    int64_t back[3];
    date_from_days(days, &back[0], &back[1], &back[2]);
    if (back[0] != year || back[1] != month || back[2] != day) {
        return ERR_RANGE;
    }
    *ret_seconds = days * S_PER_DAY;
    return ERR_OK;
}

static err_t
parse_date(struct span text, int64_t *ret_seconds, int64_t *ret_ns)
{
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t zone = 0;
    size_t end = 0;
    if (layout_is(text, "0000-00-00")) {
        *ret_ns = 0;
        return parse_day(text, ret_seconds);
    }
    if (!layout_is(span_slice(text, 0, DATE_TIME_SIZE), "0000-00-00T00:00:00")) {
        return ERR_INVALID;
    }
    TRY(parse_fraction(text, DATE_TIME_SIZE, ret_ns, &end));
    TRY(parse_zone(span_slice(text, end, text.size), &zone));
    bool read = read_field(text, 11, 2, &hour) && read_field(text, 14, 2, &minute) &&
                read_field(text, 17, 2, &second);
    ASSERT(read);
    if (hour > 23 || minute > 59 || second > 59) {
        return ERR_RANGE;
    }
    TRY(parse_day(text, ret_seconds));
    *ret_seconds += hour * 3600 + minute * 60 + second - zone;
    return *ret_seconds < 0 ? ERR_RANGE : ERR_OK;
}

/* Seconds since 1970, with a fraction if there is a point. */
static err_t
parse_unix(struct span text, int64_t *ret_seconds, int64_t *ret_ns)
{
    uint64_t number;
    size_t size = span_find(text, '.', 0);
    size_t end = 0;
    if (!span_parse_u64(span_slice(text, 0, size), &number)) {
        return ERR_INVALID;
    }
    TRY(parse_fraction(text, size, ret_ns, &end));
    if (end != text.size) {
        return ERR_INVALID;
    }
    *ret_seconds = (int64_t)number;
    return number > (uint64_t)NS_MAX_SECONDS ? ERR_RANGE : ERR_OK;
}

static int64_t
unit_seconds(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return S_PER_DAY;
    default:
        return 0;
    }
}

err_t
text_moment_parse(struct span text, uint64_t now_ns, uint64_t *ret_ns)
{
    if (text.size == 0) {
        return ERR_INVALID;
    }
    uint64_t number;
    int64_t unit = unit_seconds(text.data[text.size - 1]);
    if (unit > 0 && span_parse_u64(span_slice(text, 0, text.size - 1), &number)) {
        uint64_t ago;
        if (__builtin_mul_overflow(number, (uint64_t)(unit * NS_PER_S), &ago) || ago > now_ns) {
            return ERR_RANGE;
        }
        *ret_ns = now_ns - ago;
        return ERR_OK;
    }
    int64_t seconds = 0;
    int64_t ns = 0;
    err_t as_unix = parse_unix(text, &seconds, &ns);
    if (as_unix == ERR_INVALID) {
        TRY(parse_date(text, &seconds, &ns));
    } else {
        TRY(as_unix);
    }
    if (seconds > NS_MAX_SECONDS || __builtin_mul_overflow(seconds, NS_PER_S, &seconds) ||
        __builtin_add_overflow(seconds, ns, &seconds)) {
        return ERR_RANGE;
    }
    *ret_ns = (uint64_t)seconds;
    return ERR_OK;
}

/* -------------------------------------------------------------------------------- addresses */

static bool
parse_port(struct span text, uint16_t *ret_port)
{
    uint64_t port;
    if (!span_parse_u64(text, &port) || port == 0 || port > UINT16_MAX) {
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

static bool
host_is_plain(struct span host, bool is_v6)
{
    for (size_t i = 0; i < host.size; i++) {
        char byte = host.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool usual = letter || is_digit(byte) || byte == '.' || byte == '-' || byte == '_';
        if (!usual && !(is_v6 && (byte == ':' || byte == '%'))) {
            return false;
        }
    }
    return host.size > 0 && host.size < TEXT_HOST_SIZE;
}

err_t
text_url_parse(struct span text, struct text_url *ret_url)
{
    struct text_url url = {.tls = span_starts_with(text, SPAN("https://"))};
    if (!url.tls && !span_starts_with(text, SPAN("http://"))) {
        return ERR_INVALID;
    }
    url.port = url.tls ? HTTPS_PORT : HTTP_PORT;
    struct span rest = span_slice(text, span_find(text, '/', 0) + 2, text.size);
    if (span_ends_with(rest, SPAN("/"))) {
        rest.size--;
    }
    struct span host;
    struct span port;
    bool is_v6 = rest.size > 0 && rest.data[0] == '[';
    if (is_v6) {
        size_t end = span_find(rest, ']', 0);
        host = span_slice(rest, 1, end);
        port = span_slice(rest, end + 1, rest.size);
        if (end == rest.size || (port.size > 0 && port.data[0] != ':')) {
            return ERR_INVALID;
        }
    } else {
        size_t colon = span_find(rest, ':', 0);
        host = span_slice(rest, 0, colon);
        port = span_slice(rest, colon, rest.size);
    }
    if (!host_is_plain(host, is_v6)) {
        return ERR_INVALID;
    }
    if (port.size > 0 && !parse_port(span_slice(port, 1, port.size), &url.port)) {
        return ERR_INVALID;
    }
    memcpy(url.host, host.data, host.size);
    *ret_url = url;
    return ERR_OK;
}

bool
text_is_id(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!letter && !is_digit(byte) && byte != '_') {
            return false;
        }
    }
    return text.size >= 1 && text.size <= ID_LENGTH_MAX;
}

err_t
text_expiry_parse(struct span text, int64_t *ret_month, int64_t *ret_year)
{
    int64_t month;
    int64_t year;
    bool is_short = layout_is(text, "00/00");
    if (!is_short && !layout_is(text, "00/0000")) {
        return ERR_INVALID;
    }
    if (!read_field(text, 0, 2, &month) || !read_field(text, 3, is_short ? 2 : 4, &year)) {
        return ERR_INVALID;
    }
    *ret_month = month;
    *ret_year = is_short ? 2000 + year : year;
    return ERR_OK;
}
