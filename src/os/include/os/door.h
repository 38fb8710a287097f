/*
 * A door for requests that a listener's loop hands on to another loop, which stops before the
 * listener does: behind os_door_close nothing is handed on any more, and what was has its answer.
 */
#ifndef OS_DOOR_H
#define OS_DOOR_H

#include <stdatomic.h>
#include <stdbool.h>

/* Zeroed it is open. */
struct os_door {
    atomic_uint inside;
    atomic_bool closed;
};

/* False: it is closed, and nothing may be handed on. True: os_door_leave is called behind the
 * answer. Any thread. */
bool os_door_enter(struct os_door *door);
/* Any thread. */
void os_door_leave(struct os_door *door);
/* Returns when nobody is inside. Not from a thread that somebody inside waits for. */
void os_door_close(struct os_door *door);

#endif
