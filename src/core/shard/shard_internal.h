/* What map.c and text.c share. */
#ifndef SHARD_INTERNAL_H
#define SHARD_INTERNAL_H

#include "shard/shard.h"

/* Visible ASCII without spaces, at least one character and fewer than `size`. */
bool shard_visible(struct span text, size_t size);

#endif
