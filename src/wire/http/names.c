#include "http/http.h"

#include "base/assert.h"

#include <string.h>

const struct http_limits http_limits_default = {
    .target = 8u << 10,
    .head = 16u << 10,
    .fields = HTTP_FIELDS_MAX,
    .extensions = 1u << 10,
    .trailers = 4u << 10,
    .body = 1u << 20,
};

static const struct span field_names[] = {
#define FIELD_NAME(name, text, single) [HTTP_FIELD_##name] = SPAN(text),
    HTTP_FIELD_TABLE(FIELD_NAME)
#undef FIELD_NAME
        [HTTP_FIELD_UNKNOWN] = SPAN(""),
};

#define FIELD_SIZE_MAX 17

/* Fields [first, end) have names of that length. names_test.c holds it against the table. */
static const struct {
    uint8_t first;
    uint8_t end;
} fields_by_size[FIELD_SIZE_MAX + 1] = {
    [2] = {HTTP_FIELD_TE, HTTP_FIELD_TE + 1},
    [3] = {HTTP_FIELD_AGE, HTTP_FIELD_AGE + 1},
    [4] = {HTTP_FIELD_DATE, HTTP_FIELD_HOST + 1},
    [5] = {HTTP_FIELD_ALLOW, HTTP_FIELD_RANGE + 1},
    [6] = {HTTP_FIELD_ACCEPT, HTTP_FIELD_SERVER + 1},
    [7] = {HTTP_FIELD_TRAILER, HTTP_FIELD_UPGRADE + 1},
    [8] = {HTTP_FIELD_LOCATION, HTTP_FIELD_LOCATION + 1},
    [10] = {HTTP_FIELD_CONNECTION, HTTP_FIELD_USER_AGENT + 1},
    [11] = {HTTP_FIELD_RETRY_AFTER, HTTP_FIELD_X_B3_SPANID + 1},
    [12] = {HTTP_FIELD_CONTENT_TYPE, HTTP_FIELD_X_REQUEST_ID + 1},
    [13] = {HTTP_FIELD_AUTHORIZATION, HTTP_FIELD_IF_NONE_MATCH + 1},
    [14] = {HTTP_FIELD_CONTENT_LENGTH, HTTP_FIELD_STRIPE_VERSION + 1},
    [15] = {HTTP_FIELD_ACCEPT_ENCODING, HTTP_FIELD_X_FORWARDED_FOR + 1},
    [16] = {HTTP_FIELD_CONTENT_ENCODING, HTTP_FIELD_WWW_AUTHENTICATE + 1},
    [17] = {HTTP_FIELD_X_FORWARDED_PROTO, HTTP_FIELD_TRANSFER_ENCODING + 1},
};

/* Known names hold only letters and '-'; no other byte of a token becomes one of these when its
 * bit 0x20 is set, so setting it compares without case. */
static bool
name_matches(const char *text, const char *lower, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((text[i] | 0x20) != lower[i]) {
            return false;
        }
    }
    return true;
}

enum http_field
http_field_find(struct span name)
{
    if (name.size > FIELD_SIZE_MAX) {
        return HTTP_FIELD_UNKNOWN;
    }
    for (unsigned i = fields_by_size[name.size].first; i < fields_by_size[name.size].end; i++) {
        if (name_matches(name.data, field_names[i].data, name.size)) {
            return (enum http_field)i;
        }
    }
    return HTTP_FIELD_UNKNOWN;
}

struct span
http_field_text(enum http_field field)
{
    ASSERT(field < HTTP_FIELD_UNKNOWN);
    return field_names[field];
}

struct span
http_method_text(enum http_method method)
{
    switch (method) {
    case HTTP_METHOD_GET:
        return SPAN("GET");
    case HTTP_METHOD_HEAD:
        return SPAN("HEAD");
    case HTTP_METHOD_POST:
        return SPAN("POST");
    case HTTP_METHOD_PUT:
        return SPAN("PUT");
    case HTTP_METHOD_DELETE:
        return SPAN("DELETE");
    case HTTP_METHOD_PATCH:
        return SPAN("PATCH");
    case HTTP_METHOD_OPTIONS:
        return SPAN("OPTIONS");
    case HTTP_METHOD_TRACE:
        return SPAN("TRACE");
    case HTTP_METHOD_OTHER:
        break;
    }
    return SPAN("OTHER");
}

bool
http_field_is_single(enum http_field field)
{
    static const bool single[] = {
#define FIELD_SINGLE(name, text, once) [HTTP_FIELD_##name] = once,
        HTTP_FIELD_TABLE(FIELD_SINGLE)
#undef FIELD_SINGLE
            [HTTP_FIELD_UNKNOWN] = false,
    };
    return single[field];
}

static const struct {
    uint16_t status;
    const char *text;
} refusals[] = {

#define REFUSAL(name, status, text) [HTTP_REFUSAL_##name] = {status, text},
    HTTP_REFUSAL_TABLE(REFUSAL)
#undef REFUSAL
};

uint16_t
http_refusal_status(enum http_refusal refusal)
{
    ASSERT((size_t)refusal < sizeof(refusals) / sizeof(refusals[0]));
    return refusals[refusal].status;
}

const char *
http_refusal_text(enum http_refusal refusal)
{
    ASSERT((size_t)refusal < sizeof(refusals) / sizeof(refusals[0]));
    return refusals[refusal].text;
}

/* RFC 9110 section 15, and 429 of RFC 6585. */
static const struct {
    unsigned status;
    struct span text;
} statuses[] = {
    {100, SPAN("Continue")},
    {101, SPAN("Switching Protocols")},
    {200, SPAN("OK")},
    {201, SPAN("Created")},
    {202, SPAN("Accepted")},
    {203, SPAN("Non-Authoritative Information")},
    {204, SPAN("No Content")},
    {205, SPAN("Reset Content")},
    {206, SPAN("Partial Content")},
    {300, SPAN("Multiple Choices")},
    {301, SPAN("Moved Permanently")},
    {302, SPAN("Found")},
    {303, SPAN("See Other")},
    {304, SPAN("Not Modified")},
    {307, SPAN("Temporary Redirect")},
    {308, SPAN("Permanent Redirect")},
    {400, SPAN("Bad Request")},
    {401, SPAN("Unauthorized")},
    {402, SPAN("Payment Required")},
    {403, SPAN("Forbidden")},
    {404, SPAN("Not Found")},
    {405, SPAN("Method Not Allowed")},
    {406, SPAN("Not Acceptable")},
    {408, SPAN("Request Timeout")},
    {409, SPAN("Conflict")},
    {410, SPAN("Gone")},
    {411, SPAN("Length Required")},
    {412, SPAN("Precondition Failed")},
    {413, SPAN("Content Too Large")},
    {414, SPAN("URI Too Long")},
    {415, SPAN("Unsupported Media Type")},
    {416, SPAN("Range Not Satisfiable")},
    {417, SPAN("Expectation Failed")},
    {421, SPAN("Misdirected Request")},
    {422, SPAN("Unprocessable Content")},
    {424, SPAN("Failed Dependency")},
    {426, SPAN("Upgrade Required")},
    {429, SPAN("Too Many Requests")},
    {431, SPAN("Request Header Fields Too Large")},
    {500, SPAN("Internal Server Error")},
    {501, SPAN("Not Implemented")},
    {502, SPAN("Bad Gateway")},
    {503, SPAN("Service Unavailable")},
    {504, SPAN("Gateway Timeout")},
    {505, SPAN("HTTP Version Not Supported")},
};

struct span
http_status_text(unsigned status)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].status == status) {
            return statuses[i].text;
        }
    }
    return SPAN("Unknown");
}

/* Days since 1970-01-01 to a civil date, by eras of 400 years that begin on a first of March. */
static void
civil_from_days(uint64_t days, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    uint64_t shifted = days + 719468; /* from 0000-03-01 */
    uint64_t era = shifted / 146097;
    uint64_t day_of_era = shifted % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    *ret_day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *ret_month = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *ret_year = (unsigned)(year_of_era + era * 400 + (*ret_month <= 2 ? 1 : 0));
}

static char *
put_digits(char *out, unsigned value, unsigned width)
{
    for (unsigned i = width; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + width;
}

#define DATE_SECONDS_MAX UINT64_C(253402300799) /* 9999-12-31 23:59:59 */

void
http_date_format(uint64_t unix_seconds, char out[HTTP_DATE_SIZE])
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    ASSERT(unix_seconds <= DATE_SECONDS_MAX);
    unsigned year, month, day;
    uint64_t day_number = unix_seconds / 86400;
    civil_from_days(day_number, &year, &month, &day);
    unsigned second = (unsigned)(unix_seconds % 86400);
    char *at = out;
    memcpy(at, days + day_number % 7 * 3, 3);
    memcpy(at + 3, ", ", 2);
    at = put_digits(at + 5, day, 2);
    *at++ = ' ';
    memcpy(at, months + (size_t)(month - 1) * 3, 3);
    at[3] = ' ';
    at = put_digits(at + 4, year, 4);
    *at++ = ' ';
    at = put_digits(at, second / 3600, 2);
    *at++ = ':';
    at = put_digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, second % 60, 2);
    memcpy(at, " GMT", 5);
    ASSERT(at + 5 == out + HTTP_DATE_SIZE);
}
