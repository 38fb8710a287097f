/*
 * Amounts, moments and addresses: as people write them, and as they are shown to people. Pure.
 *
 * Amounts are never rounded and never floating point. Money of the API is in the API's smallest
 * unit, money of the ledger in ISO minor units; base/money.h says where the two differ.
 */
#ifndef TAEL_TEXT_H
#define TAEL_TEXT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/money.h"
#include "base/u128.h"

/* What `tael` uses if it was not told: the server's own default. */
#define TEXT_DEFAULT_URL "http://127.0.0.1:8080"

/* "20.00"; "20.00 USD", "USD 20.00", "20 USD"; or, with neither a point nor a currency, the API's
 * smallest unit: "2000" is 20.00 USD. A point needs all of the currency's digits behind it.
 * ERR_INVALID (another currency, too), ERR_RANGE. */
MUST_USE err_t
text_amount_parse(struct span text, const struct currency *currency, int64_t *ret_api_amount);
/* Whether such a text counts the smallest unit, which is not what people mean by "20". */
bool text_amount_is_plain(struct span text, const struct currency *currency);
/* "20.00 USD"; `code` in any case; an unknown one is shown with the plain number. */
void text_amount_append(struct buf *out, int64_t api_amount, struct span code);

/* The currency of a ledger number of the payments' range, and whether it is test money; NULL for
 * the books of somebody else. docs/accounting.md, "Ledgers". */
const struct currency *text_ledger_currency(uint32_t ledger, bool *ret_test);
/* "USD test", or the number. */
void text_ledger_append(struct buf *out, uint32_t ledger);
/* "20.00", or the plain integer if the ledger has no currency. */
void text_ledger_amount_append(struct buf *out, u128 amount, bool negative, uint32_t ledger);

/* "2026-11-23 12:34:04" in UTC. */
void text_moment_append(struct buf *out, int64_t unix_seconds);
/* Nanoseconds of: unix seconds, with up to nine digits behind a point; 2026-11-23; a date-time of
 * RFC 3339 with as many (2026-11-23T12:34:04.5Z, ...+02:00); or 90s, 15m, 2h, 7d before `now_ns`.
 * ERR_INVALID, ERR_RANGE. */
MUST_USE err_t text_moment_parse(struct span text, uint64_t now_ns, uint64_t *ret_ns);

/* http://HOST[:PORT] or https://; HOST is a name, an IPv4 address or [an IPv6 address]. */
#define TEXT_HOST_SIZE 254

struct text_url {
    char host[TEXT_HOST_SIZE]; /* without brackets */
    uint16_t port;
    bool tls;
};

MUST_USE err_t text_url_parse(struct span text, struct text_url *ret_url);

/* Letters, digits and '_', 1 to 64 of them: an object's id, as it goes into a path. */
bool text_is_id(struct span text);
/* "MM/YY" or "MM/YYYY". */
MUST_USE err_t text_expiry_parse(struct span text, int64_t *ret_month, int64_t *ret_year);

#endif
