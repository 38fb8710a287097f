/* Parts to look at, for this folder's tests. */
#ifndef TRACES_TESTING_H
#define TRACES_TESTING_H

#include "trace/recorder.h"

#define T_PARTS_MAX 16

struct t_parts {
    struct os_clock clock;
    uint64_t now_ns;
    struct trace_recorder *recorder;
    struct trace_part *kept[T_PARTS_MAX];
    uint32_t kept_count;
    uint64_t next;
};

void t_parts_open(struct t_parts *t);
/* What was kept is given back unless it is NULL by then. */
void t_parts_close(struct t_parts *t);
/* The root of a new part, whose trace id is 0x1000 and so on. */
struct trace_span t_root(struct t_parts *t, const char *name);

#endif
