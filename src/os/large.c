#include "os/large.h"

#include "base/assert.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_PAGE (UINT64_C(2) << 20)
#define PAGE       4096u

static size_t
rounded(size_t size)
{
    return (size + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
}

void *
os_large_alloc(size_t size)
{
    ASSERT(size > 0);
    ASSERT(size <= SIZE_MAX / 4);
    if (size < LARGE_PAGE) {
        const size_t whole = (size + PAGE - 1) / PAGE * PAGE;
        void *memory = aligned_alloc(PAGE, whole);
        return memory == NULL ? NULL : memset(memory, 0, whole);
    }
    /* More than is needed, of which what lies outside of whole large pages is given back. */
    const size_t inside = rounded(size);
    const size_t total = inside + LARGE_PAGE;
    char *map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    size_t before = LARGE_PAGE - (uintptr_t)map % LARGE_PAGE;
    char *memory = map + before;
    (void)munmap(map, before);
    if (before < LARGE_PAGE) {
        (void)munmap(memory + inside, LARGE_PAGE - before);
    }
    os_large_wish(memory, inside);
    return memory;
}

void
os_large_wish(void *memory, size_t size)
{
    const uintptr_t begin = ((uintptr_t)memory + PAGE - 1) / PAGE * PAGE;
    const uintptr_t end = ((uintptr_t)memory + size) / PAGE * PAGE;
    if (size >= LARGE_PAGE) {
        /* Without it everything works. */
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
    }
}

void
os_large_free(void *memory, size_t size)
{
    if (size < LARGE_PAGE) {
        free(memory);
    } else if (memory != NULL) {
        (void)munmap(memory, rounded(size));
    }
}
