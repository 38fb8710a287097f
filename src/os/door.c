#include "os/door.h"

#include <unistd.h>

#define PAUSE_US 1000

bool
os_door_enter(struct os_door *door)
{
    /* Counted first, looked second; closing does it the other way around: one of them sees. */
    atomic_fetch_add(&door->inside, 1);
    if (!atomic_load(&door->closed)) {
        return true;
    }
    os_door_leave(door);
    return false;
}

void
os_door_leave(struct os_door *door)
{
    atomic_fetch_sub(&door->inside, 1);
}

void
os_door_close(struct os_door *door)
{
    atomic_store(&door->closed, true);
    while (atomic_load(&door->inside) > 0) {
        (void)usleep(PAUSE_US);
    }
}
