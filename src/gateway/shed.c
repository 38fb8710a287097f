#include "shed.h"

#include "base/assert.h"

const char *const gateway_class_names[GATEWAY_CLASS_COUNT] = {
    [GATEWAY_CLASS_CRITICAL] = "critical",
    [GATEWAY_CLASS_NORMAL] = "normal",
    [GATEWAY_CLASS_LIST] = "list",
    [GATEWAY_CLASS_SEARCH] = "search",
};

#define LOAD_MAX 100000
#define ALL      1000
/* An answer's weight in the average is 1/16. */
#define AVERAGE_SHIFT 4

static const struct {
    uint32_t begin; /* load at which the first is refused */
    uint32_t end;   /* load at which all are */
} bands[GATEWAY_CLASS_COUNT] = {
    [GATEWAY_CLASS_CRITICAL] = {4000, 8000},
    [GATEWAY_CLASS_NORMAL] = {2000, 4000},
    [GATEWAY_CLASS_LIST] = {1500, 2000},
    [GATEWAY_CLASS_SEARCH] = {1000, 1500},
};

void
gateway_shed_answered(struct gateway_shed *shed, uint64_t latency_ns)
{
    shed->latency_ns -= shed->latency_ns >> AVERAGE_SHIFT;
    shed->latency_ns += latency_ns >> AVERAGE_SHIFT;
}

static uint32_t
ratio(uint64_t value, uint64_t target)
{
    if (target == 0) {
        return 0;
    }
    uint64_t whole = value / target;
    if (whole >= LOAD_MAX / ALL) {
        return LOAD_MAX;
    }
    return (uint32_t)(whole * ALL + value % target * ALL / target);
}

void
gateway_shed_update(
    struct gateway_shed *shed, const struct gateway_shed_target *target, uint64_t queue)
{
    if (queue == 0) {
        shed->latency_ns -= shed->latency_ns >> AVERAGE_SHIFT;
    }
    uint32_t by_queue = ratio(queue, target->queue);
    uint32_t by_latency = ratio(shed->latency_ns, target->latency_ns);
    shed->load = by_queue > by_latency ? by_queue : by_latency;
}

/* The share of a class that is refused at a load, per mille. */
static uint32_t
share_at(enum gateway_class class, uint32_t load)
{
    if (load <= bands[class].begin) {
        return 0;
    }
    if (load >= bands[class].end) {
        return ALL;
    }
    return (load - bands[class].begin) * ALL / (bands[class].end - bands[class].begin);
}

bool
gateway_shed_decide(struct gateway_shed *shed, enum gateway_class class)
{
    uint32_t carried = shed->carried[class] + share_at(class, shed->load);
    bool refused = carried >= ALL;
    shed->carried[class] = refused ? carried - ALL : carried;
    ASSERT(shed->carried[class] < ALL);
    return refused;
}
