/* The digits of a payer's code. Pure. */
#ifndef MOBILE_CODE_H
#define MOBILE_CODE_H

#include "base/span.h"
#include "base/u128.h"
#include "port/mobile.h"

/* What every code begins with: other networks' codes begin otherwise (10 to 15 and 25 to 30 with
 * 16 to 24 digits, 62 with 19), so a terminal that takes several knows whose this is. */
#define MOBILE_CODE_PREFIX "80"

/* Prefix, 15 digits of `random` (at least 64 bits of it), a check digit, and a zero. */
void mobile_code_format(u128 random, char out[PORT_MOBILE_CODE_DIGITS + 1]);

/* Whether it could be one of ours: length, digits, prefix, check digit (ISO/IEC 7812-1 annex B).
 * That spares a look-up for what was mistyped; it proves nothing. */
bool mobile_code_is_plausible(struct span code);

#endif
