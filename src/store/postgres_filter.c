/* Each part is a Bloom filter whose bits for an id lie in one 64-bit word: one miss of the cache
 * for a look at it. 16 bits an id and 4 of them set: about one id in 200 is "perhaps" by chance. */
#include "postgres.h"

#include <stdlib.h>

#define BITS_OF_ID  16u
#define ROOM_MIN    (UINT64_C(1) << 20)
#define WORD_BITS   64u
#define BITS_SET    4u
#define BITS_OF_BIT 6u /* of the hash, to choose one in a word */

static uint64_t
mask_of(uint64_t hash)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < BITS_SET; i++) {
        mask |= UINT64_C(1) << (hash >> (i * BITS_OF_BIT) & (WORD_BITS - 1));
    }
    return mask;
}

/* The bits of the hash that choose a word are not those that choose bits in it. */
static uint64_t
word_of(uint64_t hash, uint64_t word_count)
{
    return (hash >> (BITS_SET * BITS_OF_BIT)) & (word_count - 1);
}

static bool
part_add(struct store_pg_filter *filter, uint64_t expected)
{
    if (filter->part_count == STORE_PG_FILTERS_MAX) {
        return false;
    }
    uint64_t words = 1;
    while (words * WORD_BITS < expected * BITS_OF_ID) {
        words *= 2;
    }
    uint64_t *memory = calloc(words, sizeof(*memory));
    if (memory == NULL) {
        return false;
    }
    filter->parts[filter->part_count].words = memory;
    filter->parts[filter->part_count].word_count = words;
    filter->parts[filter->part_count].room = words * WORD_BITS / BITS_OF_ID;
    filter->part_count++;
    return true;
}

void
store_pg_filter_init(struct store_pg_filter *filter, uint64_t expected, uint64_t count_max)
{
    *filter = (struct store_pg_filter){.count_max = count_max};
    uint64_t room = expected < ROOM_MIN ? ROOM_MIN : expected;
    filter->overflowed = expected > count_max || !part_add(filter, room);
}

void
store_pg_filter_release(struct store_pg_filter *filter)
{
    for (uint32_t i = 0; i < filter->part_count; i++) {
        free(filter->parts[i].words);
    }
    *filter = (struct store_pg_filter){0};
}

void
store_pg_filter_add(struct store_pg_filter *filter, uint64_t hash)
{
    if (filter->overflowed) {
        return;
    }
    uint32_t last = filter->part_count - 1;
    if (filter->parts[last].room == 0) {
        uint64_t words = filter->parts[last].word_count;
        bool full = filter->count >= filter->count_max;
        if (full || !part_add(filter, 2 * words * WORD_BITS / BITS_OF_ID)) {
            filter->overflowed = true; /* from now on every id is looked up */
            return;
        }
        last++;
    }
    filter->parts[last].room--;
    filter->parts[last].words[word_of(hash, filter->parts[last].word_count)] |= mask_of(hash);
    filter->count++;
}

bool
store_pg_filter_perhaps(const struct store_pg_filter *filter, uint64_t hash)
{
    uint64_t mask = mask_of(hash);
    bool found = filter->overflowed;
    for (uint32_t i = 0; i < filter->part_count && !found; i++) {
        uint64_t word = filter->parts[i].words[word_of(hash, filter->parts[i].word_count)];
        found = (word & mask) == mask;
    }
    return found;
}
