/* What the payer's bank is to show: a descriptor, and what this payment adds to it. */
#include "descriptor.h"

#define DESCRIPTOR_MAX 22 /* characters, as the networks have it */
#define SEPARATOR      "* "

static bool
begins_character(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

static size_t
characters(struct span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += begins_character(text.data[i]) ? 1 : 0;
    }
    return count;
}

static struct span
first_characters(struct span text, size_t limit)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (begins_character(text.data[i]) && ++count > limit) {
            return span_slice(text, 0, i);
        }
    }
    return text;
}

struct span
payments_descriptor(struct arena *arena, struct span descriptor, struct span suffix)
{
    size_t taken = characters(suffix) + sizeof(SEPARATOR) - 1;
    if (suffix.size == 0) {
        return descriptor;
    }
    struct span first =
        taken < DESCRIPTOR_MAX ? first_characters(descriptor, DESCRIPTOR_MAX - taken) : SPAN_EMPTY;
    if (first.size == 0) {
        return suffix;
    }
    return arena_format(arena, "%.*s" SEPARATOR "%.*s", SPAN_PRINTF(first), SPAN_PRINTF(suffix));
}
