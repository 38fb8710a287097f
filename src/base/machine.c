#include "base/machine.h"

#include "base/assert.h"

const char *
machine_name(const struct machine *machine, uint32_t state)
{
    ASSERT(state < machine->state_count);
    return machine->names[state];
}

uint32_t
machine_parse(const struct machine *machine, struct span text)
{
    for (uint32_t i = 0; i < machine->state_count; i++) {
        if (span_equal_cstr(text, machine->names[i])) {
            return i;
        }
    }
    UNREACHABLE();
}

bool
machine_move(const struct machine *machine, uint32_t from, uint32_t move, uint32_t *ret_to)
{
    ASSERT(from < machine->state_count);
    ASSERT(move < machine->move_count);
    uint8_t to = machine->moves[from * machine->move_count + move];
    if (to == 0) {
        return false;
    }
    ASSERT(to <= machine->state_count);
    *ret_to = to - 1U;
    return true;
}

bool
machine_move_text(const struct machine *machine, struct span *state, uint32_t move)
{
    uint32_t to = 0;
    bool legal = machine_move(machine, machine_parse(machine, *state), move, &to);
    if (legal) {
        *state = span_from_cstr(machine_name(machine, to));
    }
    return legal;
}
