/*
 * Waiting for those who were just answered, so that they share the next transaction.
 *
 * Clients that have one transfer under way each are answered together, and come back together, a
 * moment later. A transaction that began at once would have only those who came while the last one
 * was under way: so clients fall into two halves that take turns, and each waits for two commits.
 * The group waits until as many have come as were answered or are here already, at most for a
 * quarter of what the last commit took, and never for more than STORE_PG_GATHER_MAX_NS. Who does
 * not come is not waited for again soon.
 */
#include "postgres.h"

#define GATHER_MIN_NS (50 * OS_NS_PER_US)
/* A transaction of many events is long without company. */
#define GATHER_EVENTS_MAX 1024u
/* In vain: so many groups go without, then twice as many, up to this. */
#define SKIPS_MAX 256u

uint64_t
store_pg_gather_begin(struct store_pg_gather *gather, struct store_pg_gather_from from)
{
    ASSERT(!gather->under_way);
    if (gather->skip > 0) {
        gather->skip--;
        return 0;
    }
    if (from.answered + from.here < 2 || from.events > GATHER_EVENTS_MAX) {
        return 0;
    }
    uint64_t wait_ns = from.took_ns / 4;
    wait_ns = wait_ns < STORE_PG_GATHER_MAX_NS ? wait_ns : STORE_PG_GATHER_MAX_NS;
    if (wait_ns < GATHER_MIN_NS) {
        return 0;
    }
    gather->under_way = true;
    gather->here = from.here;
    gather->wanted = from.here + from.answered;
    return wait_ns;
}

bool
store_pg_gather_waits(const struct store_pg_gather *gather, uint32_t tickets)
{
    return gather->under_way && tickets < gather->wanted;
}

void
store_pg_gather_end(struct store_pg_gather *gather, uint32_t tickets)
{
    if (!gather->under_way) {
        return;
    }
    gather->under_way = false;
    uint32_t answered = gather->wanted - gather->here;
    uint32_t came = tickets > gather->here ? tickets - gather->here : 0;
    if (came >= (answered + 1) / 2) {
        gather->skips = 0;
        return;
    }
    gather->skips = gather->skips == 0 ? 1 : 2 * gather->skips;
    gather->skips = gather->skips < SKIPS_MAX ? gather->skips : SKIPS_MAX;
    gather->skip = gather->skips;
}
