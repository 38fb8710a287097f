#include "names.h"

#include "os/file.h"

#include <stdlib.h>
#include <string.h>

err_t
os_names_add(struct os_names *names, const char *name)
{
    if (names->count == OS_LIST_NAMES_MAX) {
        return ERR_FULL;
    }
    if (names->count == names->capacity) {
        size_t capacity = names->capacity != 0 ? names->capacity * 2 : 64;
        char **items = realloc(names->items, capacity * sizeof(*items));
        if (items == NULL) {
            return ERR_MEMORY;
        }
        names->items = items;
        names->capacity = capacity;
    }
    char *copy = strdup(name);
    if (copy == NULL) {
        return ERR_MEMORY;
    }
    names->items[names->count++] = copy;
    return ERR_OK;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
os_names_sort(struct os_names *names)
{
    if (names->count > 1) {
        qsort(names->items, names->count, sizeof(names->items[0]), compare_names);
    }
}

void
os_names_each(
    const struct os_names *names, void (*each)(void *context, const char *name), void *context)
{
    for (size_t i = 0; i < names->count; i++) {
        each(context, names->items[i]);
    }
}

void
os_names_release(struct os_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->items[i]);
    }
    free(names->items);
    *names = (struct os_names){0};
}
