#include "listen_told.h"

#include "base/assert.h"

#include <string.h>

bool
listen_told_has(const struct listen_told *told, struct span id)
{
    for (size_t i = 0; i < told->count; i++) {
        if (span_equal_cstr(id, told->ring[(told->first + i) % LISTEN_TOLD_MAX].id)) {
            return true;
        }
    }
    return false;
}

/* One that came late is before what is settled already. */
static void
settle_oldest(struct listen_told *told)
{
    ASSERT(told->count > 0);
    const char *id = told->ring[told->first].id;
    if (strcmp(id, told->settled) > 0) {
        memcpy(told->settled, id, sizeof(told->settled));
    }
    told->first = (told->first + 1) % LISTEN_TOLD_MAX;
    told->count--;
}

void
listen_told_add(struct listen_told *told, struct span id, uint64_t now_ns)
{
    ASSERT(id.size < ID_TEXT_SIZE);
    if (told->count == LISTEN_TOLD_MAX) {
        settle_oldest(told);
    }
    size_t at = (told->first + told->count++) % LISTEN_TOLD_MAX;
    memcpy(told->ring[at].id, id.data, id.size);
    told->ring[at].id[id.size] = '\0';
    told->ring[at].at_ns = now_ns;
}

void
listen_told_settle(struct listen_told *told, uint64_t now_ns)
{
    while (told->count > 0 && now_ns - told->ring[told->first].at_ns >= LISTEN_TOLD_LATE_NS) {
        settle_oldest(told);
    }
}
