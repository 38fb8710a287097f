/* jansson as a second opinion for the fuzzer, in a file of its own: its names clash with ours. */
#ifndef JSON_JANSSON_ORACLE_H
#define JSON_JANSSON_ORACLE_H

#include "base/span.h"

/* jansson reads it as one JSON text without duplicate names. */
bool oracle_accepts(struct span text);
/* jansson refused it because a number does not fit into its C types. */
bool oracle_limits(struct span text);
/* Both texts mean the same to jansson. */
bool oracle_same(struct span a, struct span b);

#endif
