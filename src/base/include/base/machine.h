/*
 * A machine of states that are stored as texts: their names, and the one table that says which move
 * leads where. Its owner numbers states and moves from zero and gives both tables; it draws them,
 * too.
 *
 * Pure functions on constants, any thread. What is not a state of the machine, or a move, is a bug:
 * stored texts came from us.
 */
#ifndef BASE_MACHINE_H
#define BASE_MACHINE_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct machine {
    const char *const *names; /* of the states, as stored and shown */
    const uint8_t *moves;     /* a row of moves for each state: MACHINE_TO, or 0: illegal */
    uint32_t state_count;
    uint32_t move_count;
};

#define MACHINE_TO(state) (uint8_t)((state) + 1)

/* Of `const char *const names[states]` and `const uint8_t moves[states][moves]`. */
#define MACHINE(name_table, move_table)                                                            \
    {                                                                                              \
        .names = (name_table), .moves = &(move_table)[0][0],                                       \
        .state_count = sizeof(move_table) / sizeof((move_table)[0]),                               \
        .move_count = sizeof((move_table)[0]),                                                     \
    }

const char *machine_name(const struct machine *machine, uint32_t state);
uint32_t machine_parse(const struct machine *machine, struct span text);

/* False if the move is illegal in that state. */
bool machine_move(const struct machine *machine, uint32_t from, uint32_t move, uint32_t *ret_to);
/* The same on a stored text, which is a static one afterwards. */
bool machine_move_text(const struct machine *machine, struct span *state, uint32_t move);

#endif
