/*
 * Turns: long reads that would hold the loop. An operation reads some rows in its turn and waits
 * for the next one; in the meantime whoever wrote is served. A group gives RESOURCE_TURN_ROWS to
 * all of them together, so that what they cost the others does not depend on how many they are
 * (RESOURCE-9). After a group that wrote there will be more such soon: a turn is shorter then.
 *
 *     group | commit begins | turns: A reads      | group | commit begins | turns: B, A ...
 *           |               |   (the disk syncs)  |
 */
#include "runtime.h"

#include "resource/pages.h"

#include "base/assert.h"

/* Making a query ready costs as much as reading some rows. */
#define TURN_START_ROWS 8

void
resource_turn_wait(struct resource_op *op, resource_step step)
{
    ASSERT(op->phase == RESOURCE_OP_RUNNING);
    struct resource_runtime *runtime = op->runtime;
    op->step = step;
    op->phase = RESOURCE_OP_WAITS_TURN;
    list_push_back(&runtime->turns, &op->waiting);
}

static void
spend(struct resource_runtime *runtime, size_t rows)
{
    runtime->turn_left = rows < runtime->turn_left ? runtime->turn_left - (uint32_t)rows : 0;
}

bool
resource_turn_spend(struct resource_runtime *runtime, size_t body_size)
{
    spend(runtime, 1 + body_size / RESOURCE_ROW_SIZE);
    return runtime->turn_left > 0;
}

void
resource_turns_run(struct resource_runtime *runtime, bool wrote)
{
    runtime->turn_left = wrote ? RESOURCE_TURN_ROWS_BUSY : RESOURCE_TURN_ROWS;
    while (runtime->turn_left > TURN_START_ROWS) {
        struct list_link *link = list_pop_front(&runtime->turns);
        if (link == NULL) {
            return;
        }
        struct resource_op *op = CONTAINER_OF(link, struct resource_op, waiting);
        ASSERT(op->phase == RESOURCE_OP_WAITS_TURN);
        op->phase = RESOURCE_OP_RUNNING;
        spend(runtime, TURN_START_ROWS);
        if (op->doom != ERR_OK) {
            resource_op_end_doomed(op);
        } else {
            op->step(op);
        }
    }
}
