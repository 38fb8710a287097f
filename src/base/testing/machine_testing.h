/*
 * For tests of machines (base/machine.h): the legal moves once more, written from what the machine
 * is for. What is not among them must be refused.
 */
#ifndef BASE_MACHINE_TESTING_H
#define BASE_MACHINE_TESTING_H

#include "base/machine.h"

#include <stddef.h>

struct t_move {
    const char *from;
    uint32_t move;
    const char *to;
};

/* Every move in every state, by number and by text; and each name is its state's alone. */
void t_machine_moves(const struct machine *machine, const struct t_move *legal, size_t count);
#define T_MACHINE_MOVES(machine, legal)                                                            \
    t_machine_moves((machine), (legal), sizeof(legal) / sizeof((legal)[0]))
/* No move leads out of it. */
void t_machine_final(const struct machine *machine, const char *name);

#endif
