/*
 * Takes card numbers out of text that is about to leave the process (PCI DSS 3.4: at most the first
 * six and the last four digits are shown).
 *
 * A card number is 13 to 19 digits (ISO/IEC 7812-1) that pass Luhn's check, whole groups of digits
 * with nothing or one space, dash or plus (a form-encoded space) between them. What stands next to
 * it in the same row of groups does not hide it. Numbers that overlap are masked as one.
 *
 * Pure functions; no allocation, any thread.
 */
#ifndef TRACE_REDACT_H
#define TRACE_REDACT_H

#include "base/buf.h"

#define TRACE_MASK_MAX 42 /* six digits, up to 32 stars, four digits */

/* A walk over a text, in pieces, with the card numbers replaced. */
struct trace_redactor {
    struct span text;
    size_t at;
    char mask[TRACE_MASK_MAX];
};

void trace_redactor_init(struct trace_redactor *redactor, struct span text);
/* The next piece, valid until the next call; false at the end. */
bool trace_redactor_next(struct trace_redactor *redactor, struct span *ret_piece);

/* The whole text at once. */
void trace_redact(struct span text, struct buf *out);

/* Whether a value of this name must not be shown at all: one of the name's words (split at what is
 * no letter or digit) is cvc, cvv, number, pan, pin, track, secret, password, authorization, key or
 * token, in either case. */
bool trace_name_is_secret(struct span name);

#endif
