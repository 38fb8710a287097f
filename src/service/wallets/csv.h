/*
 * Cells of CSV (RFC 4180) that people open in spreadsheets.
 *
 * Pure functions, any thread.
 */
#ifndef WALLETS_CSV_H
#define WALLETS_CSV_H

#include "base/buf.h"
#include "base/money.h"

/* A text that somebody else wrote: in quotes, and never a formula: what would be read as one gets a
 * single quote in front (OWASP, "CSV Injection"). */
void wallets_csv_text(struct buf *out, struct span text);
/* "-12.34", in units of the currency. */
void wallets_csv_amount(struct buf *out, struct money money);
/* "2026-11-28T06:02:03Z" */
void wallets_csv_time(struct buf *out, int64_t unix_s);

#endif
