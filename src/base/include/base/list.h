/*
 * An intrusive doubly linked list. The link lives in the element; the list allocates nothing.
 * A zeroed link is "in no list".
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *prev;
    struct list_link *next;
};

/* The struct of type `type` whose member `member` is at `pointer`. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct list {
    struct list_link head; /* circular: an empty list points at itself */
};

static inline void
list_init(struct list *list)
{
    list->head.prev = &list->head;
    list->head.next = &list->head;
}

static inline bool
list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline bool
list_is_linked(const struct list_link *link)
{
    return link->next != NULL;
}

static inline void
list_insert_between(struct list_link *prev, struct list_link *next, struct list_link *link)
{
    link->prev = prev;
    link->next = next;
    prev->next = link;
    next->prev = link;
}

static inline void
list_push_back(struct list *list, struct list_link *link)
{
    list_insert_between(list->head.prev, &list->head, link);
}

static inline void
list_push_front(struct list *list, struct list_link *link)
{
    list_insert_between(&list->head, list->head.next, link);
}

static inline void
list_remove(struct list_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = NULL;
    link->next = NULL;
}

/* NULL when empty. */
static inline struct list_link *
list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.next;
}

/* Removes and returns the first, or NULL. */
static inline struct list_link *
list_pop_front(struct list *list)
{
    struct list_link *link = list_first(list);
    if (link != NULL) {
        list_remove(link);
    }
    return link;
}

/* The body may remove `link`. */
#define LIST_FOREACH_SAFE(list, link)                                                              \
    for (struct list_link *link = (list)->head.next, *link##_next = link->next;                    \
         link != &(list)->head;                                                                    \
         link = link##_next, link##_next = link->next)

#endif
