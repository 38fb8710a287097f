#include "main_thread.h"

#include "base/list.h"

static void
post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    (void)first;
    (void)last;
    (void)sem_post(&CONTAINER_OF(executor, struct main_thread, executor)->wake);
}

static void
end_asked(struct os_task *task)
{
    (void)task; /* that it was posted is all */
}

err_t
main_thread_open(struct main_thread *thread)
{
    *thread = (struct main_thread){.executor.post = post, .end.run = end_asked};
    if (sem_init(&thread->wake, 0, 0) != 0) {
        return ERR_IO;
    }
    return os_signals_create(&thread->executor, &thread->end, &thread->signals);
}

void
main_thread_wait(struct main_thread *thread)
{
    while (sem_wait(&thread->wake) != 0) {
    }
}

void
main_thread_close(struct main_thread *thread)
{
    os_signals_destroy(&thread->signals);
    (void)sem_destroy(&thread->wake);
}
