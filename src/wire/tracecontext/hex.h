/* Hex digits, as ids are written. */
#ifndef TRACECONTEXT_HEX_H
#define TRACECONTEXT_HEX_H

#include "base/u128.h"

/* 1 to 32 lower case digits; an upper case one is refused (W3C section 3.2.2.3). */
bool tracecontext_hex_parse(struct span text, u128 *ret_value);
/* `digits` of them, without a zero. */
void tracecontext_hex_format(u128 value, char *out, uint32_t digits);

#endif
