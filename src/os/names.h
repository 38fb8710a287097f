/* A list of names in memory, for os_disk_ops.list. */
#ifndef OS_NAMES_H
#define OS_NAMES_H

#include "base/err.h"

#include <stddef.h>

struct os_names {
    char **items;
    size_t count; /* at most OS_LIST_NAMES_MAX */
    size_t capacity;
};

MUST_USE err_t os_names_add(struct os_names *names, const char *name);
/* Ascending by bytes. */
void os_names_sort(struct os_names *names);
void os_names_each(
    const struct os_names *names, void (*each)(void *context, const char *name), void *context);
void os_names_release(struct os_names *names);

#endif
