#include "door.h"

#include <unistd.h>

#define PAUSE_US 1000

bool
door_enter(struct door *door)
{
    /* Counted first, looked second; closing does it the other way around: one of them sees. */
    atomic_fetch_add(&door->inside, 1);
    if (!atomic_load(&door->closed)) {
        return true;
    }
    door_leave(door);
    return false;
}

void
door_leave(struct door *door)
{
    atomic_fetch_sub(&door->inside, 1);
}

void
door_close(struct door *door)
{
    atomic_store(&door->closed, true);
    while (atomic_load(&door->inside) > 0) {
        (void)usleep(PAUSE_US);
    }
}
