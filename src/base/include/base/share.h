/*
 * Shares of what many take from, without knowing how many they are. Nobody has more than three
 * times what is then left: who is alone has three quarters, of so many that take all they get each
 * has the same, and one more still finds room.
 */
#ifndef BASE_SHARE_H
#define BASE_SHARE_H

#include <stdint.h>

#define SHARE_OF_LEFT 3u

/* How many more somebody may take who has `own`, while `left` are nobody's. */
static inline uint64_t
share_room(uint64_t own, uint64_t left)
{
    const uint64_t bound = SHARE_OF_LEFT * left;
    /* Each one taken brings `own` up by one, and the bound down by SHARE_OF_LEFT. */
    return bound > own ? (bound - own + SHARE_OF_LEFT) / (SHARE_OF_LEFT + 1) : 0;
}

#endif
