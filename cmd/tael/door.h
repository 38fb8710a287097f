/*
 * A door for requests that a listener's loop hands on to another loop, which stops before the
 * listener does: behind door_close nothing is handed on any more, and what was has its answer.
 */
#ifndef TAEL_DOOR_H
#define TAEL_DOOR_H

#include <stdatomic.h>
#include <stdbool.h>

/* Zeroed it is open. */
struct door {
    atomic_uint inside;
    atomic_bool closed;
};

/* False: it is closed, and nothing may be handed on. True: door_leave is called behind the answer.
 * Any thread. */
bool door_enter(struct door *door);
/* Any thread. */
void door_leave(struct door *door);
/* Returns when nobody is inside. Not from a thread that somebody inside waits for. */
void door_close(struct door *door);

#endif
