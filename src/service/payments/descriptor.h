#ifndef PAYMENTS_DESCRIPTOR_H
#define PAYMENTS_DESCRIPTOR_H

#include "base/arena.h"

/* "SHOP* ORDER 7", of at most 22 characters: the suffix is whole, as it tells this payment from
 * others. Either may be empty, and each has at most 22. Empty, too, if the arena is full. */
struct span payments_descriptor(struct arena *arena, struct span descriptor, struct span suffix);

#endif
