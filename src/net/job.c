/* Work off the loop's thread, through libuv's pool of threads; and a latch. */
#include "net/job.h"

#include "base/assert.h"
#include "base/list.h"

#include "loop_private.h"

#include <stdlib.h>

struct job_request {
    uv_work_t work;
    struct net_job *job;
};

static void
on_work(uv_work_t *work)
{
    struct net_job *job = CONTAINER_OF(work, struct job_request, work)->job;
    job->run(job);
}

static void
on_work_done(uv_work_t *work, int status)
{
    struct job_request *request = CONTAINER_OF(work, struct job_request, work);
    struct net_job *job = request->job;
    ASSERT(status == 0); /* nobody cancels */
    free(request);
    job->done(job);
}

err_t
net_job_start(struct net_loop *loop, struct net_job *job)
{
    ASSERT(job->run != NULL);
    ASSERT(job->done != NULL);
    struct job_request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        return ERR_MEMORY;
    }
    request->job = job;
    if (uv_queue_work(net_loop_uv(loop), &request->work, on_work, on_work_done) != 0) {
        free(request);
        return ERR_IO;
    }
    return ERR_OK;
}

struct net_latch {
    uv_sem_t opened;
};

err_t
net_latch_create(struct net_latch **ret_latch)
{
    struct net_latch *latch = calloc(1, sizeof(*latch));
    if (latch == NULL) {
        return ERR_MEMORY;
    }
    if (uv_sem_init(&latch->opened, 0) != 0) {
        free(latch);
        return ERR_IO;
    }
    *ret_latch = latch;
    return ERR_OK;
}

void
net_latch_open(struct net_latch *latch)
{
    uv_sem_post(&latch->opened);
}

void
net_latch_wait(struct net_latch *latch)
{
    uv_sem_wait(&latch->opened);
}

void
net_latch_destroy(struct net_latch **latch_pointer)
{
    if (*latch_pointer == NULL) {
        return;
    }
    uv_sem_destroy(&(*latch_pointer)->opened);
    free(*latch_pointer);
    *latch_pointer = NULL;
}
