#include "base/assert.h"
#include "os/entropy.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* A system call for each id would cost more than the id. Each thread draws ahead; what was handed
 * out is overwritten at once. The program does not fork, so no two processes share a pool. */
#define POOL_SIZE 1024

struct pool {
    unsigned char bytes[POOL_SIZE];
    size_t left; /* at the end of bytes */
};

static _Thread_local struct pool pool;

static void
draw(void *out, size_t size)
{
    unsigned char *at = out;
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

static void
fill(struct os_entropy *entropy, void *out, size_t size)
{
    (void)entropy;
    if (size > POOL_SIZE / 4) {
        draw(out, size);
        return;
    }
    if (pool.left < size) {
        draw(pool.bytes, sizeof(pool.bytes));
        pool.left = sizeof(pool.bytes);
    }
    unsigned char *from = pool.bytes + sizeof(pool.bytes) - pool.left;
    memcpy(out, from, size);
    explicit_bzero(from, size);
    pool.left -= size;
}

struct os_entropy *
os_entropy_real(void)
{
    static struct os_entropy entropy = {.fill = fill};
    return &entropy;
}
