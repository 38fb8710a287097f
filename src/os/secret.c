#include "os/secret.h"

#include "base/assert.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT 16

struct layout {
    size_t page;
    size_t inside; /* whole pages between the guards */
    size_t total;
    size_t start; /* of the secret, from the first guard */
};

static struct layout
layout_of(size_t size)
{
    ASSERT(size > 0 && size <= SIZE_MAX / 4);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inside = (size + page - 1) / page * page;
    size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return (struct layout){
        .page = page,
        .inside = inside,
        .total = inside + 2 * page,
        .start = page + inside - rounded,
    };
}

void *
os_secret_alloc(size_t size, bool *ret_locked)
{
    struct layout layout = layout_of(size);
    char *map = mmap(NULL, layout.total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    char *inside = map + layout.page;
    if (mprotect(inside, layout.inside, PROT_READ | PROT_WRITE) != 0 ||
        madvise(inside, layout.inside, MADV_DONTDUMP) != 0 ||
        madvise(inside, layout.inside, MADV_DONTFORK) != 0) {
        (void)munmap(map, layout.total);
        return NULL;
    }
    bool locked = mlock(inside, layout.inside) == 0;
    if (ret_locked != NULL) {
        *ret_locked = locked;
    }
    return map + layout.start;
}

void
os_secret_free(void *secret, size_t size)
{
    if (secret == NULL) {
        return;
    }
    struct layout layout = layout_of(size);
    char *map = (char *)secret - layout.start;
    ASSERT((uintptr_t)map % layout.page == 0);
    explicit_bzero(secret, size);
    int result = munmap(map, layout.total);
    ASSERT(result == 0);
}
