#include "testing.h"

#include "base/assert.h"
#include "base/list.h"

static uint64_t
t_wall(struct os_clock *clock)
{
    return CONTAINER_OF(clock, struct t_parts, clock)->now_ns + UINT64_C(1700000000000000000);
}

static uint64_t
t_monotonic(struct os_clock *clock)
{
    return CONTAINER_OF(clock, struct t_parts, clock)->now_ns;
}

static void
t_kept(void *context, struct trace_part *part)
{
    struct t_parts *t = context;
    ASSERT(t->kept_count < T_PARTS_MAX);
    t->kept[t->kept_count++] = part;
}

void
t_parts_open(struct t_parts *t)
{
    *t = (struct t_parts){
        .clock = {.wall_ns = t_wall, .monotonic_ns = t_monotonic},
        .now_ns = 5000000,
    };
    const struct trace_recorder_parts parts = {
        .clock = &t->clock,
        .settings = trace_recorder_settings_default(),
        .kept = t_kept,
        .context = t,
    };
    err_t error = trace_recorder_create(&parts, &t->recorder);
    ASSERT(error == ERR_OK);
}

void
t_parts_close(struct t_parts *t)
{
    for (uint32_t i = 0; i < t->kept_count; i++) {
        if (t->kept[i] != NULL) {
            trace_part_give_back(t->kept[i]);
        }
    }
    trace_recorder_destroy(&t->recorder);
}

struct trace_span
t_root(struct t_parts *t, const char *name)
{
    struct trace_span span;
    const struct trace_root root = {
        .kind = TRACE_SERVER, .name = name, .random = (u128)0x1000 + t->next++};
    trace_root_start(t->recorder, &root, &span);
    return span;
}
