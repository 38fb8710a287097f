/*
 * Disputes: what the network tells of them, and what merchants answer; from either side.
 *
 * Evidence is text of any size up to NETWORK_EVIDENCE_MAX. It travels in base 64, which every
 * dialect's `ans` can hold, in parts of NETWORK_PART bytes, one message each.
 */
#include "message.h"

#include "base/assert.h"
#include "base/base64.h"

#include <string.h>

#define FIRST_FIELD 121U
#define FIELD_COUNT 3U
#define FIELD_BYTES 747U /* 996 characters */
#define FIELD_CHARS BASE64_TEXT_SIZE(FIELD_BYTES)
/* 9999-12-31T23:59:59.999Z: what comes later is no moment. */
#define TIME_MAX_MS UINT64_C(253402300799999)

static_assert(FIELD_COUNT * FIELD_BYTES == NETWORK_PART, "a part fills its fields");

/* ---------------------------------------------------------------------------- the merchant --- */

void
network_scope_write(uint64_t scope, char out[NETWORK_SCOPE_DIGITS])
{
    for (size_t i = NETWORK_SCOPE_DIGITS; i > 0; i--) {
        out[i - 1] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[scope % 36];
        scope /= 36;
    }
}

bool
network_scope_read(struct span text, uint64_t *ret_scope)
{
    uint64_t scope = 0;
    if (text.size != NETWORK_SCOPE_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && (c < 'A' || c > 'Z')) {
            return false;
        }
        uint64_t value = digit ? (uint64_t)(c - '0') : (uint64_t)(c - 'A') + 10;
        if (__builtin_mul_overflow(scope, 36, &scope) ||
            __builtin_add_overflow(scope, value, &scope)) {
            return false;
        }
    }
    *ret_scope = scope;
    return true;
}

/* -------------------------------------------------------------------------------- evidence --- */

uint16_t
network_part_count(struct span evidence)
{
    ASSERT(evidence.size <= NETWORK_EVIDENCE_MAX);
    return evidence.size == 0 ? 1 : (uint16_t)((evidence.size + NETWORK_PART - 1) / NETWORK_PART);
}

err_t
network_part_set(struct span evidence, uint16_t part, struct iso8583_message *message)
{
    ASSERT(part >= 1);
    size_t at = (size_t)(part - 1) * NETWORK_PART;
    struct span rest = span_slice(evidence, at, at + NETWORK_PART);
    for (unsigned i = 0; i < FIELD_COUNT && rest.size > 0; i++) {
        char memory[FIELD_CHARS];
        struct buf text;
        buf_init_fixed(&text, memory, sizeof(memory));
        base64_encode(&text, span_slice(rest, 0, FIELD_BYTES));
        TRY(iso8583_set(message, FIRST_FIELD + i, buf_span(&text)));
        rest = span_slice(rest, FIELD_BYTES, rest.size);
    }
    return ERR_OK;
}

bool
network_part_get(
    const struct iso8583_message *message, char out[NETWORK_PART], struct span *ret_part)
{
    struct buf bytes;
    buf_init_fixed(&bytes, out, NETWORK_PART);
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        struct span text = iso8583_get(message, FIRST_FIELD + i);
        char memory[FIELD_BYTES];
        size_t size;
        size_t position;
        ASSERT(BASE64_BYTES_MAX(text.size) <= sizeof(memory));
        if (!base64_decode(text, memory, &size, &position)) {
            return false;
        }
        buf_append(&bytes, memory, size);
    }
    *ret_part = buf_span(&bytes);
    return !buf_failed(&bytes) && bytes.size > 0;
}

/* "A", or the part and how many there are: "2,67". */
void
network_contest_append(struct buf *out, const struct port_rail_request *rail, uint16_t part)
{
    char memory[16];
    struct buf text;
    if (rail->operation == PORT_RAIL_ACCEPT) {
        iso8583_element_append(out, NETWORK_CONTEST, SPAN("A"));
        return;
    }
    buf_init_fixed(&text, memory, sizeof(memory));
    buf_append_u64(&text, part);
    buf_append_byte(&text, ',');
    buf_append_u64(&text, network_part_count(rail->evidence));
    iso8583_element_append(out, NETWORK_CONTEST, buf_span(&text));
}

bool
network_contest_read(struct span elements, struct network_asked *asked)
{
    struct span text;
    uint64_t part;
    uint64_t parts;
    if (!iso8583_element_find(elements, NETWORK_CONTEST, &text)) {
        return false;
    }
    if (span_equal_cstr(text, "A")) {
        asked->rail.operation = PORT_RAIL_ACCEPT;
        return true;
    }
    if (!span_parse_u64(span_cut(&text, ','), &part) || !span_parse_u64(text, &parts) || part < 1 ||
        part > parts || parts > NETWORK_PARTS_MAX) {
        return false;
    }
    asked->rail.operation = PORT_RAIL_EVIDENCE;
    asked->part = (uint16_t)part;
    asked->parts = (uint16_t)parts;
    return true;
}

/* ---------------------------------------------------------------------------------- notices --- */

static const char news[] = {
    [PORT_RAIL_NEWS_NONE] = 'N',
    [PORT_RAIL_NEWS_INQUIRY] = 'I',
    [PORT_RAIL_NEWS_DISPUTED] = 'D',
    [PORT_RAIL_NEWS_WON] = 'W',
    [PORT_RAIL_NEWS_LOST] = 'L',
    [PORT_RAIL_NEWS_CLOSED] = 'C',
};

static void
append_numbers(struct buf *out, unsigned tag, uint64_t first, const uint64_t *second)
{
    char memory[48];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof(memory));
    buf_append_u64(&text, first);
    if (second != NULL) {
        buf_append_byte(&text, ',');
        buf_append_u64(&text, *second);
    }
    iso8583_element_append(out, tag, buf_span(&text));
}

void
network_notice_append(struct buf *out, const struct port_rail_notice *notice)
{
    char scope[NETWORK_SCOPE_DIGITS];
    iso8583_element_append(out, NETWORK_NEWS, span_of(&news[notice->news], 1));
    if (notice->news == PORT_RAIL_NEWS_NONE) {
        return;
    }
    network_scope_write(notice->scope, scope);
    append_numbers(out, NETWORK_NEWS_POSITION, notice->position, NULL);
    network_id_append(out, NETWORK_NEWS_DISPUTE, notice->dispute);
    network_id_append(out, NETWORK_NEWS_AUTHORIZATION, notice->authorization);
    network_id_append(out, NETWORK_NEWS_REFERENCE, notice->reference);
    iso8583_element_append(out, NETWORK_NEWS_SCOPE, span_of(scope, sizeof(scope)));
    append_numbers(out, NETWORK_NEWS_AMOUNT, (uint64_t)notice->amount, NULL);
    append_numbers(out, NETWORK_NEWS_TIMES, notice->opened_ms, &notice->due_ms);
    iso8583_element_append(out, NETWORK_NEWS_REASON, span_from_cstr(notice->reason));
    iso8583_element_append(out, NETWORK_NEWS_CODE, span_from_cstr(notice->network_code));
}

/* Both are shown to merchants: a reason that the public API does not have is its `general`. */
static void
read_reason(struct span elements, struct port_rail_notice *notice)
{
    static const char *const reasons[] = {
        "bank_cannot_process",
        "check_returned",
        "credit_not_processed",
        "customer_initiated",
        "debit_not_authorized",
        "duplicate",
        "fraudulent",
        "incorrect_account_details",
        "insufficient_funds",
        "noncompliant",
        "product_not_received",
        "product_unacceptable",
        "subscription_canceled",
        "unrecognized",
    };
    const char *found = "general";
    struct span text = SPAN_EMPTY;
    (void)iso8583_element_find(elements, NETWORK_NEWS_REASON, &text);
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (span_equal_cstr(text, reasons[i])) {
            found = reasons[i];
        }
    }
    memcpy(notice->reason, found, strlen(found) + 1);
    text = SPAN_EMPTY;
    (void)iso8583_element_find(elements, NETWORK_NEWS_CODE, &text);
    size_t used = 0;
    for (size_t i = 0; i < text.size && used + 1 < sizeof(notice->network_code); i++) {
        char c = text.data[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            c == '.') {
            notice->network_code[used++] = c;
        }
    }
    notice->network_code[used] = '\0';
}

static bool
read_numbers(struct span elements, struct port_rail_notice *notice)
{
    struct span text;
    if (!iso8583_element_find(elements, NETWORK_NEWS_POSITION, &text) ||
        !span_parse_u64(text, &notice->position) || notice->position > INT64_MAX ||
        !iso8583_element_find(elements, NETWORK_NEWS_SCOPE, &text) ||
        !network_scope_read(text, &notice->scope) ||
        !iso8583_element_find(elements, NETWORK_NEWS_AMOUNT, &text) ||
        !span_parse_i64(text, &notice->amount) || notice->amount < 1 ||
        notice->amount > NETWORK_AMOUNT_MAX) {
        return false;
    }
    return iso8583_element_find(elements, NETWORK_NEWS_TIMES, &text) &&
           span_parse_u64(span_cut(&text, ','), &notice->opened_ms) &&
           span_parse_u64(text, &notice->due_ms) && notice->opened_ms <= TIME_MAX_MS &&
           notice->due_ms <= TIME_MAX_MS;
}

bool
network_notice_read(struct span elements, uint64_t behind, struct port_rail_notice *ret_notice)
{
    struct span text;
    memset(ret_notice, 0, sizeof(*ret_notice));
    if (!iso8583_element_find(elements, NETWORK_NEWS, &text)) {
        return true; /* a network without disputes */
    }
    const char *at = text.size == 1 ? memchr(news, text.data[0], sizeof(news)) : NULL;
    if (at == NULL) {
        return false;
    }
    enum port_rail_news told = (enum port_rail_news)(at - news);
    if (told == PORT_RAIL_NEWS_NONE) {
        return true;
    }
    if (!read_numbers(elements, ret_notice) || ret_notice->position <= behind ||
        !network_id_read(elements, NETWORK_NEWS_DISPUTE, &ret_notice->dispute) ||
        ret_notice->dispute == 0 ||
        !network_id_read(elements, NETWORK_NEWS_AUTHORIZATION, &ret_notice->authorization) ||
        !network_id_read(elements, NETWORK_NEWS_REFERENCE, &ret_notice->reference)) {
        return false;
    }
    ret_notice->news = told;
    read_reason(elements, ret_notice);
    return true;
}
