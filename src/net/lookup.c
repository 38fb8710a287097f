#include "lookup.h"

#include "base/assert.h"
#include "base/share.h"
#include "os/thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum name_state {
    NAME_QUEUED,
    NAME_LOOKING, /* a thread has `host`, `status` and `found` */
    NAME_FOUND,   /* or not: waits for the loop to collect it */
};

struct net_lookup_name {
    struct list_link link; /* in names, oldest first */
    struct list_link collected;
    struct list queries;
    enum name_state state; /* the loop's */
    uint64_t owner;        /* NAME_LOOKING: whose share the thread is of */
    struct net_lookups *lookups;
    int status; /* of getaddrinfo */
    struct addrinfo *found;
    char host[NET_HOST_MAX + 1];
};

/* What the threads share with the loop, and with nobody after its end: the last one frees it. */
struct net_lookups {
    struct os_executor *executor;
    struct list names;
    uint32_t name_count;
    uint32_t looking_count;
    uint64_t holders[NET_LOOKUP_THREADS_MAX]; /* owners of those that look, in any order */

    pthread_mutex_t mutex; /* of what follows */
    struct list collect;
    struct os_task collect_task;
    bool collect_posted;
    bool closed;
    uint32_t thread_count;
};

static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

static void
lock(struct net_lookups *lookups)
{
    int result = pthread_mutex_lock(&lookups->mutex);
    ASSERT(result == 0);
}

static void
unlock(struct net_lookups *lookups)
{
    int result = pthread_mutex_unlock(&lookups->mutex);
    ASSERT(result == 0);
}

static void
lookups_free(struct net_lookups *lookups)
{
    int result = pthread_mutex_destroy(&lookups->mutex);
    ASSERT(result == 0);
    free(lookups);
}

static void
name_free(struct net_lookup_name *name)
{
    if (name->found != NULL) {
        freeaddrinfo(name->found);
    }
    free(name);
}

/* The mutex is held. */
static void
name_hand_over(struct net_lookups *lookups, struct net_lookup_name *name)
{
    list_push_back(&lookups->collect, &name->collected);
    if (!lookups->collect_posted) {
        lookups->collect_posted = true;
        os_post(lookups->executor, &lookups->collect_task);
    }
}

/* ------------------------------------------------------------------------------------ threads */

static void *
name_look(void *context)
{
    struct net_lookup_name *name = context;
    struct net_lookups *lookups = name->lookups;
    (void)pthread_setname_np(pthread_self(), "lookup");
    name->status = getaddrinfo(name->host, NULL, &hints, &name->found);
    lock(lookups);
    lookups->thread_count--;
    bool closed = lookups->closed;
    bool last = closed && lookups->thread_count == 0;
    if (!closed) {
        name_hand_over(lookups, name); /* under the mutex: the loop is there until it is closed */
    }
    unlock(lookups);
    if (closed) {
        name_free(name);
    }
    if (last) {
        lookups_free(lookups);
    }
    return NULL;
}

static void
thread_start(struct net_lookups *lookups, struct net_lookup_name *name)
{
    pthread_t thread;
    lock(lookups);
    lookups->thread_count++;
    err_t result = os_thread_start(&thread, name_look, name);
    if (result != ERR_OK) {
        lookups->thread_count--;
        name->status = EAI_AGAIN;
        name_hand_over(lookups, name);
    }
    unlock(lookups);
    if (result == ERR_OK) {
        int detached = pthread_detach(thread);
        ASSERT(detached == 0);
    }
}

/* --------------------------------------------------------------------------------- the loop's */

static bool
owner_has_room(const struct net_lookups *lookups, uint64_t owner)
{
    uint32_t left = NET_LOOKUP_THREADS_MAX - lookups->looking_count;
    uint64_t own = 0;
    for (uint32_t i = 0; i < lookups->looking_count; i++) {
        own += lookups->holders[i] == owner ? 1 : 0;
    }
    return owner == 0 ? left > 0 : share_room(own, left) > 0;
}

/* Any of those who ask for it may give the thread. */
static bool
name_may_start(const struct net_lookups *lookups, struct net_lookup_name *name)
{
    LIST_FOREACH_SAFE (&name->queries, link) {
        name->owner = CONTAINER_OF(link, struct net_query, link)->owner;
        if (owner_has_room(lookups, name->owner)) {
            return true;
        }
    }
    return false;
}

static void
queued_start(struct net_lookups *lookups)
{
    LIST_FOREACH_SAFE (&lookups->names, link) {
        if (lookups->looking_count == NET_LOOKUP_THREADS_MAX) {
            return;
        }
        struct net_lookup_name *name = CONTAINER_OF(link, struct net_lookup_name, link);
        if (name->state == NAME_QUEUED && name_may_start(lookups, name)) {
            name->state = NAME_LOOKING;
            lookups->holders[lookups->looking_count++] = name->owner;
            thread_start(lookups, name);
        }
    }
}

static void
looking_ended(struct net_lookups *lookups, const struct net_lookup_name *name)
{
    uint32_t at = 0;
    while (at < lookups->looking_count && lookups->holders[at] != name->owner) {
        at++;
    }
    ASSERT(at < lookups->looking_count);
    lookups->holders[at] = lookups->holders[--lookups->looking_count];
}

static void
name_remove(struct net_lookups *lookups, struct net_lookup_name *name)
{
    list_remove(&name->link);
    ASSERT(lookups->name_count > 0);
    lookups->name_count--;
}

static err_t
result_of(int status)
{
    switch (status) {
    case 0:
        return ERR_OK;
    case EAI_AGAIN:
        return ERR_BUSY;
    case EAI_MEMORY:
        return ERR_MEMORY;
    default:
        return ERR_NOT_FOUND;
    }
}

static void
name_tell(struct net_lookup_name *name)
{
    err_t result = result_of(name->status);
    struct list_link *link;
    while ((link = list_pop_front(&name->queries)) != NULL) { /* any may forget any other */
        struct net_query *query = CONTAINER_OF(link, struct net_query, link);
        query->done(query, result, name->found);
    }
    name_free(name);
}

static void
on_collect(struct os_task *task)
{
    struct net_lookups *lookups = CONTAINER_OF(task, struct net_lookups, collect_task);
    struct list found;
    list_init(&found);
    lock(lookups);
    lookups->collect_posted = false;
    struct list_link *link;
    while ((link = list_pop_front(&lookups->collect)) != NULL) {
        list_push_back(&found, link);
    }
    unlock(lookups);
    while ((link = list_pop_front(&found)) != NULL) {
        struct net_lookup_name *name = CONTAINER_OF(link, struct net_lookup_name, collected);
        ASSERT(name->state != NAME_QUEUED);
        if (name->state == NAME_LOOKING) {
            looking_ended(lookups, name);
        }
        name_remove(lookups, name); /* who asks from now on looks again */
        name_tell(name);
    }
    queued_start(lookups);
}

static struct net_lookup_name *
name_find(const struct net_lookups *lookups, const char *host)
{
    LIST_FOREACH_SAFE (&lookups->names, link) {
        struct net_lookup_name *name = CONTAINER_OF(link, struct net_lookup_name, link);
        if (strcmp(name->host, host) == 0) {
            return name;
        }
    }
    return NULL;
}

static err_t
name_add(struct net_lookups *lookups, const char *host, struct net_lookup_name **ret_name)
{
    if (lookups->name_count == NET_LOOKUP_NAMES_MAX) {
        return ERR_FULL;
    }
    struct net_lookup_name *name = calloc(1, sizeof(*name));
    if (name == NULL) {
        return ERR_MEMORY;
    }
    name->lookups = lookups;
    memcpy(name->host, host, strlen(host));
    list_init(&name->queries);
    list_push_back(&lookups->names, &name->link);
    lookups->name_count++;
    *ret_name = name;
    return ERR_OK;
}

err_t
net_query_start(struct net_lookups *lookups, const char *host, struct net_query *query)
{
    ASSERT(query->done != NULL);
    ASSERT(!list_is_linked(&query->link));
    if (strlen(host) > NET_HOST_MAX) {
        return ERR_INVALID;
    }
    struct net_lookup_name *name = name_find(lookups, host);
    if (name != NULL) {
        list_push_back(&name->queries, &query->link);
        queued_start(lookups); /* this one's owner may have room for it */
        return ERR_OK;
    }
    TRY(name_add(lookups, host, &name));
    list_push_back(&name->queries, &query->link);
    struct addrinfo numeric = hints;
    numeric.ai_flags = AI_NUMERICHOST; /* does not block */
    name->status = getaddrinfo(host, NULL, &numeric, &name->found);
    if (name->status == EAI_NONAME) {
        queued_start(lookups);
        return ERR_OK;
    }
    name->state = NAME_FOUND;
    lock(lookups);
    name_hand_over(lookups, name);
    unlock(lookups);
    return ERR_OK;
}

void
net_query_forget(struct net_lookups *lookups, struct net_query *query)
{
    if (!list_is_linked(&query->link)) {
        return;
    }
    list_remove(&query->link);
    LIST_FOREACH_SAFE (&lookups->names, link) {
        struct net_lookup_name *name = CONTAINER_OF(link, struct net_lookup_name, link);
        if (name->state == NAME_QUEUED && list_is_empty(&name->queries)) {
            name_remove(lookups, name);
            name_free(name);
        }
    }
}

/* ---------------------------------------------------------------------------------- life time */

err_t
net_lookups_create(struct net_loop *loop, struct net_lookups **ret_lookups)
{
    struct net_lookups *lookups = calloc(1, sizeof(*lookups));
    if (lookups == NULL) {
        return ERR_MEMORY;
    }
    if (pthread_mutex_init(&lookups->mutex, NULL) != 0) {
        free(lookups);
        return ERR_IO;
    }
    lookups->executor = net_loop_executor(loop);
    lookups->collect_task.run = on_collect;
    list_init(&lookups->names);
    list_init(&lookups->collect);
    *ret_lookups = lookups;
    return ERR_OK;
}

void
net_lookups_destroy(struct net_lookups **lookups_pointer)
{
    struct net_lookups *lookups = *lookups_pointer;
    if (lookups == NULL) {
        return;
    }
    *lookups_pointer = NULL;
    lock(lookups);
    LIST_FOREACH_SAFE (&lookups->names, link) {
        struct net_lookup_name *name = CONTAINER_OF(link, struct net_lookup_name, link);
        ASSERT(list_is_empty(&name->queries));
        list_remove(&name->link);
        if (name->state == NAME_QUEUED || list_is_linked(&name->collected)) {
            name_free(name);
        }
    }
    lookups->closed = true;
    bool last = lookups->thread_count == 0;
    unlock(lookups);
    if (last) {
        lookups_free(lookups);
    }
}
