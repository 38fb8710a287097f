#include "base/assert.h"
#include "os/entropy.h"

#include <errno.h>
#include <sys/random.h>

static void
fill(struct os_entropy *entropy, void *out, size_t size)
{
    (void)entropy;
    char *at = out;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0) {
            /* Ids and keys without entropy would be worse than no service. */
            ASSERT(errno == EINTR);
            continue;
        }
        at += got;
        size -= (size_t)got;
    }
}

struct os_entropy *
os_entropy_real(void)
{
    static struct os_entropy entropy = {.fill = fill};
    return &entropy;
}
