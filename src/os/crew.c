#include "os/crew.h"

#include "base/assert.h"
#include "os/loop_real.h"
#include "os/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct os_crew *crew;
    pthread_t thread;
    uint32_t number; /* from 1 */
};

struct os_crew {
    char name[OS_LOOP_NAME_SIZE];
    struct worker workers[OS_CREW_MAX];
    uint32_t size; /* threads that were started */

    pthread_mutex_t lock; /* the next five */
    pthread_cond_t wanted;
    pthread_cond_t left;
    struct os_crew_job *job; /* NULL: nothing to do */
    uint32_t active;         /* workers that have the job */
    bool stopping;

    atomic_uint next; /* the part that nobody has yet */
};

static void
parts_run(struct os_crew *crew, struct os_crew_job *job, uint32_t worker)
{
    for (;;) {
        uint32_t part = atomic_fetch_add(&crew->next, 1);
        if (part >= job->part_count) {
            return;
        }
        job->run(job, part, worker);
    }
}

/* Holding the lock, but for the parts. */
static void
job_take(struct os_crew *crew, uint32_t worker)
{
    struct os_crew_job *job = crew->job;
    crew->active++;
    (void)pthread_mutex_unlock(&crew->lock);
    parts_run(crew, job, worker);
    (void)pthread_mutex_lock(&crew->lock);
    /* All parts are somebody's, so nobody else needs to come for it. */
    if (crew->job == job) {
        crew->job = NULL;
    }
    if (--crew->active == 0) {
        (void)pthread_cond_signal(&crew->left);
    }
}

static void *
worker_main(void *argument)
{
    const struct worker *worker = argument;
    struct os_crew *crew = worker->crew;
    (void)pthread_setname_np(pthread_self(), crew->name);
    (void)pthread_mutex_lock(&crew->lock);
    while (!crew->stopping) {
        if (crew->job != NULL) {
            job_take(crew, worker->number);
        } else {
            (void)pthread_cond_wait(&crew->wanted, &crew->lock);
        }
    }
    (void)pthread_mutex_unlock(&crew->lock);
    return NULL;
}

void
os_crew_run(struct os_crew *crew, struct os_crew_job *job)
{
    if (crew == NULL) {
        for (uint32_t part = 0; part < job->part_count; part++) {
            job->run(job, part, 0);
        }
        return;
    }
    (void)pthread_mutex_lock(&crew->lock);
    ASSERT(crew->job == NULL);
    ASSERT(crew->active == 0);
    atomic_store(&crew->next, 0);
    crew->job = job;
    (void)pthread_mutex_unlock(&crew->lock);
    for (uint32_t i = 0; i < crew->size && i + 1 < job->part_count; i++) {
        (void)pthread_cond_signal(&crew->wanted);
    }
    parts_run(crew, job, 0);
    (void)pthread_mutex_lock(&crew->lock);
    crew->job = NULL;
    while (crew->active > 0) {
        (void)pthread_cond_wait(&crew->left, &crew->lock);
    }
    (void)pthread_mutex_unlock(&crew->lock);
}

static err_t
worker_start(struct os_crew *crew)
{
    struct worker *worker = &crew->workers[crew->size];
    *worker = (struct worker){.crew = crew, .number = crew->size + 1};
    TRY(os_thread_start(&worker->thread, worker_main, worker));
    crew->size++;
    return ERR_OK;
}

err_t
os_crew_create(const char *name, uint32_t size, struct os_crew **ret_crew)
{
    ASSERT(size > 0);
    ASSERT(size <= OS_CREW_MAX);
    struct os_crew *crew = calloc(1, sizeof(*crew));
    if (crew == NULL) {
        return ERR_MEMORY;
    }
    memcpy(crew->name, name, strnlen(name, sizeof(crew->name) - 1));
    (void)pthread_mutex_init(&crew->lock, NULL);
    (void)pthread_cond_init(&crew->wanted, NULL);
    (void)pthread_cond_init(&crew->left, NULL);
    while (crew->size < size) {
        err_t code = worker_start(crew);
        if (code != ERR_OK) {
            os_crew_destroy(&crew);
            return code;
        }
    }
    *ret_crew = crew;
    return ERR_OK;
}

void
os_crew_destroy(struct os_crew **crew_pointer)
{
    struct os_crew *crew = *crew_pointer;
    if (crew == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&crew->lock);
    ASSERT(crew->job == NULL);
    crew->stopping = true;
    (void)pthread_cond_broadcast(&crew->wanted);
    (void)pthread_mutex_unlock(&crew->lock);
    for (uint32_t i = 0; i < crew->size; i++) {
        int result = pthread_join(crew->workers[i].thread, NULL);
        ASSERT(result == 0);
    }
    (void)pthread_cond_destroy(&crew->left);
    (void)pthread_cond_destroy(&crew->wanted);
    (void)pthread_mutex_destroy(&crew->lock);
    free(crew);
    *crew_pointer = NULL;
}
